from pathlib import Path

import pytest
from conftest import SCRIPTS, one_line

from support import command_line
from support.ending import ScriptError


def test_options_of_a_script_that_trains():
    args = command_line.parse("/somewhere/cnn.py", "Does this.", [], epochs=20, batch_size=100)
    assert (args.epochs, args.batch_size, args.data, args.limit, args.seed) == (
        20,
        100,
        None,
        None,
        0,
    )
    assert (args.fresh, args.show, args.summary) == (False, False, False)
    assert args.out == Path("results/cnn")
    assert args.script == "cnn.py"


def test_a_script_has_no_options_that_mean_nothing_to_it():
    args = command_line.parse("show_samples.py", "", [], count=3)
    assert args.count == 3
    assert not hasattr(args, "epochs")
    assert not hasattr(args, "alpha")


def test_a_model_s_script_knows_which_options_were_given():
    args = command_line.parse("v.py", "", ["--epochs", "3"], model=Path("m.keras"), sort=False)
    assert (args.model, args.epochs, args.seed) == (None, 3, None)
    assert command_line.parse("v.py", "", ["a.keras"], model=Path("m")).model == Path("a.keras")


def test_scripts_beyond_the_article_write_into_a_folder_of_their_own():
    args = command_line.parse("/x/beyond/cnn.py", "", [], epochs=1, batch_size=1)
    assert args.out == Path("results/beyond/cnn")
    assert args.script == "beyond.cnn"


def test_the_command_that_goes_on_leaves_out_fresh():
    words = ["--fresh", "--data", "sample", "--out", "my folder"]
    args = command_line.parse("/x/cnn.py", "", words, epochs=1, batch_size=1)
    assert args.command == "python cnn.py --data sample --out 'my folder'"
    args = command_line.parse("/x/beyond/cnn.py", "", words[:3], epochs=1, batch_size=1)
    assert args.command == "python -m beyond.cnn --data sample"


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
    with pytest.raises(ScriptError, match=rf"--{key} nowhere: no such file.*; give "):
        command_line.parse("t.py", "", [f"--{key}", "nowhere"], epochs=1, weights=None)


@pytest.fixture
def without_keras(tmp_path):
    """A PYTHONPATH on which Keras cannot be loaded."""
    (tmp_path / "broken" / "keras").mkdir(parents=True)
    (tmp_path / "broken" / "keras" / "__init__.py").write_text("raise ModuleNotFoundError('no Keras')")
    return {"PYTHONPATH": str(tmp_path / "broken")}


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_and_typos_are_answered_without_keras(cold_script, without_keras, name):
    shown = cold_script(name, "--help", **without_keras)
    assert "--out DIR" in shown.stdout
    assert shown.stderr == ""
    one_line(cold_script(name, "--typo", code=2, **without_keras), name, "--typo", "--help")
    if name != "visualize_weights.py":
        missing = cold_script(name, "--data", "nowhere", code=1, **without_keras)
        one_line(missing, "nowhere", "cifar10")


def test_every_option_has_a_place_in_some_script_s_help(cold_script):
    shown = "".join(cold_script(name, "--help").stdout for name in SCRIPTS)
    tables = (command_line.DATA, command_line.TRAINING, command_line.SUMMARY)
    for table in (*tables, command_line.OF_ONE_SCRIPT, command_line.OUTPUT):
        for key in table:
            assert command_line.option_of(key) in shown
