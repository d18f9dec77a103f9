"""The command line: the options, the same words in every script."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from support import loading
from support.entry import ScriptError, name_of


def whole_number(least, most=2**32 - 1):
    def parse(text):
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def number(meaning, least=1):
    return {"type": whole_number(least), "metavar": "N", "help": meaning}


def switch(meaning):
    return {"action": "store_true", "help": meaning}


# In the help {} stands for the default.
DATA = {
    "data": {
        "metavar": "SOURCE",
        "help": "cifar10, sample, the path of cifar-10-python.tar.gz, or a folder with "
        "train/<class>/ and test/<class>/ (default: CIFAR-10, and if it cannot be had the sample)",
    },
    "limit": number("N training images and N/5 test images, all classes alike (all)"),
    "seed": number("initial weights, order of the images, --limit, sample (0)", least=0),
}
TRAINING = {
    "epochs": number("passes over the training set ({})"),
    "batch_size": number("images in a training step ({})"),
    "fresh": switch("forget the run in DIR and start anew"),
}
SUMMARY = {"summary": switch("print the model's table, draw it in DIR/model.png, and stop; needs no data")}
OF_ONE_SCRIPT = {
    "alpha": {"type": float, "choices": [0.25, 0.5, 0.75, 1.0], "help": "width of MobileNet ({})"},
    "weights": {
        "metavar": "W",
        "help": "imagenet, none (random), or a file (imagenet, and if they cannot be had none)",
    },
    "count": number("images in samples.png ({})"),
    "sort": switch("the most regular filters first in filters.png and responses.png"),
}
OUTPUT = {
    "out": {"type": Path, "metavar": "DIR", "help": "where to write ({})"},
    "show": switch("also open the figures in a window"),
}


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}; add --help for the options\n")


def parse(script, doc, argv=None, **defaults):
    """Parse a script's command line and, if it is right, load Keras.

    Args:
        script, doc: the script's `__file__` and docstring.
        argv: the arguments; None: those of the process.
        defaults: the options that not every script has, each with its default. With `epochs` and
            `batch_size` come the other options for training, with `alpha` comes `weights`. With
            `model`, the path of the model that is taken if none is named, all options for training
            are None unless they are given.

    Returns:
        An `argparse.Namespace` with the options, the script's name in `script`, and in `command`
        the command line that goes on with what it began: the same without --fresh.

    Raises:
        ScriptError: an input is not there, or Keras is not.
        SystemExit: the command line is wrong, or was --help.
    """
    name = name_of(script)
    parser = Parser(name, description=doc.split("\n\n")[0], allow_abbrev=False)
    if "alpha" in defaults:
        defaults["weights"] = None
    defaults["out"] = Path("results", *name.removesuffix(".py").split("."))
    if "model" in defaults:
        model = defaults["default_model"] = Path(defaults.pop("model"))
        meaning = f"a model that Keras saved (default: {model}, for which cnn.py runs if need be)"
        parser.add_argument("model", metavar="MODEL", nargs="?", type=Path, help=meaning)
        options = DATA | TRAINING
    else:
        defaults["seed"] = 0
        options = DATA | (TRAINING | SUMMARY if "epochs" in defaults else {})
    options |= {key: OF_ONE_SCRIPT[key] for key in defaults if key in OF_ONE_SCRIPT} | OUTPUT
    for key, option in options.items():
        meaning = option["help"].format(defaults.get(key, "that of cnn.py"))
        parser.add_argument(option_of(key), **option | {"help": meaning})
    parser.set_defaults(**defaults)
    args = parser.parse_args(argv)
    check_inputs(args)
    again = [word for word in (sys.argv[1:] if argv is None else argv) if word != "--fresh"]
    args.script = name
    args.command = shlex.join(["python", *["-m"] * name.startswith("beyond."), name, *again])
    if not args.show:
        os.environ["MPLBACKEND"] = "agg"  # which needs no screen
    loading.import_keras()
    return args


def option_of(key):
    return f"--{key.replace('_', '-')}"


def check_inputs(args):
    """Find out now, and not after the seconds that Keras takes, what is not there.

    Raises:
        ScriptError: a path does not exist.
    """
    if args.data not in (None, "cifar10", "sample") and not Path(args.data).exists():
        raise ScriptError(
            f"--data {args.data}: no such file or folder; "
            "give cifar10, sample, a cifar-10-python.tar.gz, or a folder with train/ and test/"
        )
    weights = getattr(args, "weights", None)
    if weights not in (None, "imagenet", "none") and not Path(weights).is_file():
        raise ScriptError(f"--weights {weights}: no such file; give imagenet, none or a file")
