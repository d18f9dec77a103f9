"""Figures: how they are saved, letters that Matplotlib's own font lacks, and the classes."""

import contextlib
import functools
import os
import sys

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
    """Families that are installed and together have the letters, and the letters that none has.

    Matplotlib falls back from one family to the next, letter by letter.
    """
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


def plot_tiles(tiles, tile_shape, title, path):
    """Draw tiled filters side by side.

    `tiles`: what stands above each to an image `uint8` `(rows * height, columns * width, 3)`.
    """
    figure, axes = plt.subplots(1, len(tiles), figsize=(4.6 * len(tiles), 5.5), squeeze=False)
    for ax, (when, image) in zip(axes.flat, tiles.items(), strict=True):
        ax.imshow(image, interpolation="nearest")
        ax.set_title(when)
        grid(ax, image, *tile_shape[:2], linewidth=5)
    figure.suptitle(title, y=0.98, va="bottom")
    save(figure, path)


def grid(ax, tiles, height, width, linewidth):
    """White lines between tiles of this height and width, and no frame."""
    ax.set_xticks(np.arange(width, tiles.shape[1], width) - 0.5, [])
    ax.set_yticks(np.arange(height, tiles.shape[0], height) - 0.5, [])
    ax.grid(color="white", linewidth=linewidth)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def plot_classes(images, labels, class_names, title, path):
    """Draw a row for each class, of 25 at the most: its name and its first ten images.

    Args:
        images, labels, class_names: as `images.load_data` returns them.
    """
    names, side, gap = shown_names(tuple(class_names))[:25], images.shape[1], 2
    canvas = np.full((len(names), side + gap, 10 * (side + gap), 3), 255, "uint8")
    for row in range(len(names)):
        for column, image in enumerate(images[np.flatnonzero(labels == row)[:10]]):
            left = column * (side + gap)
            canvas[row, :side, left : left + side] = image
    figure, ax = plt.subplots(figsize=(6.5, 0.55 * len(names) + 0.6), layout="constrained")
    ax.imshow(np.concatenate(canvas), interpolation="nearest")
    ax.set_yticks((side + gap) * np.arange(len(names)) + side / 2, names)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    figure.suptitle(title)
    save(figure, path)
