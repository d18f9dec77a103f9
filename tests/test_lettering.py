import warnings

import pytest
from conftest import options
from matplotlib import pyplot as plt

from support import drawing, lettering

# A letter that only STIX has, of the fonts that come with Matplotlib, and one that none has.
FOUND, NOWHERE = "Ⓐ", "\U0001f9ff"


def test_the_letters_are_what_they_are_taken_for():
    assert lettering.missing_letters(f"abc é{FOUND}{NOWHERE}\n") == f"{FOUND}{NOWHERE}"
    assert lettering.font_with(FOUND) is not None
    assert lettering.font_with(NOWHERE) is None


def test_names_that_a_font_has_stay(capsys):
    assert list(lettering.labels(["cat", "dog"])) == ["cat", "dog"]
    assert list(lettering.labels(["cat", FOUND])) == ["cat", FOUND]
    assert capsys.readouterr().out == ""


def test_names_that_no_font_has_become_numbers_which_are_explained_once(capsys):
    for _ in range(2):
        assert list(lettering.labels(["cat", NOWHERE])) == ["0", "1"]
    assert capsys.readouterr().out.splitlines()[1:] == ["   0 = cat", f"   1 = {NOWHERE}"]


@pytest.mark.parametrize("letter", [FOUND, NOWHERE])
def test_a_figure_is_saved_without_a_warning_or_a_box(tmp_path, letter):
    figure, axes = plt.subplots()
    axes.set_title(f"images in {letter}")
    with warnings.catch_warnings(action="error"):
        drawing.save(figure, "f.png", options(out=tmp_path))
    title = axes.get_title()
    assert title == ("images in ?" if letter == NOWHERE else f"images in {letter}")
    assert len(axes.title.get_fontfamily()) == (2 if letter == FOUND else 1)
