"""The training set and the test set, from wherever they come, as `fit` gets them."""

import math
import sys
from pathlib import Path

import keras
import numpy as np

from support import cifar10, folder, processes, sample
from support.entry import ScriptError

TEST_BATCH_SIZE = 500
SAMPLE = "the built-in sample"


class Batches(keras.utils.PyDataset):
    """Images and labels that become a batch when it is due.

    They stay `uint8` in memory until then: as `float32` they would take four times as much. One of
    several processes gets its share of each batch; all shares together are the batch of a single
    process. The images that are left over when all are shared out are passed over.

    Attributes:
        images: `uint8` `(N, 32, 32, 3)` in 0..255.
        labels: `int64` `(N,)`.
        class_names: what the labels stand for, of which there are `num_classes`.
        name: of the data, for titles.
    """

    def __init__(self, images, labels, class_names, name, batch_size, prepare):
        super().__init__()
        self.images, self.labels = images, labels
        self.class_names, self.num_classes, self.name = class_names, len(class_names), name
        self.batch_size, self.prepare = batch_size, prepare
        self.order = np.arange(len(labels))

    def shuffle(self, seed, epoch):
        """Put the images into an order that depends on the seed and the epoch alone.

        `fit` must be told `shuffle=False`, or it shuffles the batches once more.
        """
        self.order = np.random.default_rng([seed, epoch]).permutation(len(self.labels))

    def __len__(self):
        return math.ceil(self.count / self.batch_size)

    @property
    def count(self):
        return len(self.labels) - len(self.labels) % processes.count

    def __getitem__(self, index):
        rows = self.order[: self.count][index * self.batch_size : (index + 1) * self.batch_size]
        rows = np.split(rows, processes.count)[processes.number]
        x, y = self.prepare(self.images[rows], self.labels[rows], self.num_classes)
        return x, y.astype("float32")  # `to_categorical` gives float64, of which JAX warns


def batches(args, prepare):
    """The training set and the test set for `fit` and `evaluate` (section 2.4 of the article).

    Args:
        args: as for `load_data`; `batch_size` is that of the training set.
        prepare: makes a batch for the model out of images, labels and the number of classes.

    Returns:
        Two `Batches`.

    Raises:
        ScriptError: as `load_data`; or a batch cannot be shared out among the processes.
    """
    if args.batch_size % processes.count:
        raise ScriptError(
            f"--batch-size {args.batch_size}: cannot be shared out among {processes.count} "
            "processes; take a multiple"
        )
    train, test, class_names, name = load_data(args)
    test_size = TEST_BATCH_SIZE + -TEST_BATCH_SIZE % processes.count
    return (
        Batches(*train, class_names, name, args.batch_size, prepare),
        Batches(*test, class_names, name, test_size, prepare),
    )


def load_data(args):
    """Load the images (section 1 of the article).

    Args:
        args: `data` is "cifar10"; "sample"; the path of `cifar-10-python.tar.gz`; or a folder with
            `train/<class>/` and `test/<class>/`. None: CIFAR-10, and where it cannot be had the
            sample, with a warning on stderr. `limit`: only so many training images and a fifth as
            many test images, all classes alike. `seed`: how the sample is drawn, and which images
            `limit` takes.

    Returns:
        `(x_train, y_train), (x_test, y_test), class_names, name`: images `uint8`
        `(N, 32, 32, 3)` in 0..255, labels `int64` `(N,)`, what the labels stand for, and the name
        of the data for titles.

    Raises:
        ScriptError: there is no such data, or it is damaged.
    """
    (x_train, y_train), (x_test, y_test), class_names, name = find(args.data, args.seed)
    if args.limit is not None:
        if args.limit < (least := 5 * len(class_names)):
            raise ScriptError(f"--limit {args.limit}: leaves a class without test images; take {least}")
        rng = np.random.default_rng(args.seed)
        train, test = pick(y_train, args.limit, rng), pick(y_test, args.limit // 5, rng)
        x_train, y_train = x_train[train], y_train[train]
        x_test, y_test = x_test[test], y_test[test]
    if x_train.dtype == object:  # paths so far, lest files be decoded that nobody wants
        x_train, x_test = folder.read(x_train), folder.read(x_test)
    return (x_train, y_train), (x_test, y_test), class_names, name


def load_tests(source, seed):
    """The test set alone, as `load_data` returns it.

    Args:
        source, seed: as `args.data` and `args.seed` of `load_data`.
    """
    _, (x, y), _, _ = find(source, seed)
    return (folder.read(x) if x.dtype == object else x), y


def lasting(source, name):
    """A source that finds the same images from any working folder.

    Args:
        source: as `args.data` of `load_data`, which called what it found `name`.
    """
    if source in (None, "cifar10", "sample"):
        return "sample" if name == SAMPLE else "cifar10"
    return str(Path(source).resolve())


def find(source, seed):
    """The images of a source, or the paths of their files; labels; class names; a name for it all."""
    if source is None:
        try:
            return *cifar10.load(), "CIFAR-10"
        except ScriptError as error:
            print(f"warning: {error}\nwarning: taking the built-in sample instead", file=sys.stderr)
            source = "sample"
    if source == "cifar10":
        return *cifar10.load(), "CIFAR-10"
    if source == "sample":
        return *sample.load(seed), SAMPLE
    path = Path(source)
    if not path.exists():  # any more
        raise ScriptError(f"{path}: no such file or folder; give --data another source")
    if path.is_dir():
        return *folder.load(path), f"the images in {path.resolve().name}"
    return *cifar10.load(path), "CIFAR-10"


def pick(labels, count, rng):
    """The rows of a random subset of `count`, the classes in equal parts, in their old order."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # class by class, shuffled within
    sizes = np.bincount(labels)
    turn = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # Every class's first image, then every class's second, and so on until there are enough.
    return np.sort(order[np.argsort(turn, kind="stable")[:count]])
