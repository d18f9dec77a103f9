"""Runs that are interrupted, killed, or run out of room: real processes, real signals, real files."""

import io
import os
import random
import signal
import subprocess
import sys
import time
import warnings
import zipfile

import keras
import pytest
from conftest import ROOT, one_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import data
import runs
import visualize_weights

EPOCHS = 30
TRAINING = ["cnn.py", "--data", "sample", "--limit", "500", "--epochs", str(EPOCHS), "--out", "run"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The `history.csv` that every run of TRAINING must end with."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    subprocess.run([sys.executable, ROOT / TRAINING[0], *TRAINING[1:]], cwd=folder, check=True)
    return (folder / "run" / "history.csv").read_bytes()


@pytest.fixture
def start(script, tmp_path):
    """Start a script and leave it running."""
    running = []

    def run(*arguments, **more):
        process = subprocess.Popen(
            [sys.executable, ROOT / arguments[0], *arguments[1:]],
            cwd=tmp_path,
            env=script.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def wait_for_epochs(folder, count, timeout=60):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if epochs_in(folder) >= count:
            return
        time.sleep(0.01)
    raise AssertionError(f"no {count} epochs after {timeout} s")


def epochs_in(folder):
    """How many epochs are written; whatever is there must be whole."""
    history = folder / "history.csv"
    if not history.exists():
        return 0
    lines = history.read_text().splitlines()
    assert lines[0] == "epoch,accuracy,loss,val_accuracy,val_loss"
    assert [line.split(",")[0] for line in lines[1:]] == [str(n) for n in range(1, len(lines))]
    return len(lines) - 1


def steps_in(folder):
    with warnings.catch_warnings(action="ignore"):
        return int(keras.saving.load_model(folder / "model.keras").optimizer.iterations)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(start, script, tmp_path, uninterrupted, number, code):
    process = start(*TRAINING)
    wait_for_epochs(tmp_path / "run", 2)
    time.sleep(random.random())
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    done = epochs_in(tmp_path / "run")
    assert errors.splitlines() == [
        f"cnn.py: interrupted after epoch {done} of {EPOCHS}; the same command goes on from there"
    ]
    assert steps_in(tmp_path / "run") == 5 * done
    assert Image.open(tmp_path / "run" / "accuracy.png").format == "PNG"
    continued = script(*TRAINING)
    assert f"run: continuing at epoch {done + 1} of {EPOCHS}" in continued.stdout
    assert (tmp_path / "run" / "history.csv").read_bytes() == uninterrupted


def test_interrupted_before_there_is_anything_to_keep(start, tmp_path):
    process = start(*TRAINING)
    time.sleep(0.5)  # Keras is being imported
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "cnn.py: interrupted\n"


def test_killed_at_twenty_moments(start, script, tmp_path, uninterrupted):
    """No epoch is lost, repeated or skipped, and no file is ever half written."""
    kills = 0
    while kills < 20:
        before = epochs_in(tmp_path / "run")
        process = start(*TRAINING)
        # Two thirds of the moments in training, the others before it.
        if random.random() < 0.67:
            wait_for_epochs(tmp_path / "run", min(before + 1, EPOCHS - 1))
            time.sleep(0.15 * random.random())
        else:
            time.sleep(5 * random.random())
        process.kill()
        output, errors = process.communicate()
        assert "Traceback" not in errors
        kills += 1
        after = epochs_in(tmp_path / "run")
        assert after >= before
        for name in ("model.keras", "initial.keras"):
            if (tmp_path / "run" / name).exists():
                assert zipfile.ZipFile(tmp_path / "run" / name).testzip() is None
        if (tmp_path / "run" / "model.keras").exists():
            # The history may be one line ahead, for it is written first.
            assert steps_in(tmp_path / "run") in (5 * after, 5 * (after - 1))
    script(*TRAINING)
    assert (tmp_path / "run" / "history.csv").read_bytes() == uninterrupted
    assert steps_in(tmp_path / "run") == 5 * EPOCHS


def test_two_runs_in_one_folder(start, script, tmp_path):
    start(*TRAINING)
    wait_for_epochs(tmp_path / "run", 1)
    one_line(script(*TRAINING, code=1), "run: another run is at work there", "--out")


def test_a_full_disk(script, tmp_path, uninterrupted):
    disk = tmp_path / "run"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk]
    if os.getuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk here")
    try:
        # Room for both models, but not for a second `model.keras` beside the first.
        done = script(*TRAINING, code=1)
        one_line(done, "run/model.keras: No space left on device; make room")
        assert steps_in(disk) == 5
        assert sorted(p.name for p in disk.iterdir() if ".part" in p.name) == []
        subprocess.run(["mount", "-o", "remount,size=40m", disk], check=True)
        assert "continuing at epoch 2" in script(*TRAINING).stdout
        assert (disk / "history.csv").read_bytes() == uninterrupted
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_file_size_limit(tmp_path, script):
    command = f"ulimit -f 3000; exec {sys.executable} {ROOT / 'cnn.py'} " + " ".join(TRAINING[1:])
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env=script.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    one_line(done, "run/model.keras: File too large")
    assert not (tmp_path / "run" / "model.keras").exists()


def test_a_folder_that_only_others_may_write(tmp_path, script):
    nobody = 65534
    user = {} if os.getuid() else {"user": nobody, "group": nobody, "extra_groups": []}
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    environment = script.environment | {"HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)}
    common = {"env": environment, "cwd": tmp_path, "capture_output": True, "text": True} | user
    readable = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import utils",
    ]
    try:
        if subprocess.run(readable, check=False, **common).returncode:
            pytest.skip("a user who is not root cannot read this Python or this folder")
    except PermissionError:
        pytest.skip("a user who is not root cannot run this Python")
    (tmp_path / "results").mkdir(mode=0o555)
    done = subprocess.run(
        [sys.executable, ROOT / "cnn.py", *TRAINING[1:-1], "results/cnn"], check=False, **common
    )
    assert done.returncode == 1
    one_line(done, "results/cnn: Permission denied", "--out")
    assert "Epoch 1" not in done.stdout


# Killed while the archive is fetched or unpacked

LOAD = """
import sys
sys.path[:0] = {paths}
import conftest, data
conftest.take_for_cifar10({archive!r})
(x_train, y_train), (x_test, y_test), names, name = data.load({source!r})
assert (x_train[:, 0, 0, 0] == conftest.np.arange(50000) % 10000 % 251).all() and name == "CIFAR-10"
print("loaded")
"""


def test_killed_while_the_archive_is_fetched_or_unpacked(script, tmp_path, archive):
    paths = [str(ROOT), str(ROOT / "tests")]
    fetch, use = (
        LOAD.format(paths=paths, archive=str(archive), source=source)
        for source in (str(archive), "cifar10")
    )
    unpacked = tmp_path / "keras_home" / "datasets" / "cifar-10-batches-py-target"
    for batches in (0, 2, 5):  # so many batches are unpacked, at least begun, at the kill
        process = subprocess.Popen(
            [sys.executable, "-c", fetch], env=script.environment, stdout=subprocess.DEVNULL
        )
        end = time.monotonic() + 60
        while time.monotonic() < end and len(list(unpacked.glob("*/*"))) <= batches:
            time.sleep(0.001)
        process.kill()
        process.wait()
    done = subprocess.run(
        [sys.executable, "-c", use],
        env=script.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.endswith("loaded\n"), done.stderr
    assert "Downloading" not in done.stdout  # the archive was good and is not fetched again


# Damaged input: 300 cases, in this process, through the same door as the scripts

FUZZ = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def ends_well(capfd, main):
    """`main` ends with 0 or 1 and at most one line on stderr."""
    capfd.readouterr()
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        with warnings.catch_warnings(action="ignore"):
            code = runs.run_script(main)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    errors = capfd.readouterr().err.splitlines()
    assert (code, len(errors)) in [(0, 0), (1, 1)], errors
    return code


@st.composite
def damage(draw, good):
    """A copy of one of the `good` byte strings, damaged in one of the ways that happen."""
    content = bytearray(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "cut", "drop", "zeros", "insert"]))
        if kind == "flip" and content:
            content[place] ^= draw(st.integers(1, 255))
        elif kind == "cut":
            del content[place:]
        elif kind == "drop":
            del content[place : place + draw(st.integers(1, 50))]
        elif kind == "zeros":
            content[place : place + 64] = bytes(len(content[place : place + 64]))
        elif kind == "insert":
            content[place:place] = draw(st.binary(max_size=40))
    return bytes(content)


