import contextlib
import http.server
import inspect
import os
import signal
import socket
import threading
import time

import keras
import numpy as np
import pytest
from conftest import one_line, wait_for, write_archive

from support.data import cifar10
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


def test_channels_and_rows_are_where_cifar10_has_them(tmp_path):
    """A row is stored channel by channel, as the data set's page says."""
    rows = np.random.default_rng(0).integers(0, 256, (100, 3072), "uint8")
    path = write_archive(tmp_path / "a.tar.gz", rows)
    (x_train, _), _, _ = cifar10.read(path)
    for n, y, x, channel in ((0, 0, 0, 0), (7, 3, 31, 1), (99, 31, 30, 2)):
        assert x_train[n, y, x, channel] == rows[n, 1024 * channel + 32 * y + x]


def test_the_reader_s_archive_goes_into_the_cache_and_needs_no_network_again(cache, known):
    check(cifar10.load_data(known))
    (kept,) = cache.iterdir()
    assert kept.name == cifar10.ARCHIVE
    number = kept.stat().st_ino
    check(cifar10.load_data(known))
    assert kept.stat().st_ino == number  # not written anew
    check(cifar10.load_data())


def test_an_archive_with_another_hash_is_not_opened(cache, archive):
    with pytest.raises(ScriptError) as error:
        cifar10.load_data(archive)
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
        check(cifar10.load_data())
        check(cifar10.load_data(known))
        assert len(list(cache.iterdir())) == 1
    finally:
        cache.parent.chmod(0o755)
        cache.chmod(0o755)


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(cache, known, monkeypatch, capsys):
    cache.parent.write_text("a file where the folder should be")
    monkeypatch.setattr(cifar10, "folders", lambda: [cache])
    with pytest.raises(ScriptError, match=r"keras_home/datasets: .*KERAS_HOME.*--data"):
        cifar10.load_data()
    check(cifar10.load_data(known))
    assert "name it with --data next time too" in capsys.readouterr().out


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
    monkeypatch.setattr(cifar10, "STALL_SECONDS", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        refusing = f"http://127.0.0.1:{free.getsockname()[1]}/refused"
    paths = ["missing", "stall", "short", "wrong", "right", "never asked"]
    origins = [refusing, *(f"{server}/{path}" for path in paths)]
    monkeypatch.setattr(cifar10, "ORIGINS", origins)
    check(cifar10.load_data(verbose=0))
    lines = capsys.readouterr().out.splitlines()
    assert [x for x in lines if x.startswith("fetch")] == [f"fetching CIFAR-10 from {x}" for x in origins[:6]]
    skipped = [x for x in lines if x.startswith("skipped")]
    reasons = ["refused", "404", "timed out", "not CIFAR-10's archive", "not CIFAR-10's archive"]
    for line, origin, reason in zip(skipped, origins[:5], reasons, strict=True):
        assert line.startswith(f"skipped {origin}: ")
        assert reason in line


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_a_download_shows_its_progress_as_fit_does(cache, known, server, monkeypatch, capsys, verbose):
    monkeypatch.setattr(cifar10, "ORIGINS", [f"{server}/slow"])
    monkeypatch.setattr(cifar10, "SIZE", size := known.stat().st_size)
    check(cifar10.load_data(verbose=verbose))
    first, _, shown = capsys.readouterr().out.partition("\n")
    assert first == f"fetching CIFAR-10 from {server}/slow"
    assert (f"{size}/{size}" in shown) == (verbose > 0)
    assert ("━━━" in shown) == (verbose == 1)
    assert bool(shown) == (verbose > 0)


def test_no_origin_left(cache, server, monkeypatch):
    monkeypatch.setattr(cifar10, "ORIGINS", [f"{server}/missing", f"{server}/wrong"])
    with pytest.raises(ScriptError, match=r"CIFAR-10: .*--data"):
        cifar10.load_data()
    assert list(cache.iterdir()) == []


def test_a_half_fetched_archive_is_fetched_again(cache, known, server, monkeypatch):
    monkeypatch.setattr(cifar10, "ORIGINS", [f"{server}/right"])
    cache.mkdir(parents=True)
    (cache / cifar10.ARCHIVE).write_bytes(known.read_bytes()[:5000])
    check(cifar10.load_data())
    assert [path.name for path in cache.iterdir()] == [cifar10.ARCHIVE]


# Several processes, kills, signals and a full disk

LOAD = """
import sys
from support import ending
def main():
    from support.data import cifar10
    cifar10.SHA256, cifar10.ORIGINS = cifar10.sha256(sys.argv[1]), sys.argv[3:]
    cifar10.folders = lambda: [cifar10.Path(sys.argv[2])]
    x_train = cifar10.load_data()[0][0]
    print("loaded", x_train.sum())
ending.run(main)
"""


@pytest.fixture
def load(start, archive, tmp_path):
    """Start a process that loads the archive, by fetching it if need be."""
    (tmp_path / "load.py").write_text(LOAD)
    return lambda *origins, **more: start(
        tmp_path / "load.py", archive, tmp_path / "datasets", *origins, **more
    )


def test_two_processes_fetch_at_the_same_time(load, server, tmp_path):
    outputs = [process.wait().stdout for process in [load(f"{server}/slow") for _ in range(2)]]
    loaded = [output.splitlines()[-1] for output in outputs]
    assert loaded[0] == loaded[1]
    assert loaded[0].startswith("loaded")
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == [cifar10.ARCHIVE]


def test_a_full_disk_is_said_at_once_and_the_next_server_is_not_asked(load, server, tmp_path):
    done = load(f"{server}/right", f"{server}/wrong", file_size=50_000).wait()
    assert done.returncode == 1
    one_line(done, "datasets: File too large; make room", "KERAS_HOME")
    assert "skipped" not in done.stdout
    assert "/wrong" not in done.stdout
    assert list((tmp_path / "datasets").iterdir()) == []


def test_a_kill_while_it_is_fetched_and_a_signal_while_a_server_stalls(load, server, tmp_path):
    process = load(f"{server}/slow")
    wait_for(lambda: list((tmp_path / "datasets").glob("*.part")))
    process.kill()
    process.wait()
    (part,) = (tmp_path / "datasets").iterdir()
    assert part.suffix == ".part"
    part.unlink()
    for number in (signal.SIGINT, signal.SIGTERM):
        process = load(f"{server}/stall")
        wait_for(lambda: list((tmp_path / "datasets").glob("*.part")))
        process.send_signal(number)
        done = process.wait(timeout=20)  # the server stalls for 30
        assert done.returncode == 128 + number
        assert done.stderr.splitlines() == ["load.py: interrupted"]
        assert "skipped" not in done.stdout
        assert list((tmp_path / "datasets").iterdir()) == []
    assert "loaded" in load(f"{server}/right").wait().stdout
