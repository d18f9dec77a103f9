"""Several processes, on one machine or many, that train one model: Keras' distribution API on JAX."""

import contextlib
import os
import sys
import time

import keras
import numpy as np

from support import entry
from support.entry import ScriptError

VARIABLES = [f"KERAS_DISTRIBUTION_{n}" for n in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")]
HEARTBEAT_SECONDS = 30  # JAX's own 100 are long for a machine that has lost its power

number, count = 0, 1  # of this process, and how many there are; `join` sets them


def join():
    """Become one of several processes that train one model, if the environment says so.

    The variables are those of `keras.distribution.initialize`. Every process then has the whole
    model and takes its share of each batch; the gradients' mean is that of the whole batch.

    Raises:
        ScriptError: the variables are incomplete or wrong, the backend is not JAX, or the
            processes do not meet.
    """
    global number, count
    if not (settings := read_settings()) or count > 1:
        return
    address, count, number = settings
    entry.leave, entry.explain, sys.excepthook = leave_at_once, explain, show_and_leave
    import jax

    print(f"process {number} of {count}: waiting for all of them at {address}", flush=True)
    try:
        # Not by `keras.distribution.initialize`, which passes on no time for a lost process.
        jax.distributed.initialize(
            address.split(",")[0], count, number, heartbeat_timeout_seconds=HEARTBEAT_SECONDS
        )
    except Exception as error:
        raise ScriptError(
            f"{address}: the processes do not meet: {error}; give all of them the address of "
            "process 0 and a port that is free there, and start them within five minutes"
        ) from None
    # The batches come as shares already (`images.Batches`).
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))


def part():
    """Go on alone: what is done after training is the first process's business."""
    global number, count
    import jax

    jax.distributed.shutdown()  # else it takes those that have ended for lost
    number, count = 0, 1
    keras.distribution.set_distribution(None)


def read_settings():
    """Address, number of processes and number of this one, from the environment; None: no others."""
    if "," in (addresses := os.environ.get(VARIABLES[0], "")):  # a list of all says how many
        os.environ.setdefault(VARIABLES[1], str(addresses.count(",") + 1))
    given = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    if not given:
        return None
    if len(given) < len(VARIABLES):
        missing = next(name for name in VARIABLES if name not in given)
        raise ScriptError(f"{missing}: not set, but {next(iter(given))} is; set all or none")
    address, total, own = given.values()
    if not (total.isdigit() and own.isdigit() and int(own) < int(total)):
        raise ScriptError(
            f"{VARIABLES[2]}={own}: must be a whole number below {VARIABLES[1]}={total}; "
            "number the processes from 0"
        )
    if not address.split(",")[0].rpartition(":")[2].isdigit():
        raise ScriptError(f"{VARIABLES[0]}={address}: has no port; give HOST:PORT of process 0")
    if keras.config.backend() != "jax":
        raise ScriptError("several processes: need Keras' JAX backend; set KERAS_BACKEND=jax")
    return address, int(total), int(own)


def leave_at_once(code):
    """End this process without waiting for the others, as JAX would at its exit."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def show_and_leave(*error):
    """For a bug: its traceback, and no waiting."""
    sys.__excepthook__(*error)
    leave_at_once(1)


def explain(error):
    """A message for an error that comes of other processes; None for any other error."""
    if count == 1:
        return None
    # Gloo and gRPC are how JAX's processes talk to each other.
    words, meaning = ("Gloo", "grpc_status", "Connection reset by peer"), None
    if "is not the same on each process" in str(error):
        meaning = "the processes do not agree; give all of them the same command line and images"
    elif any(word in str(error) for word in words):
        meaning = entry.LOST
    elif type(error).__module__.startswith("jax"):
        meaning = f"{entry.LOST}; JAX says: {str(error)[:200]}"
    if meaning:
        have_the_last_word()
    return meaning


def have_the_last_word():
    """Keep stderr for Python alone: JAX's threads notice the loss too, and would write after us."""
    sys.stderr = os.fdopen(os.dup(2), "w", 1, errors="backslashreplace")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    time.sleep(0.2)  # a write that waits for room in a pipe still ends where it began


def from_first(content):
    """The first process's `content`, bytes, in every process."""
    if count == 1:
        return content
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
