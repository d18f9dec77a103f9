"""Several processes, on one machine or many, that train one model: `keras.distribution` on JAX."""

import contextlib
import os

from support.ending import ScriptError

ADDRESSES, COUNT, NUMBER = VARIABLES = [
    f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
]


def count():
    """How many processes train the model, as Keras' variable in the environment says."""
    return int(os.environ.get(COUNT, "1"))


def number():
    """Which of them this one is. Number 0 is the one that writes files."""
    return int(os.environ.get(NUMBER, "0"))


def join():
    """Become one of several processes that train one model, if the environment says so.

    To be called before any layer exists. Every process then has the whole model and takes its share
    of each batch; the gradients' mean is that of the whole batch.

    Raises:
        ScriptError: the variables are incomplete or wrong, the backend is not JAX, or the
            processes do not meet.
    """
    given = [name for name in VARIABLES if name in os.environ]
    if not given:
        return
    for name in VARIABLES:
        if name not in os.environ:
            raise ScriptError(f"{name}: not set, but {given[0]} is; set all three or none")
    if not (os.environ[COUNT].isdecimal() and os.environ[NUMBER].isdecimal() and number() < count()):
        raise ScriptError(
            f"{NUMBER}={os.environ[NUMBER]}: must be a whole number below {COUNT}={os.environ[COUNT]}; "
            "number the processes from 0"
        )
    import keras

    if keras.config.backend() != "jax":
        raise ScriptError("several processes: need Keras' JAX backend; set KERAS_BACKEND=jax")
    print(f"process {number()} of {count()}: waiting for all at {os.environ[ADDRESSES]}", flush=True)
    try:
        keras.distribution.initialize()
    except Exception as error:  # Keras passes on whatever JAX raises
        raise ScriptError(
            f"{ADDRESSES}={os.environ[ADDRESSES]}: the processes do not meet: {error}; give all of them "
            "HOST:PORT of process 0, with a port that is free there, and start them within five minutes"
        ) from None
    # The batches come as shares already (`images.Batches`).
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))


def from_first(content):
    """Process 0's `content`, bytes, in every process."""
    if count() == 1:
        return content
    import numpy as np
    from jax.experimental.multihost_utils import broadcast_one_to_all

    size = int(broadcast_one_to_all(np.int32(len(content))))
    row = np.zeros(size, "uint8")
    row[: len(content)] = np.frombuffer(content, "uint8")[:size]
    return broadcast_one_to_all(row).tobytes()


@contextlib.contextmanager
def undistributed():
    """For what each process does by itself, such as saving: else JAX waits for all to do the same."""
    import keras

    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)
