"""The scripts stay the article's: how many of their lines of code are its own."""

import pytest
from article_lines import ROOT, count, differ_in_one_value, is_article_s, statements, tokens


@pytest.mark.parametrize(
    ("script", "least"),
    [
        ("show_samples.py", 0.30),
        ("cnn.py", 0.50),
        ("visualize_weights.py", 0.45),
        ("transfer_learning.py", 0.33),
        ("cnn_with_gap.py", 0.40),
    ],
)
def test_a_script_does_not_move_away_from_the_article(script, least):
    own, lines, others = count(script)
    assert own / lines >= least, others


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("_hidden = Dense(100, activation='relu')(_hidden)", True),
        ('_hidden = Dense(100, activation="relu")(_hidden)', True),
        ("_output = Dense(num_classes, activation='softmax')(_hidden)", True),
        ("from keras.layers import Input, Rescaling", True),
        ("def build_model(num_classes=10):", True),
        ("_output = Dense(num_classes, activation='sigmoid')(_hidden)", False),
        ("from support.data import images", False),
        ("import keras", False),
        ("train, test = images.batches(args, prepare)", False),
        ("print('done')", False),
    ],
)
def test_what_counts_as_the_article_s(line, counts):
    article = [tokens("_hidden = Dense(100, activation='relu')(_hidden)")]
    article += [tokens("_output = Dense(10, activation='softmax')(_hidden)"), tokens("import math")]
    assert is_article_s(line, article) is counts


def test_docstrings_are_no_code_and_a_statement_is_one_line():
    lines = list(statements(ROOT / "cnn.py"))
    assert not any("記事" in line for line in lines)
    assert sum("model.fit(" in line for line in lines) == 1
    assert differ_in_one_value(tokens("n = 3"), tokens("n = 5"))
