"""What imports what: arrows point down the layout, never up."""

import ast

import pytest
from conftest import ROOT

# From the top to the bottom. What stands in one row may import each other only as `ALLOWED` says.
LAYERS = [
    ["explore"],
    ["beyond"],
    ["show_samples", "cnn", "visualize_weights", "transfer_learning", "cnn_with_gap"],
    ["utils"],
    ["support.figures"],
    ["support.run"],
    ["support.data"],
    ["support.command_line"],
    ["support.inputs"],
    ["support.run_json"],
    ["support.keras_start"],
    ["support.files"],
    ["support.processes"],
    ["support.ending"],
]
# The article's scripts may reuse what the article itself reuses; the questions share what is in explore/.
ALLOWED = {("cnn_with_gap", "cnn"), ("transfer_learning", "cnn"), ("visualize_weights", "cnn")}
PACKAGES = {"explore", "support.figures", "support.run", "support.data"}


def modules():
    paths = [
        *ROOT.glob("*.py"),
        *(p for d in ("support", "beyond", "explore") for p in (ROOT / d).rglob("*.py")),
    ]
    return [p for p in paths if p.parent != ROOT / "support" or p.stem != "__init__"]


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def layer_of(name):
    """The row of a module of ours, and its entry there; None for a library."""
    for row, names in enumerate(LAYERS):
        for entry in names:
            if name == entry or name.startswith(f"{entry}."):
                return row, entry
    return None


def imported(path, text=None):
    """The modules that a file imports, wherever in it; a relative import by its full name."""
    package = name_of(path).split(".")[: None if path.stem == "__init__" else -1]
    for node in ast.walk(ast.parse(text or path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def upward(path, text=None):
    """The imports of a file that point up, or across to what is not its own."""
    own = name_of(path)
    row, entry = layer_of(own)
    for name in imported(path, text):
        if name.split(".")[0] in ("support", "tests", "benchmarks", "notebooks") and not layer_of(name):
            yield name
        elif (found := layer_of(name)) and found[0] <= row:
            other = found[1]
            inside = other == entry and entry in PACKAGES
            if not inside and (entry, other) not in ALLOWED:
                yield name


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_import_points_up(path):
    assert list(upward(path)) == []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("support/files.py", "from support import command_line"),
        ("support/data/images.py", "def f():\n    from ..run import training"),
        ("support/data/images.py", "from support.figures.drawing import save"),
        ("support/ending.py", "from . import processes"),
        ("utils.py", "import cnn"),
        ("cnn.py", "from explore import models"),
        ("cnn.py", "import beyond.cnn"),
        ("beyond/cnn.py", "from explore import models"),
        ("cnn.py", "import transfer_learning"),
        ("cnn.py", "from tests import conftest"),
    ],
)
def test_an_import_that_points_up_is_found(module, text):
    assert list(upward(ROOT / module, text)) != []


def lines_of(*paths):
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def test_what_stands_behind_a_script_stays_small():
    support = list((ROOT / "support").rglob("*.py"))
    assert lines_of(*support) <= 1850
    assert max(map(lines_of, support)) <= 160
    scripts = ["show_samples", "cnn", "visualize_weights", "transfer_learning", "cnn_with_gap"]
    assert max(lines_of(ROOT / f"{name}.py") for name in scripts) <= 95
    assert max(map(lines_of, (ROOT / "beyond").glob("*.py"))) <= 75
    assert lines_of(ROOT / "utils.py") <= 120


@pytest.mark.parametrize("path", sorted((ROOT / "explore").glob("*.py")), ids=name_of)
def test_a_question_is_short(path):
    is_script = "def main(" in path.read_text(encoding="utf-8")
    assert lines_of(path) <= (80 if is_script else 120)


def test_the_page_can_be_read_as_a_script_can():
    page = ROOT / "explore/page.html"
    assert lines_of(page) <= 550
    assert max(map(len, page.read_text(encoding="utf-8").splitlines())) <= 100
