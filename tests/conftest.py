import argparse
import contextlib
import io
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
# What tests and their scripts leave in the temporary folder goes with them; what pytest keeps of each test stays.
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
TEMPORARY = tempfile.TemporaryDirectory(prefix="tests_", ignore_cleanup_errors=True)
os.environ["TMPDIR"] = tempfile.tempdir = TEMPORARY.name
# No test may reach the network, or what a reader has in Keras' cache. Both are read when Keras is loaded.
os.environ.update(dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9"))
os.environ["no_proxy"] = "127.0.0.1"  # where the tests' own servers are
os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="keras_home_")
os.environ["MPLBACKEND"] = "agg"
# Tests run side by side, a core each.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1"))
os.environ["TF_NUM_INTEROP_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# Where a shell has started the tests in the background they ignore SIGINT, and so would their scripts.
signal.signal(signal.SIGINT, signal.default_int_handler)

SCRIPTS = [
    "show_samples.py",
    "cnn.py",
    "visualize_weights.py",
    "transfer_learning.py",
    "cnn_with_gap.py",
]


class Process:
    """A script that a `Zygote` has forked."""

    def __init__(self, zygote, pid, out, err):
        self.zygote, self.pid, self.out, self.err, self.returncode = zygote, pid, out, err, None

    def poll(self):
        if self.returncode is None:
            self.returncode = self.zygote.ask(wait=self.pid)["code"]
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout=120):
        """Its exit code and all that it has printed."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            assert time.monotonic() < end, (self.out.read_text(), self.err.read_text())
            time.sleep(0.01)
        return subprocess.CompletedProcess([], self.returncode, self.out.read_text(), self.err.read_text())


class Zygote:
    """Starts scripts in no time: see `zygote.py`."""

    def __init__(self, backend):
        # JAX compiles for seconds what these tests run for moments.
        cache = tempfile.mkdtemp(prefix="jax_cache_")
        jax = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "JAX_COMPILATION_CACHE_DIR": cache}
        jax |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("zygote.py"), ROOT],
            env=os.environ | {"KERAS_BACKEND": backend} | jax,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.read()

    def ask(self, **request):
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self.read()

    def read(self):
        return json.loads(self.process.stdout.readline())

    def start(self, *command, cwd, interrupt=None, file_size=None, eager=False, **environment):
        folder = Path(tempfile.mkdtemp(prefix="output_"))
        out, err = folder / "out", folder / "err"
        answer = self.ask(
            command=[str(word) for word in command],
            cwd=str(cwd),
            environment=environment,
            interrupt=interrupt,
            file_size=file_size,
            eager=eager,
            out=str(out),
            err=str(err),
        )
        return Process(self, answer["pid"], out, err)


@pytest.fixture(scope="session")
def zygotes():
    """A `Zygote` for each backend that is asked for."""
    running = {}

    def get(backend):
        if backend not in running:
            running[backend] = Zygote(backend)
        return running[backend]

    yield get
    for zygote in running.values():
        zygote.process.kill()
        zygote.process.wait()


@pytest.fixture
def start(zygotes, tmp_path):
    """Start a script as a reader does, in an empty folder, and leave it running.

    `interrupt`: a function, "module:name", a signal, and in which call of it the signal comes.
    `file_size`: how large its files may become. `eager`: without the seconds in which TensorFlow
    makes a graph of the training step.
    """
    started = []

    def run(*command, backend="tensorflow", folder=".", **environment):
        process = zygotes(backend).start(*command, cwd=tmp_path / folder, **environment)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def script(start):
    """Run a script to its end, which must be with exit code `code`; what it printed."""

    def run(*command, code=0, **more):
        done = start(*command, **more).wait()
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def cold_script(tmp_path):
    """The same in a Python of its own, which has yet to load Keras."""

    def run(*command, code=0, **environment):
        done = subprocess.run(
            cold(*command), cwd=tmp_path, env=os.environ | environment, capture_output=True,
            text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def up_to_training(monkeypatch, tmp_path):
    """Start a script's `main` up to its training: its model, its training set, and its record."""

    class ResumeCalledError(Exception):
        pass

    def resume(*arguments, **decided):
        raise ResumeCalledError(*arguments)

    monkeypatch.setattr("support.run.training.resume", resume)
    monkeypatch.setattr("keras.Model.evaluate", lambda *_, **__: None)

    def run(main, mobilenet):
        from support.run import records

        words = ["--data", "sample", "--limit", "100", "--out", str(tmp_path / "out")]
        with pytest.raises(ResumeCalledError) as called:
            main(words + ["--weights", "none"] * mobilenet)
        model, train, *_ = called.value.args
        return model, train, records.describe(*called.value.args)

    return run


