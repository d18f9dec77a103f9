import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

import utils  # noqa: F401  (defers and quiets Keras)

import keras

import data

ROOT = Path(__file__).parent.parent


@pytest.fixture
def script(tmp_path):
    """Run a script as a reader does, in an empty folder, with an empty Keras cache and no network."""
    environment = os.environ | {
        "KERAS_HOME": str(tmp_path / "keras_home"),
        **dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9"),  # nobody listens
    }

    def run(name, *arguments, code=0, **more):
        done = subprocess.run(
            [sys.executable, ROOT / name, *map(str, arguments)],
            cwd=tmp_path,
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    run.environment = environment
    return run


def one_line(done, *words):
    """The run's stderr is one line, `script: error: ...`, with these words in it."""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert ": error: " in lines[0]
    for word in words:
        assert str(word) in lines[0]


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 did when it wrote CIFAR-10: as a string of its own kind."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


def write_archive(path, payload=None):
    """An archive in CIFAR-10's own format and size whose pictures compress to next to nothing.

    Picture n of a batch has the value n % 251 everywhere and the label n % 10. `payload` replaces
    the first batch's pickle.
    """
    rows = np.repeat((np.arange(10000) % 251).astype("uint8")[:, None], 3072, axis=1)
    batch = {b"data": rows, b"labels": [n % 10 for n in range(10000)]}
    names = [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"]
    pickled = io.BytesIO()
    Python2Pickler(pickled, protocol=2).dump(batch)
    pickled = pickled.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.")
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name in names:
            content = payload if payload and name == "data_batch_1" else pickled
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def take_for_cifar10(archive):
    """Make `data` and Keras expect this archive's hash in place of the real one's."""
    real_hash = data.CIFAR10_SHA256
    data.CIFAR10_SHA256 = data.sha256(archive)
    module = sys.modules[keras.datasets.cifar10.load_data.__module__]
    get_file = module.get_file

    def with_our_hash(*args, file_hash, **options):
        assert file_hash == real_hash  # or we would look for another archive than Keras does
        return get_file(*args, file_hash=data.CIFAR10_SHA256, **options)

    module.get_file = with_our_hash


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("archive") / "cifar-10-python.tar.gz")
