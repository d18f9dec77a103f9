"""Keras is loaded, without the page of log lines that a reader need not see, and joined to other processes."""

import contextlib
import faulthandler
import importlib
import importlib.util
import os
import platform
import re
import signal
import sys
import tempfile

from support import processes
from support.ending import ScriptError

# How TensorFlow's C++ code logs, some of it before TF_CPP_MIN_LOG_LEVEL is heeded.
LOG_LINE = re.compile(rb"WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:")


def start():
    """Import Keras, and join the other processes that train the same model, if there are any.

    Raises:
        ScriptError: this Python has not all packages, or they do not work; or as `processes.join`.
    """
    python = f"Python {platform.python_version()} ({sys.executable})"
    try:
        with quiet_start(), signals_wait():
            keras = importlib.import_module("keras")
            if keras.config.backend() != "tensorflow" and importlib.util.find_spec("tensorflow"):
                # Layers such as `RandomFlip` load it on every backend, in the middle of a run.
                importlib.import_module("tensorflow")
        for package in ("matplotlib", "PIL"):
            if importlib.util.find_spec(package) is None:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    except ModuleNotFoundError as error:
        if error.name in ("jax", "torch", "openvino", os.environ.get("KERAS_BACKEND", "jax")):
            where = "KERAS_BACKEND" if "KERAS_BACKEND" in os.environ else "keras.json"
            why = f"{error.name} is not installed for {python}; install it, or change {where}"
            raise ScriptError(f"{where}: {why}") from None
        raise ScriptError(
            f"{error} for {python}; run the Python of the environment into which "
            "`pip install -r requirements.txt` has installed, such as .venv/bin/python "
            "(of Python 3.11, 3.12 or 3.13)"
        ) from None
    except Exception as error:  # nothing of the scripts has run yet
        restart = "restart the kernel, " if "ipykernel" in sys.modules else ""  # after `pip install`
        raise ScriptError(
            f"Keras cannot be loaded by {python}: {type(error).__name__}: {error}; {restart}look at "
            "KERAS_BACKEND and ~/.keras/keras.json, or install requirements.txt anew"
        ) from None
    for setting, ours in (("image_data_format", "channels_last"), ("floatx", "float32")):
        if (theirs := getattr(keras.config, setting)()) != ours:  # in keras.json, which stays as it is
            print(f"keras.json: {setting} is {theirs}; these scripts go on with {ours}")
            getattr(keras.config, f"set_{setting}")(ours)
    processes.join()


@contextlib.contextmanager
def signals_wait():
    """Ctrl-C and SIGTERM come when all is loaded: a native module may crash if it is interrupted in the middle."""
    with contextlib.ExitStack() as stack:
        if os.name != "nt":  # where signals cannot be held back
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        yield


@contextlib.contextmanager
def quiet_start():
    """Keep TensorFlow's log lines off stderr while it starts, and nothing else.

    C++ writes to file descriptor 2, past `sys.stderr`, so this is what is redirected. What is not
    a log line is shown afterwards. A crash in native code leaves no afterwards: `faulthandler`
    reports it to the real stderr.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        yield  # somebody wants to see the log
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    faulthandler.enable(stderr)
    try:
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(stderr, 2)
                held.seek(0)
                os.write(2, b"".join(line for line in held if not LOG_LINE.match(line)))
    finally:
        faulthandler.enable(2)
        os.close(stderr)
