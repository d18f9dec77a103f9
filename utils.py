"""What several sections share: preparing a batch (2.4), the accuracy figure (3.1), tiles (3.2)."""

import math


def prepare(x, y, num_classes):
    """Make a batch of images and labels ready for the model (section 2.4).

    The article does this to all images at once. Here each batch is converted when `fit` asks for it.
    Until then the images stay `uint8`: one byte a value, where the article's `float` takes eight.

    Args:
        x: images `uint8` `(N, 32, 32, 3)` in 0..255.
        y: labels, whole numbers `(N,)` in 0..num_classes - 1.
        num_classes: the number of classes.

    Returns:
        Images `float32` `(N, 32, 32, 3)` in [0, 1], one-hot labels `(N, num_classes)`.
    """
    from keras.utils import to_categorical

    x = x.astype("float32") / 255.0
    y = to_categorical(y, num_classes)
    return x, y


def plot_accuracy(history, name, args):
    """Draw training and test accuracy against the epoch, as in sections 3.1 and 5.1.

    Args:
        history: `history` of what `fit` returned: lists "accuracy", "val_accuracy" and "val_loss",
            with one value for each epoch.
        name: of the images, for the title.
        args: the command line; `accuracy.png` is written into its `out`.

    Raises:
        support.entry.ScriptError: `accuracy.png` cannot be written.
    """
    import matplotlib.pyplot as plt

    from support import drawing, report

    train, test = history["accuracy"], history["val_accuracy"]
    epochs, best = range(1, len(test) + 1), report.best_epoch(history)
    figure, axes = plt.subplots(figsize=(7, 4.5))
    axes.plot(epochs, train, ".-", label="training set")
    axes.plot(epochs, test, ".-", label="test set")
    label = f"best on the test set: {max(test):.1%} in epoch {best}"
    axes.plot(best, max(test), "o", ms=11, mfc="none", mec="C3", label=label)
    ahead, lowest = report.ahead_epoch(history), report.lowest_loss_epoch(history)
    if ahead:
        label = f"training set ahead by 5 points or more from epoch {ahead} on"
        axes.axvline(ahead, color="0.5", ls="--", label=label)
    axes.axvline(lowest, color="C2", ls=":", label=f"test loss lowest in epoch {lowest}")
    weights = f" ({args.weights} weights)" if hasattr(args, "weights") else ""  # of MobileNet
    axes.set(title=f"{args.script}{weights} on {name}", xlabel="epoch", ylabel="accuracy", ylim=(0, 1))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.set_major_formatter(lambda value, position: f"{value:.0%}")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    drawing.save(figure, "accuracy.png", args)


def combine_images(images):
    """Tile images into one, row by row (section 3.2.2).

    Args:
        images: an array `(N, H, W, C)` of any dtype, N > 0.

    Returns:
        `(rows * H, columns * W, C)` of the same dtype, with `int(sqrt(N))` columns and zeros in
        the places of the last row that stay empty.

    Raises:
        ValueError: `images` is not 4-D, or has N = 0.
    """
    import numpy as np

    if images.ndim != 4 or len(images) == 0:
        raise ValueError(f"expected images of shape (N, H, W, C) with N > 0, got {images.shape}")
    num = images.shape[0]
    width = int(math.sqrt(num))
    height = math.ceil(num / width)
    shape = images.shape[1:]
    image = np.zeros((height * shape[0], width * shape[1], shape[2]), dtype=images.dtype)
    for index, img in enumerate(images):
        i = index // width
        j = index % width
        image[i * shape[0] : (i + 1) * shape[0], j * shape[1] : (j + 1) * shape[1], :] = img
    return image
