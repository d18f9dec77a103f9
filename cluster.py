"""Several processes, on one machine or many, that train one model: Keras' distribution API on JAX."""

import contextlib
import ctypes
import functools
import os
import signal
import sys
from pathlib import Path

import numpy as np

import utils  # noqa: F401  (before keras, which it defers until it is needed)

import keras

VARIABLES = [f"KERAS_DISTRIBUTION_{n}" for n in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")]
process, processes = 0, 1  # this one's number, and how many there are; `join` sets them
TRY_AGAIN = "start all of them again, and the run goes on after its last finished epoch"


class ClusterError(OSError):
    """The processes cannot meet. The message says what, why, and the way out."""


def join():
    """Become one of several processes that train one model, if the environment says so.

    The variables are those of `keras.distribution.initialize`, whose every process then has the
    whole model and takes its share of each batch; the gradients' mean is that of the whole batch.

    Raises:
        ClusterError: the variables are incomplete or wrong, or the backend is not JAX.
    """
    if "," in (addresses := os.environ.get(VARIABLES[0], "")):  # a list of all says how many
        os.environ.setdefault(VARIABLES[1], str(addresses.count(",") + 1))
    given = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    if not given:
        return
    if len(given) < len(VARIABLES):
        missing = next(name for name in VARIABLES if name not in given)
        raise ClusterError(f"{missing}: not set, but {next(iter(given))} is; set all or none")
    address, count, number = given.values()
    if not (count.isdigit() and number.isdigit() and int(number) < int(count)):
        raise ClusterError(
            f"{VARIABLES[2]}={number}: must be a whole number below {VARIABLES[1]}={count}; "
            "number the processes from 0"
        )
    if not address.split(",")[0].rpartition(":")[2].isdigit():
        raise ClusterError(f"{VARIABLES[0]}={address}: has no port; give HOST:PORT of process 0")
    if keras.config.backend() != "jax":
        raise ClusterError("several processes: need Keras' JAX backend; set KERAS_BACKEND=jax")
    import jax

    global process, processes
    process, processes = int(number), int(count)
    if os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3":
        # JAX reports a lost process from C++, in a page of its own; Python keeps the real stderr.
        stderr = os.dup(2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.stderr = open(stderr, "w", buffering=1)  # noqa: SIM115
        end_on_abort(stderr)
    # Its default of 100 s is long for a machine that has lost its power; Keras does not pass it on.
    jax.distributed.initialize = functools.partial(
        jax.distributed.initialize, heartbeat_timeout_seconds=30
    )
    print(f"process {number} of {count}: waiting for all of them at {address}", flush=True)
    try:
        keras.distribution.initialize()
    except Exception as error:
        raise ClusterError(
            f"{address}: the processes do not meet: {error}; give all of them the address of "
            "process 0 and a port that is free there, and start them within five minutes"
        ) from None
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))


def end_on_abort(stderr):
    """Say in one line that a process is lost when JAX calls C's `abort`.

    It does so on a thread of its own, where no exception of Python can be raised or caught.
    """

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def on_abort(number):
        os.write(stderr, f"{Path(sys.argv[0]).name}: error: {lost()}\n".encode())
        os._exit(1)

    end_on_abort.keep = on_abort  # else it is freed, and C calls what is no longer there
    ctypes.CDLL(None).signal(signal.SIGABRT, on_abort)


def lost():
    return f"another of the {processes} processes ended or cannot be reached; {TRY_AGAIN}"


def what_broke(error):
    """A message for the errors that come of other processes, None for any other error."""
    if processes == 1:
        return None
    if "is not the same on each process" in str(error):
        return "the processes do not agree; give all of them the same command line and pictures"
    if "Gloo" in str(error) or type(error).__module__.startswith("jax"):
        return lost() if "Gloo" in str(error) else f"{lost()}; JAX says: {str(error)[:200]}"
    return None


def from_first(content):
    """The first process's `content`, bytes, in every process."""
    from jax.experimental.multihost_utils import broadcast_one_to_all

    size = int(broadcast_one_to_all(np.int32(len(content))))
    row = np.zeros(size, "uint8")
    row[: len(content)] = np.frombuffer(content, "uint8")[:size]
    return broadcast_one_to_all(row).tobytes()


@contextlib.contextmanager
def alone():
    """For what one process does without the others: else JAX waits for them to do the same."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)
