"""The weights with which MobileNet starts: ImageNet's, a file's, or random ones."""

import sys
import warnings

import keras

from support import fetching, processes
from support.entry import ScriptError

WAY_OUT = "give --weights FILE, or --weights none for random ones"


def find_weights(args):
    """What `MobileNet` is to be given as `weights`: those that --weights names, or the best at hand.

    Without --weights they are ImageNet's, and where these cannot be had random ones, with a
    warning on stderr. `args.weights` then says which.

    Args:
        args: `weights` is "imagenet", "none", the path of a file, or None; `alpha`: the width.

    Returns:
        "imagenet", a path, or None for random weights.

    Raises:
        ScriptError: weights that are named cannot be had, or do not fit.
    """
    wanted = args.weights or "imagenet"
    expect_warning()
    if wanted != "none":
        try:
            load(args, wanted)
        except Exception as error:  # `get_file` and `load_weights` have no one type for it
            if args.weights is not None:
                raise ScriptError(f"weights {wanted}: cannot be had: {error}; {WAY_OUT}") from None
            print(
                f"warning: MobileNet's ImageNet weights cannot be had: {error}\n"
                f"warning: going on with random weights, which is no transfer learning; {WAY_OUT}",
                file=sys.stderr,
            )
            wanted = "none"
    args.weights = wanted
    return None if wanted == "none" else wanted


def load(args, weights):
    """Fetch the weights and see that they fit, and leave no trace of it."""
    with warnings.catch_warnings(), fetching.stalls_end(), processes.alone():
        # Of what it cannot load Keras warns, and leaves it random.
        warnings.simplefilter("error", UserWarning)
        expect_warning()
        try:
            keras.applications.MobileNet(include_top=False, alpha=args.alpha, weights=weights)
        finally:
            keras.utils.clear_session()  # so that the script's own layers are the first of a name
            keras.utils.set_random_seed(args.seed)


def expect_warning():
    """Keras says that ImageNet's weights are for images of 224 x 224; section 4.3 says why not."""
    warnings.filterwarnings("ignore", "`input_shape` is undefined", UserWarning)
