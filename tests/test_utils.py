import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import cnn
import transfer_learning
import utils
from support.figures import drawing


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


@pytest.mark.parametrize("script", [cnn, transfer_learning])
def test_prepare(script):
    images = np.arange(24, dtype="uint8").reshape(2, 2, 2, 3) + 232
    x, y = script.prepare(images, np.array([3, 0]), 4)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, images.astype("float32") / 255)
    assert x.max() == 1
    np.testing.assert_array_equal(y, [[0, 0, 0, 1], [1, 0, 0, 0]])


def history(test, train=None, loss=None):
    train, loss = train or [0.2] * len(test), loss or [1.0] * len(test)
    return {"accuracy": train, "val_accuracy": test, "loss": loss, "val_loss": loss}


def test_the_accuracy_figure_marks_the_best_epoch(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(drawing, "save", lambda figure, path: shown.append(figure))
    for epoch, test in enumerate(([0.9, 0.6, 0.5], [0.5, 0.9, 0.6], [0.5, 0.6, 0.9]), 1):
        utils.plot_accuracy(history(test), "T", tmp_path / "accuracy.png")
        (axes,) = shown[-1].axes
        (circle,) = (line for line in axes.lines if line.get_marker() == "o")
        assert circle.get_xydata().tolist() == [[epoch, 0.9]]
        assert circle.get_label() == f"best on the test set: 90.0% in epoch {epoch}"


def test_a_figure_that_cannot_be_had_is_left_out_with_one_line(tmp_path, capsys, monkeypatch):
    path = tmp_path / "accuracy.png"
    path.write_text("mine")
    utils.plot_accuracy(history([0.5]), "T", path)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: the figure is left out: {path}: not written by these scripts; ")
    assert path.read_text() == "mine"

    def fail(figure, path):
        raise RuntimeError("a font\nthat is damaged")

    monkeypatch.setattr(drawing, "save", fail)
    utils.plot_accuracy(history([0.5]), "T", path)
    assert capsys.readouterr().err == "warning: the figure is left out: a font that is damaged\n"


def test_the_accuracy_figure_shows_where_the_two_part(tmp_path, monkeypatch):
    """Two vertical lines: where the training set is 5 points ahead, and the lowest loss."""
    test, train, loss = [0.3, 0.3, 0.3, 0.3], [0.3, 0.3, 0.36, 0.5], [2.0, 1.0, 3.0, 4.0]
    shown = []
    monkeypatch.setattr(drawing, "save", lambda figure, path: shown.append(figure))
    utils.plot_accuracy(history(test, train, loss), "T", tmp_path / "accuracy.png")
    (axes,) = shown[0].axes
    lines = {line.get_label(): line.get_xdata() for line in axes.lines if line.get_linestyle() in ("--", ":")}
    assert lines == {
        "training set ahead by 5 points or more from epoch 3 on": [3, 3],
        "test loss lowest in epoch 2": [2, 2],
    }


@pytest.mark.parametrize("epochs", [1, 2, 3, 20, 150])
def test_the_accuracy_figure_has_whole_epochs_and_its_legend_below(tmp_path, monkeypatch, epochs):
    drawn, save = [], drawing.save

    def keep(figure, path):
        drawn.append(figure)
        save(figure, path)

    monkeypatch.setattr(drawing, "save", keep)
    rising = [0.5 + n / 400 for n in range(epochs)]
    utils.plot_accuracy(history(rising, [n + 0.1 for n in rising]), "T", tmp_path / "accuracy.png")
    (figure,) = drawn
    figure.canvas.draw()
    (axes,), (legend,) = figure.axes, figure.legends
    low, high = axes.get_xlim()
    labels = [label.get_text() for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
    assert labels
    assert all(label.isdigit() and 1 <= int(label) <= epochs for label in labels)
    assert len(legend.get_texts()) == 5
    assert legend.get_window_extent().y1 <= axes.get_tightbbox().y0


@pytest.mark.parametrize(
    ("train", "test", "epoch"),
    [
        ([0.5, 0.6, 0.7, 0.8], [0.5, 0.58, 0.6, 0.6], 3),
        ([0.5, 0.6, 0.7, 0.8], [0.4, 0.58, 0.6, 0.6], 3),  # ahead, together again, ahead
        ([0.5, 0.6], [0.4, 0.5], 1),
        ([0.5, 0.7, 0.6], [0.5, 0.6, 0.6], None),
        ([0.41], [0.46], None),
        ([0.0, 0.05], [0.0, 0.0], 2),  # 5 points, and no more
    ],
)
def test_from_which_epoch_the_training_accuracy_is_ahead(train, test, epoch):
    assert utils.ahead_epoch(history(test, train)) == epoch


def test_the_first_of_several_best_epochs():
    assert utils.best_epoch(history([0.5, 0.6, 0.6])) == 2
    assert utils.lowest_loss_epoch(history([0.5] * 3, loss=[2, 1, 1])) == 2


def test_over_fitting_is_said_where_both_signs_are_there(capsys):
    utils.print_result(history([0.5, 0.62, 0.6], [0.5, 0.7, 0.9], [2, 1, 1.5]), "CIFAR-10")
    said = capsys.readouterr().out
    assert "(trained on): CIFAR-10, 3エポック (epochs: 3)" in said
    assert "(best test accuracy): 62.0%, 2エポック目 (epoch 2)" in said
    assert "(training accuracy) 90.0%, テスト精度 (test accuracy) 60.0%" in said
    assert "(training accuracy 5 points or more ahead): 2エポック目から (from epoch 2 on)" in said
    assert "(lowest test loss): 2エポック目 (epoch 2)" in said
    assert "過学習" in said
    assert "(test loss no longer falls, and the gap stays: over-fitting)" in said
    assert "not CIFAR-10" not in said


@pytest.mark.parametrize(
    "data",
    ["the built-in sample", "the images in small", "the images in CIFAR-10", "the images in CIFAR-10-small"],
)
def test_images_that_are_not_those_of_cifar10_are_said(capsys, data):
    utils.print_result(history([0.5]), data)
    said = f"CIFAR-10そのものではないので、数値は記事と異なる (not CIFAR-10 itself: {data})"
    assert (said in capsys.readouterr().out) == (data != "the images in CIFAR-10")


@pytest.mark.parametrize(
    ("train", "test", "loss"),
    [([0.41], [0.46], [1]), ([0.3, 0.9], [0.2, 0.5], [2, 1]), ([0.5, 0.6], [0.5, 0.6], [1, 2])],
)
def test_over_fitting_is_not_said_where_the_numbers_do_not_carry_it(capsys, train, test, loss):
    utils.print_result(history(test, train, loss), "CIFAR-10")
    said = capsys.readouterr().out
    assert "over-fitting" not in said
    assert "過学習" not in said
    assert ("points or more ahead" in said) == (train == [0.3, 0.9])
