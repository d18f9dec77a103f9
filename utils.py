"""What the chapters share: `combine_images`, the figures, the command line, the care for a run."""

import argparse
import contextlib
import csv
import errno
import importlib
import json
import math
import os
import signal
import sys
import types
import zlib
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


def command_line(script, doc, epochs=None, batch_size=None, summary=True):
    """A parser with the options that the scripts share.

    Args:
        script, doc: the script's `__file__` and docstring.
        epochs, batch_size: the article's, for a script that trains.
        summary: whether such a script has a model of its own to show.
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
    if epochs:
        number("--epochs", epochs, f"passes over the training pictures ({epochs})")
        number("--batch-size", batch_size, f"pictures in a training step ({batch_size})")
        fresh = "forget the run in DIR and start anew"
        parser.add_argument("--fresh", action="store_true", help=fresh)
    if epochs and summary:
        table = "print the table of the model and stop; needs no data"
        parser.add_argument("--summary", action="store_true", help=table)
    number("--limit", None, "train on N pictures and test on N/5 (all)")
    number("--seed", 0, "initial weights, order of the pictures, --limit, sample (0)", least=0)
    out = Path("results", name)
    parser.add_argument(
        "--out", type=Path, default=out, metavar="DIR", help=f"where to write ({out})"
    )
    parser.add_argument("--show", action="store_true", help="also open the figures in a window")
    return parser


def run_script(main):
    """Run a script's `main`: whatever is not a bug ends in one line on stderr and an exit code."""
    script = Path(sys.argv[0]).name
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, Interrupted.on_signal)
    try:
        main()
        sys.stdout.flush()
        return 0
    except Interrupted as interrupt:
        print(f"{script}: {interrupt}", file=sys.stderr)
        return 128 + interrupt.number
    except ImportError as error:
        message = f"{error}; install the packages: pip install -r requirements.txt"
    except OSError as error:
        message = str(error)
        if error.strerror:
            way_out = "make room" if error.errno == errno.ENOSPC else "take another --out"
            message = f"{error.filename or 'output'}: {error.strerror}; {way_out} and try again"
    print(f"{script}: error: {' '.join(message.split())}", file=sys.stderr)
    return 1


# A training run


class Interrupted(Exception):
    """Ctrl-C (SIGINT) or SIGTERM."""

    def __init__(self, number, message="interrupted"):
        super().__init__(message)
        self.number = number

    @classmethod
    def on_signal(cls, number, frame):
        raise cls(number)


class RunError(OSError):
    """A run cannot start or go on. The message says what, why, and the way out."""


