"""What the questions share: the model that is asked, what it was before training, and its images."""

from dataclasses import dataclass, field
from pathlib import Path

from support.ending import ScriptError
from support.run import state

NO_RUN = Path("results", "cnn", "model.keras")


def newest(*layers):
    """The newest model of a run in results/, for which Keras is not needed.

    Args:
        layers: names of classes, of which its network must have one each.

    Returns:
        Its path; where there is none, that of `cnn.py`, which is not there.
    """
    found = sorted(Path("results").rglob("model.keras"), key=lambda path: path.stat().st_mtime)
    for path in reversed(found):
        run = run_of(path)
        if run and set(layers) <= {layer["class"] for layer in run["record"]["layers"]}:
            return path
    return NO_RUN


def run_of(path):
    """What a run put into its `model.keras`, as `state.read`; None if none did."""
    try:
        return state.read(path)
    except Exception:  # a damaged file makes zipfile and json raise nearly anything
        return None


@dataclass
class Asked:
    """A model that is asked.

    Attributes:
        path: of its file.
        model: a `keras.Model`: images `float32` `(N, H, W, 3)` in [0, 1] to class probabilities.
        untrained: the same before its training; None if it was not kept.
        record, epochs: what the run is on record with, and how many epochs are done; `{}` and 0 for
            a model that no run of ours left.
    """

    path: Path
    model: object
    untrained: object = None
    record: dict = field(default_factory=dict)
    epochs: int = 0
    source: str | None = None

    @property
    def trained_on(self):
        """The images and the epochs, for titles."""
        if not self.record:
            return "unknown images"
        return f"{self.record['data']}, {self.epochs} epoch" + "s" * (self.epochs != 1)


def load(path):
    """The model of a path, and what is kept beside it; says which it is.

    Raises:
        ScriptError: it cannot be loaded.
    """
    from support.run import run_folder

    untrained = path.with_name("initial.keras")
    asked = Asked(path, run_folder.load_model(path))
    if untrained.exists():
        asked.untrained = run_folder.load_model(untrained)
    if run := run_of(path):
        asked.record, asked.epochs, asked.source = run["record"], len(run["cpu seconds"]), run["source"]
    print(f"{path}: {asked.model.count_params():,} parameters, trained on {asked.trained_on}")
    if run and asked.epochs < run["epochs"]:
        print(f"stopped after epoch {asked.epochs} of {run['epochs']}; {asked.record['script']} goes on")
    return asked


def test_images(asked, args):
    """The test set: that of --data, else of the images that the model was trained on.

    Returns:
        `(x, y), class_names`: images `uint8` `(N, 32, 32, 3)`, labels `int64` `(N,)`, the names.

    Raises:
        ScriptError: nothing says which images, they are not there, or have other classes.
    """
    from support.data import images

    if args.data is None and asked.source is None:
        raise ScriptError(f"{asked.path}: not of a run of these scripts; give --data SOURCE for images")
    seed = asked.record.get("seed", 0)
    (x, y), names = images.load_tests(args.data or asked.source, seed, args.verbose)
    trained = asked.record.get("classes", names)
    if list(trained) != list(names):
        raise ScriptError(f"{asked.path}: was trained on the classes {', '.join(map(str, trained))}; "
                          f"the images have {', '.join(map(str, names))}")  # fmt: skip
    return (x, y), names
