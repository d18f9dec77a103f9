"""What the chapters share: `combine_images`, the figures, the command line."""

import argparse
import contextlib
import importlib
import math
import os
import sys
import types
from pathlib import Path

import numpy as np


class Deferred(types.ModuleType):
    """Stands for a module that is imported when something in it is first asked for.

    Keras takes some five seconds to import, and TensorFlow greets with a page of log lines. With
    this a script may begin with `import keras` like any other, --help and a typo are still
    answered at once, and the log stays quiet unless TF_CPP_MIN_LOG_LEVEL is set.
    """

    def __getattr__(self, attribute):
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        with contextlib.ExitStack() as stack:
            if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "3":
                sys.stderr.flush()
                stderr = os.dup(2)  # C++ writes past `sys.stderr`, straight to its number
                stack.callback(os.close, stderr)
                stack.callback(os.dup2, stderr, 2)
                nowhere = stack.enter_context(open(os.devnull, "w"))
                os.dup2(nowhere.fileno(), 2)
            module = importlib.import_module(self.__name__)
            if module.config.backend() != "tensorflow":
                # Where it is installed Keras loads it all the same, in the middle of a run.
                with contextlib.suppress(ImportError):
                    importlib.import_module("tensorflow")
        vars(self).update(vars(module))  # from now on this is no detour
        return getattr(module, attribute)


sys.modules.setdefault("keras", Deferred("keras"))
import keras  # noqa: E402


def combine_images(images):
    """Tile images into one (section 3.2 of the article).

    Args:
        images: `(N, H, W, C)`, any dtype.

    Returns:
        `(rows * H, columns * W, C)` of the same dtype: `int(sqrt(N))` columns, filled row by row,
        zeros where the last row has no image left.

    Raises:
        ValueError: `images` is not 4-D, or has N = 0.
    """
    images = np.asarray(images)
    if images.ndim != 4 or len(images) == 0:
        raise ValueError(f"expected images of shape (N, H, W, C) with N > 0, got {images.shape}")
    count, height, width, channels = images.shape
    columns = math.isqrt(count)
    rows = math.ceil(count / columns)
    tiles = np.zeros((rows * columns, height, width, channels), dtype=images.dtype)
    tiles[:count] = images
    tiles = tiles.reshape(rows, columns, height, width, channels)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)