class Run:
    """A training run in its folder: stopped at whatever moment, the same command goes on with it.

    One file has all that it takes: `model.keras`, with the optimizer's state and its count of
    steps. (`keras.callbacks.BackupAndRestore` keeps weights and epoch in two files, one written
    after the other; a kill between the two makes it train an epoch twice.)

    Args:
        args: the command line.
        model: compiled, with its initial weights.
        train: batches of `data.batches`.
        title: of the accuracy figure.
        settings: what else decides the result; the folder must not hold a run with others.

    Attributes:
        epoch: the number of finished epochs, for `fit`'s `initial_epoch`.
        history: lists under "loss", "accuracy", "val_loss", "val_accuracy", a value an epoch.
        callbacks, verbose: for `fit`.

    Raises:
        RunError: the folder holds something else, or another process works in it.
        OSError: nothing can be written there.
    """

    def __init__(self, args, model, train, title, **settings):
        self.model, self.train, self.title = model, train, title
        self.out, self.epochs, self.epoch, self.history = args.out, args.epochs, 0, {}
        self.verbose = 1 if sys.stdout.isatty() else 2  # no progress bar into a log file
        self.signal = None
        # To return to Python after every step costs 7 % of its time; the steps stay as
        # they are.
        model.steps_per_execution = 5
        model.make_test_function(force=True)  # an `evaluate` before has made one for single steps
        self.callbacks = [
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: train.shuffle(epoch),
                on_train_batch_end=self.after_batch,
                on_test_batch_end=self.after_batch,
                on_epoch_end=self.after_epoch,
            )
        ]
        self.out.mkdir(parents=True, exist_ok=True)
        self.lock = lock(self.out / ".lock")
        train.shuffle(0)
        settings |= {
            "batch size": args.batch_size,
            "seed": args.seed,
            "number of batches": len(train),
        }
        settings["pictures"] = f"{zlib.crc32(train[0][0].tobytes()):08x}"
        settings["model"] = f"{zlib.crc32(model.to_json().encode()):08x}"
        record, *kept = (self.out / name for name in ("run.json", "model.keras", "history.csv"))
        if record.exists() and not args.fresh:
            self.compare(read_record(record), settings)
            if kept[0].exists():
                self.restore(*kept)
            return
        if kept[0].exists() and not args.fresh:
            raise RunError(
                f"{kept[0]}: not from a run; add --fresh to replace it, or another --out"
            )
        for old in (record, *kept):  # the record first: without it the rest is not taken for a run
            old.unlink(missing_ok=True)
        with replacing(self.out / "initial.keras") as part:
            model.save(part)
        with replacing(record) as part:
            part.write_text(json.dumps(settings, indent=1) + "\n")

    def compare(self, old, new):
        for key in new:
            if old.get(key) != new[key]:
                raise RunError(
                    f"{self.out}: holds a run with {key} {old.get(key)}, not {new[key]}; "
                    "add --fresh to start anew, or take another --out"
                )

    def restore(self, model_file, history_file):
        """Go back to the end of the last finished epoch."""
        self.model.optimizer.build(self.model.trainable_variables)
        try:
            self.model.load_weights(model_file)
            self.epoch = int(self.model.optimizer.iterations) // len(self.train)
            with open(history_file, newline="") as file:
                # One line more than `model.keras` has epochs, if the run died between the two.
                rows = list(csv.DictReader(file))[: self.epoch]
            self.history = {k: [float(row[k]) for row in rows] for k in rows[-1] if k != "epoch"}
        except Exception as error:
            raise RunError(
                f"{self.out}: its run is damaged: {error}; start anew: --fresh"
            ) from None
        if self.epoch < self.epochs:
            print(f"{self.out}: continuing at epoch {self.epoch + 1} of {self.epochs}")
        else:
            print(f"{self.out}: has all {self.epoch} epochs already; --fresh trains anew")

    def after_batch(self, batch, logs):
        if self.signal is not None:
            raise Interrupted(self.signal)
        if not math.isfinite(logs["loss"]):
            raise RunError(
                f"{self.out}: the loss became {logs['loss']} in epoch {self.epoch + 1}; what was "
                "learned before is kept; try a lower learning rate or another --seed, with --fresh"
            )

    def after_epoch(self, epoch, logs):
        for key, value in logs.items():
            self.history.setdefault(key, []).append(float(value))
        # The history first: `restore` can do without its last line, but cannot make one up.
        with (
            replacing(self.out / "history.csv") as part,
            open(part, "w", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["epoch", *self.history])
            writer.writerows(zip(range(1, epoch + 2), *self.history.values(), strict=True))
        with replacing(self.out / "model.keras") as part:
            self.model.save(part)
        self.epoch = epoch + 1

    def __enter__(self):
        def remember(number, frame):  # let the batch in hand end
            self.signal = number
            signal.signal(number, Interrupted.on_signal)  # but not the second time

        self.handlers = {n: signal.signal(n, remember) for n in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind, error, traceback):
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.lock.close()
        if kind is Interrupted:
            if self.epoch:
                plot_accuracy(self.history, self.title, self.out / "accuracy.png")
            where = (
                f"after epoch {self.epoch} of {self.epochs}" if self.epoch else "in the first epoch"
            )
            raise Interrupted(
                error.number, f"interrupted {where}; the same command goes on from there"
            ) from None


def read_record(path):
    """The settings of the run in a folder, of which `path` is the `run.json`."""
    try:
        return dict(json.loads(path.read_text()))
    except ValueError as error:
        raise RunError(f"{path}: damaged: {error}; start anew with --fresh") from None


def lock(path):
    """An open file that no other process can lock until this one closes it or ends, however."""
    try:
        file = open(path, "w")  # noqa: SIM115
    except OSError as error:
        error.filename = str(path.parent)  # which is what cannot be written to
        raise
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RunError(f"{path.parent}: another run is at work there; take another --out") from None
    return file
