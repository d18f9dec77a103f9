"""One's own images: a folder with `train/<class>/` and `test/<class>/`."""

import itertools
import logging
import warnings

import keras
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from support.ending import ScriptError

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else it says on stderr what it raises

SIZE = 32
NOT_IMAGES = {"thumbs.db", "desktop.ini"}  # which Windows leaves where images are


def list_images(folder):
    """The paths of the images in a folder, in place of the images: `decode` reads those wanted.

    The first image of each class comes first, then the second of each, and so on.

    Args:
        folder: a `pathlib.Path`.

    Returns:
        `(x_train, y_train), (x_test, y_test), class_names`: paths `(N,)`, labels `int64` `(N,)`.

    Raises:
        ScriptError: there is something missing. The message names the place.
    """
    train, test = folder / "train", folder / "test"
    for part in (train, test):
        if not part.is_dir():
            raise ScriptError(f"{part}: no such folder; make train/<class>/ and test/<class>/ there")
    names = [[path.name for path in visible(part) if path.is_dir()] for part in (train, test)]
    for odd in sorted(set(names[0]) ^ set(names[1])):
        raise ScriptError(f"{folder}: class {odd} is in only one of train/ and test/; give it to both")
    if len(names[0]) < 2:
        raise ScriptError(f"{folder}: {len(names[0])} class in train/; there must be two or more")
    return in_turn(train, names[0]), in_turn(test, names[0]), names[0]


def in_turn(part, names):
    """Paths and labels of all classes, one class after the other taking its turn."""
    classes = [visible(part / name) for name in names]
    if [] in classes:
        raise ScriptError(f"{part / names[classes.index([])]}: no images; add some or remove the class")
    rounds = itertools.zip_longest(*classes)
    found = [(path, n) for turn in rounds for n, path in enumerate(turn) if path is not None]
    paths, labels = zip(*found, strict=True)
    return np.array(paths, dtype=object), np.array(labels, dtype="int64")


def visible(folder):
    """What is in a folder, in order, but for what the system leaves there."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise ScriptError(f"{folder}: {error.strerror}; make it readable or remove it") from None
    return [p for p in paths if p.name[0] != "." and p.name.lower() not in NOT_IMAGES]


def decode(paths, verbose):
    """Decode image files of any size and mode into one `uint8` `(N, 32, 32, 3)`.

    Args:
        paths: of the files.
        verbose: of the progress bar, as in `fit`.

    Raises:
        ScriptError: a file is not an image, or damaged.
    """
    images = np.empty((len(paths), SIZE, SIZE, 3), dtype="uint8")
    progress = keras.utils.Progbar(len(paths), unit_name="image", verbose=verbose)
    # What Pillow warns of in a damaged file ends in an error or does no harm. But above its limit for
    # an image's size it only warns, and refuses at twice the limit.
    with warnings.catch_warnings(action="ignore"):
        warnings.simplefilter("error", Image.DecompressionBombWarning)
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
        ScriptError: it is not an image, or damaged.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)  # photos are often stored lying on their side
            if image.mode.startswith("I;16"):  # 16 bits of grey, which `convert` would cut off
                image = Image.fromarray((np.asarray(image) >> 8).astype("uint8"))
            return image.convert("RGB")
    except Exception as error:  # decoders raise whatever they stumble over
        why = "not an image" if isinstance(error, UnidentifiedImageError) else error
        raise ScriptError(f"{path}: {why}; mend or remove it") from None
