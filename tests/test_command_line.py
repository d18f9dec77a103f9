import ast
import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from conftest import ROOT, SCRIPTS, one_line
from PIL import Image

from support import command_line
from support.ending import ScriptError

MODULES = sorted(
    f"{path.parent.name}.{path.stem}"
    for folder in ("beyond", "explore")
    for path in (ROOT / folder).glob("*.py")
    if "command_line.parse(" in path.read_text(encoding="utf-8")
)
# Two columns of a terminal each, so that 40 fill a line.
JAPANESE = re.compile("[ぁ-んァ-ヶ一-龠]")


@pytest.fixture(autouse=True)
def no_notebook(monkeypatch):
    """Other tests run notebooks, for which ipykernel is imported."""
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)


def test_options_of_a_script_that_trains():
    args = command_line.parse("/somewhere/cnn.py", "Does this.", [], epochs=20, batch_size=100)
    assert (args.epochs, args.batch_size, args.data, args.limit, args.seed) == (20, 100, None, None, 0)
    assert (args.fresh, args.show, args.summary) == (False, False, False)
    assert args.out == Path("results/cnn")
    assert args.script == "cnn.py"
    assert args.verbose == 2  # a line an epoch, for there is no terminal


def test_a_script_has_no_options_that_mean_nothing_to_it():
    args = command_line.parse("show_samples.py", "", [], count=3)
    assert args.count == 3
    assert not hasattr(args, "epochs")
    assert not hasattr(args, "alpha")


def test_only_a_window_needs_a_screen(monkeypatch):
    for words, backend in (["--show"], None), ([], "agg"):
        monkeypatch.delenv("MPLBACKEND")
        command_line.parse("show_samples.py", "", words, count=3)
        assert os.environ.get("MPLBACKEND") == backend
        monkeypatch.setenv("MPLBACKEND", "agg")


def test_what_is_asked_of_a_model_needs_no_options_for_training(tmp_path):
    default, other = tmp_path / "m.keras", tmp_path / "a.keras"
    default.touch()
    other.touch()
    args = command_line.parse("v.py", "", ["--data", "sample"], model=default, data=None)
    assert (args.model, args.data) == (default, "sample")
    assert not {"seed", "limit", "epochs", "fresh"} & set(vars(args))
    assert command_line.parse("v.py", "", [str(other)], model=default).model == other


@pytest.mark.parametrize("folder", ["beyond", "explore"])
def test_scripts_beyond_the_article_write_into_a_folder_of_their_own(folder):
    args = command_line.parse(f"/x/{folder}/cnn.py", "", [], epochs=1, batch_size=1)
    assert args.out == Path("results", folder, "cnn")
    assert args.script == f"{folder}.cnn"


@pytest.mark.parametrize(
    "wrong",
    [
        *("--epochs 0", "--epochs 1.5", "--seed -1", "--seed 4294967296", "--limit ²"),
        *("--epoch 3", "--typo", "--batch-size x"),
    ],
)
def test_wrong_options_end_in_one_line(wrong, capsys):
    with pytest.raises(SystemExit) as exit:
        command_line.parse("cnn.py", "", wrong.split(), epochs=20, batch_size=100)
    assert exit.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cnn.py: error: ")
    assert wrong.split()[0] in line
    assert "--help" in line


@pytest.mark.parametrize("key", ["data", "weights"])
def test_what_is_not_there_is_said_before_keras_is_loaded(key):
    with pytest.raises(ScriptError, match=rf"--{key} nowhere: No such file.*; give "):
        command_line.parse("t.py", "", [f"--{key}", "nowhere"], epochs=1, weights=None)


@pytest.mark.parametrize(
    ("words", "said"),
    {
        "--epoch 3": "--epoch 3 (did you mean --epochs?);",
        "--epoch=3": "--epoch=3 (did you mean --epochs?);",
        "--dat=photos/of/birds": "--dat=photos/of/birds (did you mean --data?);",
        "—epochs 3": "—epochs 3 (did you mean --epochs?);",  # as a page may have made of two hyphens
        "--sumary": "--sumary (did you mean --summary?);",
        "--typo": "--typo;",
        "--data my photos": "photos (a path with a space needs quotes);",
    }.items(),
)
def test_what_is_meant_by_an_unknown_word(words, said, capsys):
    with pytest.raises(SystemExit):
        command_line.parse("cnn.py", "", words.split(), epochs=20, batch_size=100)
    assert f"cnn.py: error: unrecognized arguments: {said} add --help" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "before", "after"),
    [
        ([], "qtagg", "agg"),
        (["--show"], "qtagg", "qtagg"),
        (
            ["--show"],
            "module://matplotlib_inline.backend_inline",
            None,
        ),  # a notebook's, in a process it starts
        (["--show"], None, None),
    ],
)
def test_figures_are_shown_where_there_is_a_window(monkeypatch, words, before, after):
    monkeypatch.delenv("MPLBACKEND")
    if before:
        monkeypatch.setenv("MPLBACKEND", before)
    command_line.parse("cnn.py", "", words, epochs=20, batch_size=100)
    assert os.environ.get("MPLBACKEND") == after


