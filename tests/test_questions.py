"""`benchmarks/questions.py` trains the scripts with the changes that it names, and its tables are its runs'."""

import types

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

WHY, EXERCISES, OUTPUT_LAYER, SAMPLE = (
    f"questions_{n}" for n in ("why", "exercises", "output_layer", "sample")
)


@pytest.fixture
def questions(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import questions

    monkeypatch.setattr(questions, "RESULTS", tmp_path)
    return questions


@pytest.fixture
def start(questions, up_to_training, tmp_path):
    """Starts a changed script up to its training: its model, its training set, and what is on record."""
    import common

    def run(title):
        module = types.ModuleType("recipe")
        text = (
            questions.changed(title) if title in questions.CHANGES else (ROOT / title.split()[1]).read_text()
        )
        module.__file__ = str(tmp_path / "recipe.py")
        exec(compile(text, "recipe.py", "exec"), vars(module))
        model, train, record = up_to_training(module.main, "alpha" in text)
        return model, train, common.recipe_of(record), record["epochs"]

    return run


def test_the_runs_are_whole_and_of_the_scripts_as_they_are(questions, start):
    runs = questions.kept("questions")
    titles = [*questions.CHANGES, *questions.SAMPLE]
    assert list(runs) == [title for title in titles if title in runs]  # the order of the tables
    for title, several in runs.items():
        model, _, recipe, epochs = start(title)
        assert [one["seed"] for one in several] == list(questions.SEEDS)[: len(several)]
        for one in several:
            assert {key: one[key] for key in recipe} == recipe, title
            assert one["parameters"] == model.count_params()
            assert len(one["val_accuracy"]) == epochs
            assert one["images"] == (
                [5_000, 1_000] if title in questions.SAMPLE
                else [60_000, 10_000] if title == questions.MNIST
                else [25_000, 5_000] if "--limit" in title
                else [50_000, 10_000]
            )  # fmt: skip


def test_the_tables_are_those_of_the_runs_that_are_kept(questions, monkeypatch):
    written = {}
    monkeypatch.setattr(questions, "write", lambda name, *lines: written.update({name: "\n".join(lines)}))
    questions.write_tables()
    assert set(written) == {WHY, EXERCISES, OUTPUT_LAYER, SAMPLE}
    for name, text in written.items():
        assert text.strip() == (ROOT / "benchmarks" / f"{name}.md").read_text(encoding="utf-8").strip()


def test_only_the_output_layer_is_trained(start):
    model, *_ = start("`trainable = False`")
    assert [w.shape for w in model.trainable_weights] == [(1024, 10), (10,)]
    model, train, *_ = start("`trainable = False`, [−1, 1]")
    assert [w.shape for w in model.trainable_weights] == [(1024, 10), (10,)]
    x, _ = train[0]
    np.testing.assert_allclose(x, train.images[train.order[:128]] / 127.5 - 1, atol=1e-6)


def test_grey_is_the_mean_and_mnist_loses_its_margin(questions, start):
    model, train, *_ = start(questions.GREY)
    assert model.input_shape == (None, 32, 32, 1)
    np.testing.assert_allclose(train[0][0][..., 0], train.images[:100].mean(axis=3) / 255, atol=1e-6)
    model, train, *_ = start(questions.MNIST)
    assert model.input_shape == (None, 28, 28, 1)
    np.testing.assert_allclose(train[0][0][..., 0], train.images[:100, 2:30, 2:30, 0] / 255, atol=1e-6)


def test_mnist_becomes_a_folder_that_the_scripts_read(questions, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {f"x_{kind}": rng.integers(0, 256, (6, 28, 28), "uint8") for kind in ("train", "test")}
    arrays |= {f"y_{kind}": np.array([3, 1, 1, 0, 3, 9]) for kind in ("train", "test")}
    np.savez(tmp_path / "mnist.npz", **arrays)
    folder = questions.mnist_folder(tmp_path / "mnist.npz")
    assert sorted(path.name for path in (folder / "test").iterdir()) == ["0", "1", "3", "9"]
    with Image.open(folder / "train" / "1" / "00002.png") as image:
        assert image.size == (32, 32)
        np.testing.assert_array_equal(np.asarray(image)[2:30, 2:30], arrays["x_train"][2])
        assert np.asarray(image).sum() == arrays["x_train"][2].sum()
    assert questions.mnist_folder("not there") == folder  # which is made once


def test_a_script_that_has_changed_is_noticed(questions, monkeypatch):
    monkeypatch.setitem(questions.CHANGES, "x", ("cnn", [("Dropout(0.123)", "")], []))
    with pytest.raises(RuntimeError, match="cnn.py has not one piece for x"):
        questions.changed("x")


def test_the_runs_of_a_script_that_has_changed_do_not_count(questions):
    title = "`Dropout(0.5)`"
    log = questions.out_of(title, 0).with_suffix(".log")
    log.parent.mkdir(parents=True)
    log.touch()
    script = log.with_name("recipe.py")
    script.write_text(questions.changed(title))
    questions.train(title, 0, "sample")  # done already
    script.write_text(questions.changed(title).replace("0.5", "0.2"))
    with pytest.raises(SystemExit, match="has changed since; delete this folder"):
        questions.train(title, 0, "sample")
