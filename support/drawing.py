"""Figures: how they are saved, and those that the article does not print code for."""

import contextlib
import math
import sys

import keras
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Polygon
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from support import files, lettering
from support.entry import ScriptError

# By this a figure is known for ours, which the next run may replace.
MARK = {"Software": "Convolutional networks in Keras, section by section"}


def save(figure, name, args):
    """Write a `matplotlib` figure as `name` into the script's folder; with --show open it too.

    Raises:
        ScriptError: it cannot be written, or somebody else's file has that name.
    """
    lettering.make_legible(figure)
    with ours(args.out / name) as part:
        figure.savefig(part, dpi=110, bbox_inches="tight", metadata=MARK)
    if args.show and plt.get_backend().lower() == "agg":
        print(f"no screen for --show here; open {args.out / name} instead", file=sys.stderr)
    elif args.show:
        plt.show()
    plt.close(figure)


def save_image(image, name, args):
    """Write a `PIL.Image` as `name` into the script's folder, each pixel enlarged to 16 x 16.

    Raises:
        ScriptError: it cannot be written, or somebody else's file has that name.
    """
    mark = PngInfo()
    for key, value in MARK.items():
        mark.add_text(key, value)
    large = image.resize((16 * image.width, 16 * image.height), Image.Resampling.NEAREST)
    with ours(args.out / name) as part:
        large.save(part, pnginfo=mark)


@contextlib.contextmanager
def ours(path):
    """A path to write an image to, which then replaces `path` if a script of ours wrote that."""
    files.make_folder(path.parent)
    check_ours(path)
    with files.replacing(path) as part:
        yield part
    print(f"wrote {path}")


def check_ours(path):
    """
    Raises:
        ScriptError: the file is there, and none of our scripts wrote it.
    """
    try:
        with Image.open(path) as image:
            found = image.info.get("Software") == MARK["Software"]
    except FileNotFoundError:
        return
    except OSError:
        found = False
    if not found:
        raise ScriptError(f"{path}: not written by these scripts; move it away, or take another --out")


def grid(ax, tiles, height, width, linewidth):
    """White lines between tiles of this height and width, and no frame."""
    ax.set_xticks(np.arange(width, tiles.shape[1], width) - 0.5, [])
    ax.set_yticks(np.arange(height, tiles.shape[0], height) - 0.5, [])
    ax.grid(color="white", linewidth=linewidth)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def plot_classes(images, labels, class_names, name, args):
    """Draw `classes.png`, with a row for each class: its name and its first ten images.

    Args:
        images, labels, class_names, name: as `images.load_data` returns them.
    """
    side, gap, columns, most = images.shape[1], 2, 10, 25  # `most` classes stand below each other
    strips = np.full((len(class_names), side + gap, columns * (side + gap), 3), 255, "uint8")
    for row in range(len(class_names)):
        for column, image in enumerate(images[np.flatnonzero(labels == row)[:columns]]):
            left = column * (side + gap)
            strips[row, :side, left : left + side] = image
    names, blocks = lettering.labels(class_names), math.ceil(len(class_names) / most)
    rows = min(most, len(class_names))
    figure, axes = plt.subplots(
        1, blocks, figsize=(6.5 * blocks, 0.55 * rows + 0.6), layout="constrained", squeeze=False
    )
    for block, ax in enumerate(axes.flat):
        shown = slice(block * most, (block + 1) * most)
        ax.imshow(np.concatenate(strips[shown]), interpolation="nearest")
        ax.set_yticks((side + gap) * np.arange(len(names[shown])) + side / 2, names[shown])
        ax.set_xticks([])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_anchor("N")
    figure.suptitle(f"Ten training images of each class: {name}")
    save(figure, "classes.png", args)


