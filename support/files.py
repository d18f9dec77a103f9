"""Files that are written whole or not at all, and a folder that one process has for itself."""

import contextlib
import errno
import os
import time

from support.entry import ScriptError

FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
LOCKED = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}


@contextlib.contextmanager
def replacing(path):
    """A path to write to, which becomes `path` when all is written: nobody ever sees half a file.

    Raises:
        ScriptError: it cannot be written.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())  # else a power cut could leave an empty file of that name
        os.replace(part, path)
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def cannot_write(path, error):
    """The `ScriptError` for an `OSError` that came of writing to `path`."""
    why = error.strerror or str(error)  # h5py gives a text alone
    full = error.errno in FULL or any(os.strerror(number) in why for number in FULL)
    return ScriptError(f"{path}: {why}; {'make room' if full else 'take another --out'}")


def make_folder(path):
    """Make a folder, with those above it, unless it is there.

    Raises:
        ScriptError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None


def lock(path, waiting=""):
    """An open file that no other process can lock until this one closes it or ends, however.

    Args:
        path: the file. It is made if need be; what is in it stays.
        waiting: what to say while another process has it; without it, no wait.

    Returns:
        The file; None where another process has it.

    Raises:
        OSError: it cannot be opened for writing.
    """
    file = open(path, "a")  # noqa: SIM115
    if not has_locked(file):
        if not waiting:
            file.close()
            return None
        print(waiting, flush=True)
        while not has_locked(file):
            time.sleep(0.2)
    return file


def has_locked(file):
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in LOCKED:  # a disk that knows no locks
            raise
        return False
    return True
