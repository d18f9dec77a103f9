"""How many of a script's lines of code are the article's.

    python tests/article_lines.py

A line counts as the article's if, quotes and spaces aside, it stands in the article's code or differs
from a line there in one value; `def`, `return` and the import of a layer count with it. A statement is
one line, however it is broken. Docstrings and comments are no code.
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LAYERS = [
    "Input",
    "Dense",
    "Flatten",
    "Conv2D",
    "MaxPooling2D",
    "GlobalAveragePooling2D",
    "MobileNet",
    "Model",
]
TOKEN = re.compile(r"\w+(?:\.\d*)?|\S")


def tokens(line):
    return TOKEN.findall(line.replace('"', "'").replace(".0", "."))


def article_lines():
    text = Path(__file__).with_name("article_lines.txt").read_text(encoding="utf-8")
    return [tokens(line) for line in map(str.strip, text.splitlines()) if line]


def statements(path):
    """The first lines of a script's statements as `ast` writes them, docstrings left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.stmt) and not (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            yield ast.unparse(node).splitlines()[0]


def is_article_s(line, article):
    if line.startswith(("def ", "return")):
        return True
    own = tokens(line)
    if "import" in own:
        return own in article or any(name in own for name in LAYERS)
    return any(differ_in_one_value(own, theirs) for theirs in article)


def differ_in_one_value(own, theirs):
    """Whether two lines are equal but for one value: a name, a number, a string, an expression."""
    if own == theirs:
        return True
    begin = 0
    while begin < min(len(own), len(theirs)) and own[begin] == theirs[begin]:
        begin += 1
    end = 0
    while end < min(len(own), len(theirs)) - begin and own[-1 - end] == theirs[-1 - end]:
        end += 1
    middle = own[begin : len(own) - end], theirs[begin : len(theirs) - end]
    return begin > 0 and all(len(part) and "," not in part and "=" not in part for part in middle)


def count(name):
    """Of a script: the article's lines, all lines, and those that are not the article's."""
    article, lines = article_lines(), list(statements(ROOT / name))
    others = [line for line in lines if not is_article_s(line, article)]
    return len(lines) - len(others), len(lines), others


if __name__ == "__main__":
    for name in (
        "show_samples.py",
        "cnn.py",
        "visualize_weights.py",
        "transfer_learning.py",
        "cnn_with_gap.py",
    ):
        own, lines, others = count(name)
        print(f"{name}: {own} of {lines} lines are the article's, {own / lines:.0%}")
        if "-v" in sys.argv:
            print(*(f"    {line}" for line in others), sep="\n")