def draw(model, args):
    """Print a model's table and write `model.png`: the layers in order, with shapes and parameters.

    A box is a stack of feature maps: its face is as high and wide as they are, its depth their
    number. A bar is a vector. All sizes are on a square root scale, or most would be invisible. A
    layer that changes no shape, such as batch normalization, joins the one before it.
    """
    model.summary()
    blocks = blocks_of(model)
    columns, cell_width, cell_height = min(6, len(blocks)), 1.65, 2.15  # inches
    rows = math.ceil(len(blocks) / columns)
    figure = plt.figure(figsize=(columns * cell_width, rows * cell_height + 0.4))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, columns * cell_width))
    axes.set(ylim=(-rows * cell_height, 0.4), aspect="equal")
    axes.axis("off")
    title = f"{args.script}: {model.count_params():,} parameters"
    axes.text(columns * cell_width / 2, 0.2, title, ha="center", va="center", fontsize=12)
    shapes = [shape for _, _, shape, _ in blocks]
    widest = max([shape[0] for shape in shapes if len(shape) == 3], default=1)
    deepest = max([shape[2] for shape in shapes if len(shape) == 3], default=1)
    longest = max([shape[0] for shape in shapes if len(shape) == 1], default=1)
    for index, (name, detail, shape, parameters) in enumerate(blocks):
        x = (index % columns + 0.5) * cell_width
        y = -(index // columns + 0.5) * cell_height
        if len(shape) == 3:
            width = height = 0.75 * math.sqrt(shape[0] / widest)
            depth = 0.5 * math.sqrt(shape[2] / deepest)
        else:
            width, height, depth = 0.09, 0.95 * math.sqrt(shape[0] / longest), 0.09
        dx, dy = 0.8 * depth, 0.5 * depth  # the third dimension, seen from above on the right
        left, bottom = x - (width + dx) / 2, y - (height + dy) / 2
        right, top = left + width, bottom + height
        faces = {
            "#9ecae1": [(left, bottom), (right, bottom), (right, top), (left, top)],
            "#c6dbef": [(left, top), (right, top), (right + dx, top + dy), (left + dx, top + dy)],
            "#6baed6": [(right, bottom), (right + dx, bottom + dy), (right + dx, top + dy),
                        (right, top)],
        }  # fmt: skip
        for colour, corners in faces.items():
            axes.add_patch(Polygon(corners, facecolor=colour, edgecolor="#08306b", lw=0.8))
        if index % columns:
            axes.annotate("", (x - 0.68, y), (x - 0.97, y), arrowprops={"arrowstyle": "->", "color": "0.5"})
        caption = " × ".join(map(str, shape)) + f"\n{parameters:,} parameters" * (parameters > 0)
        axes.text(x, y + 0.53, f"{name}\n{detail.strip()}".strip(), ha="center", va="bottom", fontsize=9)
        axes.text(x, y - 0.53, caption, ha="center", va="top", fontsize=9)
    save(figure, "model.png", args)


def blocks_of(model):
    """What is drawn: for each block its layer, kernel and followers, output shape, parameters."""
    blocks = [["input", "", model.input_shape[1:], 0]]
    for layer in sized_layers(model, model.input_shape[1:]):
        name, shape, last = type(layer).__name__, tuple(layer.output.shape[1:]), blocks[-1]
        size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
        if name.startswith("ZeroPadding"):  # a part of the convolution that follows
            continue
        if size or shape != last[2]:
            kernel = " × ".join(map(str, size or []))
            if size and max(layer.strides) > 1 and "Pooling" not in name:
                kernel += f", stride {max(layer.strides)}"
            blocks.append([name, kernel, shape, layer.count_params()])
        else:
            followers = "\n+ " if "+" not in last[1] else ", "
            last[1] += followers + name.replace("Normalization", "Norm")
            last[3] += layer.count_params()
    return blocks


def sized_layers(model, shape):
    """The layers in order; those of a model inside it as they are for this size of its input."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            inputs = keras.tree.map_structure(lambda _: keras.Input(shape), layer.input)  # noqa: B023
            copy = keras.models.clone_model(layer, input_tensors=inputs)
            yield from sized_layers(copy, shape)
            shape = copy.output.shape[1:]
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer
            shape = layer.output.shape[1:]
