"""One's own images: a folder with `train/<class>/` and `test/<class>/`."""

import contextlib
import itertools
import logging
import warnings

import keras
import numpy as np
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from support.ending import ScriptError
from support.inputs import classes_of, visible

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else it says on stderr what it raises

PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # some programs leave much text
SIZE = 32
# What the orientation in a photo's metadata asks for: photos are often stored lying on their side.
TURNS = {number: Image.Transpose[name] for number, name in enumerate(
    ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90"), 2
)}  # fmt: skip
HEIC = {b"ftyphei", b"ftyphev", b"ftypmif", b"ftypmsf"}  # one of these is at its fifth byte


def list_images(folder):
    """The paths of the images in a folder, in place of the images: `decode` reads those wanted.

    The first image of each class comes first, then the second of each, and so on.

    Returns:
        `(x_train, y_train), (x_test, y_test), class_names`: paths `(N,)`, labels `int64` `(N,)`.

    Raises:
        ScriptError: there is something missing. The message names the place.
    """
    names = classes_of(folder)
    return in_turn(folder / "train", names), in_turn(folder / "test", names), names


def in_turn(part, names):
    """Paths and labels of all classes, one class after the other taking its turn."""
    classes = [visible(part / name) for name in names]
    if [] in classes:
        raise ScriptError(f"{part / names[classes.index([])]}: no images; add some or remove the class")
    rounds = itertools.zip_longest(*classes)
    found = [(path, n) for turn in rounds for n, path in enumerate(turn) if path is not None]
    paths, labels = zip(*found, strict=True)
    return np.array(paths, dtype=object), np.array(labels, dtype="int64")


def decode(paths, verbose):
    """Decode image files of any size and mode into one `uint8` `(N, 32, 32, 3)`.

    Raises:
        ScriptError: a file is not an image, or damaged.
    """
    images = np.empty((len(paths), SIZE, SIZE, 3), dtype="uint8")
    progress = keras.utils.Progbar(len(paths), unit_name="image", verbose=verbose)
    with warnings.catch_warnings(action="ignore"):  # what Pillow warns of ends in an error, or does no harm
        for index, path in enumerate(paths):
            images[index] = read_image(path)
            progress.update(index + 1)
    return images


def read_image(path):
    """One image as a network gets it: its middle square reduced or enlarged, `uint8` `(32, 32, 3)`."""
    return np.asarray(ImageOps.fit(open_image(path), (SIZE, SIZE)))


def open_image(path):
    """An image file, upright and in RGB.

    Raises:
        ScriptError: it is not an image, or damaged, or its range of values cannot be known.
    """
    try:
        with Image.open(path) as file:
            turn = None
            with contextlib.suppress(Exception):  # metadata may be odd; of them this alone is needed
                turn = TURNS.get(file.getexif().get(ExifTags.Base.Orientation))
            if file.width * file.height > Image.MAX_IMAGE_PIXELS:
                if file.format != "JPEG":
                    raise ValueError(f"has more than {Image.MAX_IMAGE_PIXELS / 1e6:.0f} million pixels")
                file.draft("RGB", (1024, 1024))  # which is reduced while it is decoded
            image = in_8_bits(file) if file.mode[0] in "IF" else file
            if image.has_transparency_data:  # under it is often black, as the drawing may be
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return image.transpose(turn).convert("RGB") if turn is not None else image.convert("RGB")
    except Exception as error:  # decoders raise whatever they stumble over
        why, way_out = error, "mend or remove it"
        if isinstance(error, UnidentifiedImageError):
            why = "not an image"
            if path.read_bytes()[4:11] in HEIC:  # whatever its name says
                why, way_out = "HEIC, which cannot be read", "save it as JPEG"
        elif isinstance(error, FileNotFoundError | PermissionError):
            why, way_out = error.strerror, "give another"
        raise ScriptError(f"{path}: {why}; {way_out}") from None


def in_8_bits(file):
    """An image of 16 or 32 bits of grey, which `convert` would cut off, by what its file says."""
    values = np.asarray(file)
    if file.mode.startswith("I;16") or (file.mode == "I" and file.format == "PPM"):
        most = 65535
    elif file.mode == "F" and values.min() >= 0 and values.max() <= 1:
        most = 1
    else:
        raise ValueError(
            f"the range of its values ({file.mode}, 32 bits) cannot be known; save it with 8 bits"
        )
    return Image.fromarray((values / most * 255).round().astype("uint8"))
