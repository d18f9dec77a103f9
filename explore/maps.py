"""ネットワークは画像のどこを見ているか：5.1節のconfidence map。
論文（Network In Network、3.2節）は、GAPの特徴マップを
「クラスごとの確信度の地図」として読めると言います。

Where does a network look? The confidence maps of section 5.1. The paper (Lin, Chen and Yan, "Network
In Network", 2013, section 3.2) has one map a class and no dense layer behind the pooling. The article's
model has 30 maps and two dense layers, so what a map counts for a class is worked out from them.
"""

from explore import models
from support import command_line, ending
from support.ending import ScriptError

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
    import keras
    import numpy as np

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
    import numpy as np

    rows = []
    for label in range(labels.max() + 1):
        for kind in (predicted == labels, predicted != labels):
            found = np.flatnonzero(kind & (labels == label))
            rows.append(int(found[0]) if len(found) else None)
    return rows


def main(argv=None):
    default = models.newest("GlobalAveragePooling2D")
    args = command_line.parse(__file__, __doc__, argv, model=default, data=None)
    from keras.layers import GlobalAveragePooling2D
    from matplotlib import pyplot as plt

    from support.figures import drawing

    asked = models.load(args.model)
    if not any(isinstance(layer, GlobalAveragePooling2D) for layer in asked.model.layers):
        raise ScriptError(f"{args.model}: has no global average pooling; give one of cnn_with_gap.py")
    images, labels = models.test_images(asked, args)
    predicted = asked.predict(images).argmax(axis=1)
    rows = first_right_and_wrong(labels, predicted)[: 2 * MOST_CLASSES]
    found = [row for row in rows if row is not None]
    x = images[found].astype("float32") / 255.0
    maps, probabilities = confidence_maps(asked.model, x, predicted[found])
    # 学習前の地図と変わらなければ、学習したことは何も示さない (a map that needs no training says nothing
    # about what was learned: Adebayo et al., "Sanity Checks for Saliency Maps", 2018)
    before = confidence_maps(asked.untrained, x, predicted[found])[0] if asked.untrained else None
    names, classes = drawing.shown_names(tuple(asked.class_names)), len(rows) // 2
    figure, axes = plt.subplots(
        classes, 6, figsize=(8.5, 1.5 * classes + 0.9), squeeze=False, layout="constrained"
    )
    for ax in axes.flat:
        ax.axis("off")
    for row, (left, middle, right) in zip(rows, axes.reshape(-1, 3), strict=True):
        if row is None:
            continue
        image, index = images[row], found.index(row)
        left.imshow(image)
        left.set_title(names[labels[row]], fontsize=9)
        lay_over(middle, image, maps[index])
        middle.set_title(f"{names[predicted[row]]} {probabilities[index].max():.0%}", fontsize=9)
        if before is not None:
            lay_over(right, image, before[index])
            right.set_title("untrained", fontsize=9)
    figure.suptitle(
        f"What speaks for the prediction: bright ({asked.trained_on}"
        + f"; the first {classes} of {len(names)} classes" * (classes < len(names))
        + ")\nleft: first test image of each class that is recognised; right: first that is not\n"
        "grey or black: nothing speaks for it; each map has a scale of its own"
    )
    drawing.save(figure, args.out / "confidence_maps.png")


def lay_over(ax, image, values):
    extent = (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)
    ax.imshow(image.mean(axis=2), cmap="gray", vmin=0, vmax=255)
    scale = {"vmin": 0, "vmax": values.max() or 1, "extent": extent}
    ax.imshow(values, cmap="inferno", alpha=0.6, interpolation="bilinear", **scale)


if __name__ == "__main__":
    ending.run(main)
