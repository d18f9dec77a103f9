import contextlib
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import ExifTags, Image, ImageOps
from test_images import make_folder

from support.data import folder
from support.ending import ScriptError


@pytest.fixture
def own(tmp_path):
    """Two classes, red and green, a PNG file each in train/ and test/."""
    return make_folder(tmp_path / "own", "green", "red")


def train(own):
    """The training images of a folder with their labels."""
    (paths, labels), _, _ = folder.list_images(own)
    return folder.decode(paths, 0), labels


def test_a_folder(own):
    (paths, y_train), (_, y_test), class_names = folder.list_images(own)
    assert class_names == ["green", "red"]
    assert y_train.tolist() == y_test.tolist() == [0, 1]
    assert y_train.dtype == np.int64
    images = folder.decode(paths, 0)
    assert images.shape == (2, 32, 32, 3)
    assert images.dtype == np.uint8
    assert images[1, 5, 5].tolist() == [255, 0, 0]


def test_the_classes_take_turns(own):
    for n, name in ((1, "red"), (2, "red"), (1, "green")):
        Image.new("RGB", (32, 32)).save(own / "train" / name / f"{n}.png")
    (paths, labels), _, _ = folder.list_images(own)
    assert labels.tolist() == [0, 1, 0, 1, 1]
    assert [path.name for path in paths] == ["0.png", "0.png", "1.png", "1.png", "2.png"]


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "gif", "webp"])
@pytest.mark.parametrize("size", [(32, 32), (300, 20), (1, 1)])
def test_every_format_and_size(own, suffix, size):
    Image.new("RGB", size, (255, 0, 0)).save(own / "train" / "red" / f"b.{suffix}")
    images, labels = train(own)
    assert labels.tolist() == [0, 1, 1]
    np.testing.assert_allclose(images[2], np.full((32, 32, 3), [255, 0, 0]), atol=3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode(own, mode):
    suffix = "jpg" if mode == "CMYK" else "png"
    grey = np.full((40, 40), 255 if mode == "1" else 128, "uint8")
    if mode == "I;16":
        image = Image.fromarray(grey.astype("uint16") * 257)
    else:
        image = Image.fromarray(grey).convert("RGB").convert(mode, palette=Image.Palette.ADAPTIVE)
    image.save(own / "train" / "red" / f"b.{suffix}")
    np.testing.assert_allclose(train(own)[0][2], grey[0, 0], atol=2)


@pytest.mark.parametrize("wide", [True, False])
def test_an_image_that_is_not_square_loses_its_ends_and_is_not_squashed(own, wide):
    image = Image.new("RGB", (96, 32) if wide else (32, 96), "red")
    image.paste("blue", (32, 0, 64, 32) if wide else (0, 32, 32, 64))  # the middle third
    image.save(own / "train" / "red" / "b.png")
    assert (train(own)[0][2] == [0, 0, 255]).all()


def test_an_image_of_32_x_32_is_taken_as_it_is(own):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), "uint8")
    Image.fromarray(pixels).save(own / "train" / "red" / "b.png")
    np.testing.assert_array_equal(train(own)[0][2], pixels)


def test_the_first_frame_of_an_animation_and_photos_upright(own):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    frames[0].save(own / "train" / "red" / "b.gif", save_all=True, append_images=frames[1:])
    lying = Image.new("RGB", (32, 32))
    lying.paste("white", (0, 0, 16, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    lying.save(own / "train" / "red" / "c.png", exif=exif)
    images, _ = train(own)
    assert images[2, 5, 5].tolist() == [255, 0, 0]
    assert images[3, 5, 30].tolist() == [255, 255, 255]
    assert images[3, 25, 5].tolist() == [0, 0, 0]


def test_what_systems_leave_in_folders_is_passed_over(own):
    for place, name in itertools.product(
        [own, own / "train", own / "train" / "red"], [".DS_Store", "Thumbs.db", "desktop.ini"]
    ):
        (place / name).write_text("x")
    assert len(train(own)[0]) == 2


def remove(path):
    path.unlink() if path.is_file() else [remove(p) for p in path.iterdir()] and path.rmdir()


def save_bomb(path):
    size = Image.MAX_IMAGE_PIXELS // 10000 + 1  # a little over the limit, where Pillow itself only warns
    Image.new("1", (size, 10000)).save(path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda f: remove(f / "train"), "own/train: no such folder"),
        (lambda f: remove(f / "test"), "own/test: no such folder"),
        (lambda f: remove(f / "train" / "red" / "0.png"), "train/red: no images"),
        (lambda f: [(f / p / "blue").mkdir() for p in ("train", "test")], "train/blue: no images"),
        (lambda f: remove(f / "test" / "red"), "own: class red is in only one"),
        (lambda f: [remove(f / p / "red") for p in ("train", "test")], "own: 1 class"),
        (lambda f: [remove(f / p / c) for p in ("train", "test") for c in ("green", "red")], "own: 0"),
        (lambda f: (f / "train" / "red" / "notes.txt").write_text("x"), "notes.txt: not an image"),
        (lambda f: (f / "train" / "red" / "b.png").touch(), "red/b.png: not an image"),
        (lambda f: (f / "train" / "red" / "deeper").mkdir(), "red/deeper"),
        (lambda f: cut(f / "train" / "red" / "0.png"), "red/0.png: .*truncated"),
        (lambda f: save_bomb(f / "train" / "red" / "b.png"), "red/b.png: .*million pixels"),
    ],
)  # fmt: skip
def test_errors_name_the_place(own, damage, named):
    damage(own)
    with pytest.raises(ScriptError, match=named):
        train(own)


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(own):
    (own / "train" / "red").chmod(0)
    with pytest.raises(ScriptError, match="train/red: Permission denied"):
        folder.list_images(own)
    (own / "train" / "red").chmod(0o755)


def test_what_pillow_warns_of_is_no_second_line(own, capfd):
    path = own / "train" / "red" / "0.png"
    Image.new("RGB", (32, 32)).save(path, "TIFF")
    path.write_bytes(path.read_bytes()[:-40])
    with contextlib.suppress(ScriptError):
        train(own)
    assert capfd.readouterr().err == ""


def test_what_pillow_logs_is_no_second_line():
    program = "from support.data import folder; import logging; logging.getLogger('PIL.x').error('a')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "a\n" not in done.stderr.splitlines(keepends=True)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_its_metadata_ask(tmp_path, orientation):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), "uint8")
    metadata = Image.Exif()
    metadata[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(tmp_path / "p.png", exif=metadata)
    with Image.open(tmp_path / "p.png") as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(np.asarray(folder.open_image(tmp_path / "p.png")), upright)
