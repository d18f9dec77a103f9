"""The folder of a run: one process works in it, and it never takes over somebody else's files."""

import json
import os
import warnings
import zipfile

import keras

from support import drawing, files, records
from support.entry import ScriptError

RECORD = "run.json"
# What a run writes besides: a folder that has one of these and no record is not a run's.
KEPT = ["model.keras", "initial.keras", "history.csv"]
FIGURES = ["accuracy.png", "confidence_maps.png"]


def take(out, record, fresh):
    """Take a folder for this process: a new one, or one that holds the run of this record.

    Args:
        out: the folder's path.
        record: of `records.describe`.
        fresh: whether a run that is there is forgotten.

    Returns:
        The lock, an open file: closing it gives the folder free.

    Raises:
        ScriptError: it holds something else, or another process works in it, or it cannot be
            written to.
    """
    files.make_folder(out)
    try:
        lock = files.lock(out / ".lock")
    except OSError as error:
        raise files.cannot_write(out, error) from None
    if lock is None:
        raise ScriptError(f"{out}: another run is at work there; take another --out")
    try:
        if not os.path.lexists(out / RECORD):
            check_for_others_files(out)
        elif fresh:
            records.read(out / RECORD)
            forget(out)
        else:
            records.compare(out, records.read(out / RECORD), record)
        if not (out / RECORD).exists():
            with files.replacing(out / RECORD) as part:
                part.write_text(json.dumps(record, indent=1) + "\n")
    except BaseException:
        lock.close()
        raise
    return lock


def forget(out):
    """Remove what a run wrote, its record last: while it is there, the rest is the run's."""
    for name in [*KEPT, RECORD]:
        try:
            (out / name).unlink(missing_ok=True)
        except OSError as error:
            raise files.cannot_write(out / name, error) from None


def read_state(path):
    """What `model.keras` keeps of its run beside the model.

    Returns:
        A dictionary: "record", as in `run.json`; "history", of `fit`; "cpu seconds", a list;
        "epochs", how many there are to be; "source", where the images are.

    Raises:
        Exception: it is damaged, or not a run's.
    """
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} has changed")
        return json.loads(archive.read(RECORD))


def load_model(path):
    """A model that Keras saved, uncompiled.

    Raises:
        Exception: it is damaged, or brings code of its own: safe mode, Keras' default, refuses that.
    """
    with warnings.catch_warnings():
        # Of what it cannot load Keras warns, and leaves it random.
        warnings.simplefilter("error", UserWarning)
        return keras.saving.load_model(path, compile=False, safe_mode=True)


def write_state(path, run):
    """Put it there, into the zip archive that Keras has just written and takes its own parts from.

    Args:
        path: of the archive.
        run: a `training.Run`.
    """
    state = {
        "record": run.record,
        "history": run.history,
        "cpu seconds": run.cpu_seconds,
        "epochs": run.epochs,
        "source": run.source,
    }
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(RECORD, json.dumps(state))


def check_for_others_files(out):
    for name in KEPT:
        if os.path.lexists(out / name):
            raise ScriptError(
                f"{out / name}: not from a run of these scripts; move it away, or take another --out"
            )
    for name in FIGURES:
        drawing.check_ours(out / name)
