import keras
import numpy as np
import pytest
from conftest import options
from matplotlib import pyplot as plt
from PIL import Image

import cnn
import transfer_learning
from support import drawing
from support.ending import ScriptError


@pytest.fixture
def args(tmp_path):
    return options(out=tmp_path / "out")


def figure():
    return plt.figure(figsize=(2, 1))


def test_a_figure_of_ours_is_replaced(args, capsys):
    for _ in range(2):
        drawing.save(figure(), "f.png", args)
    assert Image.open(args.out / "f.png").info["Software"] == drawing.MARK["Software"]
    assert capsys.readouterr().out == 2 * f"wrote {args.out / 'f.png'}\n"
    assert [path.name for path in args.out.iterdir()] == ["f.png"]


@pytest.mark.parametrize("kind", ["an image", "a text", "a folder"])
def test_somebody_else_s_file_is_not(args, kind):
    args.out.mkdir()
    path = args.out / "f.png"
    if kind == "an image":
        Image.new("RGB", (3, 3)).save(path)
    elif kind == "a text":
        path.write_text("mine")
    else:
        path.mkdir()
    before = None if path.is_dir() else path.read_bytes()
    for write in (
        lambda: drawing.save(figure(), "f.png", args),
        lambda: drawing.save_image(Image.new("RGB", (3, 3)), "f.png", args),
    ):
        with pytest.raises(ScriptError, match=r"f.png: not written by these scripts; move it"):
            write()
    assert before is None or path.read_bytes() == before


def test_images_are_enlarged_pixel_by_pixel(args):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 25, 3), "uint8")
    drawing.save_image(Image.fromarray(pixels), "weight.png", args)
    large = np.asarray(Image.open(args.out / "weight.png"))
    np.testing.assert_array_equal(large, pixels.repeat(16, axis=0).repeat(16, axis=1))


def test_show_without_a_screen_says_where_the_figure_is(args, capsys):
    args.show = True
    drawing.save(figure(), "f.png", args)
    assert capsys.readouterr().err == f"no screen for --show here; open {args.out / 'f.png'} instead\n"


@pytest.mark.parametrize("classes", [2, 10, 60, 200])
def test_a_row_for_each_class_whatever_their_number(args, classes):
    rng = np.random.default_rng(0)
    labels = np.arange(4 * classes) % classes
    images = rng.integers(0, 256, (len(labels), 32, 32, 3), "uint8")
    names = [f"class {n}" for n in range(classes)]
    drawing.plot_classes(images, labels, names, "D", args)
    width, height = Image.open(args.out / "classes.png").size
    assert height < 1600
    assert width < 6000
    # The title stands right above the rows.
    pixels = np.asarray(Image.open(args.out / "classes.png").convert("L"))
    inked = np.flatnonzero((pixels < 128).any(axis=1))
    assert np.diff(inked).max() < 40


def test_blocks_of_the_book_s_network():
    assert drawing.blocks_of(cnn.build_model()) == [
        ["input", "", (32, 32, 3), 0],
        ["Conv2D", "5 × 5", (28, 28, 30), 2280],
        ["MaxPooling2D", "2 × 2", (14, 14, 30), 0],
        ["Flatten", "", (5880,), 0],
        ["Dense", "", (100,), 588100],
        ["Dense", "", (10,), 1010],
    ]


def test_a_model_inside_the_model_is_opened_and_no_parameter_is_lost():
    model = transfer_learning.build_model(weights=None)
    blocks = drawing.blocks_of(model)
    assert sum(parameters for *_, parameters in blocks) == model.count_params()
    assert [name for name, *_ in blocks].count("DepthwiseConv2D") == 13
    assert blocks[1] == ["Conv2D", "3 × 3, stride 2\n+ BatchNorm, ReLU", (16, 16, 32), 992]
    assert blocks[-1] == ["Dense", "", (10,), 10250]


def test_one_to_many_rows_are_drawn(tmp_path):
    small = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    sizes = []
    for name, model in (("small", small), ("large", transfer_learning.build_model(weights=None))):
        drawing.draw(model, options(out=tmp_path / name, script=name))
        sizes.append(Image.open(tmp_path / name / "model.png").size)
    assert sizes[0][0] < sizes[1][0]
    assert sizes[0][1] < sizes[1][1] / 3
