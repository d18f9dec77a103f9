"""The filters of a model, where they are, and the figure of section 3.2."""

import textwrap

import keras
import numpy as np
from matplotlib import pyplot as plt

from support import drawing, images, regularity, responses, run_folder
from support.entry import ScriptError
from support.layers import flat_layers
from support.regularity import kernels_of
from utils import combine_images

TRAINING = ["limit", "seed", "epochs", "batch_size"]
WHEN = {"weight_before.png": "before training", "weight.png": "after training"}


def load_models(args, train):
    """The model to look at, before and after its training, as far as they are kept.

    Args:
        args: the command line. Without a MODEL in it, `args.default_model` is taken.
        train: a script's `main`, which leaves that model; it runs first if the model is not there or
            the command line has an option for it.

    Returns:
        For "weight_before.png" and "weight.png", or the latter alone, a Keras model or layer whose
        `get_weights()` begin with the kernels.

    Raises:
        ScriptError: a model cannot be read, or has no filters to show.
    """
    given = {key: getattr(args, key) for key in TRAINING if getattr(args, key) is not None}
    options = [f"--{key.replace('_', '-')}={value}" for key, value in given.items()]
    options += ["--fresh"] * args.fresh
    if args.model and options:
        raise ScriptError(f"{options[0]}: is for training, but {args.model} is trained; leave one")
    if not args.model:
        args.model = args.default_model
        if options or not args.model.exists():
            options += [f"--data={args.data}"] if args.data else []
            print(f"running cnn.py first, for {args.model}")
            train(options)
    models = {"weight.png": load(args.model)}
    # A run of our scripts has its untrained model beside the trained one.
    initial = args.model.with_name("initial.keras")
    if initial.exists():
        return {"weight_before.png": load(initial)} | models
    print(f"no {initial}, so the filters before training are not shown")
    return models


def explain(models, weight_images, args):
    """What goes beyond the article: the tiles side by side, regularity, and responses.

    Args:
        models: as `load_models` returns them.
        weight_images: a function that makes of each of them the list of its filters' images.
        args: the command line; with `sort` the most regular filters come first.
    """
    models = {WHEN[name]: model for name, model in models.items()}
    order = regularity.order(models, args.sort)
    tiles = {when: combine_images(np.array(weight_images(model))[order]) for when, model in models.items()}
    plot(tiles, models, args)
    tests = test_images(args)
    regularity.report(models, tests)
    responses.plot(models, order, tests, args)


def test_images(args):
    """The test set to show the filters on: that of --data, else of the data that the run had.

    Returns:
        Images `uint8` `(N, H, W, 3)` and labels `int64` `(N,)`; None where there are none.

    Raises:
        ScriptError: --data is not there, or damaged.
    """
    if args.data:
        return images.load_tests(args.data, args.seed or 0)
    try:
        state = run_folder.read_state(args.model)
        return images.load_tests(state["source"], state["record"]["seed"])
    except Exception as error:  # no run's model, or its images have moved
        if isinstance(error, ScriptError):
            print(f"the images of this run: {error}")
        return None


def load(path):
    if not path.is_file():
        raise ScriptError(f"{path}: no such file; give a model that Keras saved, or none")
    try:
        return with_kernels_first(run_folder.load_model(path))
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


def plot(tiles, models, args):
    """Draw the tiled filters before and after training side by side: the figure of section 3.2.

    Args:
        tiles: of each of the `models`, a `uint8` array of tiles as large as its kernels.
    """
    figure, axes = plt.subplots(1, len(tiles), figsize=(4.6 * len(tiles), 5.5), squeeze=False)
    for ax, (when, image) in zip(axes.flat, tiles.items(), strict=True):
        kernels = kernels_of(models[when])
        ax.imshow(image, interpolation="nearest")
        ax.set_title(f"{when}\nregularity {regularity.regularity(kernels).mean():z.2f}")
        drawing.grid(ax, image, *kernels.shape[:2], linewidth=5)
    title = f"The filters of the first convolution; trained on {trained_on(args.model)}"
    title += "\nsorted: the most regular after training first" * args.sort
    figure.suptitle(title, y=0.98, va="bottom")
    drawing.save(figure, "filters.png", args)


def trained_on(path):
    """What a run of our scripts was trained on, and how long."""
    try:
        state = run_folder.read_state(path)
        done = len(state["cpu seconds"])
        if done < state.get("epochs", done):
            script = state["record"]["script"]
            print(f"{path}: was stopped after epoch {done} of {state['epochs']}; {script} goes on")
        return f"{state['record']['data']}, {done} epochs"
    except Exception:  # not a run's
        return "unknown images"
