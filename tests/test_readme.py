import re

import pytest
from conftest import ROOT

import utils

READMES = ["README.md", "README.ja.md"]


@pytest.mark.parametrize("name", READMES)
def test_every_option_is_explained(name):
    text = (ROOT / name).read_text()
    explained = set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE))
    offered = {"--count", "--alpha", "--weights", "--sort"}  # what single scripts add
    for action in utils.command_line("cnn_with_gap.py", "", 150, 100, tuned=10)._actions:
        offered.update(action.option_strings)
    assert explained == offered - {"-h", "--help"}


@pytest.mark.parametrize("name", READMES)
def test_what_it_points_to_is_there(name):
    text = (ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / target).exists(), target
    for script in set(re.findall(r"`(\w+\.py)`", text)):
        assert (ROOT / script).exists(), script


@pytest.mark.parametrize("name", READMES)
def test_its_benchmark_tables_are_what_the_benchmarks_wrote(name):
    text = (ROOT / name).read_text()
    results = sorted((ROOT / "benchmarks").glob("*.md"))
    assert [path.stem for path in results] == [
        "epoch",
        "growth",
        "operations",
        "reproduce",
        "startup",
        "variants",
    ]
    for path in results:
        rows = [re.findall(r"\| ([\d.,%]+)(?= \|)", line) for line in path.read_text().splitlines()]
        assert sum(map(bool, rows)) >= 4
        for number in (number for row in rows for number in row):
            assert f"| {number} |" in text, (path.name, number)