@pytest.fixture
def without_keras(tmp_path):
    """Run a script in an empty folder, where Keras cannot be loaded."""
    (tmp_path / "broken" / "keras").mkdir(parents=True)
    (tmp_path / "broken" / "keras" / "__init__.py").write_text("raise ModuleNotFoundError('no Keras')")
    (tmp_path / "empty").mkdir()
    environment = os.environ | {"PYTHONPATH": f"{tmp_path / 'broken'}{os.pathsep}{ROOT}"}

    def run(name, *arguments, code=0, **more):
        script = [str(ROOT / name)] if name in SCRIPTS else ["-m", name]
        done = subprocess.run(
            [sys.executable, *script, *arguments],
            cwd=tmp_path / "empty", env=environment | more, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    return run


@pytest.mark.parametrize("name", [*SCRIPTS, *MODULES])
def test_help_and_typos_are_answered_without_keras(without_keras, name):
    shown = without_keras(name, "--help")
    assert "--out DIR" in shown.stdout
    assert shown.stderr == ""
    about = [str(ROOT / "README.md")] if "explore." in name else []  # a file that is there
    one_line(without_keras(name, *about, "--typo", code=2), name, "--typo", "--help")
    if "--data" in shown.stdout:
        missing = without_keras(name, *about, "--data", "nowhere", code=1)
        one_line(missing, "nowhere", "cifar10")


def test_what_the_command_line_and_a_listing_decide_is_said_without_keras(without_keras, tmp_path, small):
    here = tmp_path / "empty"
    (here / "file").write_text("in the way")
    Image.new("RGB", (32, 32)).save(here / "photo.png")
    (here / "half" / "test" / "a").mkdir(parents=True)
    for words, said in {
        "--out file": "error: file: Not a directory; take another --out",
        "--out file/below": "error: file/below: Not a directory; take another --out",
        "--limit 7": "--limit 7: leaves a class without test images; take 50",
        f"--limit 19 --data {small}": "--limit 19: leaves a class without test images; take 20",
        "--data half": "half/train: no such folder; make train/<class>/ and test/<class>/ there",
        "--data photo.png": "no archive; photos: python -m explore.classify photo.png",
    }.items():
        one_line(without_keras("cnn.py", *words.split(), code=1), said)
    one_line(without_keras("visualize_weights.py", "no.keras", code=1), "no.keras: No such file")
    # It has no options for training, so nothing there trains or is said to be trained.
    done = without_keras("visualize_weights.py", "no.keras", "--epochs", "3", code=2)
    one_line(done, "unrecognized arguments: --epochs 3;")
    assert sorted(path.name for path in here.iterdir()) == ["file", "half", "photo.png"]


def test_what_run_json_decides_is_said_without_keras(without_keras, tmp_path):
    run = tmp_path / "empty" / "run"
    run.mkdir()
    record = {"script": "cnn.py", "seed": 0, "batch size": 100, "layers": []}

    def answer(script, *words, **more):
        return without_keras(script, "--out", "run", *words, code=1, **more)

    def keep(**more):
        (run / "run.json").write_text(json.dumps(record | more))

    keep()
    for script, words, said in [
        ("cnn.py", "--seed 1", "seed 0, not 1"),
        ("cnn.py", "--batch-size 50", "batch size 100, not 50"),
        ("cnn_with_gap.py", "", "script cnn.py, not cnn_with_gap.py"),
    ]:
        one_line(answer(script, *words.split()), f"error: run: holds a run with {said}; --fresh forgets it")
    # A run that goes on, is forgotten or need not be there is no reason to stop: Keras is wanted next.
    for words in ("", "--seed 1 --fresh", "--seed 1 --summary"):
        one_line(answer("cnn.py", *words.split()), "no Keras")
    # Of several processes the first alone has the folder; the others' may be that of another run.
    several = {"KERAS_DISTRIBUTION_NUM_PROCESSES": "2", "KERAS_DISTRIBUTION_PROCESS_ID": "1"}
    one_line(answer("cnn.py", "--seed", "1", **several), "no Keras")
    keep(**{"script": "transfer_learning.py", "batch size": 128, "alpha": 0.5, "weights": "none"})
    for words, said in {
        "": "alpha 0.5, not 1.0",
        "--alpha 0.5 --weights imagenet": "none, not imagenet",
    }.items():
        one_line(answer("transfer_learning.py", *words.split()), said)
    one_line(answer("transfer_learning.py", "--alpha", "0.5"), "no Keras")
    (run / "run.json").write_text("{")
    one_line(answer("cnn.py"), "run.json", "move its folder away")


def columns(line):
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in line)


@pytest.mark.parametrize("name", [*SCRIPTS, *MODULES])
def test_help_opens_with_a_paragraph_in_japanese_and_one_in_english(without_keras, name):
    """Unbroken: as they stand in the file. `argparse` would break Japanese in the middle of a word."""
    path = ROOT / (name if name in SCRIPTS else f"{name.replace('.', '/')}.py")
    words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False).strip()
    shown = without_keras(name, "--help").stdout
    usage, japanese, english, _ = shown.split("\n\n", 3)
    assert usage.startswith(f"usage: {name} ")
    assert f"{japanese}\n\n{english}" == words
    assert all(JAPANESE.search(line) and columns(line) <= 80 for line in japanese.splitlines())
    assert not JAPANESE.search(english)
    assert english[0].isupper()
    assert english.endswith((".", "?"))


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("visualize_weights.py", "cnn.py"),
        ("explore.filters", "cnn.py"),
        ("explore.mistakes", "cnn.py"),
        ("explore.maps", "cnn_with_gap.py"),
    ],
)
def test_without_a_model_there_is_a_line_with_the_command_that_makes_one(without_keras, name, first):
    one_line(without_keras(name, code=1), f"{name}: error: ", "No such file", f"or run python {first} first")


def test_every_option_has_a_place_in_some_script_s_help(without_keras):
    shown = "".join(without_keras(name, "--help").stdout for name in [*SCRIPTS, *MODULES])
    for key, option in command_line.OPTIONS.items():
        word = option["metavar"] if key in ("photos", "runs", "model") else f"--{key.replace('_', '-')}"
        assert word in shown, key
