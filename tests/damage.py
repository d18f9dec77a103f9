"""Damaged input for each of the three doors through which something from outside comes in.

A folder of images, a model file, the folder of a run. Whatever is wrong with them, a script ends
with 0 or 1 and at most one line on stderr; and a run never ends with a history that is not its own.
"""

import contextlib
import io
import os
import random
import shutil
import tempfile
import zipfile

import keras
from conftest import kept_signals
from PIL import Image

from support.data import folder
from support.run import run_folder, state


def damaged(content, rng):
    """A copy of a byte string, damaged in one to four of the ways that happen."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(max(len(content), 1))
        kind = rng.choice(["flip", "flip", "cut", "drop", "zeros", "insert"])
        if kind == "flip" and content:
            content[place] ^= rng.randint(1, 255)
        elif kind == "cut":
            del content[place:]
        elif kind == "drop":
            del content[place : place + rng.randint(1, 50)]
        elif kind == "zeros":
            content[place : place + 64] = bytes(len(content[place : place + 64]))
        elif kind == "insert":
            content[place:place] = rng.randbytes(rng.randint(1, 40))
    return bytes(content)


class Images:
    """A folder of images, one of which is damaged."""

    def __init__(self, path):
        self.path, self.good = path / "images", []
        picture = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
        for suffix in ("jpeg", "png", "bmp", "gif", "webp", "tiff"):
            file = io.BytesIO()
            picture.save(file, suffix)
            self.good.append(file.getvalue())
        for part in ("train", "test"):
            for name in ("one", "two"):
                (self.path / part / name).mkdir(parents=True)
                (self.path / part / name / "a.png").write_bytes(self.good[1])

    def try_one(self, rng):
        (self.path / "train" / "one" / "b").write_bytes(damaged(rng.choice(self.good), rng))
        (paths, _), _, _ = folder.list_images(self.path)
        folder.decode(paths, 0)


class Model:
    """A model file, damaged itself or, past the checksums of its zip archive, in a part."""

    def __init__(self, path):
        self.path = path / "model.keras"
        keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)]).save(self.path)
        self.whole = self.path.read_bytes()

    def try_one(self, rng):
        content = damaged(self.whole, rng)
        if rng.random() < 0.5:
            with zipfile.ZipFile(io.BytesIO(self.whole)) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
            hit = rng.choice(sorted(members))
            members[hit] = damaged(members[hit], rng)
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w") as archive:
                for name, member in members.items():
                    archive.writestr(name, member)
            content = file.getvalue()
        self.path.write_bytes(content)
        run_folder.load_model(self.path)


class RunFolder:
    """The folder of a run of which a file is damaged, gone, or replaced by something else."""

    def __init__(self, path):
        from test_training import small_run

        self.run, self.path, self.precious = small_run, path / "run", path / "precious"
        self.precious.write_bytes(b"mine")
        self.run(path / "good", epochs=2)
        self.good = path / "good"
        shutil.copytree(self.good, path / "whole")
        self.run(path / "whole", epochs=3)
        self.history = (path / "whole" / "history.csv").read_bytes()

    def try_one(self, rng):
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(self.good, self.path)
        hit = self.path / rng.choice([*run_folder.KEPT, state.RECORD, ".lock"])
        kind = rng.choice(["damaged"] * 6 + ["gone", "empty", "a folder", "a link", "a dead link"])
        if kind == "damaged":
            hit.write_bytes(damaged(hit.read_bytes(), rng))
        else:
            hit.unlink()
        if kind == "empty":
            hit.touch()
        elif kind == "a folder":
            hit.mkdir()
        elif kind == "a link":
            os.symlink(self.precious, hit)
        elif kind == "a dead link":
            os.symlink(self.path / "nowhere", hit)
        self.run(self.path, epochs=3)
        # `test_training` has shown that a continued run has the history of an uninterrupted one.
        assert (self.path / "history.csv").read_bytes() == self.history, (hit.name, kind)
        assert self.precious.read_bytes() == b"mine", (hit.name, kind)


DOORS = [Images, Model, RunFolder]


@contextlib.contextmanager
def stderr_to(file):
    """Let all that is written to stderr, by Python and by others, go into a file."""
    real = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        with open(os.dup(2), "w") as text, contextlib.redirect_stderr(text):
            yield
    finally:
        os.dup2(real, 2)
        os.close(real)


def try_door(door, path, numbers):
    """Try the damages of these numbers; how many of them ended with 0, and how many with 1."""
    ends, tried = {0: 0, 1: 0}, door(path)
    for number in numbers:
        rng = random.Random(f"{door.__name__} {number}")
        with tempfile.TemporaryFile() as file:
            with contextlib.redirect_stdout(io.StringIO()), stderr_to(file), kept_signals() as exit_code:
                code = exit_code(lambda: tried.try_one(rng))  # noqa: B023
            file.seek(0)
            lines = file.read().decode().splitlines()
        assert (code, len(lines)) in [(0, 0), (1, 1)], (door.__name__, number, code, lines)
        ends[code] += 1
    return ends
