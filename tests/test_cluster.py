"""Several processes that train one model: real processes, on the loopback address."""

import contextlib
import csv
import os
import signal
import socket
import subprocess
import sys

import pytest
from conftest import ROOT, one_line
from test_survival import wait_for_epochs

SMALL = ["--data", "sample", "--limit", "500"]
TOLERANCE = 0.002  # in every column; what comes of rounding is a quarter of it


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture
def start_all(tmp_path):
    """Start the processes of a cluster, one for each list of arguments, in an empty folder."""
    stack = contextlib.ExitStack()

    def start(*commands):
        address, processes = f"127.0.0.1:{free_port()}", []
        for number, arguments in enumerate(commands):
            environment = os.environ | {
                "KERAS_BACKEND": "jax",
                "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
                "KERAS_DISTRIBUTION_NUM_PROCESSES": str(len(commands)),
                "KERAS_DISTRIBUTION_PROCESS_ID": str(number),
            }
            process = subprocess.Popen(
                [sys.executable, ROOT / arguments[0], *arguments[1:]],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            processes.append(process)
        return processes

    yield start
    stack.close()


def history(folder):
    with open(folder / "history.csv", newline="") as file:
        return [[float(value) for value in row] for row in list(csv.reader(file))[1:]]


def ended(process, code, timeout=60):
    """Its output and errors, in the form that `one_line` takes."""
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == code, (out, err)
    return subprocess.CompletedProcess([], code, out, err)


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("cnn.py", ["--epochs", "2"], TOLERANCE),
        (
            "transfer_learning.py",
            ["--epochs", "1", "--alpha", "0.25", "--weights", "none", "--recipe", "tuned"],
            0.05,  # MobileNet multiplies what rounding does
        ),
    ],
)
def test_two_processes_give_the_history_of_one(
    script, start_all, tmp_path, name, options, tolerance
):
    command = [name, *SMALL, *options]
    script(*command, "--out", "single", KERAS_BACKEND="jax")
    first, second = start_all([*command, "--out", "first"], [*command, "--out", "second"])
    done = ended(first, 0, timeout=300)
    assert done.stderr == ""
    assert "Best test accuracy" in done.stdout
    assert ended(second, 0).stderr == ""
    assert not (tmp_path / "second").exists()
    names = [{p.name for p in (tmp_path / n).iterdir()} for n in ("single", "first")]
    assert names[0] == names[1]
    for one, both in zip(history(tmp_path / "single"), history(tmp_path / "first"), strict=True):
        assert both == pytest.approx(one, abs=tolerance)


def test_a_process_that_dies_ends_the_others_and_all_go_on_later(script, start_all, tmp_path):
    # With random flips, batch normalization and a schedule, all of which must go on as well.
    command = ["cnn_with_gap.py", *SMALL, "--epochs", "6", "--recipe", "tuned"]
    script(*command, "--out", "single", KERAS_BACKEND="jax")
    # Each process has an empty folder of its own, as on machines that share no disk.
    commands = [*command, "--out", "run"], [*command, "--out", "none"]
    for victim, epochs in ((1, 1), (0, 3)):
        processes = start_all(*commands)
        wait_for_epochs(tmp_path / "run", epochs)
        processes[victim].kill()
        done = ended(processes[1 - victim], 1)
        one_line(done, "cnn_with_gap.py", "another of the 2 processes", "start all")
        ended(processes[victim], -signal.SIGKILL)
    first, second = start_all(*commands)
    assert "run: continuing at epoch " in ended(first, 0, timeout=300).stdout
    ended(second, 0)
    assert not (tmp_path / "none").exists()
    for one, both in zip(history(tmp_path / "single"), history(tmp_path / "run"), strict=True):
        assert both == pytest.approx(one, abs=TOLERANCE)


def test_processes_that_do_not_agree(start_all, tmp_path):
    command = ["cnn.py", *SMALL, "--epochs", "1"]
    first, second = start_all(command, [*command, "--seed", "1"])
    one_line(ended(first, 1), "cnn.py")
    one_line(ended(second, 1), "cnn.py", "same command line")
    # An error that one of them meets before the work begins, here a batch that cannot be halved.
    first, second = start_all([*command, "--batch-size", "25"], [*command, "--batch-size", "50"])
    one_line(ended(first, 1), "--batch-size 25", "2 processes")
    one_line(ended(second, 1), "another of the 2 processes")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"NUM_PROCESSES": "2"}, ["KERAS_DISTRIBUTION_JOB_ADDRESSES", "not set"]),
        (
            {"JOB_ADDRESSES": "a:1", "NUM_PROCESSES": "2", "PROCESS_ID": "2"},
            ["KERAS_DISTRIBUTION_PROCESS_ID=2", "below"],
        ),
        (
            {"JOB_ADDRESSES": "a", "NUM_PROCESSES": "2", "PROCESS_ID": "0"},
            ["JOB_ADDRESSES=a", "HOST:PORT"],
        ),
        (
            {"JOB_ADDRESSES": "a:1", "NUM_PROCESSES": "2", "PROCESS_ID": "0"},
            ["KERAS_BACKEND=jax"],
        ),
    ],
)
def test_wrong_variables_end_in_one_line(script, variables, words):
    variables = {f"KERAS_DISTRIBUTION_{name}": value for name, value in variables.items()}
    one_line(script("cnn.py", *SMALL, code=1, **variables), *words)
