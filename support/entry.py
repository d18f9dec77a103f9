"""How a script ends, whatever happens: errors in one line, signals, exit codes."""

import os
import signal
import sys
import threading
from pathlib import Path

from support import watcher

LOST = (
    "another of the processes ended or cannot be reached; "
    "start all of them again, and the run goes on after its last finished epoch"
)

# What `processes.join` changes where several processes train one model.
leave = sys.exit
explain = None  # a function: what an error means that another process has caused; None for others

# How to go on after an interruption; `training` keeps it up to date.
after_interruption = ""


class ScriptError(Exception):
    """The input or the machine is at fault. The message says what, why, and the way out.

    `run` prints it in one line. Whatever else is raised is a bug, and keeps its traceback.
    """


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM: no `Exception`, so that what handles errors does not take it for one."""

    last = None  # the number of the last signal

    def __init__(self, number):
        super().__init__(number)
        self.number = number

    @classmethod
    def on_signal(cls, number, frame):
        cls.last = number
        raise cls(number)

    @classmethod
    def raise_again(cls, unraisable):
        """For `sys.unraisablehook`: in a finalizer, where Python drops exceptions, try again."""
        error = unraisable.exc_value
        if isinstance(error, cls):
            threading.Timer(0.05, send_to_main_thread, [error.number]).start()
        else:
            sys.__unraisablehook__(unraisable)


def send_to_main_thread(number):
    if hasattr(signal, "pthread_kill"):  # which also wakes it from a wait
        signal.pthread_kill(threading.main_thread().ident, number)
    else:
        signal.raise_signal(number)


def run(main):
    """Run a script's `main` and end the process: with 0, or one line on stderr and another code.

    2 for a wrong command line (`argparse`), 1 where the input or the machine is at fault, 130 and
    143 after Ctrl-C and SIGTERM, 141 when nobody reads the output. A bug keeps its traceback.
    """
    if watcher.is_needed():
        sys.exit(watcher.run(f"{name_of(sys.argv[0])}: error: {LOST}"))
    watcher.end_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, Interrupted.on_signal)
    sys.unraisablehook = Interrupted.raise_again
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # names of files may have any bytes
    code = exit_code(main)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the end is near enough
    leave(code)


def exit_code(main):
    """Run `main`; the exit code, after the line on stderr if there is something to say."""
    Interrupted.last, code, message = None, 0, ""
    try:
        main()
        sys.stdout.flush()
    except ScriptError as error:
        code, message = 1, f"error: {error}"
    except BaseException as error:
        # After a signal every exception is its work: libraries turn one into another.
        if Interrupted.last is None:
            if (meaning := what_it_means(error)) is None:
                raise
            code, message = meaning
    if Interrupted.last is not None:
        code, message = 128 + Interrupted.last, f"interrupted{after_interruption}"
    if message:
        print(f"{name_of(sys.argv[0])}: {' '.join(message.split())}", file=sys.stderr)
    return code


def what_it_means(error):
    """Exit code and message for an error that comes from outside; None for a bug."""
    if isinstance(error, SystemExit):
        # `model.summary()` prints by rich, which makes this of a reader that has gone away.
        return 141 if isinstance(error.__context__, BrokenPipeError) else error.code, ""
    if isinstance(error, OSError) and error.filename is None and (broken := broken_output()):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python tries once more at its end
        if isinstance(broken, BrokenPipeError):  # `python cnn.py | head`
            return 141, ""
        return 1, f"error: standard output: {broken.strerror}; send it elsewhere"
    if explain and (explanation := explain(error)):
        return 1, f"error: {explanation}"
    return None


def broken_output():
    """The error with which standard output fails; None where it works, and takes an empty line."""
    try:
        print(flush=True)
    except OSError as error:
        return error
    return None


def shows_progress():
    """Whether a progress bar has its place: on a terminal and in a notebook, not in a log file."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules


def name_of(script):
    """What a script is called: `cnn.py`, or `beyond.cnn`, which runs with `python -m`."""
    path = Path(script)
    return f"beyond.{path.stem}" if path.parent.name == "beyond" else path.name
