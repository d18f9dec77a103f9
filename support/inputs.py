"""What the command line names, looked at before the seconds that Keras takes to load."""

import os
from pathlib import Path

from support import files, processes, run_json
from support.ending import ScriptError

NOT_IMAGES = {"thumbs.db", "desktop.ini"}  # which Windows leaves where images are


def check(args):
    """
    Raises:
        ScriptError: a path cannot be read, --data is no source of images, --limit is too small for
            it, or what --out names is no folder for this run.
    """
    data, weights, model = (getattr(args, key, None) for key in ("data", "weights", "model"))
    data = None if data in ("cifar10", "sample") else data
    paths = []
    if data is not None:
        ways = "cifar10, sample, a cifar-10-python.tar.gz, or a folder with train/ and test/"
        paths.append((f"--data {data}", data, f"give {ways}"))
    if weights not in (None, "imagenet", "none"):
        paths.append((f"--weights {weights}", weights, "give imagenet, none or a file"))
    for path in [*(getattr(args, "photos", None) or ()), *(getattr(args, "runs", None) or ())]:
        paths.append((path, path, "give another; a path with a space needs quotes"))
    if model:
        script = "cnn_with_gap" if model.parent.name == "cnn_with_gap" else "cnn"
        paths.append((model, model, f"give a model that Keras saved, or run python {script}.py first"))
    for name, path, way_out in paths:
        try:  # to look into it, which tells more than that it is there
            os.listdir(path) if os.path.isdir(path) else open(path, "rb").close()
        except OSError as error:
            raise ScriptError(f"{name}: {error.strerror}; {way_out}") from None
    if model and model.is_dir():
        saved = "a SavedModel, which Keras 3 cannot load; save it as .keras or .h5 where it was made"
        kept = os.path.exists(model / "saved_model.pb")
        raise ScriptError(f"{model}: {saved if kept else 'a folder; give the model.keras in it'}")
    if data is not None and not os.path.isdir(data):
        with open(data, "rb") as file:
            if file.read(2) != b"\x1f\x8b":
                raise ScriptError(f"--data {data}: no archive; photos: python -m explore.classify {data}")
        data = None
    least = 5 * (10 if data is None else len(classes_of(Path(data))))
    if getattr(args, "limit", None) and args.limit < least:
        raise ScriptError(f"--limit {args.limit}: leaves a class without test images; take {least}")
    check_out(args)


def check_out(args):
    """The part of `check` that is about --out."""
    try:
        os.stat(os.path.join(args.out, "."))  # fails where it is a file
    except FileNotFoundError:
        return
    except OSError as error:
        raise files.cannot_write(args.out, error) from None
    record = args.out / run_json.NAME
    # Of several processes the first alone has the folder of the run.
    if processes.COUNT in os.environ or not hasattr(args, "epochs") or args.summary or args.fresh:
        return
    if os.path.lexists(record):
        decided = {"script": args.script, "seed": args.seed, "batch size": args.batch_size}
        decided |= {key: getattr(args, key) for key in ("alpha", "weights") if getattr(args, key, None)}
        run_json.compare(args.out, run_json.read(record), decided)


def classes_of(folder):
    """The names of the classes in a folder with images.

    Raises:
        ScriptError: there is something missing. The message names the place.
    """
    train, test = folder / "train", folder / "test"
    for part in (train, test):
        if not os.path.isdir(part) and os.access(folder, os.X_OK):
            if os.path.exists(folder / "data_batch_1"):  # pickles without a hash to check: never opened
                raise ScriptError(f"{folder}: an unpacked CIFAR-10; give its archive, cifar-10-python.tar.gz")
            raise ScriptError(f"{part}: no such folder; make train/<class>/ and test/<class>/ there")
    names = [[path.name for path in visible(part) if not path.is_file()] for part in (train, test)]
    for odd in sorted(set(names[0]) ^ set(names[1])):
        raise ScriptError(f"{folder}: class {odd} is in only one of train/ and test/; give it to both")
    if len(names[0]) < 2:
        raise ScriptError(f"{folder}: {len(names[0])} class in train/; there must be two or more")
    return names[0]


def visible(folder):
    """What is in a folder, in order, but for what the system leaves there."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise ScriptError(f"{folder}: {error.strerror}; make it readable or remove it") from None
    return [p for p in paths if p.name[0] != "." and p.name.lower() not in NOT_IMAGES]
