"""The notebooks: made of `article.py` and the scripts, and run from the first cell to the last."""

import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT, one_line

from notebooks import build
from support.ending import ScriptError

TABLES = ["2,280", "5,380", "588,100", "591,390", "3,228,864", "3,239,114", "21,888", "6,390"]
# Raises what the stop button raises, at the beginning of the second epoch.
STOP = """
from support.run.training import Run

begin = Run.on_epoch_begin


def stop(self, epoch, logs=None):
    if epoch == 1:
        Run.on_epoch_begin = begin
        raise KeyboardInterrupt
    begin(self, epoch, logs)


Run.on_epoch_begin = stop
"""

# Without the seconds in which TensorFlow makes a graph of MobileNet.
EAGERLY = """
import warnings

import tensorflow

tensorflow.config.run_functions_eagerly(True)
warnings.filterwarnings("ignore", "Even though the `tf.config")
"""
NOT_EAGERLY = "tensorflow.config.run_functions_eagerly(False)"


def cell(source, *tags):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})


def printed(cells):
    """What the cells printed, tables included, without colours."""
    outputs = [output for cell in cells for output in cell.outputs]
    texts = [out.get("text") or out.get("data", {}).get("text/plain", "") for out in outputs]
    return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(texts))


def figures(cells):
    data = [output.get("data", {}) for cell in cells for output in cell.outputs]
    return sum("image/png" in found or "image/jpeg" in found for found in data)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A copy of the tree, which `build` takes for its own."""
    folder = tmp_path / "clone"
    unwanted = shutil.ignore_patterns(".*", "results", "__pycache__")
    shutil.copytree(ROOT, folder, ignore=unwanted)
    monkeypatch.setattr(build, "ROOT", folder)
    monkeypatch.setattr(build, "HERE", folder / "notebooks")
    return folder


def change(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def test_both_notebooks_are_what_the_source_and_the_scripts_say():
    build.main(["--check"])


def test_both_notebooks_have_the_outputs_of_one_run_on_cifar10():
    ja, en = (nbformat.read(ROOT / "notebooks" / name, 4) for name in build.NOTEBOOKS)
    assert build.code(ja) == build.code(en)
    text = printed(build.code(en))
    assert "CIFAR-10: training set (50000, 32, 32, 3), test set (10000, 32, 32, 3)" in text
    assert [number for number in TABLES if number not in text] == []
    assert "has all" not in text
    assert "warning" not in text  # that it was other images, or no transfer learning
    assert figures(build.code(en)) == 14
    for name in build.NOTEBOOKS:
        path = ROOT / "notebooks" / name
        assert path.stat().st_size < 1_000_000
        assert str(ROOT) not in path.read_text()


@pytest.mark.parametrize(
    ("script", "old", "new"),
    [
        ("cnn.py", "Dense(num_classes", "Dense(1 + num_classes"),
        ("cnn.py", 'optimizer="adam"', 'optimizer="sgd"'),
        ("cnn.py", "/ 255.0", "/ 127.5"),
        ("utils.py", "i = index // width", "i = index % width"),
        ("visualize_weights.py", "np.split(weights, weights.shape[3]", "np.split(weights, 30"),
        ("transfer_learning.py", 'pooling="avg"', 'pooling="max"'),
        ("cnn_with_gap.py", "GlobalAveragePooling2D()", "GlobalMaxPooling2D()"),
    ],
)
def test_a_line_that_changes_in_a_script_must_change_in_the_notebooks(clone, script, old, new):
    build.main(["--check"])
    change(clone / script, old, new)
    with pytest.raises(ScriptError, match="the code has changed"):
        build.main(["--check"])
    with pytest.raises(ScriptError, match="the code has changed"):
        build.main([])  # whose outputs would be those of other code


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("notebooks/article.py", "## 準備", "## はじめに"), ("cnn.py", "# 入力部 (input)", "# 画像 (images)")],
)
def test_new_text_and_comments_come_without_new_outputs(clone, file, old, new):
    change(clone / file, old, new)
    before = (clone / "notebooks" / "article.ja.ipynb").read_text()
    with pytest.raises(ScriptError, match=r"article.ja.ipynb: the text has changed"):
        build.main(["--check"])
    build.main([])
    build.main(["--check"])
    after = (clone / "notebooks" / "article.ja.ipynb").read_text()
    assert after == before.replace(old, new)


def test_errors_are_one_line(clone):
    change(clone / "cnn.py", "def build_model", "def make_model")
    command = [sys.executable, clone / "notebooks" / "build.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    one_line(done, "cnn.py: no 'def build_model('")


def test_from_the_first_cell_to_the_last_and_once_more():
    """The second time nothing is trained again. What was stopped goes on."""
    notebook = build.made("en")
    cells = build.code(notebook)
    training, mobilenet, _ = [n for n, cell in enumerate(cells) if "training.resume" in cell.source]
    stopped = cell(cells[training].source, "raises-exception")
    again = [cell(found.source, *found.metadata.get("tags", [])) for found in cells]
    notebook.cells = [
        *(*cells[:training], cell(STOP), stopped, *cells[training:mobilenet]),
        *(cell(EAGERLY), cells[mobilenet], cell(NOT_EAGERLY), *cells[mobilenet + 1 :], *again),
    ]
    done = build.run(notebook, build.FEW, build.QUICK)
    stop, first, second = done[training + 1], done[training + 2 : -len(cells)], done[-len(cells) :]

    assert stop.outputs[-1].ename == "KeyboardInterrupt"
    assert "Epoch 1/2" in printed([stop])
    assert "(continuing at epoch 2 of 2)" in printed(first)
    assert "Epoch 1/2" not in printed(first)
    assert "Epoch 2/2" in printed(first)

    assert "the built-in sample: training set (100, 32, 32, 3)" in printed(second)
    assert [number for number in TABLES if number not in printed(second)] == []
    assert printed(second).count("already); --fresh trains anew") == 3
    assert "Epoch" not in printed(second)
    assert figures(second) == 14
    assert not set("\b\r") & set(printed(done))
    assert all(out.get("name") != "stderr" for cell in done for out in cell.outputs)
    for name in ("conv2d", "max_pooling2d", "flatten", "dense", "dense_1", "mobilenet_1.00_224"):
        assert f"│ {name} (" in printed(second)
    assert "conv2d_1" not in printed(done)


def test_the_first_cell_says_what_is_missing(tmp_path, monkeypatch):
    notebook = build.made("ja")
    notebook.cells = build.code(notebook)[:1]
    assert len(notebook.cells[0].source.split("sys\n\n")[1].splitlines()) <= 8
    monkeypatch.setattr(build, "ROOT", tmp_path)
    with pytest.raises(ScriptError, match="code cell 1: SystemExit: cnn.py is not here: run %cd FOLDER"):
        build.run(notebook, [], {})


def test_what_a_reader_changes_in_a_cell_reaches_the_figure():
    sources = [cell.source for cell in build.code(build.made("ja"))]
    defined = next(n for n, source in enumerate(sources) if "def combine_images(" in source)
    used = next(n for n, source in enumerate(sources) if "= combine_images(" in source)
    assert defined < used
    assert not any(re.search(r"import.*combine_images|utils\.combine_images", source) for source in sources)
