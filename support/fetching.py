"""Downloads by Keras that show how fast they are, and give up a server that sends nothing."""

import contextlib
import socket
import threading
import time

import keras

from support import entry

STALL_SECONDS = 30
INTERVALS = (0.5, 10)  # between two lines on progress: on a terminal, and in a log


@contextlib.contextmanager
def stalls_end():
    """Let a server that sends nothing for half a minute be an error: Keras waits for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)  # `keras.utils.get_file` takes no timeout
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def progress(path, size):
    """Say how much of a file has arrived, at what rate, and how long the rest will take.

    Keras' own bar counts bytes and prints a line for each step where there is no terminal.

    Args:
        path: the file, which need not be there yet.
        size: its size in bytes when all is there.
    """
    done, start = threading.Event(), time.monotonic()
    terminal = entry.shows_progress()
    interval, end = INTERVALS[0 if terminal else 1], "\r" if terminal else "\n"

    def watch():
        while not done.wait(interval):
            with contextlib.suppress(OSError):
                arrived = path.stat().st_size
                rate = arrived / (time.monotonic() - start)
                left = f"{(size - arrived) / rate / 60:.0f} min left" if rate else "waiting"
                line = f"{arrived / 1e6:.0f} of {size / 1e6:.0f} MB, {rate / 1e6:.2f} MB/s, {left}"
                print(f"{line:50}", end=end, flush=True)

    chatty = keras.config.is_interactive_logging_enabled()
    keras.config.disable_interactive_logging()
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if chatty:
            keras.config.enable_interactive_logging()
