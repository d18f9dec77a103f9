"""A training run that survives what may happen to it: stopped at any moment, it goes on later."""

import csv
import json
import math
import os
import tempfile
import textwrap
import time
import warnings
from pathlib import Path

import keras

from support import files, processes, run_json
from support.data import images
from support.ending import ScriptError
from support.run import records, run_folder, state


def resume(model, train, test, args, **decided):
    """The callback with which `fit` begins a run, or goes on after its last finished epoch.

    Args:
        model: compiled, with its initial weights. It gets those of the last finished epoch.
        train, test, args, decided: as for `records.describe`.

    Returns:
        A `Run`, for `callbacks`; its `done` is for `initial_epoch`. `fit` returns it too, with all
        epochs of the run in its `history`, whichever process trained them.

    Raises:
        ScriptError: the folder holds something else, is in use by another process, or is not writable.
    """
    run = Run(model, train, records.describe(model, train, test, args, **decided), args)
    if processes.number() == 0:
        run.claim_folder(args.fresh)
    with tempfile.TemporaryDirectory() as others_folder:
        run.restore(run.follow_first(others_folder) if processes.count() > 1 else run.out / "model.keras")
    return run


class Run(keras.callbacks.History):
    """Keeps a run in its folder, an epoch at a time.

    All that it takes to go on is one file, `model.keras`: the weights, the optimizer's state and,
    in a part of the zip archive that Keras does not look at, the history. (docs/recovery.md says
    why it is not Keras' own `BackupAndRestore`.)

    Attributes:
        done: the number of finished epochs.
        history: lists under "loss", "accuracy" and so on, a value an epoch.
        cpu_seconds: a list, the CPU time of each epoch with its validation.
        record: what decides the result, of `records.describe`.
    """

    def __init__(self, model, train, record, args):
        super().__init__()
        self.set_model(model)
        self.train, self.record, self.seed, self.out = train, record, args.seed, args.out
        self.epochs, self.done, self.cpu_seconds = args.epochs, 0, []
        self.source = images.absolute_source(args.data, train.name)

    def claim_folder(self, fresh):
        run_folder.claim(self.out, self.record, fresh)
        if not (self.out / "initial.keras").exists():
            self.save("initial.keras")

    def save(self, name, with_state=False):
        with files.replacing(self.out / name) as part:
            with processes.undistributed():
                self.model.save(part)
            if with_state:
                state.write(part, self)

    def follow_first(self, folder):
        """A copy of `model.keras` of process 0, in the folder, for each of several processes."""
        own = self.record | {"epochs to train": self.epochs}
        first = json.loads(processes.from_first(json.dumps(own).encode()))
        run_json.compare("process 0", first, own, "give all processes the same command line and images")
        kept, copy = self.out / "model.keras", Path(folder, "model.keras")
        first_has_it = processes.number() == 0 and kept.exists()
        if content := processes.from_first(kept.read_bytes() if first_has_it else b""):
            copy.write_bytes(content)
        return copy

    def restore(self, kept):
        """Go back to the end of the last finished epoch, if the file `kept` is there."""
        if os.path.lexists(kept):
            try:
                found = state.read(kept)
                run_json.compare(self.out, found["record"], self.record)
                self.history, self.cpu_seconds = found["history"], found["cpu seconds"]
                self.done = len(self.cpu_seconds)
                self.model.optimizer.build(self.model.trainable_variables)
                with processes.undistributed(), warnings.catch_warnings():
                    # Of what it cannot load Keras warns, and leaves it as it was.
                    warnings.simplefilter("error", UserWarning)
                    self.model.load_weights(kept)
            except ScriptError:
                raise
            except Exception as error:  # a damaged file makes Keras raise nearly anything
                why = textwrap.shorten(str(error), 200, placeholder=" ...")
                raise ScriptError(
                    f"{self.out / kept.name}: damaged: {why}; --fresh starts anew, another --out keeps it"
                ) from None
        if processes.number() > 0:
            return
        if self.done:
            self.write_history()
        if 0 < self.done < self.epochs:
            first = self.done + 1
            print(f"{self.out}: {first}エポック目から (continuing at epoch {first} of {self.epochs})")
        if self.done < self.epochs:
            print(
                f"{self.out}: 途中で止めても、同じコマンド（--freshなし）で続きから再開できる "
                "(if it is stopped, the same command without --fresh goes on)"
            )
            print("最初のステップを準備する (preparing the first step) ...")
        else:
            more = f", more than --epochs {self.epochs}" if self.done > self.epochs else ""
            print(f"{self.out}: 学習済み (has all {self.done} epochs already{more}); --fresh trains anew")

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
        self.save("model.keras", with_state=True)
        self.write_history()

    def write_history(self):
        with files.replacing(self.out / "history.csv") as part, open(part, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *self.history])
            writer.writerows(zip(range(1, self.done + 1), *self.history.values(), strict=True))

    def on_train_end(self, logs=None):
        run_folder.release(self.out)
