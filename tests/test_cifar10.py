import contextlib
import errno
import http.server
import inspect
import io
import os
import pickle
import re
import signal
import socket
import tarfile
import threading
import time

import keras
import numpy as np
import pytest
from conftest import pickled_batch, wait_for, write_archive

from support import cifar10, fetching
from support.ending import ScriptError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty Keras cache, no other, and an origin that refuses."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras_home"))
    own = cifar10.folders
    monkeypatch.setattr(cifar10, "folders", lambda: [own()[0], tmp_path / "tmp" / "datasets"])
    monkeypatch.setattr(cifar10, "ORIGINS", ["http://127.0.0.1:9/cifar-10-python.tar.gz"])
    return tmp_path / "keras_home" / "datasets"


def check(loaded):
    (x_train, y_train), (x_test, y_test), class_names = loaded
    assert x_train.shape == (50000, 32, 32, 3)
    assert x_test.shape == (10000, 32, 32, 3)
    assert x_train.flags.c_contiguous
    assert y_train.dtype == np.int64
    assert (x_train[:, 31, 31, 2] == np.arange(50000) % 10000 % 251).all()
    assert (y_test == np.arange(10000) % 10).all()
    assert class_names[3] == "cat"


def test_it_looks_where_keras_does(cache):
    """The name, the hash and the last origin are those of `keras.datasets.cifar10`."""
    source = inspect.getsource(keras.datasets.cifar10.load_data)
    assert f'"{cifar10.ARCHIVE.removesuffix("_archive")}"' in source
    assert cifar10.SHA256 in source
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz" in source


def test_channels_and_rows_are_where_cifar10_has_them(tmp_path, cache, monkeypatch):
    """A row is stored channel by channel, as the data set's page says."""
    rows = np.random.default_rng(0).integers(0, 256, (10000, 3072), "uint8")
    path = write_archive(tmp_path / "a.tar.gz", pickled_batch(rows))
    (x_train, _), _, _ = cifar10.read(path)
    for n, y, x, channel in ((0, 0, 0, 0), (7, 3, 31, 1), (9999, 31, 30, 2)):
        assert x_train[n, y, x, channel] == rows[n, 1024 * channel + 32 * y + x]


def test_the_reader_s_archive_goes_into_the_cache_and_needs_no_network_again(cache, known):
    check(cifar10.load(known))
    assert [path.name for path in cache.iterdir()] == [cifar10.ARCHIVE]
    check(cifar10.load())


def test_an_archive_with_another_hash_is_not_opened(cache, archive):
    with pytest.raises(ScriptError) as error:
        cifar10.load(archive)
    assert cifar10.sha256(archive) in str(error.value)
    assert cifar10.SHA256 in str(error.value)
    assert not cache.exists()


@pytest.mark.skipif(os.name == "nt", reason="rights differ")
@pytest.mark.parametrize("read_only", ["all", "datasets"])
def test_a_good_archive_is_used_where_nothing_can_be_written(cache, known, read_only):
    cache.mkdir(parents=True)
    (cache / cifar10.ARCHIVE).write_bytes(known.read_bytes())
    try:
        for folder in (cache, cache.parent)[: 2 if read_only == "all" else 1]:
            folder.chmod(0o555)
        check(cifar10.load())
        check(cifar10.load(known))
        assert len(list(cache.iterdir())) == 1
    finally:
        cache.parent.chmod(0o755)
        cache.chmod(0o755)


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(cache, known, monkeypatch, capsys):
    cache.parent.write_text("a file where the folder should be")
    monkeypatch.setattr(cifar10, "folders", lambda: [cache])
    with pytest.raises(ScriptError, match=r"keras_home/datasets: .*KERAS_HOME.*--data"):
        cifar10.load()
    check(cifar10.load(known))
    assert "name it with --data next time too" in capsys.readouterr().out


