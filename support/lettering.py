"""Letters that Matplotlib's own font lacks, such as Japanese class names."""

import functools

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

BASE = font_manager.findfont("DejaVu Sans")
# Where several fonts have the letters: Gothic ones, which go with the rest of a figure.
PREFERRED = ["Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", "Meiryo", "IPAexGothic", "MS Gothic"]


def labels(class_names):
    """Class names as a figure can show them: themselves, or their numbers if no font has them.

    The numbers' meaning is printed.
    """
    return _labels(tuple(class_names))


@functools.cache  # so that the numbers are explained once, however many figures there are
def _labels(class_names):
    missing = missing_letters("".join(class_names))
    if not missing or font_with(missing):
        return class_names
    print("no font here has the letters of these classes, so the figures show numbers:")
    for number, name in enumerate(class_names):
        print(f"{number:4} = {name}")
    return [str(number) for number in range(len(class_names))]


def make_legible(figure):
    """Give the texts of a figure a font that has their letters; `?` for those that no font has."""
    texts = figure.findobj(Text)
    missing = missing_letters("".join(text.get_text() for text in texts))
    if not missing:
        return
    font = font_with(missing)
    for text in texts:
        if font:
            text.set_fontfamily(["DejaVu Sans", font])
        else:
            letters = text.get_text()
            text.set_text("".join("?" if letter in missing else letter for letter in letters))


def missing_letters(text):
    """The letters, a sorted string, that Matplotlib's own font does not have."""
    return "".join(sorted({letter for letter in text if ord(letter) not in letters_of(BASE)} - {"\n"}))


@functools.cache
def font_with(letters):
    """The name of a font of this system with all the letters, None where there is none."""
    # Of a family's fonts the upright one of normal weight comes last, and stays.
    found = sorted(font_manager.fontManager.ttflist, key=lambda f: (f.style == "normal", f.weight == 400))
    fonts = {f.name: f.fname for f in found if "Last Resort" not in f.name}  # which has boxes alone
    for name in [*PREFERRED, *sorted(fonts)]:
        if name in fonts and all(ord(letter) in letters_of(fonts[name]) for letter in letters):
            return name
    return None


@functools.cache
def letters_of(path):
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # a font that is damaged or was removed
        return frozenset()
