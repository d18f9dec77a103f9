"""The folder of a run: one process works in it, and it never takes over somebody else's files."""

import contextlib
import json
import os
import textwrap
import threading
import warnings

import keras
import numpy as np

from support import files, run_json
from support.ending import ScriptError
from support.run_json import NAME as RECORD

# What a run writes besides: a folder that has one of these and no record is not a run's.
KEPT = ["model.keras", "initial.keras", "history.csv"]
FIGURE = "accuracy.png"
_locks = {}  # the open lock file of each folder that this process has claimed, by folder and thread


def claim(out, record, fresh):
    """Claim a folder for this process: a new one, or one that holds the run of this record.

    The process has it until it calls `release`, claims it anew (in a notebook an interrupted cell
    is run again), or ends, however. `fresh`: a run that is there is forgotten.

    Raises:
        ScriptError: it holds something else, another process works in it, or it cannot be written to.
    """
    release(out)
    files.make_folder(out)
    try:
        lock = files.lock(out / ".lock")
    except OSError as error:
        raise files.cannot_write(out, error) from None
    if lock is None:
        raise ScriptError(f"{out}: another run is at work there; take another --out")
    with contextlib.ExitStack() as stack:
        stack.callback(lock.close)  # if something is wrong
        if not os.path.lexists(out / RECORD):
            for name in KEPT:
                if os.path.lexists(out / name):
                    why = "not from a run of these scripts; move it away, or take another --out"
                    raise ScriptError(f"{out / name}: {why}")
            files.check_figure(out / FIGURE)
        elif fresh:
            run_json.read(out / RECORD)
            forget(out)
        else:
            run_json.compare(out, run_json.read(out / RECORD), record)
        if not (out / RECORD).exists():
            with files.replacing(out / RECORD) as part:
                part.write_text(json.dumps(record, indent=1) + "\n")
        stack.pop_all()
    _locks[out.resolve(), threading.get_ident()] = lock


def release(out):
    """Give a folder free, if this thread has it."""
    if lock := _locks.pop((out.resolve(), threading.get_ident()), None):
        lock.close()


def forget(out):
    """Remove what a run wrote, its record last: while it is there, the rest is the run's."""
    files.check_figure(out / FIGURE)
    for name in [FIGURE, *KEPT, RECORD]:
        try:
            (out / name).unlink(missing_ok=True)
        except OSError as error:
            raise files.cannot_write(out / name, error) from None


def load_model(path, kernels_first=False):
    """A model that Keras saved, uncompiled.

    Raises:
        ScriptError: it is damaged, weights alone, or none that are numbers; brings code of its own, which
            safe mode refuses; or, if `kernels_first`, its first weights are no kernels for colour images.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # that it leaves random what it cannot load
            warnings.filterwarnings("ignore", "Do not pass an `input_shape`")  # as Keras 2 did
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        if not all(np.isfinite(weights).all() for weights in model.get_weights()):
            raise ValueError("some of its weights are no numbers (NaN or infinite)")
        if kernels_first and model.get_weights()[0].shape[2:-1] != (3,):
            raise ValueError("its first weights are not kernels (height, width, 3, filters)")
        return model
    except Exception as error:  # a damaged file makes Keras raise nearly anything
        # Keras has all the settings of a layer before what matters.
        why = textwrap.shorten(str(error).rpartition("Exception encountered: ")[2], 200, placeholder=" ...")
        raise ScriptError(f"{path}: cannot be shown: {why}; give a whole model that Keras saved") from None
