"""The pages say what is there: options, links, commands, and the numbers that were measured."""

import ast
import importlib
import re
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT

from support import inputs, keras_start

READMES = ["README.md", "README.ja.md"]
PAGES = [*READMES, "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
SCRIPTS = ["show_samples.py", "cnn.py", "visualize_weights.py", "transfer_learning.py", "cnn_with_gap.py"]
QUESTIONS = [
    f"explore.{name}" for name in ("classify", "mistakes", "by_hand", "page", "filters", "maps", "compare")
]
RECIPES = ["beyond.cnn", "beyond.cnn_with_gap", "beyond.transfer_learning"]
NAMES = [*SCRIPTS, *QUESTIONS, *RECIPES]


def text_of(page):
    return (ROOT / page).read_text()


class Parsed(Exception):
    pass


@pytest.fixture
def parse(monkeypatch):
    """Parse the command line of a script as the script does; the options with their values."""

    def stop():
        raise Parsed

    monkeypatch.setattr(keras_start, "start", stop)
    monkeypatch.setattr(inputs, "check", lambda args: found.append(vars(args)))
    found = []

    def run(script, *words):
        with pytest.raises(Parsed):
            importlib.import_module(script.removesuffix(".py")).main(list(words))
        return found.pop()

    return run


@pytest.mark.parametrize("page", READMES)
def test_the_table_has_every_option_and_its_default(page, parse):
    table = dict(re.findall(r"^\| `(--[a-z-]+|MODEL)[^|]*\| ([^|]*)\|", text_of(page), re.MULTILINE))
    options = {name: parse(name) for name in [*SCRIPTS, "explore.filters", "explore.maps"]}
    keys = {key for found in options.values() for key in found} - {"script", "verbose"}
    words = {"MODEL" if key == "model" else f"--{key.replace('_', '-')}" for key in keys}
    assert words == set(table)
    for option in ("--epochs", "--batch-size"):
        key = option[2:].replace("-", "_")
        values = [options[f"{name}.py"][key] for name in ("cnn", "transfer_learning", "cnn_with_gap")]
        assert table[option].strip() == ", ".join(map(str, values))
    assert int(table["--seed"]) == options["cnn.py"]["seed"]
    assert int(table["--count"]) == options["show_samples.py"]["count"]
    assert float(table["--alpha"]) == options["transfer_learning.py"]["alpha"]


def commands():
    for page in PAGES:
        text = text_of(page)
        for found in re.findall(r"`([^`\n]*)`|^(?!.*`)(.*\bpython .*)$", text, re.MULTILINE):
            for command in re.split(r"&& |; ", "".join(found)):
                words = shlex.split(command.split("#")[0]) if "python" in command else []
                words = words[next((n + 1 for n, w in enumerate(words) if w.endswith("python")), 99) :]
                if words[:1] == ["-m"]:
                    words = words[1:]
                if words and words[0] in NAMES and not {"SOURCE", "FOLDER", "x"} & set(words):
                    yield pytest.param(words, id=f"{page}: {' '.join(words)}")


@pytest.mark.parametrize("words", list(commands()))
def test_commands_can_be_given(words, parse, capsys):
    if "--help" in words:
        return
    parse(*words)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)]+)\)|src=\"([^\"]+)\"", text_of(page)):
        name, _, anchor = "".join(target).partition("#")
        if not name.startswith("http"):
            assert (folder / name).exists() if name else True, name
            if anchor and name.endswith(".md"):
                headings = re.findall(r"^#+ (.*)$", (folder / name).read_text(), re.MULTILINE)
                slugs = [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]
                assert anchor in slugs, target


def test_every_figure_is_shown():
    shown = "".join(text_of(page) for page in PAGES)
    figures = {p.name for p in (ROOT / "docs").iterdir() if p.suffix in (".png", ".jpg")}
    assert {name for name in figures if name not in shown} == set()


def test_every_printed_text_is_shown():
    texts = {path.stem for path in (ROOT / "benchmarks" / "printed").iterdir()}
    shown = re.findall(r"^<!-- printed (\S+) -->$", "\n".join(map(text_of, PAGES)), re.MULTILINE)
    assert set(shown) == texts


@pytest.mark.parametrize("page", PAGES)
def test_arithmetic_is_right(page):
    pattern = r"(?<![A-Za-z0-9(/.×+−,])([\d(][\d,.×+−/() ]*[\d)]) = (\d[\d,]*(?:\.\d+)?)"
    found = [pair for pair in re.findall(pattern, text_of(page)) if pair[0].count("(") == pair[0].count(")")]
    for left, right in found:
        value = eval(left.replace("×", "*").replace("−", "-").replace(",", ""))
        assert value == float(right.replace(",", "")), left
    assert len(found) >= (15 if "reading" in page else 1 if page in READMES else 0)


