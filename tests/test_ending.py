import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT, kept_signals

from support import ending
from support.ending import ScriptError
from support.keras_start import LOG_LINE


def outcome(capsys, main):
    with kept_signals() as exit_code:
        code = exit_code(main)
    return code, capsys.readouterr().err


def raising(error):
    def main():
        raise error

    return main


def test_a_script_error_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/cnn.py"])
    said = outcome(capsys, raising(ScriptError("x: is\nwrong; do y")))
    assert said == (1, "cnn.py: error: x: is wrong; do y\n")
    assert outcome(capsys, lambda: None) == (0, "")


@pytest.mark.parametrize(
    "bug",
    [
        KeyError("x"),
        OSError("x"),
        ConnectionResetError(104, "reset"),
        ImportError("cannot import x"),
    ],
)
def test_a_bug_keeps_its_traceback_whatever_its_type(bug):
    with pytest.raises(type(bug)), kept_signals() as exit_code:
        exit_code(raising(bug))


@pytest.mark.parametrize(("script", "name"), [
    ("/a/b/cnn.py", "cnn.py"), ("beyond/cnn.py", "beyond.cnn"), ("/x/explore/maps.py", "explore.maps"),
])  # fmt: skip
def test_names_of_scripts(script, name):
    assert ending.name_of(script) == name


def run_program(tmp_path, program, *python_options, **environment):
    path, pipe = tmp_path / "program.py", subprocess.PIPE
    path.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{program}")
    command, environment = [sys.executable, *python_options, path], os.environ | environment
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    "work",
    {
        "in the open": "time.sleep(30)",
        "where every error is handled": "\ntry:\n    time.sleep(30)\nexcept Exception:\n    time.sleep(30)",
        "where everything is handled": "\ntry:\n    time.sleep(30)\nexcept BaseException:\n    pass",
        "made into another error": "\ntry:\n    time.sleep(30)\nexcept BaseException:\n    open('/none')",
        "in a finalizer": "\nclass A:\n    def __del__(self): time.sleep(30)\nA()\ntime.sleep(30)",
    }.items(),
    ids=lambda item: item[0],
)
def test_a_signal_ends_a_script_wherever_it_comes(tmp_path, number, code, work):
    body = work[1].replace("\n", "\n    ")
    program = (
        "import time\nfrom support import ending\n"
        f"def main():\n    print('at work', flush=True)\n    {body}\n"
        "ending.run(main)\n"
    )
    process = run_program(tmp_path, program)
    process.stdout.readline()
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (code, "program.py: interrupted\n")


WAIT = """
import time
from support import ending
def main():
    print("at work", flush=True)
    time.sleep(30)
ending.run(main)
"""


CALLED_FROM_C = """
import signal
import sys
import time
from support import ending
def profile(frame, event, argument):
    if event == "call" and frame.f_code.co_qualname == NAME and frame.f_back.f_code.co_name == CALLER:
        sys.setprofile(None)
        signal.raise_signal(signal.SIGINT)
def main():
    import tensorflow as tf
    dataset = tf.data.Dataset.from_tensors((tf.zeros((1,) * 50), tf.zeros((1, 10))))
    sys.setprofile(profile)
    for _ in range(20):
        iter(dataset)
        tf.constant(0.0)
    time.sleep(30)
ending.run(main)
"""


@pytest.mark.parametrize(
    ("name", "caller"),
    [
        ("TensorShape.__len__", "anonymous_iterator_v3"),
        ("TensorShape.__getitem__", "anonymous_iterator_v3"),
        ("Context._handle", "convert_to_eager_tensor"),
    ],
)
def test_a_signal_in_what_tensorflow_s_c_calls_is_no_crash(tmp_path, name, caller):
    """As it makes the iterator of an epoch, and as it makes a tensor."""
    process = run_program(tmp_path, f"NAME, CALLER = {name!r}, {caller!r}\n{CALLED_FROM_C}")
    _, errors = process.communicate(timeout=60)
    errors = [line for line in errors.splitlines() if not LOG_LINE.match(line.encode())]
    assert (process.returncode, errors) == (130, ["program.py: interrupted"])


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    """As in a process that a script has started with `&`, so that Ctrl-C in the terminal is not for it."""
    ours = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = run_program(tmp_path, WAIT)
    finally:
        signal.signal(signal.SIGINT, ours)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (143, "program.py: interrupted\n")


def test_a_process_that_goes_on_gets_back_what_it_had(tmp_path):
    """Also where its streams are not Python's own, as in a notebook."""
    program = """
import signal
from support import ending
class Stream:
    write, flush = sys.stdout.write, sys.stdout.flush
def state():
    return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.unraisablehook
def main():
    print("inside", state() == before)
    raise error
before, sys.stdout, sys.ps1 = state(), Stream(), "In : "
for error in (ending.ScriptError("x"), KeyError("x"), SystemExit(3)):
    try:
        ending.run(main)
    except (SystemExit, KeyError) as end:
        print(end, state() == before)
"""
    process = run_program(tmp_path, program)
    output, errors = process.communicate(timeout=20)
    assert output.splitlines() == [
        *("inside False", "1 True", "inside False", "'x' True", "inside False", "3 True")
    ]
    assert errors == "program.py: error: x\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_takes_what_is_printed(tmp_path, closed):
    program = """
import os
from support import ending
def main():
    print("out")
    print("err", file=sys.stderr)
    os.write(1, b"out"), os.write(2, b"err")  # as C++ does
    sys.stdout.isatty()
    with open("written", "w") as file:
        file.write("it")
ending.run(main)
"""
    (tmp_path / "program.py").write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{program}")
    command = f"exec '{sys.executable}' program.py {closed}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout in ("", "out\nout")
    assert done.stderr in ("", "err\nerr")
    assert (tmp_path / "written").read_text() == "it"


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("error", ["raise", "raise SystemExit(1)"])  # which is what rich makes of it
def test_a_reader_that_goes_away_ends_a_script_quietly(tmp_path, unbuffered, error):
    program = (
        "from support import ending\n"
        "def main():\n    while True:\n        try: print('a line', flush=True)\n"
        f"        except BrokenPipeError: {error}\n"
        "ending.run(main)\n"
    )
    process = run_program(tmp_path, program, *["-u"] * unbuffered)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=20) == 141
    assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("error", "last"), [("KeyError('x')", "KeyError: 'x'"), ("ScriptError('x')", "error: x")]
)
def test_after_an_error_one_of_several_processes_waits_for_nobody(tmp_path, error, last):
    program = (
        "import atexit, time\nfrom support import ending\nfrom support.ending import ScriptError\n"
        "atexit.register(time.sleep, 60)\n"
        f"def main():\n    raise {error}\n"
        "ending.run(main)\n"
    )
    process = run_program(tmp_path, program, KERAS_DISTRIBUTION_PROCESS_ID="0")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors.splitlines()[-1].endswith(last)
