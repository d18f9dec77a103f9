"""Figures: how they are saved, letters that Matplotlib's own font lacks, and the classes."""

import contextlib
import functools
import itertools
import os
import sys
import textwrap

import numpy as np
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from support import files

# A figure looks alike whatever the reader's own style is, and a dollar in a name is a dollar.
plt.rcdefaults()
plt.rcParams["text.parse_math"] = False
# Where several fonts have the letters: Gothic ones, which go with the rest of a figure.
JAPANESE = ["Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", "Meiryo", "IPAexGothic", "MS Gothic"]


def save(figure, path):
    """Write a Matplotlib figure, and open it too where the backend has a window, as with --show."""
    texts = figure.findobj(Text)
    families, missing = fonts_with("".join(text.get_text() for text in texts))
    for text in texts:
        text.set_fontfamily(families)
        text.set_text("".join("?" if letter in missing else letter for letter in text.get_text()))
    with files.replacing_figure(path) as part:
        figure.savefig(part, dpi=110, bbox_inches="tight", metadata=dict([files.MARK]))
    if plt.get_backend().lower() != "agg":
        plt.show()
    elif os.environ.get("MPLBACKEND") != "agg":  # --show, but Matplotlib has found no screen
        print(f"no screen for --show here; open {path} instead", file=sys.stderr)
    plt.close(figure)


def save_image(image, path):
    """Write a `PIL.Image`, each pixel enlarged to 16 x 16."""
    mark = PngInfo()
    mark.add_text(*files.MARK)
    large = image.resize((16 * image.width, 16 * image.height), Image.Resampling.NEAREST)
    with files.replacing_figure(path) as part:
        large.save(part, pnginfo=mark)


@functools.cache
def fonts_with(letters):
    """Installed families that together have the letters (Matplotlib falls back letter by letter); the rest."""
    paths = {font.name: font.fname for font in font_manager.fontManager.ttflist}
    families, missing = [], set(letters) - {"\n"}
    for name in dict.fromkeys(["DejaVu Sans", *JAPANESE, *sorted(paths)]):
        if missing and name in paths and "Last Resort" not in name:  # which has boxes alone
            with contextlib.suppress(OSError, RuntimeError):  # a font that is damaged or was removed
                if found := missing & set(map(chr, FT2Font(paths[name]).get_charmap())):
                    families.append(name)
                    missing -= found
    return families, missing


@functools.cache  # so that the numbers are explained once, however many figures there are
def shown_names(class_names):
    """Class names, a tuple, as a figure can show them: their numbers if no font here has the letters."""
    if not fonts_with("".join(class_names))[1]:
        return class_names
    print("no font here has the letters of these classes, so the figures show numbers:")
    for number, name in enumerate(class_names):
        print(f"{number:4} = {name}")
    return [str(number) for number in range(len(class_names))]


def plot_tiles(tiles, order, title, path):
    """Draw filters side by side (`tiles`: a heading to images), in this order, each under its number."""
    width = int(len(order) ** 0.5)
    rows = [("", [cell for words in tiles for cell in ((words, None), *[None] * width)])]
    for start in range(0, len(order), width):
        numbers = order[start : start + width]
        cells = [[(str(n), images[n]) for n in numbers if n < len(images)] for images in tiles.values()]
        rows.append(("", [cell for each in cells for cell in each + [None] * (width + 1 - len(each))]))
    plot_cells(rows, title, path)


def plot_cells(rows, title, path, side=64):
    """Draw small images in rows, each in a frame and enlarged a whole number of times, up to `side` pixels.

    `rows`: pairs of the words on the left and the cells: (text above, image `uint8` `(h, w, 3)`),
    (text, None) for words alone, or None. A column of None is a gap.
    """
    figure = plt.figure(dpi=110)  # as `save` has it
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xticks=[], yticks=[])
    left = 14 + 9 * max(len(words) for label, _ in rows for words in label.split("\n"))
    x = np.cumsum([left] + [side + 6 if any(c) else 30 for c in itertools.zip_longest(*(r[1] for r in rows))])
    title = "\n".join(textwrap.fill(words, x[-1] // 9) for words in title.split("\n"))
    axes.text(6, 6, title, va="top")
    y = 36 + 19 * title.count("\n")
    for label, cells in rows:
        shown = [(at, *cell) for at, cell in zip(x, cells, strict=False) if cell]
        height = side * (not shown or any(image is not None for *_, image in shown))
        above = [words for _, words, image in shown if words and (image is not None or not height)]
        y += 19 * max((words.count("\n") + 1 for words in above), default=0)
        axes.text(left - 6, y + height / 2, label, ha="right", va="center")
        for at, words, image in shown:
            above = image is not None or not height  # else in the middle of the place of an image
            axes.text(at, y - 3 if above else y + side / 2, words, va="bottom" if above else "center")
            if image is not None:
                large = image.repeat(times := side // max(image.shape[:2]), axis=0).repeat(times, axis=1)
                framed = np.pad(large, [(1, 1), (1, 1), (0, 0)], constant_values=170)
                place = at - 1, at - 1 + framed.shape[1], y - 1 + framed.shape[0], y - 1
                axes.imshow(framed, extent=place, interpolation="nearest", aspect="auto")
        y += height + 6
    axes.set(xlim=(0, x[-1]), ylim=(y, 0))
    figure.set_size_inches(x[-1] / figure.dpi, y / figure.dpi)
    save(figure, path)
