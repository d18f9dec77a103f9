"""Runs that are interrupted, killed, or run out of room: real processes, real signals, real files."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, cold, epochs_in, one_line, wait_for

EPOCHS = 8


@pytest.fixture(scope="module")
def training(small):
    """A run of a moment that a test interrupts."""
    return ["cnn.py", "--data", small, "--epochs", str(EPOCHS), "--out", "run"]


@pytest.fixture(scope="module")
def beyond(training):
    """With random flips, batch normalization and a schedule, all of which must go on as well."""
    return ["-m", "beyond.cnn_with_gap", *training[1:]]


@pytest.fixture(scope="module")
def uninterrupted(zygotes, tmp_path_factory):
    """The `history.csv` with which every run of a command must end."""
    found = {}

    def get(command):
        if command[0] not in found:
            folder = tmp_path_factory.mktemp("uninterrupted")
            eager = command[0] == "-m"
            process = zygotes("tensorflow").start(*command, cwd=folder, eager=eager)
            assert process.wait().returncode == 0
            found[command[0]] = (folder / "run" / "history.csv").read_bytes()
        return found[command[0]]

    return get


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_in_training(start, script, training, tmp_path, uninterrupted, number, code):
    process = start(*training, "--epochs", "9999")  # it cannot end before the signal comes
    wait_for(lambda: epochs_in(tmp_path / "run") >= 2)
    process.send_signal(number)
    done = process.wait()
    assert done.returncode == code, done.stderr
    epochs = epochs_in(tmp_path / "run")
    assert done.stderr == "cnn.py: interrupted\n"
    assert "(if it is stopped, the same command without --fresh goes on)" in done.stdout
    more = max(EPOCHS, epochs + 1)
    again = script(*training, "--epochs", more).stdout
    assert "run: " in again
    assert f"(continuing at epoch {epochs + 1} of {more})" in again
    lines = (tmp_path / "run" / "history.csv").read_bytes().splitlines(keepends=True)
    assert b"".join(lines[: EPOCHS + 1]) == uninterrupted(training)


# One after the other, in one run; each in the call of the function that has this number.
PLACES = {
    "reading images": ("support.data.folder:read_image", 30),
    "claiming the folder": ("support.run.run_folder:claim", 1),
    "saving the untrained model": ("keras:Model.save", 1),
    "asking for the first images": ("support.data.batches:Batches.prepared", 2),
    "asking for more": ("support.data.batches:Batches.prepared", 6),
    "saving": ("keras:Model.save", 2),
    "reading what is kept": ("support.run.state:read", 1),
    "going back to it": ("keras:Model.load_weights", 1),
    "keeping the history in the model": ("support.run.state:write", 2),
    "writing the history": ("csv:writer", 2),
    "evaluating": ("keras:Model.evaluate", 2),
    "plotting": ("utils:plot_accuracy", 1),
    "saving the figure": ("matplotlib.figure:Figure.savefig", 1),
    "saying what it shows": ("utils:print_result", 1),
}


def test_interrupted_in_certain_places(start, script, training, tmp_path, uninterrupted):
    signals = itertools.cycle([signal.SIGINT, signal.SIGTERM])
    for number, (name, (function, call)) in zip(signals, PLACES.items(), strict=False):
        done = start(*training, interrupt=(function, int(number), call)).wait()
        assert done.returncode == 128 + number, (name, done.stdout, done.stderr)
        assert done.stderr == "cnn.py: interrupted\n", name
        assert list(tmp_path.rglob("*.part*")) == [], name
    script(*training)
    assert (tmp_path / "run" / "history.csv").read_bytes() == uninterrupted(training)


def test_interrupted_while_the_sample_is_drawn(start):
    place = ("support.data.sample:draw_image", int(signal.SIGINT), 100)
    done = start("cnn.py", "--data", "sample", "--seed", 1, interrupt=place).wait()
    assert (done.returncode, done.stderr) == (130, "cnn.py: interrupted\n")


@pytest.mark.parametrize(
    "place", ["keras.utils:get_file", "keras.applications.mobilenet:MobileNet", "keras:Model.evaluate"]
)
def test_interrupted_while_weights_are_fetched_or_loaded_or_the_untrained_model_evaluated(
    start, small, place
):
    """It does not go on with random weights."""
    command = ["transfer_learning.py", "--data", small, "--alpha", "0.25"]
    if place != "keras.utils:get_file":
        command += ["--weights", "none"]
    done = start(*command, interrupt=(place, int(signal.SIGTERM), 1)).wait()
    assert (done.returncode, done.stderr) == (143, "transfer_learning.py: interrupted\n")


@pytest.mark.parametrize("library", [None, "tensorflow_framework"])
def test_interrupted_while_keras_is_loaded(tmp_path, training, library):
    """As soon as it says so, and when TensorFlow's native code is there, but not yet Keras."""
    command, pipe = cold(*training), subprocess.PIPE
    process = subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True)
    assert "loading Keras" in process.stdout.readline()
    maps = Path(f"/proc/{process.pid}/maps")
    if library and not maps.exists():
        pytest.skip("only Linux shows which libraries a process has loaded")
    wait_for(lambda: not library or library in maps.read_text())
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (130, "", "cnn.py: interrupted\n")


