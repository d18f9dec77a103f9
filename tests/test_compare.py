"""`python -m explore.compare`: what its table says of runs, value by value."""

import pytest
from conftest import run_of
from PIL import Image

from explore import compare
from support.ending import ScriptError
from support.run import state


def keep(folder, test, seconds=(1, 2), images="i", tests="t", data="CIFAR-10", layers=(1000, 234)):
    """A folder with a run that reached these accuracies."""
    record = {"script": "cnn.py", "data": data, "training set": {"images": images}}
    record |= {"test set": {"images": tests}, "layers": [{"parameters": n} for n in layers]}
    folder.mkdir()
    path = folder / "model.keras"
    path.touch()
    state.write(path, run_of(record, {"accuracy": test, "val_accuracy": test}, seconds))
    return folder


@pytest.fixture
def compared(tmp_path, monkeypatch, capsys):
    """The lines that are printed of some runs."""
    monkeypatch.chdir(tmp_path)

    def lines(*runs):
        compare.main(["--out", "figure", *map(str, runs)])
        return capsys.readouterr().out.splitlines()

    return lines


def values(line):
    return line.split()


def test_a_row_for_each_run(compared, tmp_path):
    one = keep(tmp_path / "one", [0.1, 0.3, 0.654, 0.5], [10, 10, 10, 10.6], layers=[591_390])
    two = keep(tmp_path / "two", [0.5], [90])
    never = keep(tmp_path / "never", [0.2, 0.499, 0.499])
    lines = compared("one", "two/model.keras", "never")
    rows = [values(line) for line in lines if line.startswith(("one", "two", "never"))]
    # run, best (epoch), last (epochs), first epoch with half of the images right, parameters, CPU time
    assert rows == [
        ["one", "65.4%", "(3)", "50.0%", "(4)", "3", "591,390", "41", "s"],
        ["two/model.keras", "50.0%", "(1)", "50.0%", "(1)", "1", "1,234", "90", "s"],
        ["never", "49.9%", "(2)", "49.9%", "(3)", "-", "1,234", "3", "s"],
    ]
    heads = ["run", "best", "last", "50", "%", "parameters", "CPU", "time"]
    assert [values(line) for line in lines].index(heads) == lines.index(lines[1])
    assert not any("other images" in line for line in lines)
    assert Image.open("figure/curves.png").format == "PNG"
    assert {one, two, never} == {path.parent for path in tmp_path.rglob("model.keras")}


def test_runs_on_other_images_are_named(compared, tmp_path):
    keep(tmp_path / "one", [0.5])
    keep(tmp_path / "two", [0.5])
    keep(tmp_path / "other training", [0.5], images="j", data="the built-in sample")
    keep(tmp_path / "other tests", [0.5], tests="u", data="the images in x")
    lines = compared("one", "other training", "two", "other tests")
    assert [line for line in lines if "other images" in line] == [
        "other training：ほかの画像で学習した (other images: the built-in sample)",
        "other tests：ほかの画像で学習した (other images: the images in x)",
    ]


def test_a_path_that_is_not_there_is_said(compared, tmp_path):
    keep(tmp_path / "one", [0.5])
    with pytest.raises(ScriptError, match=r"two: No such file.*; give another"):
        compared("one", "two")


@pytest.mark.parametrize("kind", ["empty folder", "damaged", "no run"])
def test_what_is_no_run_is_said(compared, tmp_path, kind):
    keep(tmp_path / "one", [0.5])
    (tmp_path / "two").mkdir()
    if kind == "damaged":
        whole = (tmp_path / "one" / "model.keras").read_bytes()
        (tmp_path / "two" / "model.keras").write_bytes(whole[: len(whole) // 2])
    elif kind == "no run":
        (tmp_path / "two" / "model.keras").write_text("mine")
    with pytest.raises(ScriptError, match=r"two.*: not of a run of these scripts; give a folder"):
        compared("one", "two")
    assert not (tmp_path / "figure").exists()


def test_without_a_run_the_command_line_is_wrong(compared, capsys):
    with pytest.raises(SystemExit) as exit:
        compared()
    assert exit.value.code == 2
    assert "RUN" in capsys.readouterr().err
