"""The drawing of a model, as blocks: the figures with which the article presents each network."""

import math

import utils  # before keras, which it defers until it is needed

import keras


def draw_model(model, name, folder):
    """Write `model.png`: the layers in order, with their output shapes and parameters.

    A box is a stack of feature maps: its face is as high and wide as they are, its depth their
    number. A bar is a vector. All sizes are on a square root scale, or most would be invisible. A
    layer that changes no shape, such as batch normalization, joins the one before it.
    """
    from matplotlib.figure import Figure  # not at the top: --help need not wait for it
    from matplotlib.patches import Polygon

    blocks = blocks_of(model)
    columns, cell_width, cell_height = min(6, len(blocks)), 1.65, 2.15  # inches
    rows = math.ceil(len(blocks) / columns)
    figure = Figure(figsize=(columns * cell_width, rows * cell_height + 0.4))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, columns * cell_width))
    axes.set(ylim=(-rows * cell_height, 0.4), aspect="equal")
    axes.axis("off")
    title = f"{name}: {model.count_params():,} parameters"
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
            axes.annotate(
                "", (x - 0.68, y), (x - 0.97, y), arrowprops={"arrowstyle": "->", "color": "0.5"}
            )
        caption = " × ".join(map(str, shape)) + f"\n{parameters:,} parameters" * (parameters > 0)
        axes.text(
            x, y + 0.53, f"{name}\n{detail.strip()}".strip(), ha="center", va="bottom", fontsize=9
        )
        axes.text(x, y - 0.53, caption, ha="center", va="top", fontsize=9)
    folder.mkdir(parents=True, exist_ok=True)
    utils.save_figure(figure, folder / "model.png")


def blocks_of(model):
    """What is drawn: for each block its layer, kernel and followers, output shape, parameters."""
    blocks = [["input", "", model.input_shape[1:], 0]]
    for layer in flat_layers(model):
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
            last[1] += ("\n+ " if "+" not in last[1] else ", ") + name.replace(
                "Normalization", "Norm"
            )
            last[3] += layer.count_params()
    return blocks


def flat_layers(model):
    """The layers of a model in order, those of the models inside it among them."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from flat_layers(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer
