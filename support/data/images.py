"""The training set and the test set, from wherever they come."""

import os
import sys
from pathlib import Path

import numpy as np

from support import processes
from support.data import cifar10, folder, sample
from support.data.batches import Batches
from support.ending import ScriptError

TEST_BATCH_SIZE = 500
SAMPLE = "the built-in sample"


def batches(args, prepare):
    """The training set and the test set for `fit` and `evaluate` (section 2.4 of the article), as `Batches`.

    `prepare` makes a batch for the model out of images, labels and the number of classes.

    Raises:
        ScriptError: as `load_data`; or a batch cannot be shared out among the processes.
    """
    if args.batch_size % (count := processes.count()):
        raise ScriptError(f"--batch-size {args.batch_size}: no multiple of the {count} processes; take one")
    train, test, class_names, name = load_data(args)
    test_size = TEST_BATCH_SIZE + -TEST_BATCH_SIZE % processes.count()
    return (
        Batches(*train, class_names, name, args.batch_size, prepare),
        Batches(*test, class_names, name, test_size, prepare),
    )


def load_data(args):
    """Load the images that --data, --limit and --seed ask for (section 1 of the article).

    Without --data it is CIFAR-10, and where that cannot be had the sample, with a warning on stderr.

    Returns:
        `(x_train, y_train), (x_test, y_test), class_names, name`: images `uint8`
        `(N, 32, 32, 3)` in 0..255, labels `int64` `(N,)`, what the labels stand for, and the name
        of the data for titles.

    Raises:
        ScriptError: there is no such data, or it is damaged.
    """
    (x_train, y_train), (x_test, y_test), class_names, name = find_images(args.data, args.seed, args.verbose)
    if args.limit is not None:
        rng = np.random.default_rng(args.seed)
        train, test = pick(y_train, args.limit, rng), pick(y_test, args.limit // 5, rng)
        x_train, y_train = x_train[train], y_train[train]
        x_test, y_test = x_test[test], y_test[test]
    if x_train.dtype == object:  # paths so far, lest files be decoded that nobody wants
        x_train, x_test = folder.decode(x_train, args.verbose), folder.decode(x_test, args.verbose)
    return (x_train, y_train), (x_test, y_test), class_names, name


def load_tests(source, seed, verbose):
    """The test set alone, as `load_data` returns it, and the class names."""
    _, (x, y), class_names, _ = find_images(source, seed, verbose)
    return (folder.decode(x, verbose) if x.dtype == object else x, y), class_names


def absolute_source(source, name):
    """A source that finds the same images, which `load_data` called `name`, from any working folder."""
    if source in (None, "cifar10", "sample"):
        return "sample" if name == SAMPLE else "cifar10"
    return str(Path(source).resolve())


def find_images(source, seed, verbose):
    """The images of a source, or the paths of their files; labels; class names; a name for it all."""
    if source in (None, "cifar10"):
        try:
            return *cifar10.load_data(verbose=verbose), "CIFAR-10"
        except ScriptError as error:
            if source:
                raise
            print(f"warning: {error}\nwarning: taking the built-in sample instead", file=sys.stderr)
    if source in (None, "sample"):
        return *sample.draw(seed), SAMPLE
    path = Path(source)
    if not os.path.exists(path):  # any more
        raise ScriptError(f"{path}: no such file or folder; give --data another source")
    if path.is_dir():
        return *folder.list_images(path), f"the images in {path.resolve().name}"
    return *cifar10.load_data(path), "CIFAR-10"


def pick(labels, count, rng):
    """The rows of a random subset of `count`, the classes in equal parts, in their old order."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # class by class, shuffled within
    sizes = np.bincount(labels)
    turn = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # Every class's first image, then every class's second, and so on until there are enough.
    return np.sort(order[np.argsort(turn, kind="stable")[:count]])
