import math

import matplotlib.image
import numpy as np
import pytest
from conftest import options
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import utils


def slow_combine_images(images):
    """The same in single pixels."""
    count, height, width, channels = images.shape
    columns = int(math.sqrt(count))
    rows = 0
    while rows * columns < count:
        rows += 1
    combined = np.zeros((rows * height, columns * width, channels), images.dtype)
    for n in range(count):
        for y in range(height):
            for x in range(width):
                combined[n // columns * height + y, n % columns * width + x] = images[n, y, x]
    return combined


@given(
    arrays.arrays(
        st.sampled_from(["uint8", "float32", "int64", "bool", "complex64"]),
        st.tuples(st.integers(1, 30), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    )
)
def test_combine_images(images):
    combined = utils.combine_images(images)
    assert combined.dtype == images.dtype
    np.testing.assert_array_equal(combined, slow_combine_images(images))


def test_combine_images_of_the_article():
    assert utils.combine_images(np.zeros((30, 5, 5, 3))).shape == (30, 25, 3)


@pytest.mark.parametrize("shape", [(0, 5, 5, 3), (5, 5, 3), (5,), (1, 1, 5, 5, 3)])
def test_combine_images_wants_a_batch(shape):
    with pytest.raises(ValueError, match=r"\(N, H, W, C\)"):
        utils.combine_images(np.zeros(shape))


def test_prepare():
    images = np.arange(24, dtype="uint8").reshape(2, 2, 2, 3) + 232
    x, y = utils.prepare(images, np.array([3, 0]), 4)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, images.astype("float32") / 255)
    assert x.max() == 1
    np.testing.assert_array_equal(y, [[0, 0, 0, 1], [1, 0, 0, 0]])


def history(test, train=None, loss=None):
    train, loss = train or [0.2] * len(test), loss or [1.0] * len(test)
    return {"accuracy": train, "val_accuracy": test, "loss": loss, "val_loss": loss}


def test_the_accuracy_figure_marks_the_best_epoch(tmp_path):
    places = []
    for test in ([0.9, 0.6, 0.5], [0.5, 0.9, 0.6], [0.5, 0.6, 0.9]):
        utils.plot_accuracy(history(test), "T", options(out=tmp_path))
        pixels = matplotlib.image.imread(tmp_path / "accuracy.png")[..., :3]
        above = pixels[: len(pixels) // 2]  # the legend lies below
        red = np.abs(above - np.array([214, 39, 40]) / 255).max(axis=2) < 0.05
        assert red.sum() > 20
        places.append(red.nonzero()[1].mean() / pixels.shape[1])
    assert places[0] < 0.3 < 0.45 < places[1] < 0.65 < 0.8 < places[2]


def test_the_accuracy_figure_shows_where_the_two_part(tmp_path):
    """Two vertical lines: grey, where the training set is 5 points ahead; green, the lowest loss."""
    test, train, loss = [0.3, 0.3, 0.3, 0.3], [0.3, 0.3, 0.36, 0.5], [2.0, 1.0, 3.0, 4.0]
    utils.plot_accuracy(history(test, train, loss), "T", options(out=tmp_path))
    pixels = matplotlib.image.imread(tmp_path / "accuracy.png")[..., :3]
    above = pixels[60 : len(pixels) // 3]
    grey = np.abs(above - 0.5).max(axis=2) < 0.03
    green = np.abs(above - np.array([44, 160, 44]) / 255).max(axis=2) < 0.1
    assert 0.3 < green.nonzero()[1].mean() / pixels.shape[1] < 0.55
    assert 0.55 < grey.nonzero()[1].mean() / pixels.shape[1] < 0.75
