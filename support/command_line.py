"""The command line: the options, the same words in every script."""

import argparse
import difflib
import os
import re
import sys
from pathlib import Path

from support import inputs, keras_start, processes
from support.ending import name_of


def number(meaning, least=1, most=2**32 - 1):
    def parse(text):
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return {"type": parse, "metavar": "N", "help": meaning}


def switch(meaning):
    return {"action": "store_true", "help": meaning}


# In the help {} stands for the default.
OPTIONS = {
    "data": {
        "metavar": "SOURCE",
        "help": "cifar10, sample, the path of cifar-10-python.tar.gz, or a folder with "
        "train/<class>/ and test/<class>/ (default: {})",
    },
    "limit": number("N training images and N/5 test images, all classes alike (all)"),
    "seed": number("initial weights, order of the images, --limit, sample ({})", least=0),
    "epochs": number("passes over the training set ({})"),
    "batch_size": number("images in a training step ({})"),
    "fresh": switch("forget the run in DIR and start anew"),
    "summary": switch("print the model's table, draw it in DIR/model.png, and stop; needs no data"),
    "alpha": {"type": float, "choices": [0.25, 0.5, 0.75, 1.0], "help": "width of MobileNet ({})"},
    "weights": {
        "metavar": "W",
        "help": "imagenet, none (random), or a file (imagenet, and if they cannot be had none)",
    },
    "count": number("images in samples.png ({})"),
    "model": {"metavar": "MODEL", "type": Path, "help": "a model that Keras saved (default: {})"},
    "photos": {"metavar": "PHOTO", "type": Path, "nargs": "+", "help": "a file with an image"},
    "runs": {"metavar": "RUN", "type": Path, "nargs": "+", "help": "a folder with a model.keras"},
    "pixels": {"choices": ["0..1", "0..255"], "help": "what the model takes (what its run gave it)"},
    "sort": switch("the most regular filters first in filters.png and responses.png"),
    "out": {"type": Path, "metavar": "DIR", "help": "where to write ({})"},
    "show": switch("also open the figures in a window"),
}


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}; add --help for the options\n")

    def refuse(self, unknown):
        options = re.findall("--[a-z-]+", self.format_usage())
        near = difflib.get_close_matches(unknown[0].partition("=")[0], options, 1)
        hint = f"did you mean {near[0]}?" if near else "a path with a space needs quotes"
        also = f" ({hint})" if near or unknown[0][0] != "-" else ""
        self.error(f"unrecognized arguments: {' '.join(unknown)}{also}")


def parse(script, doc, argv=None, **defaults):
    """Parse a script's command line and, if it is right, load Keras.

    Args:
        script, doc: the script's `__file__` and docstring.
        argv: the arguments; None: those of the process.
        defaults: the options that not every script has, each with its default. With `epochs` come
            the other options for training, with `alpha` comes `weights`, with `epochs` or `count`
            those that say which images. `photos`, `runs` and, without them, `model` are no options
            but what the script is about, and stand without a word before them.

    Returns:
        An `argparse.Namespace` with the options; the script's name in `script`; and `verbose`, for
        `fit`: 1, a progress bar, on a terminal and in a notebook; 2, a line an epoch, in a log; 0
        in all processes but the first.

    Raises:
        ScriptError: an input is not there, or Keras is not.
        SystemExit: the command line is wrong, or was --help.
    """
    name = name_of(script)
    lines = argparse.RawDescriptionHelpFormatter
    parser = Parser(name, description=doc, formatter_class=lines, allow_abbrev=False)
    defaults["out"] = Path("results", *name.removesuffix(".py").split("."))
    defaults["show"] = False
    about = next((key for key in ("photos", "runs", "model") if key in defaults), None)
    if about is None:
        defaults = {"data": None, "limit": None, "seed": 0} | defaults
    if "epochs" in defaults:
        defaults |= {"fresh": False, "summary": False}
    if "alpha" in defaults:
        defaults["weights"] = None
    shown = defaults | {"data": "that of the model's run" if about else "CIFAR-10, else the sample"}
    if about == "photos":
        shown["model"] = "the trained network that comes with the scripts"
    for key, option in OPTIONS.items():
        if key in defaults:
            word = key if key == about else f"--{key.replace('_', '-')}"
            optional = {"nargs": "?"} if key == about else {}
            meaning = {"help": option["help"].format(shown[key])}
            parser.add_argument(word, **optional | option | meaning)
    parser.set_defaults(**defaults)
    if argv is None and sys.argv[0].endswith("kernel_launcher.py"):
        argv = []  # `cnn.main()` in a notebook, whose own words these are
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.refuse(unknown)
    args.script = name
    inputs.check(args)
    notebook = "ipykernel" in sys.modules  # which shows figures by a backend of its own
    if not args.show and not notebook:
        os.environ["MPLBACKEND"] = "agg"  # which needs no screen
    elif "inline" in os.environ.get("MPLBACKEND", "") and not notebook:
        del os.environ["MPLBACKEND"]  # that of a notebook, from which `!python cnn.py --show` has it
    if "keras" not in sys.modules:
        print("Kerasを読み込んでいる (loading Keras) ...")
    keras_start.start()
    on_screen = sys.stdout.isatty() or notebook
    args.verbose = 0 if processes.number() > 0 else 1 if on_screen else 2
    return args