# Behind the hash


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def damaged_archives(folder, good):
    """Archives whose hash is taken for the right one, each with what its error must say."""
    whole, batch = good.read_bytes(), pickled_batch()
    labels = [n % 10 for n in range(10000)]

    def tar(content, name="data_batch_1", **attributes):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            for key, value in attributes.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(content))
        return file.getvalue()

    def archive(first):
        return write_archive(folder / "x.tar.gz", first).read_bytes()

    images = np.zeros((10000, 3072), "uint8")
    return {
        "empty": (b"", "Error"),
        "no archive": (b"nothing of the kind", "not a gzip file"),
        "cut": (whole[: len(whole) // 2], "Error"),
        "cut in its last bytes": (whole[:-5], "Error"),
        "a few bytes changed": (whole[:5000] + bytes(64) + whole[5064:], "[Ee]rror"),
        "a batch is missing": (tar(batch), "data_batch_2"),
        "another layout": (tar(batch, "elsewhere"), "data_batch_1"),
        "a link for a batch": (tar(b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "no batch"),
        "too large": (tar(bytes(70_000_000)), "no batch"),
        "a pickle cut": (archive(batch[:-100]), "Error"),
        "a pickle of nothing": (archive(b""), "Error"),
        "a pickle that writes a file": (
            archive(pickle.dumps(Payload(folder / "written"), 2)), "it asks for",
        ),
        "no dictionary": (archive(pickle.dumps([1, 2], 2)), "TypeError"),
        "no labels": (archive(pickle.dumps({"data": ""}, 2)), "KeyError"),
        "a pickle of Python 3": (archive(pickle.dumps({b"data": b""}, 3)), "no pickle of Python 2"),
        # Python itself would write a line to stderr while it ends with a MemoryError.
        "a pickle that wants all memory": (
            archive(b"\x80\x05\x96" + (2**62).to_bytes(8, "little")), "(pickle|bytearray8)",
        ),
        "too few images": (archive(pickled_batch(images[:10], labels[:10])), r"\(10, 3072\)"),
        "images of another type": (archive(pickled_batch(images.astype("int8"))), "int8"),
        "too few labels": (archive(pickled_batch(images, labels[:10])), "labels"),
        "a label too high": (archive(pickled_batch(images, [10, *labels[1:]])), "labels"),
    }  # fmt: skip


def test_an_archive_that_is_damaged_behind_its_hash(cache, archive, tmp_path, monkeypatch, capfd):
    for name, (content, words) in damaged_archives(tmp_path, archive).items():
        path = tmp_path / "damaged.tar.gz"
        path.write_bytes(content)
        monkeypatch.setattr(cifar10, "SHA256", cifar10.sha256(path))
        with pytest.raises(ScriptError) as error:
            pytest.fail(f"{name}: {cifar10.load(path)}")
        assert re.search(rf"damaged.tar.gz: damaged: .*{words}", str(error.value)), name
        assert not (tmp_path / "written").exists()
    assert capfd.readouterr().err == ""


def test_numpy_makes_no_more_of_a_pickle_than_arrays():
    for module, name in (("os", "system"), ("builtins", "eval"), ("numpy", "load")):
        pickled = f"c{module}\n{name}\n.".encode()
        with pytest.raises(pickle.UnpicklingError, match=f"{module}.{name}"):
            cifar10.ArrayUnpickler(io.BytesIO(pickled)).load()


# Fetching


@pytest.fixture
def server(archive):
    """Serves the archive as /right; /wrong, /missing, /short, /slow and /stall do what they say."""
    done = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = archive.read_bytes()
            if self.path == "/missing":
                return self.send_error(404)
            if self.path == "/wrong":
                content = b"not the archive"
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.path in ("/stall", "/short"):
                content = content[:20000]
            for start in range(0, len(content), 50_000):
                with contextlib.suppress(ConnectionError):  # whoever asked was killed
                    self.wfile.write(content[start : start + 50_000])
                if self.path == "/slow":
                    time.sleep(0.05)
            if self.path == "/stall":
                done.wait(30)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        done.set()
        running.shutdown()


def test_origins_are_tried_in_turn(cache, known, server, monkeypatch, capsys):
    monkeypatch.setattr(fetching, "STALL_SECONDS", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        refusing = f"http://127.0.0.1:{free.getsockname()[1]}/refused"
    paths = ["missing", "stall", "short", "wrong", "right", "never asked"]
    origins = [refusing, *(f"{server}/{path}" for path in paths)]
    monkeypatch.setattr(cifar10, "ORIGINS", origins)
    check(cifar10.load())
    skipped = [x for x in capsys.readouterr().out.splitlines() if x.startswith("skipped")]
    reasons = ["refused", "404", "no answer for 0.5 s", "retrieval incomplete", "hash"]
    assert len(skipped) == 5
    for line, origin, reason in zip(skipped, origins, reasons, strict=False):
        assert line.startswith(f"skipped {origin}: ")
        assert reason in line
    assert socket.getdefaulttimeout() is None
    assert keras.config.is_interactive_logging_enabled()


def test_a_slow_download_shows_its_progress_and_its_rate(cache, known, server, monkeypatch, capsys):
    monkeypatch.setattr(cifar10, "ORIGINS", [f"{server}/slow"])
    monkeypatch.setattr(cifar10, "SIZE", known.stat().st_size)
    monkeypatch.setattr(fetching, "INTERVALS", (0.2, 0.2))
    check(cifar10.load())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"fetching CIFAR-10 from {server}/slow"
    assert len(lines) > 2
    for line in lines[1:]:
        assert " MB, " in line
        assert " MB/s, " in line


def test_no_origin_left(cache, server, monkeypatch):
    monkeypatch.setattr(cifar10, "ORIGINS", [f"{server}/missing", f"{server}/wrong"])
    with pytest.raises(ScriptError, match=r"CIFAR-10: .*--data"):
        cifar10.load()
    assert [path.name for path in cache.iterdir()] == ["cifar-10.lock"]


def test_a_full_disk_is_said_at_once_and_the_next_server_is_not_asked(cache, monkeypatch, capsys):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keras.utils, "get_file", full)
    with pytest.raises(ScriptError, match=r"datasets: No space left on device; .*KERAS_HOME"):
        cifar10.load()
    assert "skipped" not in capsys.readouterr().out


def test_a_half_fetched_archive_is_fetched_again(cache, known, server, monkeypatch):
    monkeypatch.setattr(cifar10, "ORIGINS", [f"{server}/right"])
    cache.mkdir(parents=True)
    for name in (cifar10.ARCHIVE, f"{cifar10.ARCHIVE}.part"):
        (cache / name).write_bytes(known.read_bytes()[:5000])
    check(cifar10.load())


def test_a_whole_archive_that_was_not_yet_moved_is_not_fetched_again(cache, known):
    cache.mkdir(parents=True)
    (cache / f"{cifar10.ARCHIVE}.part").write_bytes(known.read_bytes())
    check(cifar10.load())  # the one origin refuses


# Several processes, kills and signals

LOAD = """
import sys
from support import entry
def main():
    from support import cifar10
    cifar10.SHA256, cifar10.ORIGINS = cifar10.sha256(sys.argv[1]), [sys.argv[2]]
    cifar10.folders = lambda: [cifar10.Path(sys.argv[3])]
    x_train = cifar10.load()[0][0]
    print("loaded", x_train.sum())
entry.run(main)
"""


@pytest.fixture
def load(start, archive, tmp_path):
    """Start a process that loads the archive, by fetching it if need be."""
    (tmp_path / "load.py").write_text(LOAD)
    return lambda origin: start(tmp_path / "load.py", archive, origin, tmp_path / "datasets")


def test_two_processes_fetch_once_and_read_at_the_same_time(load, server):
    outputs = [process.wait().stdout for process in [load(f"{server}/slow") for _ in range(2)]]
    loaded = [output.splitlines()[-1] for output in outputs]
    assert loaded[0] == loaded[1]
    assert loaded[0].startswith("loaded")
    assert sum(output.count("fetching CIFAR-10 from") for output in outputs) == 1
    assert sum(output.count("waiting for another process") for output in outputs) <= 1


def test_a_kill_while_it_is_fetched_and_a_signal_while_a_server_stalls(load, server, tmp_path):
    part = tmp_path / "datasets" / f"{cifar10.ARCHIVE}.part"
    process = load(f"{server}/slow")
    wait_for(lambda: part.exists() and part.stat().st_size > 50_000)
    process.kill()
    process.wait()
    for number in (signal.SIGINT, signal.SIGTERM):
        process = load(f"{server}/stall")
        wait_for(lambda: part.exists() and part.stat().st_size <= 20_000)
        time.sleep(0.5)
        start = time.monotonic()
        process.send_signal(number)
        done = process.wait(timeout=20)
        assert time.monotonic() - start < 5
        assert done.returncode == 128 + number
        assert done.stderr.splitlines() == ["load.py: interrupted"]
        assert "skipped" not in done.stdout
        assert not part.exists()
    assert "loaded" in load(f"{server}/right").wait().stdout
