import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT, kept_signals

from support import entry
from support.ending import ScriptError


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
    ("/a/b/cnn.py", "cnn.py"), ("beyond/cnn.py", "beyond.cnn"), ("/x/beyond/cnn.py", "beyond.cnn"),
])  # fmt: skip
def test_names_of_scripts(script, name):
    assert entry.name_of(script) == name


def run_program(tmp_path, program, *python_options, stdout=subprocess.PIPE):
    path = tmp_path / "program.py"
    path.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{program}")
    return subprocess.Popen(
        [sys.executable, *python_options, path], stdout=stdout, stderr=subprocess.PIPE, text=True
    )


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
        "import time\nfrom support import entry\n"
        f"def main():\n    print('at work', flush=True)\n    {body}\n"
        "entry.run(main)\n"
    )
    process = run_program(tmp_path, program)
    process.stdout.readline()
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (code, "program.py: interrupted\n")


@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_reader_that_goes_away_ends_a_script_quietly(tmp_path, unbuffered):
    program = (
        "from support import entry\n"
        "def main():\n    while True: print('a line', flush=True)\n"
        "entry.run(main)\n"
    )
    process = run_program(tmp_path, program, *["-u"] * unbuffered)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=20) == 141
    assert process.stderr.read() == ""


def test_a_reader_that_goes_away_in_the_middle_of_a_table(capsys):
    def print_table():
        try:
            raise BrokenPipeError
        except BrokenPipeError:  # as rich does, by which Keras prints
            raise SystemExit(1)  # noqa: B904

    assert entry.exit_code(print_table) == 141
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("unbuffered", [False, True])
def test_standard_output_that_is_full(tmp_path, unbuffered):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    program = "from support import entry\nentry.run(lambda: print('x' * 100_000))\n"
    with open("/dev/full", "w") as full:
        process = run_program(tmp_path, program, *["-u"] * unbuffered, stdout=full)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors == ("program.py: error: standard output: No space left on device; send it elsewhere\n")


def test_a_broken_pipe_of_another_file_is_a_bug():
    def main():
        reader, writer = os.pipe()
        os.close(reader)
        try:
            os.write(writer, b"x")
        finally:
            os.close(writer)

    with pytest.raises(BrokenPipeError), kept_signals() as exit_code:
        exit_code(main)
