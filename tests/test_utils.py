import math
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest
from conftest import ROOT
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


def test_enlarged_tiles_show_every_pixel_unsmoothed():
    images = np.random.default_rng(0).integers(0, 256, (30, 5, 5, 3), dtype="uint8")
    image = np.asarray(utils.enlarged_tiles(images, side=80, gap=4))
    assert image.shape == (6 * 88, 5 * 88, 3)
    for row, column, n in ((0, 0, 0), (0, 4, 4), (5, 4, 29)):
        tile = image[row * 88 + 4 : row * 88 + 84, column * 88 + 4 : column * 88 + 84]
        np.testing.assert_array_equal(tile[::16, ::16], images[n])
        np.testing.assert_array_equal(tile[15::16, 15::16], images[n])
    assert (image[:4] == 255).all()


# Files and figures


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), utils.replacing(path) as part:
        part.write_text("half of the new \udcff")
    assert path.read_text() == "old"
    with utils.replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_accuracy_figure_marks_the_best_epoch(tmp_path):
    places = []
    for test in ([0.9, 0.5, 0.4], [0.4, 0.9, 0.5], [0.4, 0.5, 0.9]):
        utils.plot_accuracy(
            {"accuracy": [0.2, 0.3, 0.4], "val_accuracy": test}, "T", tmp_path / "a.png"
        )
        pixels = matplotlib.image.imread(tmp_path / "a.png")[..., :3]
        above = pixels[: len(pixels) // 2]  # the legend lies below
        red = np.abs(above - np.array([214, 39, 40]) / 255).max(axis=2) < 0.05
        assert red.sum() > 20
        places.append(red.nonzero()[1].mean() / pixels.shape[1])
    assert places[0] < 0.3 < 0.45 < places[1] < 0.65 < 0.8 < places[2]


def test_result_in_words(capsys):
    utils.print_result({"accuracy": [0.5, 0.9], "val_accuracy": [0.625, 0.6]}, "CIFAR-10")
    said = capsys.readouterr().out
    assert "Best test accuracy 62.5%, at epoch 1." in said
    assert "training accuracy 90.0%, test accuracy 60.0%" in said
    assert "30.0 points between the two are over-fitting" in said
    assert "original" not in said
    utils.print_result({"accuracy": [0.55], "val_accuracy": [0.54]}, "the built-in sample")
    said = capsys.readouterr().out
    assert "not over-fitting" in said
    assert "not the original CIFAR-10 but: the built-in sample" in said


# The command line


def test_command_line():
    parser = utils.command_line("/somewhere/cnn.py", "Does this.\n\nAnd that.", 20, 100)
    args = parser.parse_args([])
    assert args.epochs == 20
    assert args.batch_size == 100
    assert (args.data, args.limit, args.seed, args.fresh, args.show) == (
        None,
        None,
        0,
        False,
        False,
    )
    assert str(args.out) == "results/cnn"
    assert "Does this." in parser.format_help()
    assert "And that." not in parser.format_help()
    assert not hasattr(utils.command_line("show_samples.py", "").parse_args([]), "epochs")


@pytest.mark.parametrize(
    "wrong",
    [
        "--epochs 0",
        "--epochs 1.5",
        "--seed -1",
        "--seed 4294967296",
        "--limit ²",
        "--epoch 3",
        "--typo",
    ],
)
def test_wrong_options_end_in_one_line(wrong, capsys):
    parser = utils.command_line("cnn.py", "", 20, 100)
    with pytest.raises(SystemExit) as exit:
        parser.parse_args(wrong.split())
    assert exit.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cnn.py: error: ")
    assert wrong.split()[0] in line
    assert "--help" in line


def test_keras_is_imported_when_it_is_first_used_and_not_before():
    program = (
        "import sys, utils, keras, data\n"
        "assert 'tensorflow' not in sys.modules and 'keras.src' not in sys.modules\n"
        "assert keras.layers.Dense(3).units == 3\n"
        "assert 'keras.src' in sys.modules \n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
