"""What the filters answer to: section 3.2's 「ある特定の方向に反応するフィルタ」, to be looked at.

Tiles show a filter's weights and not its responses. The book's `ch07/apply_filter.py` applies its
filters to an image; here they are applied to images of the test set.
"""

import keras
import numpy as np
from matplotlib import pyplot as plt

import utils
from explore.regularity import kernels_of, regularity
from support.ending import ScriptError
from support.figures import drawing
from support.run.records import flat_layers

MOST_REGULAR, PATCHES, BATCH = 6, 9, 500
# Layers before the convolution that only prepare an image.
PREPARING = ("Normalization", "Rescaling", "Resizing", "ZeroPadding2D")


def plot(models, order, tests, out):
    """Draw `responses.png` and `patches.png`, and name the filters that answer to nothing.

    Args:
        models: when ("before training", "after training") to a model whose weights begin with kernels.
        order: of the filters, as `regularity.order` returns it.
        tests: images `uint8` `(N, H, W, 3)` and labels `(N,)`, of the test set; None: there are none.
        out: the folder for the figures.
    """
    if tests is None:
        return print("what the filters answer to: give --data SOURCE for images to show it on")
    images, labels = tests
    shown = images[first_of_three_classes(labels)]
    responses = {when: apply(first_layers(model, shown), shown) for when, model in models.items()}
    plot_responses(shown, responses, order, out)
    model = models["after training"]
    layers = first_layers(model, images)
    strongest = np.concatenate(
        [
            apply(layers, images[start : start + BATCH]).max(axis=(1, 2))
            for start in range(0, len(images), BATCH)
        ]
    )
    silent = np.flatnonzero(strongest.max(axis=0) <= 0)
    silent = ", ".join(map(str, silent)) or "none"
    print(f"filters that answer to nothing in {len(images):,} test images: {silent}")
    plot_patches(model, layers, images, strongest, out)


def with_kernels_first(model, path):
    """The model itself if its first weights are the kernels, else its first convolution.

    Raises:
        ScriptError: there is no convolution, or it does not work on three channels.
    """
    for layer in flat_layers(model):
        if isinstance(layer, keras.layers.Conv2D):
            if layer.kernel.shape[2] != 3:
                raise ScriptError(f"{path}: its first convolution sees {layer.kernel.shape[2]} channels, not 3; "
                                  "give another model")  # fmt: skip
            first = model.get_weights()[0]
            return model if np.array_equal(first, keras.ops.convert_to_numpy(layer.kernel)) else layer
    raise ScriptError(f"{path}: has no convolution; give another model")


