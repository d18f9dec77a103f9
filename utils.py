"""What several sections share: tiles (3.2), the accuracy figure and what it shows (3.1, 5.1)."""

import math

AHEAD = 0.05  # of training accuracy over test accuracy


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


def plot_accuracy(history, title, path):
    """Draw training and test accuracy against the epoch, as in sections 3.1 and 5.1.

    Args:
        history: `history` of what `fit` returned: lists "accuracy", "val_accuracy" and "val_loss",
            with one value for each epoch.
        title: of the figure.
        path: of the PNG file.

    Raises:
        support.ending.ScriptError: the file cannot be written.
    """
    import matplotlib.pyplot as plt

    from support.figures import drawing

    train, test = history["accuracy"], history["val_accuracy"]
    epochs, best = range(1, len(test) + 1), best_epoch(history)
    figure, axes = plt.subplots(figsize=(7, 4.5))
    axes.plot(epochs, train, ".-", label="training set")
    axes.plot(epochs, test, ".-", label="test set")
    label = f"best on the test set: {max(test):.1%} in epoch {best}"
    axes.plot(best, max(test), "o", ms=11, mfc="none", mec="C3", label=label)
    ahead, lowest = ahead_epoch(history), lowest_loss_epoch(history)
    if ahead:
        label = f"training set ahead by 5 points or more from epoch {ahead} on"
        axes.axvline(ahead, color="0.5", ls="--", label=label)
    axes.axvline(lowest, color="C2", ls=":", label=f"test loss lowest in epoch {lowest}")
    axes.set(title=title, xlabel="epoch", ylabel="accuracy", ylim=(0, 1))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.set_major_formatter(lambda value, position: f"{value:.0%}")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    drawing.save(figure, path)


def best_epoch(history):
    """The first epoch with the highest test accuracy, counted from 1."""
    test = history["val_accuracy"]
    return test.index(max(test)) + 1


def lowest_loss_epoch(history):
    """The epoch with the lowest test loss, counted from 1."""
    loss = history["val_loss"]
    return loss.index(min(loss)) + 1


def ahead_epoch(history):
    """The epoch from which the training accuracy stays 5 points ahead of the test accuracy, or None."""
    pairs = list(zip(history["accuracy"], history["val_accuracy"], strict=True))
    together = [n for n, (train, test) in enumerate(pairs, 1) if train - test < AHEAD]
    first = together[-1] + 1 if together else 1
    return first if first <= len(pairs) else None


def print_result(history, data):
    """Print what the accuracy figure shows.

    Args:
        history: as for `plot_accuracy`.
        data: the name of the images.
    """
    train, test, best = history["accuracy"][-1], history["val_accuracy"], best_epoch(history)
    print(f"\nTrained on {data}, {len(test)} epochs.")
    print(f"Best test accuracy: {test[best - 1]:.1%}, in epoch {best}.")
    print(f"After the last epoch: training accuracy {train:.1%}, test accuracy {test[-1]:.1%}.")
    ahead, lowest = ahead_epoch(history), lowest_loss_epoch(history)
    if ahead:
        print(f"From epoch {ahead} on the training accuracy is 5 points or more ahead of the test accuracy.")
    # Both together are over-fitting; either alone need not be.
    both = ", and rises while the network still learns: over-fitting" * bool(ahead and lowest < len(test))
    print(f"The test loss is lowest in epoch {lowest}{both}.")
    if not data.endswith("CIFAR-10"):
        print(f"The images are not those of CIFAR-10 but {data}: the article's figures differ.")
