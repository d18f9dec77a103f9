"""How a script ends, whatever happens: errors in one line, signals, exit codes."""

import os
import signal
import sys
import threading
import traceback
from pathlib import Path


class ScriptError(Exception):
    """The input or the machine is at fault. The message says what, why, and the way out.

    `run` prints it in one line. Whatever else is raised is a bug, and keeps its traceback.
    """


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM: no `Exception`, so that what handles errors does not take it for one."""

    last = None  # the number of the last signal

    @classmethod
    def on_signal(cls, number, frame):
        cls.last = number
        # TensorFlow's C++ calls these, does not look whether they raise, and crashes.
        names = {caller.f_code.co_qualname for caller, _ in traceback.walk_stack(frame)}
        if any(name.startswith(("TensorShape.", "Context._handle")) for name in names):
            return send_again(number)
        raise cls(number)

    @classmethod
    def raise_again(cls, unraisable):
        """For `sys.unraisablehook`: in a finalizer, where Python drops exceptions, try again."""
        if isinstance(unraisable.exc_value, cls):
            send_again(cls.last)
        else:
            sys.__unraisablehook__(unraisable)


def send_again(number):
    """Send this process a signal, in a moment."""
    send, arguments = signal.raise_signal, [number]
    if hasattr(signal, "pthread_kill"):  # not on Windows; it also wakes the main thread from a wait
        send, arguments = signal.pthread_kill, [threading.main_thread().ident, number]
    threading.Timer(0.05, send, arguments).start()


def run(main):
    """Run a script's `main` and end the process: with 0, or one line on stderr and another code.

    2 for a wrong command line (`argparse`), 1 where the input or the machine is at fault, 130 and
    143 after Ctrl-C and SIGTERM, 141 when nobody reads the output. A bug keeps its traceback.
    A process that goes on, as a notebook's after `%run`, gets its signals back.
    """
    open_streams()
    several = any(name.startswith("KERAS_DISTRIBUTION_") for name in os.environ)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # which a process inherits, as by `python cnn.py &` in a script
            signal.signal(number, Interrupted.on_signal)
    hook, sys.unraisablehook = sys.unraisablehook, Interrupted.raise_again
    try:
        code = exit_code(main)
    except BaseException:  # a bug
        if not several:
            raise
        traceback.print_exc()
        code = 1
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            # Where Python is not interactive (`ps1` is its prompt), the end is near enough.
            signal.signal(number, handler if hasattr(sys, "ps1") else signal.SIG_IGN)
    if several and code:
        os._exit(code)  # JAX would wait for the other processes at its exit, and they for this one
    sys.exit(code)


def open_streams():
    """Streams that take what is printed, also where the process has none (`>&-`, pythonw)."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:  # else a file of ours gets it
        pass
    os.close(opened)
    sys.stdout, sys.stderr = sys.stdout or os.fdopen(1, "w"), sys.stderr or os.fdopen(2, "w")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # unlike a notebook's
            stream.reconfigure(errors="backslashreplace", line_buffering=True)  # names may have any bytes


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
            # `model.summary()` prints by rich, which makes a `SystemExit` of a reader that has gone away.
            cause = error.__context__ if isinstance(error, SystemExit) else error
            if isinstance(cause, BrokenPipeError):  # `python cnn.py | head`
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python tries once more at its end
                code = 141
            elif isinstance(error, SystemExit):
                code = error.code
            else:
                raise
    if Interrupted.last is not None:
        code, message = 128 + Interrupted.last, "interrupted"
    if message:
        print(f"{name_of(sys.argv[0])}: {' '.join(message.split())}", file=sys.stderr)
    return code


def name_of(script):
    """What a script is called: `cnn.py`, or `beyond.cnn`, which runs with `python -m`."""
    path = Path(script)
    return f"{path.parent.name}.{path.stem}" if path.parent.name in ("beyond", "explore") else path.name