def test_a_run_begun_with_fresh_goes_on_without_it(start, script, training, tmp_path, uninterrupted):
    script(*training[:-4], "--epochs", "1", "--out", "run")
    stop = ("keras:Model.save", int(signal.SIGINT), 4)
    done = start(*training, "--fresh", interrupt=stop).wait()
    assert (done.returncode, done.stderr) == (130, "cnn.py: interrupted\n")
    assert f"(continuing at epoch 3 of {EPOCHS})" in script(*training).stdout
    assert (tmp_path / "run" / "history.csv").read_bytes() == uninterrupted(training)


@pytest.mark.parametrize(("recipe", "kills"), [("training", 5), ("beyond", 2)])
def test_killed_at_random_moments(start, script, request, tmp_path, uninterrupted, recipe, kills):
    """No epoch is lost, repeated or skipped, and no file is ever half written."""
    command = request.getfixturevalue(recipe)
    eager = recipe == "beyond"  # its graph takes TensorFlow three seconds in each run
    for _ in range(kills):
        before = epochs_in(tmp_path / "run")
        process = start(*command, eager=eager)
        if random.random() < 0.67:  # in training, and else before it
            wait_for(lambda: process.poll() is not None or epochs_in(tmp_path / "run") > before)  # noqa: B023
            time.sleep(0.15 * random.random())
        else:
            time.sleep(1.5 * random.random())
        process.kill()
        assert "Traceback" not in process.wait().stderr
        assert epochs_in(tmp_path / "run") >= before
        for name in ("model.keras", "initial.keras"):
            if (tmp_path / "run" / name).exists():
                assert zipfile.ZipFile(tmp_path / "run" / name).testzip() is None
    script(*command, eager=eager)
    assert (tmp_path / "run" / "history.csv").read_bytes() == uninterrupted(command)


def test_killed_in_a_python_of_its_own(script, training, tmp_path, uninterrupted):
    process = subprocess.Popen(cold(*training), cwd=tmp_path, stdout=subprocess.DEVNULL)
    wait_for(lambda: epochs_in(tmp_path / "run") >= 1)
    process.kill()
    process.wait()
    script(*training)
    assert (tmp_path / "run" / "history.csv").read_bytes() == uninterrupted(training)


def test_two_runs_in_one_folder(start, script, training, tmp_path):
    start(*training[:-4], "--epochs", "9999", "--out", "run")
    wait_for(lambda: epochs_in(tmp_path / "run") >= 1)
    one_line(script(*training, code=1), "run: another run is at work there", "--out")


def test_a_reader_that_goes_away_does_not_lose_the_run(script, training, tmp_path, uninterrupted):
    """`python cnn.py | head -n 2`, as it is typed."""
    command = subprocess.list2cmdline(cold(*training))
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -n 2; echo ${{PIPESTATUS[0]}}"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in ("141", "0")
    script(*training)
    assert (tmp_path / "run" / "history.csv").read_bytes() == uninterrupted(training)


def test_a_full_disk(script, training, tmp_path, uninterrupted):
    disk = tmp_path / "run"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk]
    if os.getuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk here")
    try:
        # Room for both models, but not for a second `model.keras` beside the first.
        done = script(*training, code=1)
        one_line(done, "run/model.keras: ", "No space left on device; make room")
        assert epochs_in(disk) == 1
        assert sorted(p.name for p in disk.iterdir() if ".part" in p.name) == []
        subprocess.run(["mount", "-o", "remount,size=40m", disk], check=True)
        assert "(continuing at epoch 2 of" in script(*training).stdout
        assert (disk / "history.csv").read_bytes() == uninterrupted(training)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_file_size_limit(script, training, tmp_path):
    # Room for the untrained model, but not for the optimizer's state as well.
    done = script(*training, file_size=3_000_000, code=1)
    one_line(done, "run/model.keras: ", "File too large; make room")
    assert not (tmp_path / "run" / "model.keras").exists()
    assert (tmp_path / "run" / "initial.keras").exists()


def test_a_folder_that_only_others_may_write(training, tmp_path):
    nobody = 65534
    user = {} if os.getuid() else {"user": nobody, "group": nobody, "extra_groups": []}
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    environment = os.environ | {"HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)}
    common = {"env": environment, "cwd": tmp_path, "capture_output": True, "text": True} | user
    readable = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import keras, utils"
    try:
        if subprocess.run([sys.executable, "-c", readable], check=False, **common).returncode:
            pytest.skip("a user who is not root cannot read this Python or this folder")
    except PermissionError:
        pytest.skip("a user who is not root cannot run this Python")
    (tmp_path / "results").mkdir(mode=0o555)
    done = subprocess.run(cold(*training[:-1], "results/cnn"), check=False, **common)
    assert done.returncode == 1
    one_line(done, "results/cnn: Permission denied", "--out")
    assert "accuracy:" not in done.stdout
