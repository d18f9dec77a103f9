"""The weights with which MobileNet starts: ImageNet's, a file's, or random ones."""

import socket
import sys
import warnings

import h5py
import keras

from support.ending import ScriptError

# From where, and under which name, `keras.applications.MobileNet` fetches its weights and keeps them.
ORIGIN = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/"
FILES = {alpha: f"mobilenet_{name}_224_tf_no_top.h5"
         for alpha, name in ((0.25, "2_5"), (0.5, "5_0"), (0.75, "7_5"), (1.0, "1_0"))}  # fmt: skip
PARAMETERS = {0.25: 218_544, 0.5: 829_536, 0.75: 1_832_976, 1.0: 3_228_864}
STALL_SECONDS = 30  # without an answer, after which a download is given up
WAY_OUT = "give --weights FILE, or --weights none for random ones"


def find_weights(wanted, alpha):
    """What `MobileNet` is to be given as `weights`: those that are wanted, or the best at hand.

    That is "imagenet", a path, or None for random weights, as `wanted` says; if that is None, it is
    "imagenet", and where they cannot be fetched None, with a warning on stderr.

    Raises:
        ScriptError: weights that are named cannot be had, or their file is damaged or does not fit.
    """
    # Keras says that ImageNet's weights are for images of 224 x 224; section 4.3 says why not.
    warnings.filterwarnings("ignore", "`input_shape` is undefined", UserWarning)
    print(
        "MobileNet: 学習前のテストと最初のステップの準備に時間がかかる (the first test and step take a while)"
    )
    if wanted == "none":
        return None
    if wanted not in (None, "imagenet"):
        check(wanted, alpha, WAY_OUT)
        return wanted
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)  # `get_file` takes none, and waits for ever
    try:
        path = keras.utils.get_file(FILES[alpha], ORIGIN + FILES[alpha], cache_subdir="models")
    except Exception as error:  # which is what `get_file` raises
        if wanted:
            raise ScriptError(f"weights imagenet: cannot be fetched: {error}; {WAY_OUT}") from None
        print(
            f"warning: MobileNet's ImageNet weights cannot be fetched: {error}\n"
            f"warning: going on with random weights, which is no transfer learning; {WAY_OUT}",
            file=sys.stderr,
        )
        return None
    finally:
        socket.setdefaulttimeout(timeout)
    check(path, alpha, "remove it, and it is fetched again")
    return "imagenet"


def check(path, alpha, way_out):
    """Raise a `ScriptError` if the file cannot be read, or has not the weights of MobileNet of this width."""
    sizes = []
    try:
        with h5py.File(path) as file:
            # Each is read: a file may be damaged in the middle.
            file.visititems(lambda name, item: sizes.append(item[()].size if hasattr(item, "shape") else 0))
    except Exception as error:  # a damaged file makes h5py raise nearly anything
        raise ScriptError(f"{path}: damaged, or no weights: {error}; {way_out}") from None
    if sum(sizes) != PARAMETERS[alpha]:
        raise ScriptError(
            f"{path}: has {sum(sizes):,} weights, and MobileNet without its output layer has "
            f"{PARAMETERS[alpha]:,} with --alpha {alpha}; {way_out}"
        )
