"""Where a network with global average pooling looks: section 5.1 of the article.

The paper that the article quotes (Lin, Chen and Yan, "Network In Network", 2013, section 3.2) says:
"the feature maps can be easily interpreted as categories confidence maps". It has one map a class
and no dense layer behind the pooling. The article's model has 30 maps and two dense layers, so what
a map counts for a class must be worked out from what these layers have learned.
"""

import textwrap

import keras
import numpy as np
from matplotlib import pyplot as plt

from support import drawing, lettering, run_folder
from support.entry import ScriptError

MOST_CLASSES = 20  # in the figure


def confidence_maps(model, images, classes):
    """How much each place speaks for a class.

    These are the maps before the pooling, each weighted by the gradient of the class's logit: Grad-CAM
    (Selvaraju et al., 2017). Through a `Dense` layer with ReLU the gradient is the backward pass of
    the book's chapter 5: times the kernel, and 0 where the ReLU let nothing through. With a softmax
    layer alone behind the pooling it is that layer's kernel: CAM (Zhou et al., 2016).

    Args:
        model: any number of `Dense` layers behind a `GlobalAveragePooling2D`.
        images: `float32` `(N, H, W, 3)` in [0, 1].
        classes: `(N,)`, that of each image.

    Returns:
        Maps `float32` `(N, h, w)` >= 0, and class probabilities `(N, num_classes)`.
    """
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    pooling = keras.layers.GlobalAveragePooling2D
    maps = next(layer.input for layer in model.layers if isinstance(layer, pooling))
    inside = keras.Model(model.inputs, [maps, model.layers[-1].output, *(layer.input for layer in dense)])
    maps, probabilities, *inputs = inside.predict(images, verbose=0)
    gradient = np.eye(probabilities.shape[1], dtype="float32")[classes]
    for layer, x in zip(reversed(dense), reversed(inputs), strict=True):
        gradient = gradient @ keras.ops.convert_to_numpy(layer.kernel).T
        if layer is not dense[0]:  # the pooling before it has no ReLU
            gradient *= x > 0
    return np.maximum(np.einsum("nhwc,nc->nhw", maps, gradient), 0), probabilities


def first_right_and_wrong(labels, predicted):
    """For each class in turn its first recognised and its first mistaken image: rows, or None."""
    rows = []
    for label in range(labels.max() + 1):
        for kind in (predicted == labels, predicted != labels):
            found = np.flatnonzero(kind & (labels == label))
            rows.append(int(found[0]) if len(found) else None)
    return rows


def plot(test, args):
    """Draw a right and a wrong image of each class, and beside it the maps of the prediction.

    One is the model's. The other is that of the same network before its training, for the same
    class: a map that needs no training says nothing about what was learned (Adebayo et al.,
    "Sanity Checks for Saliency Maps", 2018).

    Args:
        test: `images.Batches` of the test set.
        args: the command line; `model.keras` and `initial.keras` are in its `out`.
    """
    # As they were saved: of this process alone, however many have trained them.
    trained, untrained = (load(args.out / f"{name}.keras") for name in ("model", "initial"))
    predicted = trained.predict(test, verbose=0).argmax(axis=1)
    rows = first_right_and_wrong(test.labels, predicted)[: 2 * MOST_CLASSES]
    found = [row for row in rows if row is not None]
    x, _ = test.prepare(test.images[found], test.labels[found], test.num_classes)
    maps, probabilities = confidence_maps(trained, x, predicted[found])
    before, _ = confidence_maps(untrained, x, predicted[found])
    names = lettering.labels(test.class_names)
    classes = len(rows) // 2
    figure, axes = plt.subplots(
        classes, 6, figsize=(8.5, 1.5 * classes + 0.9), squeeze=False, layout="constrained"
    )
    for ax in axes.flat:
        ax.axis("off")
    for row, (left, middle, right) in zip(rows, axes.reshape(-1, 3), strict=True):
        if row is None:
            continue
        image, index = test.images[row], found.index(row)
        left.imshow(image)
        left.set_title(names[test.labels[row]], fontsize=9)
        lay_over(middle, image, maps[index])
        middle.set_title(f"{names[predicted[row]]} {probabilities[index].max():.0%}", fontsize=9)
        lay_over(right, image, before[index])
        right.set_title("untrained", fontsize=9)
    figure.suptitle(
        f"What speaks for the prediction: bright ({test.name}"
        + f", the first {classes} of {len(names)} classes" * (classes < len(names))
        + ")\nleft: first test image of each class that is recognised; right: first that is not\n"
        "grey or black: nothing speaks for it; each map has a scale of its own"
    )
    drawing.save(figure, "confidence_maps.png", args)


def load(path):
    try:
        return run_folder.load_model(path)
    except Exception as error:  # a damaged file makes Keras raise nearly anything
        why = textwrap.shorten(str(error), 200, placeholder=" ...")
        way_out = "no confidence maps without it"
        if path.stem == "initial":
            way_out = "remove it, and the same command writes it again"
        raise ScriptError(f"{path}: cannot be loaded: {why}; {way_out}") from None


def lay_over(ax, image, values):
    extent = (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)
    ax.imshow(image.mean(axis=2), cmap="gray", vmin=0, vmax=255)
    scale = {"vmin": 0, "vmax": values.max() or 1, "extent": extent}
    ax.imshow(values, cmap="inferno", alpha=0.6, interpolation="bilinear", **scale)
