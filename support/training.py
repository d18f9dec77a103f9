"""A training run that survives what may happen to it: stopped at any moment, it goes on later."""

import csv
import json
import math
import os
import sys
import tempfile
import textwrap
import time
import warnings
from pathlib import Path

import keras

from support import entry, files, images, processes, records, run_folder
from support.entry import ScriptError


def set_up(args):
    """Join the other processes, if there are any, and set the seed of the initial weights."""
    processes.join()
    keras.utils.set_random_seed(args.seed)


def resume(model, train, test, args):
    """Arguments of `fit` with which a run begins, or goes on after its last finished epoch.

    Args:
        model: compiled, with its initial weights. It gets those of the last finished epoch.
        train, test: `images.Batches`.
        args: the command line.

    Returns:
        Keyword arguments of `fit`. Its result, a `keras.callbacks.History`, then has all epochs of
        the run, whichever process trained them.

    Raises:
        ScriptError: the folder holds something else, another process works in it, or it cannot be
            written to.
    """
    record = records.describe(model, train, test, args)
    run = Run(model, train, record, args)
    if processes.number == 0:
        run.take_folder(args.fresh)
    if processes.count > 1:
        run.follow_first()
    run.restore()
    # `shuffle=False`: the images are shuffled already.
    verbose = 0 if processes.number > 0 else 1 if entry.shows_progress() else 2
    return {"callbacks": [run], "initial_epoch": run.done, "shuffle": False, "verbose": verbose}


class Run(keras.callbacks.History):
    """Keeps a run in its folder, an epoch at a time.

    All that it takes to go on is one file, `model.keras`: the weights, the optimizer's state and,
    in a part of the zip archive that Keras does not look at, the history. (Keras' own
    `BackupAndRestore` writes weights and epoch to two files, one after the other; a kill between
    the two makes it train an epoch twice.)

    Attributes:
        done: the number of finished epochs.
        history: lists under "loss", "accuracy" and so on, a value an epoch.
        cpu_seconds: a list, the CPU time of each epoch with its validation.
    """

    lock = None  # of the folder of the one run that a process works on

    def __init__(self, model, train, record, args):
        super().__init__()
        self.set_model(model)
        self.train, self.record, self.seed, self.out = train, record, args.seed, args.out
        self.epochs, self.command, self.done, self.cpu_seconds = args.epochs, args.command, 0, []
        self.source = images.lasting(args.data, train.name)

    def take_folder(self, fresh):
        self.release()
        Run.lock = run_folder.take(self.out, self.record, fresh)
        if not (self.out / "initial.keras").exists():
            with files.replacing(self.out / "initial.keras") as part, processes.alone():
                self.model.save(part)

    def follow_first(self):
        """Let all processes start from what the first has in its folder; the others have none."""
        own = self.record | {"epochs": self.epochs}
        first = json.loads(processes.from_first(json.dumps(own).encode()))
        for key in own:
            if found := records.difference(first[key], own[key], key):
                raise ScriptError(
                    f"process {processes.number}: process 0 has {found}; "
                    "give all processes the same command line and images"
                )
        if processes.number > 0:
            self.others_folder = tempfile.TemporaryDirectory()
            self.out = Path(self.others_folder.name)
        kept = self.out / "model.keras"
        content = processes.from_first(kept.read_bytes() if kept.exists() else b"")
        if processes.number > 0 and content:
            kept.write_bytes(content)

    def restore(self):
        """Go back to the end of the last finished epoch, if there is one."""
        kept = self.out / "model.keras"
        if os.path.lexists(kept):
            try:
                state = run_folder.read_state(kept)
                records.compare(self.out, state["record"], self.record)
                self.history, self.cpu_seconds = state["history"], state["cpu seconds"]
                self.done = len(self.cpu_seconds)
                self.model.optimizer.build(self.model.trainable_variables)
                with processes.alone(), warnings.catch_warnings():
                    # Of what it cannot load Keras warns, and leaves it as it was.
                    warnings.simplefilter("error", UserWarning)
                    self.model.load_weights(kept)
            except ScriptError:
                raise
            except Exception as error:  # a damaged file makes Keras raise nearly anything
                why = textwrap.shorten(str(error), 200, placeholder=" ...")
                raise ScriptError(
                    f"{kept}: damaged: {why}; --fresh starts anew, another --out keeps it"
                ) from None
        if processes.number > 0:
            self.others_folder.cleanup()
        self.say_how_to_go_on()
        if self.done and processes.number == 0:
            self.write_history()
            if self.done < self.epochs:
                print(f"{self.out}: continuing at epoch {self.done + 1} of {self.epochs}")
            else:
                print(f"{self.out}: has all {self.done} epochs already; --fresh trains anew")

    def on_epoch_begin(self, epoch, logs=None):
        """Set what is random in an epoch, from the seed and the epoch alone."""
        self.train.shuffle(self.seed, epoch)
        for variable in self.model.non_trainable_variables:
            # Keras does not save how far the generator of a random layer has come.
            if variable.name == "seed_generator_state":
                seed = int(keras.ops.convert_to_numpy(variable)[0])
                variable.assign([seed, epoch * len(self.train)])
        self.began = time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        logs = {key: float(value) for key, value in logs.items()}
        if not math.isfinite(logs["loss"]):
            raise ScriptError(
                f"{self.out}: the loss became {logs['loss']} in epoch {epoch + 1}; the epochs "
                "before are kept; try a lower learning rate or another --seed, with --fresh"
            )
        super().on_epoch_end(epoch, logs)
        self.cpu_seconds.append(round(time.process_time() - self.began, 2))
        self.done = epoch + 1
        if processes.number == 0:
            with files.replacing(self.out / "model.keras") as part:
                with processes.alone():
                    self.model.save(part)
                run_folder.write_state(part, self)
            self.write_history()
        self.say_how_to_go_on()

    def write_history(self):
        with (
            files.replacing(self.out / "history.csv") as part,
            open(part, "w", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["epoch", *self.history])
            writer.writerows(zip(range(1, self.done + 1), *self.history.values(), strict=True))

    def say_how_to_go_on(self):
        if self.done == 0:
            where = " in the first epoch"
        elif self.done < self.epochs:
            where = f" after epoch {self.done} of {self.epochs}"
        else:
            where = " after the last epoch"
        entry.after_interruption = f"{where}; to go on: {self.command}"

    def on_train_end(self, logs=None):
        self.release()
        if processes.count > 1:
            number = processes.number
            processes.part()
            if number > 0:
                print(f"process {number}: done; the results are in the folder of process 0")
                sys.exit(0)

    def release(self):
        if Run.lock is not None:
            Run.lock.close()
            Run.lock = None
