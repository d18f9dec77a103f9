"""A parent for one of several processes, to say what the process itself cannot say any more.

JAX ends a process with C's `abort`, and a page of its own, when it has lost another, or crashes over
it: no Python can answer that. So the script runs in a child, and its parent says the last word.
"""

import os
import signal
import subprocess
import sys
import threading

WATCHED = "KERAS_SCRIPT_IS_WATCHED"


def is_needed():
    """Whether this is to be one of several processes, and is not the child yet."""
    several = any(name.startswith("KERAS_DISTRIBUTION_") for name in os.environ)
    return several and WATCHED not in os.environ


def run(last_word):
    """Run this same command in a child; its exit code, after `last_word` if JAX has ended it."""
    child = subprocess.Popen(
        [sys.executable, *sys.orig_argv[1:]], env=os.environ | {WATCHED: "1"}, stdin=subprocess.PIPE
    )
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both
    signal.signal(signal.SIGTERM, lambda number, frame: child.send_signal(number))
    code = child.wait()
    if code in (-signal.SIGABRT, -signal.SIGSEGV):
        print(last_word, file=sys.stderr)
        return 1
    return 128 - code if code < 0 else code


def end_with_parent():
    """In the child: end when the parent does, even if it is killed. Its end of the pipe closes."""
    if WATCHED in os.environ:
        threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
