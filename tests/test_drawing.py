import warnings

import keras
import numpy as np
import pytest
from conftest import options
from matplotlib import pyplot as plt
from PIL import Image

import cnn
import show_samples
import transfer_learning
from support import files
from support.data import images as data
from support.ending import ScriptError
from support.figures import blocks, drawing

# A letter that only STIX has, of the fonts that come with Matplotlib, and one that no font anywhere has.
FOUND, NOWHERE = "Ⓐ", "\U0003fffd"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out" / "f.png"


def figure():
    return plt.figure(figsize=(2, 1))


def test_a_figure_of_ours_is_replaced(path, capsys):
    for _ in range(2):
        drawing.save(figure(), path)
    assert Image.open(path).info[files.MARK[0]] == files.MARK[1]
    drawing.save_image(Image.new("RGB", (3, 3)), path)
    assert Image.open(path).info[files.MARK[0]] == files.MARK[1]
    assert capsys.readouterr().out == 3 * f"wrote {path}\n"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["an image", "a text", "a folder"])
def test_somebody_else_s_file_is_not(path, kind):
    path.parent.mkdir()
    if kind == "an image":
        Image.new("RGB", (3, 3)).save(path)
    elif kind == "a text":
        path.write_text("mine")
    else:
        path.mkdir()
    before = None if path.is_dir() else path.read_bytes()
    for write in (
        lambda: drawing.save(figure(), path),
        lambda: drawing.save_image(Image.new("RGB", (3, 3)), path),
    ):
        with pytest.raises(ScriptError, match=r"f.png: not written by these scripts; move it"):
            write()
    assert before is None or path.read_bytes() == before


def test_images_are_enlarged_pixel_by_pixel(path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 25, 3), "uint8")
    drawing.save_image(Image.fromarray(pixels), path)
    large = np.asarray(Image.open(path))
    np.testing.assert_array_equal(large, pixels.repeat(16, axis=0).repeat(16, axis=1))


def test_show_without_a_screen_says_where_the_figure_is(path, capsys, monkeypatch):
    monkeypatch.delenv("MPLBACKEND")
    drawing.save(figure(), path)
    assert capsys.readouterr().err == f"no screen for --show here; open {path} instead\n"


def marked(shape, mark):
    """An image that is found again: its red is 255 and its blue `mark`."""
    image = np.random.default_rng(mark).integers(0, 256, (*shape, 3), "uint8")
    image[..., 0], image[..., 2] = 255, mark
    return image


def test_cells_are_drawn_at_whole_pixels_in_a_frame(path):
    images = [marked(shape, mark) for mark, shape in enumerate([(5, 5), (28, 28), (3, 7), (64, 64), (1, 1)])]
    labels = ["", "a label\nthat is long " + 3 * "and longer ", "猫"]
    rows = [(label, [("14", images[0]), None, *(("", image) for image in images[1:])]) for label in labels]
    drawing.plot_cells(rows, 9 * "a/long/path/without/a/space/", path)
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    for mark, (image, times) in enumerate(zip(images, (12, 2, 9, 1, 64), strict=True)):
        where = (pixels[..., 0] == 255) & (pixels[..., 2] == mark)
        columns = np.flatnonzero(where.any(axis=0))
        starts = np.flatnonzero(where.any(axis=1) & ~np.roll(where.any(axis=1), 1))
        assert len(starts) == 3
        for top in starts:
            height, width = times * image.shape[0], times * image.shape[1]
            left = columns[0]
            found = pixels[top : top + height, left : left + width]
            np.testing.assert_array_equal(found, image.repeat(times, axis=0).repeat(times, axis=1))
            frame = pixels[top - 1 : top + height + 1, left - 1 : left + width + 1].copy()
            frame[1:-1, 1:-1] = 170
            assert (frame == 170).all()


def test_a_long_title_does_not_widen_a_figure(path):
    sizes = []
    for title in ("short", 20 * "/a/long/path"):
        drawing.plot_tiles({"before": 9 * [marked((5, 5), 0)]}, range(9), title, path)
        sizes.append(Image.open(path).size)
    assert sizes[0][0] == sizes[1][0]
    assert sizes[0][1] < sizes[1][1]