def first_of_three_classes(labels):
    """The rows of the first image of three classes, or of as many as there are."""
    classes = np.unique(labels)
    classes = classes[:: max(1, len(classes) // 3)][:3]
    return [int(np.flatnonzero(labels == label)[0]) for label in classes]


def first_layers(model, images):
    """The first convolution of a model, and what prepares the images for it.

    Args:
        model: a Keras model, or its first convolution alone.

    Returns:
        A `keras.Model`: `float32` `(N, H, W, 3)` in [0, 1] to what the convolution is given and
        what it answers, `(N, H', W', 3)` and `(N, h, w, filters)`.
    """
    layers = list(flat_layers(model)) if isinstance(model, keras.Model) else [model]
    first = next(n for n, layer in enumerate(layers) if isinstance(layer, keras.layers.Conv2D))
    given = _input = keras.Input(images.shape[1:])
    for layer in layers[:first]:
        if type(layer).__name__ in PREPARING:
            given = layer(given)
    return keras.Model(_input, [given, layers[first](given)])


def apply(layers, images):
    """The convolution's answers to images `uint8`."""
    return inputs_and_answers(layers, images)[1]


def inputs_and_answers(layers, images):
    return layers.predict_on_batch(images.astype("float32") / 255)


def plot_responses(images, responses, order, out):
    """Draw how each filter answers to a few images, its tile in the place that it has among the weights.

    Args:
        images: `uint8` `(n, H, W, 3)`.
        responses: before and after training, each `float32` `(n, h, w, filters)`.
        order: of the filters.
    """
    columns = 1 + len(responses)
    figure, axes = plt.subplots(
        len(images), columns, figsize=(3 + 3.6 * len(responses), 4.2 * len(images)), squeeze=False,
        width_ratios=[2, *[3] * len(responses)], layout="constrained",
    )  # fmt: skip
    for image, (left, *_) in zip(images, axes, strict=True):
        left.imshow(image)
        left.axis("off")
    for column, (when, answers) in enumerate(responses.items(), 1):
        maps = np.maximum(answers, 0)
        largest = maps.max(axis=(0, 1, 2), keepdims=True)
        np.divide(maps, largest, out=maps, where=largest > 0)
        axes[0, column].set_title(when)
        for row, ax in enumerate(axes[:, column]):
            tiles = utils.combine_images(np.moveaxis(maps[row], 2, 0)[order, ..., None])
            ax.imshow(tiles[..., 0], cmap="gray", vmin=0, vmax=1)
            drawing.grid(ax, tiles, *maps.shape[1:3], linewidth=2)
    figure.suptitle(
        "Where the filters answer: bright, and black where not\n"
        "each tile has a scale of its own, and the place that its filter has in filters.png"
    )
    drawing.save(figure, out / "responses.png")


def plot_patches(model, layers, images, strongest, out):
    """Draw, beside each of the most regular filters, what in the test set excites it most.

    Args:
        model, layers: whose filters they are, and its `first_layers`.
        images: of the test set, `uint8` `(N, H, W, 3)`.
        strongest: for each image the strongest answer of each filter, `(N, filters)`.
    """
    kernels = kernels_of(model)
    values = regularity(kernels)
    numbers = np.argsort(-values)[:MOST_REGULAR]
    figure, axes = plt.subplots(
        len(numbers), 1 + PATCHES, figsize=(9.5, 1.05 * len(numbers) + 0.9), squeeze=False
    )
    for number, (left, *others) in zip(numbers, axes, strict=True):
        left.imshow(keras.utils.array_to_img(kernels[..., number]), interpolation="nearest")
        left.set_ylabel(f"filter {number}\n{values[number]:z.2f}", rotation=0, ha="right", va="center")
        # The places around one place excite a filter alike, so each image gives one patch.
        rows = np.argsort(-strongest[:, number], kind="stable")[:PATCHES]
        for ax, patch in zip(others, patches(layers, images[rows], number), strict=False):
            ax.imshow(patch, interpolation="nearest")
    for ax in axes.flat:
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
    axes[0, 0].set_title("weights", fontsize=10)
    figure.suptitle(
        f"The most regular filters, and the {PATCHES} patches of the test set that excite each most\n"
        "number and regularity of a filter on the left; the strongest patch first"
    )
    drawing.save(figure, out / "patches.png")


def patches(layers, images, number):
    """Of each image what one filter sees where it answers most strongly.

    Args:
        layers: of `first_layers`.
        images: `uint8` `(n, H, W, 3)`.
        number: of the filter.

    Returns:
        `float32` `(n, height, width, 3)` in [0, 1]: what the convolution is given there, 0 outside
        of the image, scaled to the range of all of it.
    """
    given, answers = inputs_and_answers(layers, images)
    given, answers = keras.ops.convert_to_numpy(given), keras.ops.convert_to_numpy(answers)
    given = (given - given.min()) / max(given.max() - given.min(), 1e-7)
    convolution = layers.layers[-1]
    found = []
    for image, answer in zip(given, answers[..., number], strict=True):
        place = np.unravel_index(answer.argmax(), answer.shape)
        corner = [
            int(at) * stride - padding
            for at, stride, padding in zip(
                place, convolution.strides, paddings(convolution, image, answer), strict=True
            )
        ]
        extent = extent_of(convolution)
        wide = np.pad(image, [(size, size) for size in extent] + [(0, 0)])
        (top, left), (height, width) = np.add(corner, extent), extent
        found.append(wide[top : top + height, left : left + width])
    return np.array(found)


def extent_of(convolution):
    """Height and width of what a filter sees."""
    pairs = zip(convolution.kernel_size, convolution.dilation_rate, strict=True)
    return [(size - 1) * rate + 1 for size, rate in pairs]


def paddings(convolution, image, answer):
    """How many rows and columns of padding the convolution puts before an image."""
    if convolution.padding != "same":
        return 0, 0
    sizes = zip(image.shape[:2], answer.shape, convolution.strides, extent_of(convolution), strict=True)
    return [max((out - 1) * stride + extent - size, 0) // 2 for size, out, stride, extent in sizes]