def enlarged_tiles(images, side=80, gap=4):
    """`uint8` `(N, H, W, 3)` as one `PIL.Image`, enlarged so that every pixel can be seen."""
    scale = max(1, side // images.shape[1])
    large = images.repeat(scale, axis=1).repeat(scale, axis=2)  # nearest neighbour: no smoothing
    framed = np.pad(large, ((0, 0), (gap, gap), (gap, gap), (0, 0)), constant_values=255)
    return keras.utils.array_to_img(combine_images(framed), scale=False)


# Files and figures


@contextlib.contextmanager
def replacing(path):
    """A path to write to, which becomes `path` when all is written: nobody ever sees half a file."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())  # else a power cut could leave an empty file of that name
        os.replace(part, path)
    except OSError as error:
        error.filename = str(path)  # the name that the reader knows
        raise
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def subplots(show, *grid, **options):
    """`matplotlib.pyplot.subplots`, also on a machine without a screen."""
    from matplotlib import pyplot  # which takes half a second that --help need not wait for

    if not show:
        pyplot.switch_backend("agg")
    return pyplot.subplots(*grid, **options)


def save_figure(figure, path, show=False):
    """Write a `matplotlib` figure, and with `show` open it in a window as well."""
    from matplotlib import pyplot

    with replacing(path) as part:
        figure.savefig(part, dpi=110, bbox_inches="tight")
    print(f"wrote {path}")
    if show and pyplot.get_backend().lower() == "agg":
        print(f"no screen for --show here; open {path} instead", file=sys.stderr)
    elif show:
        pyplot.show()
    pyplot.close(figure)


def plot_accuracy(history, title, path, show=False):
    """Draw training and test accuracy against the epoch (sections 3.1, 4 and 5.1).

    Args:
        history: lists under "accuracy" and "val_accuracy", one value in 0..1 an epoch.
    """
    train, test = history["accuracy"], history["val_accuracy"]
    epochs, best = range(1, len(test) + 1), int(np.argmax(test))
    label = f"best on the test pictures: {test[best]:.1%} at epoch {best + 1}"
    figure, axes = subplots(show, figsize=(7, 4.5))
    axes.plot(epochs, train, ".-", label="training pictures")
    axes.plot(epochs, test, ".-", label="test pictures")
    axes.plot(best + 1, test[best], "o", ms=11, mfc="none", mec="C3", label=label)
    axes.set(title=title, xlabel="epoch", ylabel="accuracy", ylim=(0, 1))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.set_major_formatter(lambda value, position: f"{value:.0%}")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    save_figure(figure, path, show)


def print_result(history, name):
    """Say what the accuracy figure shows."""
    train, test = history["accuracy"], history["val_accuracy"]
    best, gap = int(np.argmax(test)), 100 * (train[-1] - test[-1])
    print(f"\nTrained on {name}, {len(test)} epochs.")
    print(f"Best test accuracy {test[best]:.1%}, at epoch {best + 1}.")
    print(f"After the last epoch: training accuracy {train[-1]:.1%}, test accuracy {test[-1]:.1%}.")
    if gap >= 5:
        print(f"The {gap:.1f} points between the two are over-fitting: the network has learned its")
        print("training pictures by heart, beyond what helps with pictures it has never seen.")
    else:
        print(
            f"Only {gap:.1f} points lie between the two: the network is no worse on pictures it has"
        )
        print("never seen. What limits it is not over-fitting, but how much it can learn.")
    if name != "CIFAR-10":
        print(f"The data was not the original CIFAR-10 but: {name}. The article's figures differ.")


# The command line


class Parser(argparse.ArgumentParser):
    def parse_args(self, argv=None):
        """Parse, and fill in the defaults that depend on the recipe."""
        args = super().parse_args(argv)
        recipe = getattr(args, "recipe", None)
        if args.out is None:
            script = self.prog.removesuffix(".py")
            args.out = Path("results", script + "_tuned" * (recipe == "tuned"))
        if recipe and args.epochs is None:
            args.epochs = self.epochs[recipe]
        return args

    def error(self, message):
        self.exit(
            2, f"{self.prog}: error: {message}; python {self.prog} --help lists the options\n"
        )


def whole_number(least, most=2**32 - 1):
    def parse(text):
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number from {least} to {most}"
            )
        return int(text)

    return parse


def command_line(script, doc, epochs=None, batch_size=None, summary=True, tuned=None):
    """A parser with the options that the scripts share.

    Args:
        script, doc: the script's `__file__` and docstring.
        epochs, batch_size: the article's, for a script that trains.
        summary: whether such a script has a model of its own to show.
        tuned: the epochs of its `--recipe tuned`, for a script that has one.
    """
    name = Path(script).stem
    parser = Parser(f"{name}.py", description=doc.split("\n\n")[0], allow_abbrev=False)

    def number(option, default, meaning, least=1):
        parser.add_argument(
            option, type=whole_number(least), default=default, metavar="N", help=meaning
        )

    parser.add_argument(
        "--data",
        metavar="SOURCE",
        help="cifar10, sample, the path of cifar-10-python.tar.gz, or a folder with train/<class>/ "
        "and test/<class>/ (default: CIFAR-10, and if it cannot be had the sample)",
    )
    if tuned:
        recipe = "the article's, or one that does better: see README (article)"
        parser.add_argument(
            "--recipe", choices=["article", "tuned"], default="article", help=recipe
        )
    if epochs:
        parser.epochs = {"article": epochs, "tuned": tuned}
        both = f"{epochs}; tuned: {tuned}" if tuned else epochs
        number("--epochs", None if tuned else epochs, f"passes over the training pictures ({both})")
        number("--batch-size", batch_size, f"pictures in a training step ({batch_size})")
        fresh = "forget the run in DIR and start anew"
        parser.add_argument("--fresh", action="store_true", help=fresh)
    if epochs and summary:
        table = "print the model's table, draw it in DIR/model.png, and stop; needs no data"
        parser.add_argument("--summary", action="store_true", help=table)
    number("--limit", None, "train on N pictures and test on N/5 (all)")
    number("--seed", 0, "initial weights, order of the pictures, --limit, sample (0)", least=0)
    out = f"where to write ({Path('results', name)}{'; tuned: the same with _tuned' * bool(tuned)})"
    parser.add_argument("--out", type=Path, metavar="DIR", help=out)
    parser.add_argument("--show", action="store_true", help="also open the figures in a window")
    return parser
