"""Several processes that train one model: real processes, on the loopback address."""

import contextlib
import csv
import importlib.util
import os
import signal
import socket
import subprocess

import keras
import pytest
from conftest import cold, epochs_in, one_line, wait_for

from support import entry, processes, watcher

pytestmark = [
    pytest.mark.xdist_group("jax"),
    pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="no JAX here"),
]
# With random flips, batch normalization and a schedule.
GAP = ["-m", "beyond.cnn_with_gap", "--epochs", "6", "--batch-size", "20"]
# In epoch, accuracy, loss, test accuracy and test loss. What comes of rounding is a quarter of it with
# Keras 3.15. With the oldest versions it was 0.0001 in the loss and 0.012 in the test loss, and turned one
# of 20 test images over; a process that takes another's share differs by 0.04 or more in the loss.
RECENT = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 15)
TOLERANCES = [0.002] * 5 if RECENT else [0, 0.011, 0.01, 0.051, 0.03]
LOST = "another of the processes ended or cannot be reached; start all of them again"


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def variables(address, number, count):
    return {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
        "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count),
        "KERAS_DISTRIBUTION_PROCESS_ID": str(number),
    }


@pytest.fixture
def start_all(start):
    """Start the processes that train one model, one for each list of words, without a watcher."""

    def run(*commands):
        address = f"127.0.0.1:{free_port()}"
        return [
            start(
                *command,
                backend="jax",
                **variables(address, number, len(commands)),
                **{watcher.WATCHED: "1"},
                **dict.fromkeys(("http_proxy", "https_proxy", "no_proxy")),  # JAX warns of them
            )
            for number, command in enumerate(commands)
        ]

    return run


@pytest.fixture(scope="module")
def single(zygotes, tmp_path_factory):
    """The folder of a run by a single process."""
    folders = {}

    def get(command):
        if command[1] not in folders:
            folders[command[1]] = tmp_path_factory.mktemp("single")
            process = zygotes("jax").start(*command, "--out", "run", cwd=folders[command[1]])
            assert process.wait().returncode == 0
        return folders[command[1]] / "run"

    return get


def ended(process, code, timeout=120):
    done = process.wait(timeout)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def said_that_it_lost(process):
    """JAX may end the process before it can say so; with a watcher there is a last word."""
    done = process.wait()
    assert done.returncode in (1, -signal.SIGABRT, -signal.SIGSEGV)
    if done.returncode == 1:
        last = done.stderr.splitlines()[-1]
        assert LOST in last or "the processes do not agree" in last


def history(folder):
    with open(folder / "history.csv", newline="") as file:
        return [[float(value) for value in row] for row in list(csv.reader(file))[1:]]


def test_two_processes_give_the_history_of_one(start_all, small, tmp_path, single):
    command = ["-m", "beyond.transfer_learning", "--epochs", "1", "--batch-size", "20"]
    command += ["--alpha", "0.25", "--weights", "none", "--data", small]
    alone = single(command)
    first, second = start_all([*command, "--out", "first"], [*command, "--out", "second"])
    done = ended(first, 0, timeout=300)
    assert done.stderr == ""
    assert "Best test accuracy" in done.stdout
    done = ended(second, 0)
    assert done.stderr == ""
    assert "process 1: done" in done.stdout
    assert not (tmp_path / "second").exists()
    names = [{path.name for path in folder.iterdir()} for folder in (alone, tmp_path / "first")]
    assert names[0] == names[1]
    for one, both in zip(history(alone), history(tmp_path / "first"), strict=True):
        assert both == pytest.approx(one, abs=0.05)  # MobileNet multiplies what rounding does


def test_a_process_that_dies_ends_the_others_and_one_goes_on_later(
    script, start_all, small, tmp_path, single
):
    """The history would not be one process's if Keras shared out our shares once more."""
    command = [*GAP, "--data", small]
    # Each process has an empty folder of its own, as on machines that share no disk.
    commands = [*command, "--out", "run"], [*command, "--out", "none"]
    for victim, epochs in ((1, 1), (0, 3)):
        processes = start_all(*commands)
        wait_for(lambda: epochs_in(tmp_path / "run") >= epochs)  # noqa: B023
        processes[victim].kill()
        said_that_it_lost(processes[1 - victim])
    assert "run: continuing at epoch " in script(*commands[0], backend="jax").stdout
    assert not (tmp_path / "none").exists()
    for one, both in zip(history(single(command)), history(tmp_path / "run"), strict=True):
        assert all(abs(a - b) <= c for a, b, c in zip(one, both, TOLERANCES, strict=True)), (
            one,
            both,
        )


def test_processes_that_do_not_agree(start_all, small):
    command = ["cnn.py", "--data", small, "--epochs", "1"]
    first, second = start_all(command, [*command, "--seed", "1"])
    said_that_it_lost(first)
    one_line(ended(second, 1), "cnn.py")
    # An error that one of them meets before the work begins, here a batch that cannot be halved.
    first, second = start_all([*command, "--batch-size", "25"], [*command, "--batch-size", "50"])
    one_line(ended(first, 1), "--batch-size 25", "2 processes")
    said_that_it_lost(second)