def test_an_empty_place_is_not_a_black_filter(path, monkeypatch):
    shown = []
    monkeypatch.setattr(drawing, "plot_cells", lambda rows, *_: shown.extend(rows))
    black = np.zeros((5, 5, 3), "uint8")
    drawing.plot_tiles({"before": 5 * [black], "after": 5 * [black]}, [4, 3, 2, 1, 0], "T", path)
    (_, heads), *rows = shown
    assert [cell and cell[0] for cell in heads] == ["before", None, None, "after", None, None]
    cells = [[cell and cell[0] for cell in cells] for _, cells in rows]
    assert cells == [["4", "3", None] * 2, ["2", "1", None] * 2, ["0", None, None] * 2]


def test_ten_images_of_each_class_in_their_order(small, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(drawing, "plot_cells", lambda rows, *_: shown.extend(rows))
    show_samples.main(["--data", small, "--out", str(tmp_path)])
    (x_train, y_train), *_ = data.load_data(options(data=small))
    assert [name for name, _ in shown] == ["a", "b", "c", "d"]
    for label, (_, cells) in enumerate(shown):
        np.testing.assert_array_equal([image for _, image in cells], x_train[y_train == label][:10])


@pytest.mark.parametrize("classes", [2, 10, 60, 200])
def test_a_row_for_each_class_whatever_their_number(path, classes, monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.arange(4 * classes) % classes
    images = rng.integers(0, 256, (len(labels), 32, 32, 3), "uint8")
    names = [f"class {n}" for n in range(classes)]
    monkeypatch.setattr(data, "load_data", lambda args: ((images, labels), (images, labels), names, "D"))
    show_samples.main(["--out", str(path.parent)])
    path = path.with_name("classes.png")
    width, height = Image.open(path).size
    assert height < 1900
    assert width < 6000
    # The title stands right above the rows.
    pixels = np.asarray(Image.open(path).convert("L"))
    inked = np.flatnonzero((pixels < 128).any(axis=1))
    assert np.diff(inked).max() < 40


def test_the_letters_are_what_they_are_taken_for():
    families, missing = drawing.fonts_with(f"abc é{FOUND}{NOWHERE}\n")
    assert missing == {NOWHERE}
    assert families[0] == "DejaVu Sans"
    assert len(families) == 2
    assert drawing.fonts_with("abc") == (["DejaVu Sans"], set())


def test_names_that_a_font_has_stay_and_others_become_numbers_which_are_explained_once(capsys):
    assert list(drawing.shown_names(("cat", FOUND))) == ["cat", FOUND]
    assert capsys.readouterr().out == ""
    for _ in range(2):
        assert drawing.shown_names(("cat", NOWHERE)) == ["0", "1"]
    assert capsys.readouterr().out.splitlines()[1:] == ["   0 = cat", f"   1 = {NOWHERE}"]


@pytest.mark.parametrize(("letter", "shown"), [(FOUND, FOUND), (NOWHERE, "?")])
def test_a_figure_is_saved_without_a_warning_or_a_box(path, letter, shown):
    figure, axes = plt.subplots()
    axes.set_title(f"images\nin {letter}")
    with warnings.catch_warnings(action="error"):
        drawing.save(figure, path)
    assert axes.get_title() == f"images\nin {shown}"


def test_blocks_of_the_book_s_network():
    assert blocks.blocks_of(cnn.build_model()) == [
        ["input", "", (32, 32, 3), 0],
        ["Conv2D", "5 × 5", (28, 28, 30), 2280],
        ["MaxPooling2D", "2 × 2", (14, 14, 30), 0],
        ["Flatten", "", (5880,), 0],
        ["Dense", "", (100,), 588100],
        ["Dense", "", (10,), 1010],
    ]


def test_a_model_inside_the_model_is_opened_and_no_parameter_is_lost():
    model = transfer_learning.build_model(weights=None)
    found = blocks.blocks_of(model)
    assert sum(parameters for *_, parameters in found) == model.count_params()
    names = [name for name, *_ in found]
    assert names.count("DepthwiseConv2D") == 13
    assert "ZeroPadding2D" not in names  # a part of the convolution behind it
    assert found[1] == ["Conv2D", "3 × 3, stride 2\n+ BatchNorm, ReLU", (16, 16, 32), 992]
    assert found[-1] == ["Dense", "", (10,), 10250]


def test_one_to_many_rows_are_drawn(tmp_path):
    small = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    sizes = []
    for name, model in (("small", small), ("large", transfer_learning.build_model(weights=None))):
        blocks.draw(model, name, tmp_path / f"{name}.png")
        sizes.append(Image.open(tmp_path / f"{name}.png").size)
    assert sizes[0][0] < sizes[1][0]
    assert sizes[0][1] < sizes[1][1] / 3
