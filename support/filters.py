"""The filters of a model: where they are, how regular, and the figure of section 3.2."""

import json
import textwrap
import warnings

import keras
import numpy as np
from matplotlib import pyplot as plt

from support import drawing
from support.entry import ScriptError
from support.layers import flat_layers

TRAINING = ["data", "limit", "seed", "epochs", "batch_size"]


def load_models(args, default, train):
    """The model to look at, before and after its training, as far as they are kept.

    Args:
        args: the command line. Without a MODEL in it, the `default` one is taken.
        default: the path of a model that `train`, a script's `main`, leaves; it runs first if the
            model is not there or the command line has an option for it.

    Returns:
        "before training" and "after training", or the latter alone: each a Keras model or layer
        whose `get_weights()` begin with the kernels.

    Raises:
        ScriptError: a model cannot be read, or has no filters to show.
    """
    given = {key: getattr(args, key) for key in TRAINING if getattr(args, key) is not None}
    options = [f"--{key.replace('_', '-')}={value}" for key, value in given.items()]
    options += ["--fresh"] * args.fresh
    if args.model and options:
        raise ScriptError(f"{options[0]}: is for training, but {args.model} is trained; leave one")
    if not args.model:
        args.model = default
        if options or not default.exists():
            print(f"running cnn.py first, for {default}")
            train(options)
    models = {"after training": load(args.model)}
    # A run of our scripts has its untrained model beside the trained one.
    initial = args.model.with_name("initial.keras")
    if initial.exists():
        return {"before training": load(initial)} | models
    print(f"no {initial}, so the filters before training are not shown")
    return models


def load(path):
    if not path.is_file():
        raise ScriptError(f"{path}: no such file; give a model that Keras saved, or none")
    try:
        with warnings.catch_warnings():
            # Of what it cannot load Keras warns, and leaves it random.
            warnings.simplefilter("error", UserWarning)
            # Safe mode, Keras' default, refuses models that bring code of their own.
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        return with_kernels_first(model)
    except Exception as error:  # a damaged file makes Keras raise nearly anything
        why = textwrap.shorten(str(error), 250, placeholder=" ...")
        raise ScriptError(f"{path}: cannot show its filters: {why}; give another model") from None


def with_kernels_first(model):
    """The model itself if its first weights are the kernels, else its first convolution.

    Raises:
        ValueError: there is no convolution, or it does not work on three channels.
    """
    for layer in flat_layers(model):
        if isinstance(layer, keras.layers.Conv2D):
            channels = layer.kernel.shape[2]
            if channels != 3:
                raise ValueError(f"its first convolution sees {channels} channels, not 3")
            first = model.get_weights()[0]
            same = np.array_equal(first, keras.ops.convert_to_numpy(layer.kernel))
            return model if same else layer
    raise ValueError("it has no convolution")


def kernels_of(model):
    return model.get_weights()[0]


def order(models, by_regularity):
    """In which order to show the filters: the network's, or the most regular first."""
    values = regularity(kernels_of(models["after training"]))
    return np.argsort(-values) if by_regularity else np.arange(len(values))


def regularity(kernels):
    """How alike neighbouring weights are: 1 where they are equal, 0 in noise, -1 where opposite.

    The article finds by eye that filters become regular; this is a number for it, the spatial
    autocorrelation at a distance of one: the products of all pairs of neighbours, side by side or
    one above the other, divided by the means of their squares.

    Args:
        kernels: `(height, width, channels, N)`.

    Returns:
        `(N,)` in -1..1; 0 for kernels that are 1 x 1 or all zero.
    """
    pairs = (kernels[1:], kernels[:-1]), (kernels[:, 1:], kernels[:, :-1])
    products = sum((one * other).sum(axis=(0, 1, 2)) for one, other in pairs)
    squares = sum((one**2 + other**2).sum(axis=(0, 1, 2)) / 2 for one, other in pairs)
    return np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)


def report(models):
    """Print how regular the filters are, beside random kernels, which have learned nothing."""
    shape = kernels_of(models["after training"]).shape[:3]
    noise = regularity(np.random.default_rng(0).normal(size=(*shape, 10_000)))
    limit = np.quantile(noise, 0.99)
    print(f"regularity of random kernels: {noise.mean():z.2f} on average, 99 % below {limit:.2f}")
    for when, model in models.items():
        values = regularity(kernels_of(model))
        print(
            f"regularity {when}: {values.mean():z.2f} on average, {values.min():z.2f} to "
            f"{values.max():.2f}; {(values > limit).sum()} of {len(values)} above {limit:.2f}"
        )


def plot(images, models, args):
    """Draw the tiled filters before and after training side by side: the figure of section 3.2.

    Args:
        images: of each of the `models`, a `uint8` array of tiles as large as its kernels.
    """
    figure, axes = plt.subplots(1, len(images), figsize=(4.6 * len(images), 5.5), squeeze=False)
    for ax, (when, image) in zip(axes.flat, images.items(), strict=True):
        kernels = kernels_of(models[when])
        ax.imshow(image, interpolation="nearest")
        ax.set_title(f"{when}\nregularity {regularity(kernels).mean():z.2f}")
        ax.set_xticks(np.arange(kernels.shape[1], image.shape[1], kernels.shape[1]) - 0.5, [])
        ax.set_yticks(np.arange(kernels.shape[0], image.shape[0], kernels.shape[0]) - 0.5, [])
        ax.grid(color="white", linewidth=5)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    title = f"The filters of the first convolution; trained on {trained_on(args.model)}"
    title += "\nsorted: the most regular after training first" * args.sort
    figure.suptitle(title, y=0.98, va="bottom")
    drawing.save(figure, "filters.png", args)


def trained_on(path):
    """What a run of our scripts was trained on; its record lies beside the model."""
    try:
        return json.loads(path.with_name("run.json").read_text())["data"]
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown images"
