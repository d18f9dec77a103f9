"""How a script runs: errors in one line, and a training run that survives what may happen."""

import csv
import errno
import json
import math
import os
import signal
import sys
import tempfile
import zlib
from pathlib import Path

import utils  # before keras, which it defers until it is needed

import keras

import cluster


def run_script(main):
    """Run a script's `main`: whatever is not a bug ends in one line on stderr and an exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, Interrupted.on_signal)
    try:
        main()
        sys.stdout.flush()
        return 0
    except Interrupted as interrupt:
        return end(interrupt, code=128 + interrupt.number)
    except ImportError as error:
        message = f"{error}; install the packages: pip install -r requirements.txt"
    except OSError as error:
        message = str(error)
        if error.strerror:
            way_out = "make room" if error.errno == errno.ENOSPC else "take another --out"
            message = f"{error.filename or 'output'}: {error.strerror}; {way_out} and try again"
    except Exception as error:
        message = cluster.what_broke(error)
        if message is None:
            raise
    return end(f"error: {' '.join(message.split())}")


def end(message, code=1):
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    if cluster.processes > 1:  # JAX would wait at the exit for the others, who wait for this one
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


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
        model.test_function = None  # an `evaluate` before has made one for single steps
        self.callbacks = [
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: train.shuffle(epoch),
                on_train_batch_end=self.after_batch,
                on_test_batch_end=self.after_batch,
                on_epoch_end=self.after_epoch,
            )
        ]
        train.shuffle(0)
        settings |= {
            "batch size": args.batch_size,
            "seed": args.seed,
            "number of batches": len(train),
        }
        settings["pictures"] = f"{zlib.crc32(train.pictures):08x}"
        settings["model"] = f"{zlib.crc32(model.to_json().encode()):08x}"
        if cluster.process == 0:
            self.open_folder(settings, args.fresh)
        if cluster.processes > 1:
            self.follow_first(settings | {"number of epochs": args.epochs})
        if (self.out / "model.keras").exists():
            self.restore(self.out / "model.keras", self.out / "history.csv")

    def open_folder(self, settings, fresh):
        self.out.mkdir(parents=True, exist_ok=True)
        self.lock = lock(self.out / ".lock")
        record, *kept = (self.out / name for name in ("run.json", "model.keras", "history.csv"))
        if record.exists() and not fresh:
            return self.compare(read_record(record), settings)
        if kept[0].exists() and not fresh:
            raise RunError(
                f"{kept[0]}: not from a run; add --fresh to replace it, or another --out"
            )
        for old in (record, *kept):  # the record first: without it the rest is not taken for a run
            old.unlink(missing_ok=True)
        with utils.replacing(self.out / "initial.keras") as part:
            self.save(part)
        with utils.replacing(record) as part:
            part.write_text(json.dumps(settings, indent=1) + "\n")

    def follow_first(self, settings):
        """Let all processes start from what the first has in its folder; the others have none."""
        first = json.loads(cluster.from_first(json.dumps(settings).encode()))
        for key in settings:
            if settings[key] != first[key]:
                raise RunError(
                    f"process {cluster.process}: has {key} {settings[key]}, but process 0 has {first[key]};"
                    " give all processes the same command line and pictures"
                )
        if cluster.process > 0:
            self.others_folder = tempfile.TemporaryDirectory()
            self.out, self.verbose = Path(self.others_folder.name), 0
        for path in (self.out / "model.keras", self.out / "history.csv"):
            content = cluster.from_first(path.read_bytes() if path.exists() else b"")
            if cluster.process > 0 and content:
                path.write_bytes(content)

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
            with cluster.alone():
                self.model.load_weights(model_file)
            steps = int(self.model.optimizer.iterations)
            self.epoch = steps // len(self.train)
            for variable in self.model.non_trainable_variables:
                # Keras does not save how far a random layer's generator is: one draw a step.
                if variable.name == "seed_generator_state":
                    variable.assign([int(keras.ops.convert_to_numpy(variable)[0]), steps])
            with open(history_file, newline="") as file:
                # One line more than `model.keras` has epochs, if the run died between the two.
                rows = list(csv.DictReader(file))[: self.epoch]
            self.history = {k: [float(row[k]) for row in rows] for k in rows[-1] if k != "epoch"}
        except Exception as error:
            raise RunError(
                f"{self.out}: its run is damaged: {error}; start anew: --fresh"
            ) from None
        if cluster.process > 0:
            return
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

    def save(self, path):
        with cluster.alone():
            self.model.save(path)

    def load(self):
        """The model as it was written: of this process alone, however many have trained it."""
        return keras.saving.load_model(self.out / "model.keras", compile=False)

    def after_epoch(self, epoch, logs):
        for key, value in logs.items():
            self.history.setdefault(key, []).append(float(value))
        if cluster.process == 0:
            self.write(epoch + 1)
        self.epoch = epoch + 1

    def write(self, epochs):
        # The history first: `restore` can do without its last line, but cannot make one up.
        with (
            utils.replacing(self.out / "history.csv") as part,
            open(part, "w", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["epoch", *self.history])
            writer.writerows(zip(range(1, epochs + 1), *self.history.values(), strict=True))
        with utils.replacing(self.out / "model.keras") as part:
            self.save(part)

    def __enter__(self):
        def remember(number, frame):  # let the batch in hand end
            self.signal = number
            signal.signal(number, Interrupted.on_signal)  # but not the second time

        self.handlers = {n: signal.signal(n, remember) for n in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind, error, traceback):
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        if cluster.process > 0 and kind is None:
            print(f"process {cluster.process}: done; the results are in the folder of process 0")
            sys.exit(0)
        if cluster.process == 0:
            self.lock.close()
            keras.distribution.set_distribution(None)
        if kind is Interrupted:
            if self.epoch and cluster.process == 0:
                utils.plot_accuracy(self.history, self.title, self.out / "accuracy.png")
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
