"""Files that are written whole or not at all, by process 0 alone; the lock; the mark of our figures."""

import contextlib
import errno
import os
import sys
import tempfile
from pathlib import Path

from support import processes
from support.ending import ScriptError

FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
LOCKED = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}
# By this entry in a PNG a figure is known for ours, which the next run may replace.
MARK = ("Software", "Convolutional networks in Keras, section by section")


@contextlib.contextmanager
def replacing(path):
    """A path to write to, which becomes `path` when all is written: nobody ever sees half a file.

    Of several processes only the first writes; what the others write is thrown away. A `ScriptError`
    where it cannot be written.
    """
    if processes.number() > 0:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder, path.name)
        return
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


@contextlib.contextmanager
def replacing_figure(path):
    """The same for an image with our `MARK`, in a folder that is made if need be; says what it wrote.

    A `ScriptError` also where somebody else's file has that name.
    """
    if processes.number() == 0:
        make_folder(path.parent)
        check_figure(path)
    with replacing(path) as part:
        yield part
    if processes.number() == 0:
        print(f"wrote {path}")


def check_figure(path):
    """Raise a `ScriptError` if the file is there, and none of our scripts wrote it."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            marked = image.info.get(MARK[0]) == MARK[1]
    except FileNotFoundError:
        return
    except OSError:
        marked = False
    if not marked:
        raise ScriptError(f"{path}: not written by these scripts; move it away, or take another --out")


def cannot_write(path, error):
    """The `ScriptError` for an `OSError` that came of writing to `path`."""
    why = error.strerror or str(error)  # h5py gives a text alone
    full = error.errno in FULL or any(os.strerror(number) in why for number in FULL)
    return ScriptError(f"{path}: {why}; {'make room' if full else 'take another --out'}")


def make_folder(path):
    """Make a folder, with those above it, unless it is there. A `ScriptError` if it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None


def lock(path):
    """An open file that no other process can lock until this one closes it or ends, however.

    It is made if need be; what is in it stays. None where another process has it; an `OSError` where it
    cannot be opened for writing.
    """
    file = open(path, "a")  # noqa: SIM115
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in LOCKED:
            file.close()
            return None
        print(f"warning: {path}: {error.strerror}; do not start a second run there", file=sys.stderr)
    return file