@pytest.mark.parametrize(
    "message",
    [
        "Gloo all-reduce failed: Connection closed by peer",
        'UNKNOWN:Error received from peer {grpc_message:"Connection reset by peer", grpc_status:14}',
        "UNAVAILABLE:Stream removed (recvmsg:Connection reset by peer (104))",
    ],
)
def test_errors_that_mean_a_lost_process(monkeypatch, message):
    monkeypatch.setattr(processes, "count", 2)
    monkeypatch.setattr(processes, "have_the_last_word", lambda: None)
    assert processes.explain(RuntimeError(message)) == entry.LOST
    assert processes.explain(RuntimeError("a bug of one's own")) is None
    monkeypatch.setattr(processes, "count", 1)
    assert processes.explain(RuntimeError(message)) is None


WRITES_ON = """
import os, sys, threading, time
sys.path.insert(0, {root!r})
from support import entry, processes

def jax():
    while True:
        os.write(2, b"JAX's own page\\n")

def main():
    processes.count = 2
    entry.explain, entry.leave = processes.explain, lambda code: (time.sleep(0.2), os._exit(code))
    threading.Thread(target=jax, daemon=True).start()
    time.sleep(0.2)
    raise RuntimeError("Gloo")

entry.run(main)
"""


def test_the_line_comes_last_though_a_thread_of_jax_writes_on(tmp_path):
    from conftest import ROOT

    (tmp_path / "writes_on.py").write_text(WRITES_ON.format(root=str(ROOT)))
    done = subprocess.run(cold(tmp_path / "writes_on.py"), capture_output=True, text=True, check=False)
    *page, last = done.stderr.splitlines()
    assert done.returncode == 1
    assert last.startswith(f"writes_on.py: error: {LOST}")
    assert "JAX's own page" in page


@pytest.mark.parametrize(
    ("given", "words"),
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
def test_wrong_variables_end_in_one_line(script, small, given, words):
    given = {f"KERAS_DISTRIBUTION_{name}": value for name, value in given.items()}
    done = script("cnn.py", "--data", small, code=1, **given, **{watcher.WATCHED: "1"})
    one_line(done, *words)


def test_a_watched_process_has_a_last_word_and_dies_with_its_watcher(small, tmp_path):
    """As a reader starts them: each with a parent that says what JAX leaves no time for."""
    command, address = ["cnn.py", "--data", small, "--epochs", "9999"], f"127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as stack:
        watchers = []
        for number in (0, 1):
            environment = os.environ | variables(address, number, 2) | {"KERAS_BACKEND": "jax"}
            process = subprocess.Popen(
                cold(*command), cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
            stack.callback(process.wait)
            stack.callback(process.kill)
            watchers.append(process)
        wait_for(lambda: epochs_in(tmp_path / "results" / "cnn") >= 1, timeout=120)
        watchers[0].kill()
        _, errors = watchers[1].communicate(timeout=60)
        assert watchers[1].returncode == 1
        assert errors.splitlines()[-1].startswith(f"cnn.py: error: {LOST}")
        wait_for(lambda: not alive_in_session(watchers[0].pid))


def alive_in_session(session):
    shown = subprocess.run(
        ["ps", "-o", "stat=", "-s", str(session)], capture_output=True, text=True, check=False
    )
    return [state for state in shown.stdout.split() if not state.startswith("Z")]


ABORTS = """
import os, sys
sys.path.insert(0, {root!r})
from support import entry
entry.run(lambda: (print("JAX's own page", file=sys.stderr, flush=True), {end}))
"""


@pytest.mark.parametrize(
    ("end", "code", "last"),
    [
        ("os.abort()", 1, LOST),
        ("os.kill(os.getpid(), 11)", 1, LOST),
        ("sys.exit(0)", 0, "page"),
        ("sys.exit(2)", 2, "page"),
        ("os.kill(os.getpid(), 9)", 137, "page"),
    ],
)
def test_the_watcher_hides_nothing_and_passes_on_the_exit_code(tmp_path, end, code, last):
    from conftest import ROOT

    (tmp_path / "aborts.py").write_text(ABORTS.format(root=str(ROOT), end=end))
    done = subprocess.run(
        cold(tmp_path / "aborts.py"), env=os.environ | {"KERAS_DISTRIBUTION_PROCESS_ID": "0"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert done.stderr.splitlines()[0] == "JAX's own page"
    assert last in done.stderr.splitlines()[-1]


def test_a_signal_reaches_the_watched_process(tmp_path):
    from conftest import ROOT

    end = "print('ready', flush=True), __import__('time').sleep(60)"
    (tmp_path / "waits.py").write_text(ABORTS.format(root=str(ROOT), end=end))
    process = subprocess.Popen(
        cold(tmp_path / "waits.py"), env=os.environ | {"KERAS_DISTRIBUTION_PROCESS_ID": "0"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors.splitlines()[-1]) == (143, "waits.py: interrupted")
