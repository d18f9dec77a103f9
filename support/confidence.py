"""Where a network with global average pooling looks: section 5.1 of the article.

The paper that the article quotes says of the last feature maps that they "can be read as confidence
maps". Which of them count for a class is what the layers behind the pooling have learned.
"""

import math

import keras
import numpy as np
from matplotlib import pyplot as plt

from support import drawing, lettering


def confidence_maps(model, images):
    """How much each place speaks for the class that the model predicts.

    These are the maps before the pooling, each weighted by the gradient of the class's logit: Grad-CAM
    (Selvaraju et al., 2017). Through a `Dense` layer with ReLU the gradient is the backward pass of
    the book's chapter 5: times the kernel, and 0 where the ReLU let nothing through. With a softmax
    layer alone behind the pooling it is that layer's kernel: CAM (Zhou et al., 2016).

    Args:
        model: any number of `Dense` layers behind a `GlobalAveragePooling2D`.
        images: `float32` `(N, H, W, 3)` in [0, 1].

    Returns:
        Maps `float32` `(N, h, w)` >= 0, and class probabilities `(N, num_classes)`.
    """
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    pooling = keras.layers.GlobalAveragePooling2D
    maps = next(layer.input for layer in model.layers if isinstance(layer, pooling))
    inside = keras.Model(
        model.inputs, [maps, model.layers[-1].output, *(layer.input for layer in dense)]
    )
    maps, probabilities, *inputs = inside.predict(images, verbose=0)
    gradient = np.eye(probabilities.shape[1], dtype="float32")[probabilities.argmax(axis=1)]
    for layer, x in zip(reversed(dense), reversed(inputs), strict=True):
        gradient = gradient @ keras.ops.convert_to_numpy(layer.kernel).T * (x > 0)
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
    """Draw a right and a wrong image of each class, and over it the map of the prediction.

    Args:
        test: `images.Batches` of the test set.
        args: the command line; `model.keras` is in its `out`.
    """
    # As it was saved: of this process alone, however many have trained it.
    model = keras.saving.load_model(args.out / "model.keras", compile=False)
    predicted = model.predict(test, verbose=0).argmax(axis=1)
    rows = first_right_and_wrong(test.labels, predicted)
    found = [row for row in rows if row is not None]
    x, _ = test.prepare(test.images[found], test.labels[found], test.num_classes)
    maps, probabilities = confidence_maps(model, x)
    names = lettering.labels(test.class_names)
    lines = math.ceil(len(rows) / 4)  # two classes in a line
    figure, axes = plt.subplots(
        lines, 8, figsize=(12, 1.7 * lines + 0.8), squeeze=False, layout="constrained"
    )
    for ax in axes.flat:
        ax.axis("off")
    for row, (left, right) in zip(rows, axes.reshape(-1, 2), strict=False):
        if row is None:
            continue
        image, index = test.images[row], found.index(row)
        left.imshow(image)
        left.set_title(names[test.labels[row]], fontsize=10)
        right.imshow(image.mean(axis=2), cmap="gray", vmin=0, vmax=255)
        extent = (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)
        right.imshow(
            maps[index], cmap="inferno", alpha=0.6, interpolation="bilinear", extent=extent
        )
        prediction = f"{names[predicted[row]]} {probabilities[index].max():.0%}"
        right.set_title(prediction, fontsize=10)
    figure.suptitle(
        f"What speaks for the prediction (bright) on {test.name}\n"
        "each class's first image that is recognised, and its first that is not"
    )
    drawing.save(figure, "confidence_maps.png", args)