def check_pages(folder):
    done = subprocess.run(
        [sys.executable, folder / "benchmarks" / "insert.py", "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_tables_and_outputs_are_what_the_benchmarks_wrote(tmp_path):
    assert check_pages(ROOT) == (0, "")


def measured_lines():
    """Lines with a digit in what the benchmarks put into a page."""
    for page in PAGES:
        inside, all_lines = False, text_of(page).splitlines()
        for number, line in enumerate(all_lines):
            inside = inside and line != "<!-- end -->"
            header = all_lines[number + 1 : number + 2] and all_lines[number + 1].startswith("|---")
            if inside and re.search(r"\d", line) and not header:
                yield page, number
            inside = inside or bool(re.fullmatch(r"<!-- (?!end).* -->", line))


def test_one_changed_digit_is_found(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import insert

    lines = list(measured_lines())
    for page in READMES:
        assert sum(where == page for where, _ in lines) >= 20
    for page, number in lines:
        changed = text_of(page).splitlines()
        digits = [match.start() for match in re.finditer(r"\d", changed[number])]
        for place in (digits[0], digits[len(digits) // 2], digits[-1]):
            line = changed[number]
            other = line[:place] + str((int(line[place]) + 1) % 10) + line[place + 1 :]
            text = "\n".join([*changed[:number], other, *changed[number + 1 :], ""])
            assert insert.filled(text, page.endswith(".ja.md")) != text, (page, other)


def numbers_of(page, without_blocks=False):
    """Numbers that were measured or computed: with a point or of three digits and more."""
    text = text_of(page)
    if without_blocks:
        text = re.sub(r"^<!-- (?!end).*?^<!-- end -->", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\]\([^)]*\)|<!--.*?-->|https?://\S+", "", text)
    found = re.findall(r"\d[\d,]*(?:\.\d+)?", text)
    return {n for n in (number.rstrip(",") for number in found) if len(n) > 2}


@pytest.mark.parametrize(
    "pages",
    [READMES, *([f"docs/{n}.md", f"docs/{n}.ja.md"] for n in ("reading", "explore", "data", "beyond"))],
)
def test_both_languages_have_the_same_numbers(pages):
    # A Japanese page has of what the benchmarks wrote the tables alone, and says the rest in its own words.
    for one, other in (pages, pages[::-1]):
        assert numbers_of(one, without_blocks=True) <= numbers_of(other), one


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_left_to_fill_in(page):
    text = text_of(page)
    assert "@@" not in text
    assert not re.search(r"<!-- (?!end).* -->\n<!-- end -->", text)
    assert "--recipe" not in text


@pytest.mark.parametrize("page", READMES)
def test_the_data_are_named_with_their_flaw_once(page):
    assert len(re.findall(r"111 of 60,000|60,000枚のうち111枚", text_of(page))) == 1


def test_the_page_beyond_has_the_epochs_of_the_recipes(parse):
    page = text_of("docs/beyond.md")
    for name in ("cnn", "cnn_with_gap", "transfer_learning"):
        row = re.search(rf"^\| \[`{name}\.py`\].* → (\d+) \|$", page, re.MULTILINE)
        assert int(row[1]) == parse(f"beyond.{name}")["epochs"]


def section_of(page, heading):
    return re.split(r"^## ", text_of(page).split(f"\n## {heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize(
    ("page", "heading"), [("docs/reading.md", "Errors and warnings"), ("docs/reading.ja.md", "エラーと警告")]
)
def test_the_errors_that_are_explained_are_those_of_the_source(page, heading):
    words = re.findall(r"^\| `([^`]+)` \|", section_of(page, heading), re.MULTILINE)
    assert len(words) >= 12
    files = [*ROOT.glob("*.py"), *(p for d in ("support", "explore") for p in (ROOT / d).rglob("*.py"))]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    strings = [
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    for word in words:
        assert any(word in string for string in strings), word


@pytest.mark.parametrize("page", ["docs/reading.md", "docs/reading.ja.md"])
def test_the_code_of_an_exercise_runs(page, tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"^```python\n(import .*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)
    model = importlib.import_module("cnn").build_model()
    model.layers[1].bias.assign([1 + n / 10 for n in range(30)])  # else ReLU makes 0 of half of the values
    (tmp_path / "results" / "cnn").mkdir(parents=True)
    model.save(tmp_path / "results" / "cnn" / "model.keras")
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(block, {})
        ours, keras_says = map(float, capsys.readouterr().out.split())
        assert ours > 0
        assert abs(ours - keras_says) < 1e-5
    assert len(blocks) == 1


@pytest.mark.parametrize("page", ["docs/reading.md", "docs/reading.ja.md"])
def test_the_changes_of_the_exercises_are_those_that_were_measured(page, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import questions

    texts = [questions.changed(title) for title in questions.CHANGES]
    blocks = re.findall(r"^```python\n( .*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        assert any(block in text for text in texts), block


@pytest.mark.parametrize("page", PAGES)
def test_tables_stand_apart(page):
    lines = text_of(page).splitlines()
    for number, line in enumerate(lines):
        if line.startswith("|---"):
            assert not lines[number - 2].startswith("|"), lines[number - 1]
