import os

import keras
import pytest
from conftest import run_of
from matplotlib import pyplot as plt
from PIL import Image
from test_records import describe

from support import files
from support.ending import ScriptError
from support.figures import drawing
from support.run import run_folder, state

# Written out, and not those of `run_folder`, in which one might be missing.
KEPT = ["model.keras", "initial.keras", "history.csv"]
FIGURE = "accuracy.png"


def take(out, fresh=False, **values):
    run_folder.claim(out, describe(**values), fresh)
    run_folder.release(out)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def test_a_new_folder_gets_a_record_and_is_known_again(tmp_path):
    take(tmp_path / "a" / "b")
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {".lock", "run.json"}
    before = contents(tmp_path / "a" / "b")
    take(tmp_path / "a" / "b")
    assert contents(tmp_path / "a" / "b") == before


def fill(folder):
    """A folder with all that a run leaves, and a file of the reader's."""
    take(folder)
    for name in (*KEPT, "notes.txt", "model.png"):
        (folder / name).write_text(name)
    drawing.save(plt.figure(), folder / FIGURE)
    return contents(folder)


def test_a_run_with_other_settings_is_kept_and_with_fresh_forgotten(tmp_path):
    before = fill(tmp_path)
    with pytest.raises(ScriptError, match="holds a run with seed 0, not 1; --fresh"):
        take(tmp_path, seed=1)
    assert contents(tmp_path) == before
    take(tmp_path, fresh=True, seed=1)
    after = contents(tmp_path)
    assert set(after) == {"run.json", "notes.txt", "model.png"}
    assert after.pop("run.json") != before["run.json"]
    assert after == {name: before[name] for name in after}


@pytest.mark.parametrize("name", KEPT)
def test_fresh_that_stops_half_way_can_be_done_again(tmp_path, name):
    """While the record is there, what is left is known for the run's."""
    fill(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()  # which cannot be removed as a file
    with pytest.raises(ScriptError, match=f"{name}: .*; take another --out"):
        take(tmp_path, fresh=True)
    (tmp_path / name).rmdir()
    take(tmp_path, fresh=True)
    assert set(contents(tmp_path)) == {"run.json", "notes.txt", "model.png"}


def test_fresh_removes_nothing_where_the_figure_is_not_ours(tmp_path):
    fill(tmp_path)
    Image.new("RGB", (3, 3)).save(tmp_path / FIGURE)
    before = contents(tmp_path)
    with pytest.raises(ScriptError, match=r"accuracy.png: not written by these scripts; move it away"):
        take(tmp_path, fresh=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("name", [*KEPT, FIGURE])
def test_a_file_of_the_reader_s_is_never_taken_over(tmp_path, name, fresh):
    if name.endswith(".png"):
        Image.new("RGB", (3, 3)).save(tmp_path / name)
    else:
        (tmp_path / name).write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(ScriptError, match=rf"{name}: not .*; move it away, or take another --out"):
        take(tmp_path, fresh=fresh)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("fresh", [False, True])
def test_what_is_called_a_record_and_is_none_protects_the_rest(tmp_path, fresh):
    (tmp_path / "run.json").write_text('{"of": "another program"}')
    (tmp_path / "history.csv").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(ScriptError, match=r"run.json: no record of a run; move its folder away"):
        take(tmp_path, fresh=fresh)
    assert contents(tmp_path) == before


def test_a_lock_file_of_the_reader_s_stays_as_it_is(tmp_path):
    (tmp_path / ".lock").write_text("mine")
    take(tmp_path)
    assert (tmp_path / ".lock").read_text() == "mine"


def is_free(out):
    """Whether another process could claim the folder."""
    if lock := files.lock(out / ".lock"):
        lock.close()
    return lock is not None


def test_two_runs_do_not_share_a_folder(tmp_path):
    lock = files.lock(tmp_path / ".lock")
    with pytest.raises(ScriptError, match="another run is at work there; take another --out"):
        take(tmp_path)
    lock.close()
    run_folder.claim(tmp_path, describe(), False)
    assert not is_free(tmp_path)
    run_folder.claim(tmp_path, describe(), False)  # an interrupted cell of a notebook that is run again
    assert not is_free(tmp_path)
    run_folder.release(tmp_path)
    assert is_free(tmp_path)


def test_an_error_gives_the_folder_free(tmp_path):
    take(tmp_path)
    with pytest.raises(ScriptError, match="seed 0, not 1"):
        run_folder.claim(tmp_path, describe(seed=1), False)
    assert is_free(tmp_path)


def test_a_link_is_not_followed_into_what_it_points_to(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out").mkdir()
    os.symlink(tmp_path / "precious", tmp_path / "out" / "model.keras")
    with pytest.raises(ScriptError, match="model.keras: not from a run"):
        take(tmp_path / "out", fresh=True)
    assert (tmp_path / "precious").read_text() == "mine"


def test_what_a_run_keeps_is_found_again_or_damaged(tmp_path):
    path = tmp_path / "model.keras"
    path.touch()
    history = {"loss": [0.1, 2 / 3], "accuracy": [0.5, 1e-30]}
    state.write(path, run_of({"seed": 3}, history, [1.25, 2.5]))
    assert state.read(path) == {
        "record": {"seed": 3},
        "history": history,
        "cpu seconds": [1.25, 2.5],
        "epochs": 20,
        "source": "sample",
    }
    whole = path.read_bytes()
    for place in range(30, 100, 7):  # within what is kept: its checksum finds each change
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
        with pytest.raises(Exception, match=".+"):
            state.read(path)


@pytest.mark.parametrize(
    "layers",
    [
        [keras.Input((32, 32, 1)), keras.layers.Conv2D(2, 5)],  # of grey images
        [keras.Input((32, 32, 3)), keras.layers.Dense(2)],
    ],
)
def test_only_kernels_for_colour_images_are_shown_as_filters(tmp_path, layers):
    keras.Sequential(layers).save(tmp_path / "m.keras")
    run_folder.load_model(tmp_path / "m.keras")
    with pytest.raises(ScriptError, match=r"m.keras: cannot be shown: its first weights are not kernels"):
        run_folder.load_model(tmp_path / "m.keras", kernels_first=True)