def cold(name, *arguments):
    """The command line of a script."""
    return [sys.executable, str(ROOT / name), *map(str, arguments)]


def one_line(done, *words):
    """What it printed on stderr is one line, `script: error: ...`, with these words in it."""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert ": error: " in lines[0]
    for word in words:
        assert str(word) in lines[0]


def options(**values):
    """A command line as `command_line.parse` returns it."""
    defaults = {"data": "sample", "limit": None, "seed": 0, "epochs": 1, "batch_size": 100}
    defaults |= {"fresh": False, "show": False, "script": "test.py", "verbose": 0}
    return argparse.Namespace(**defaults | values)


def run_of(record, history=None, seconds=(), source="sample"):
    """A `training.Run`, as far as it is kept in its model's file."""
    return argparse.Namespace(
        record=record, history=history or {}, cpu_seconds=list(seconds), epochs=20, source=source
    )


def small_batches(seed=5, count=100, classes=3, batch_size=20):
    """A training set and a test set of noise, 8 x 8 pixels, for runs of a moment."""
    from support.data import batches

    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 256, (count, 8, 8, 3), "uint8"), rng.integers(0, classes, count)

    def prepare(x, y, num_classes):
        return x.astype("float32") / 255, np.eye(num_classes, dtype="float32")[y]

    names = [f"class {n}" for n in range(classes)]
    return (
        batches.Batches(x, y, names, "noise", batch_size, prepare),
        batches.Batches(x[:30], y[:30], names, "noise", 10, prepare),
    )


def epochs_in(folder):
    """How many epochs `history.csv` has; what is there must be whole."""
    history = folder / "history.csv"
    if not history.exists():
        return 0
    lines = history.read_text().splitlines()
    assert lines[0] == "epoch,accuracy,loss,val_accuracy,val_loss"
    assert [line.split(",")[0] for line in lines[1:]] == [str(n) for n in range(1, len(lines))]
    return len(lines) - 1


def wait_for(condition, timeout=60):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The path of a folder with 100 training images and 20 test images of four classes."""
    folder, rng = tmp_path_factory.mktemp("data") / "small", np.random.default_rng(0)
    for part, count in (("train", 25), ("test", 5)):
        for label, name in enumerate("abcd"):
            (folder / part / name).mkdir(parents=True)
            for n in range(count):
                pixels = rng.integers(0, 128, (32, 32, 3), "uint8")
                pixels[8 * label : 8 * label + 8] += 100
                Image.fromarray(pixels).save(folder / part / name / f"{n}.png")
    return str(folder)


# An archive like CIFAR-10's


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 did when it wrote CIFAR-10: as a string of its own kind."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


def pickled_batch(images=None):
    """A batch in CIFAR-10's own format, whose image n has the value n % 251 everywhere, label n % 10."""
    if images is None:
        images = np.repeat((np.arange(10000) % 251).astype("uint8")[:, None], 3072, axis=1)
    content = io.BytesIO()
    Python2Pickler(content, protocol=2).dump({b"data": images, b"labels": [n % 10 for n in range(10000)]})
    return content.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.")


def write_archive(path, images=None):
    """An archive in CIFAR-10's layout, of six batches with these images."""
    content = pickled_batch(images)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name in [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]:
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("archive") / "cifar-10-python.tar.gz")


@pytest.fixture
def known(archive, monkeypatch):
    """The same, taken for the real one."""
    from support.data import cifar10

    monkeypatch.setattr(cifar10, "SHA256", cifar10.sha256(archive))
    return archive


@contextlib.contextmanager
def kept_signals():
    """For `ending.exit_code` in this process: whatever handlers it leaves are put back."""
    from support import ending

    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        yield ending.exit_code
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
