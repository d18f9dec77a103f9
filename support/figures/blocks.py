"""A network as blocks: the figure of section 2."""

import math

from matplotlib import pyplot as plt
from matplotlib.patches import Polygon

from support.figures import drawing
from support.run.records import flat_layers


def draw(model, title, path):
    """Print a model's table and draw its layers in order, with shapes and parameters.

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
    heading = f"{title}: {model.count_params():,} parameters"
    axes.text(columns * cell_width / 2, 0.2, heading, ha="center", va="center", fontsize=12)
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
            "#6baed6": [(right, bottom), (right + dx, bottom + dy), (right + dx, top + dy), (right, top)],
        }
        for colour, corners in faces.items():
            axes.add_patch(Polygon(corners, facecolor=colour, edgecolor="#08306b", lw=0.8))
        if index % columns:
            axes.annotate("", (x - 0.68, y), (x - 0.97, y), arrowprops={"arrowstyle": "->", "color": "0.5"})
        caption = " × ".join(map(str, shape)) + f"\n{parameters:,} parameters" * (parameters > 0)
        axes.text(x, y + 0.53, f"{name}\n{detail.strip()}".strip(), ha="center", va="bottom", fontsize=9)
        axes.text(x, y - 0.53, caption, ha="center", va="top", fontsize=9)
    drawing.save(figure, path)


def blocks_of(model):
    """What is drawn: for each block its layer, kernel and followers, output shape, parameters."""
    shape = model.input_shape[1:]
    blocks = [["input", "", shape, 0]]
    for layer in flat_layers(model):
        name, last = type(layer).__name__, blocks[-1]
        # Not `layer.output.shape`: a model inside this one may have been made for another size.
        shape = tuple(layer.compute_output_shape((None, *shape))[1:])
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
