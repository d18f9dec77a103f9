"""The measured tables are what `benchmarks/runs/` gives, epoch by epoch."""

import copy

import pytest
from conftest import ROOT
from PIL import Image

import beyond.cnn
import beyond.cnn_with_gap
import beyond.transfer_learning
import cnn
import cnn_with_gap
import transfer_learning


@pytest.fixture
def reproduce(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import reproduce

    return reproduce


@pytest.fixture
def tables(reproduce, monkeypatch, tmp_path):
    """Makes all tables and printed lines anew: the name of each to its text. Figures go into a folder."""
    written = {}

    def write(name, *lines):
        written[name] = "\n".join(lines) + "\n"

    for module in (reproduce, reproduce.minutes, reproduce.ingredients):
        monkeypatch.setattr(module, "write", write)
    monkeypatch.setattr(reproduce, "keep_printed", write)
    for module in (reproduce, reproduce.minutes):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()

    def make():
        written.clear()
        reproduce.write_tables()
        return dict(written)

    return make


TABLES = {"results", "epochs", "over_fitting", "cpu_minutes"}
TABLES |= {f"ingredients_{name}" for name in ("cnn", "cnn_with_gap", "transfer_learning")}
PRINTED = {"cnn", "cnn_with_gap", "explore.compare"}
FIGURES = {"cpu_minutes", "curves", "cnn", "cnn_with_gap", "beyond_cnn", "beyond_cnn_with_gap"}
CURVES = ("accuracy", "loss", "val_accuracy", "val_loss", "cpu seconds")


def test_the_tables_are_those_of_the_runs_that_are_kept(tables, tmp_path):
    found = tables()
    assert set(found) == TABLES | PRINTED
    for name, text in found.items():
        file = f"printed/{name}.txt" if name in PRINTED else f"{name}.md"
        assert text.strip("\n") == (ROOT / "benchmarks" / file).read_text(encoding="utf-8").strip("\n"), name
    assert {path.stem for path in (tmp_path / "docs").iterdir()} == FIGURES
    for name in FIGURES:
        with (
            Image.open(tmp_path / "docs" / f"{name}.png") as new,
            Image.open(ROOT / f"docs/{name}.png") as old,
        ):
            assert new.width > 700
            assert abs(new.width - old.width) < 20


SCRIPTS = {
    "cnn": cnn,
    "cnn_with_gap": cnn_with_gap,
    "transfer_learning": transfer_learning,
    "beyond.cnn": beyond.cnn,
    "beyond.cnn_with_gap": beyond.cnn_with_gap,
    "beyond.transfer_learning": beyond.transfer_learning,
}


@pytest.fixture
def recipe_of(reproduce, up_to_training):
    """Starts a script up to its training: what a run of it has on record, and its epochs."""
    import common

    def start(name):
        *_, record = up_to_training(SCRIPTS[name].main, "transfer_learning" in name)
        return common.recipe_of(record), record["epochs"]

    return start


def facts(run):
    return {key: run[key] for key in ("network", "batch size", "learning rate", "label smoothing")}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_runs_are_whole_and_of_the_scripts_as_they_are(reproduce, recipe_of, name):
    recipe, epochs = recipe_of(name)
    runs = reproduce.kept("reproduce")
    expected = {reproduce.title_of(name): epochs}
    if name == "beyond.cnn_with_gap":
        expected |= {reproduce.short_title(number): number for number in (2, 3, 4)}
    for title, number in expected.items():
        assert [one["seed"] for one in runs[title]] == [0, 1, 2]
        for one in runs[title]:
            assert facts(one) == recipe
            assert one["images"] == [50_000, 10_000]
            assert [len(one[key]) for key in CURVES] == [number] * len(CURVES)
    assert len(runs) == len(SCRIPTS) + 3


@pytest.mark.parametrize("name", ["cnn", "cnn_with_gap", "transfer_learning"])
def test_the_ingredients_are_those_of_the_recipe_as_it_is(reproduce, recipe_of, name):
    ingredients = reproduce.ingredients
    recipe, epochs = recipe_of(f"beyond.{name}")
    runs = reproduce.kept(f"ingredients_{name}")
    assert list(runs) == ingredients.variants_of(name)
    number = ingredients.RECIPES[name][0]
    for ingredient, several in runs.items():
        assert [one["seed"] for one in several] == [0, 1, 2]
        for one in several:
            assert one["images"] == [number, number // 5]
            assert [len(one[key]) for key in CURVES] == [epochs] * len(CURVES)
            assert (facts(one) == recipe) == (ingredient == ingredients.NOTHING)


@pytest.mark.parametrize(
    ("key", "unchanged"),
    [
        ("val_accuracy", set()),
        ("accuracy", {"epochs", "cpu_minutes", "explore.compare"}),
        ("val_loss", (TABLES | PRINTED) - {"over_fitting", "cnn", "cnn_with_gap"}),
        ("cpu seconds", {"epochs", "over_fitting", "cnn", "cnn_with_gap"}),
        ("untrained accuracy", (TABLES | PRINTED) - {"results", "epochs"}),
        ("parameters", (TABLES | PRINTED) - {"results", "explore.compare"}),
    ],
)
def test_other_runs_would_give_other_tables(reproduce, tables, monkeypatch, key, unchanged):
    for module, name in (
        (reproduce.utils, "plot_accuracy"),
        (reproduce.compare, "plot"),
        (reproduce.minutes, "draw"),
    ):
        monkeypatch.setattr(module, name, lambda *_: None)
    before, kept = tables(), reproduce.kept

    def others(name):
        runs = copy.deepcopy(kept(name))
        for number, several in enumerate(runs.values(), 2):
            for one in several:
                if isinstance(one.get(key), list):  # each epoch otherwise, and each script
                    one[key] = [value * number / epoch for epoch, value in enumerate(one[key], 1)]
                elif key in one:
                    one[key] *= 2
        return runs

    for module in (reproduce, reproduce.ingredients):
        monkeypatch.setattr(module, "kept", others)
    after = tables()
    assert {name for name in before if after[name] == before[name]} == unchanged


def test_the_last_line_on_cpu_minutes_says_which_run_passes_the_article(reproduce, monkeypatch):
    said = []
    monkeypatch.setattr(reproduce.minutes, "write", lambda _, *lines: said.append(lines[-1]))
    monkeypatch.setattr(reproduce.minutes, "draw", lambda *_: None)

    def runs(*accuracies, second=10):
        return [{"val_accuracy": list(one), "cpu seconds": [second] * len(one)} for one in accuracies]

    plain = runs((0.5, 0.66, 0.6), (0.5, 0.6, 0.65))  # at their best after 20 and 30 s
    others = dict.fromkeys(reproduce.minutes.OTHERS, runs((0.5,), (0.5,)))
    scripts = {"cnn.py": plain, "transfer_learning.py": plain, **others}
    short = {2: runs((0.1, 0.64), second=2), 3: runs((0.1, 0.6, 0.65), second=2)}
    reproduce.minutes.report(scripts, short)
    assert "at its best, 65.5 (65.0–66.0) %, after 25 (20–30) CPU seconds" in said[0]
    assert "the mean of the runs is at its best, 63.0 %, after 20." in said[0]
    assert "--epochs 3` passes the article's 65 % in 6: 0.24 times the first" in said[0]
    assert "and 0.30 times the second." in said[0]
    reproduce.minutes.report(scripts, {2: short[2]})
    assert "passes" not in said[1]