def encode(suffix):
    file = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(file, suffix)
    return file.getvalue()


PICTURES = [encode(suffix) for suffix in ("jpeg", "png", "bmp", "gif", "webp")]


@FUZZ
@given(content=damage(PICTURES))
def test_damaged_pictures(tmp_path, capfd, content):
    for part in ("train", "test"):
        for name in ("one", "two"):
            (tmp_path / part / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / part / name / "a.png").write_bytes(PICTURES[1])
    (tmp_path / "train" / "one" / "b").write_bytes(content)
    ends_well(capfd, lambda: data.load(tmp_path))


def good_model(folder):
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    model.save(folder / "good.keras")
    return (folder / "good.keras").read_bytes()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return good_model(tmp_path_factory.mktemp("model"))


@FUZZ
@given(choices=st.data())
def test_damaged_models(tmp_path, capfd, model, choices):
    if choices.draw(st.booleans()):
        content = choices.draw(damage([model]))
    else:  # past the checksums of the zip file, which find most of the above
        with zipfile.ZipFile(io.BytesIO(model)) as file:
            members = {name: file.read(name) for name in file.namelist()}
        hit = choices.draw(st.sampled_from(sorted(members)))
        members[hit] = choices.draw(damage([members[hit]]))
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as file:
            for name, member in members.items():
                file.writestr(name, member)
        content = content.getvalue()
    (tmp_path / "m.keras").write_bytes(content)
    ends_well(capfd, lambda: visualize_weights.load_kernels(tmp_path / "m.keras"))


@FUZZ
@given(choices=st.data())
def test_damaged_archives(tmp_path, capfd, archive, choices, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras_home"))
    (tmp_path / "a.tar.gz").write_bytes(choices.draw(damage([archive.read_bytes()])))
    assert ends_well(capfd, lambda: data.load(str(tmp_path / "a.tar.gz"))) == 1
    assert not (tmp_path / "keras_home").exists()
