import errno
import os
import subprocess
import sys

import pytest
from conftest import ROOT

from support import files, processes
from support.ending import ScriptError


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), files.replacing(path) as part:
        part.write_text("half of the new \udcff")
    assert path.read_text() == "old"
    with files.replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; make room"),
        (OSError("Can't write data (No space left on device)"), "No space .*; make room"),
        (OSError(errno.EFBIG, "File too large"), "File too large; make room"),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            "Permission denied; take another --out",
        ),
    ],
)
def test_what_cannot_be_written_is_said_with_its_name_and_leaves_nothing(tmp_path, error, message):
    def write():
        with files.replacing(tmp_path / "file.txt") as part:
            part.write_text("half")
            raise error

    with pytest.raises(ScriptError, match=rf"file.txt: .*{message}"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ScriptError, match="file/below: .*take another --out"):
        files.make_folder(tmp_path / "file" / "below")


def test_a_lock_is_one_process_s_until_it_ends_however(tmp_path):
    (tmp_path / "lock").write_text("kept")
    program = (
        f"import sys, time; sys.path.insert(0, {str(ROOT)!r}); from support import files; "
        "from pathlib import Path; held = files.lock(Path(sys.argv[1])); print(1, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, tmp_path / "lock"], stdout=subprocess.PIPE)
    process.stdout.readline()
    assert files.lock(tmp_path / "lock") is None
    process.kill()
    process.wait()
    with files.lock(tmp_path / "lock") as held:
        assert held is not None
        assert files.lock(tmp_path / "lock") is None
    assert (tmp_path / "lock").read_text() == "kept"


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc here")
def test_a_lock_that_is_not_had_leaves_no_file_open(tmp_path):
    with files.lock(tmp_path / "lock"):
        before = len(os.listdir("/proc/self/fd"))
        files.lock(tmp_path / "lock")
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_disk_that_knows_no_locks_is_no_other_run(tmp_path, monkeypatch, capsys):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)
    with files.lock(tmp_path / ".lock") as held:
        assert held is not None
    warning = f"warning: {tmp_path / '.lock'}: No locks available; do not start a second run there\n"
    assert capsys.readouterr().err == warning


def test_what_another_process_than_the_first_writes_is_thrown_away(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(processes.NUMBER, "1")
    for write, folder in ((files.replacing, tmp_path), (files.replacing_figure, tmp_path / "none")):
        with write(folder / "figure.png") as part:
            part.write_text("its own")
            assert part.suffix == ".png"  # from which Matplotlib and Keras take the format
        assert not part.exists()
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""
