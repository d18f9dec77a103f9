"""What the questions share: the model that is asked, what it was before training, and its images."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from support.ending import ScriptError
from support.run import state

NO_RUN = Path("results", "cnn", "model.keras")
SHIPPED = Path(__file__).with_name("trained.weights.h5")  # of beyond.cnn_with_gap, on CIFAR-10


@dataclass
class Asked:
    """A model that is asked.

    Attributes:
        path: of its file.
        model: a `keras.Model`: images `float32` `(N, 32, 32, 3)` in [0, 1] to class probabilities.
        class_names: what its outputs stand for; numbers where nothing says it.
        untrained: the same before its training; None if it was not kept.
        run: what its run has put into its file, as `state.read`; {} for a model that no run of ours left.
    """

    path: Path
    model: object
    class_names: list
    untrained: object = None
    run: dict = field(default_factory=dict)

    @property
    def trained_on(self):
        """The images and the epochs, for titles."""
        if not self.run:
            return "unknown images"
        epochs = len(self.run["cpu seconds"])
        return f"{self.run['record']['data']}, {epochs} epoch" + "s" * (epochs != 1)

    def predict(self, images):
        """Class probabilities `(N, num_classes)` of images `uint8` `(N, 32, 32, 3)`."""
        return self.model.predict(images.astype("float32") / 255.0, batch_size=500, verbose=0)


def run_of(path):
    """What a run has put into its `model.keras`, as `state.read`; {} if none has."""
    try:
        return state.read(path)
    except Exception:  # a damaged file makes zipfile and json raise nearly anything
        return {}


def newest(layer="Dense", without="none"):
    """The newest model of a run in results/ that has a layer of this class and none of the other.

    Where there is none, the path of `cnn.py`'s model, which is not there. Keras is not needed.
    """
    found = sorted(Path("results").rglob("model.keras"), key=lambda path: path.stat().st_mtime)
    for path in reversed(found):
        run = run_of(path)
        classes = {each["class"] for each in run["record"]["layers"]} if run else ()
        if layer in classes and without not in classes:
            return path
    return NO_RUN


def load(path):
    """The model of a path, and what is kept beside it; says which it is.

    Raises:
        ScriptError: it cannot be loaded, or takes no images of 32 x 32.
    """
    from support.run import run_folder

    model, run, untrained = run_folder.load_model(path), run_of(path), path.with_name("initial.keras")
    if model.input_shape[1:] != (32, 32, 3):
        raise ScriptError(f"{path}: takes {model.input_shape}, not images of 32 x 32; give another model")
    names = run["record"]["classes"] if run else [str(n) for n in range(model.output_shape[-1])]
    asked = Asked(path, model, names, run=run)
    if run and untrained.exists():
        asked.untrained = run_folder.load_model(untrained)
    print(f"{path}: {model.count_params():,} parameters, trained on {asked.trained_on}")
    if run and len(run["cpu seconds"]) < run["epochs"]:
        done = f"{len(run['cpu seconds'])} of {run['epochs']}"
        print(f"途中で止めた学習 (stopped after epoch {done}): {run['record']['script']} goes on")
    return asked


def load_shipped():
    """The network of `beyond.cnn_with_gap` with the weights that come with these scripts."""
    from beyond import cnn_with_gap

    facts = json.loads(SHIPPED.with_suffix("").with_suffix(".json").read_text())
    model = cnn_with_gap.build_model(len(facts["classes"]))
    model.load_weights(SHIPPED)
    print(f"付属の学習済みモデル (comes with the scripts): {facts['network']}, "
          f"テスト精度 (test accuracy) {facts['test accuracy']:.1%}")  # fmt: skip
    return Asked(SHIPPED, model, facts["classes"])


def test_images(asked, args):
    """The test set: that of --data, else of the images that the model was trained on.

    Returns:
        Images `uint8` `(N, 32, 32, 3)` and labels `int64` `(N,)`.

    Raises:
        ScriptError: nothing says which images, they are not there, or have other classes.
    """
    from support.data import images

    if args.data is None and not asked.run:
        raise ScriptError(f"{asked.path}: not of a run of these scripts; give --data SOURCE for images")
    seed = asked.run["record"]["seed"] if asked.run else 0
    (x, y), names = images.load_tests(args.data or asked.run["source"], seed, args.verbose)
    if asked.run and asked.class_names != list(names):
        wanted, given = ", ".join(asked.class_names), ", ".join(names)
        raise ScriptError(f"{asked.path}: knows {wanted}; the images have {given}; give --data others")
    return x, y
