"""The filters of the first convolution before and after training: section 3.2 of the article.

The book's figure 7-24 (p. 235) shows the same for MNIST: noise before, and after training
filters that answer to edges and blobs.
"""

import sys
import textwrap
from pathlib import Path

import numpy as np

import utils  # before keras, which it defers until it is needed

import keras

import cnn

CNN_FOLDER = Path("results", "cnn")


def first_kernels(model):
    """The kernels of the first convolution, `float32` `(height, width, 3, filters)`.

    Raises:
        ValueError: there is no convolution, or it does not work on three channels.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernels = keras.ops.convert_to_numpy(layer.kernel)
            if kernels.shape[2] != 3:
                raise ValueError(f"its first convolution sees {kernels.shape[2]} channels, not 3")
            return kernels
        if isinstance(layer, keras.Model):  # such as MobileNet inside a Sequential
            return first_kernels(layer)
    raise ValueError("it has no convolution")


def kernel_images(kernels):
    """One `uint8` picture a filter, `(filters, height, width, 3)`, each scaled to its own range."""
    filters = np.split(kernels, kernels.shape[3], axis=3)
    return np.stack([np.asarray(keras.utils.array_to_img(np.squeeze(f, axis=3))) for f in filters])


def load_kernels(path):
    if not path.is_file():
        raise utils.RunError(f"{path}: no such file; give a model that Keras saved, or none")
    try:
        # Safe mode, Keras' default, refuses models that bring code of their own.
        return first_kernels(keras.saving.load_model(path, compile=False, safe_mode=True))
    except Exception as error:  # a damaged file makes Keras raise nearly anything
        reason = textwrap.shorten(str(error), 250, placeholder=" ...")
        raise utils.RunError(
            f"{path}: cannot show its filters: {reason}; give another model"
        ) from None


def save_image(image, path):
    with utils.replacing(path) as part:
        image.save(part)
    print(f"wrote {path}")


def plot_both(before, after, title, show):
    """Both tile images side by side (the figure of section 3.2)."""
    figure, axes = utils.subplots(show, 1, 2, figsize=(8, 5.6), layout="constrained")
    figure.get_layout_engine().set(wspace=0.15)
    for ax, image, when in zip(
        axes, (before, after), ("before training", "after training"), strict=True
    ):
        ax.imshow(image, interpolation="nearest")
        ax.set_title(when)
        ax.axis("off")
    figure.suptitle(title)
    return figure


def main(argv=None):
    parser = utils.command_line(
        __file__, __doc__, epochs=cnn.EPOCHS, batch_size=cnn.BATCH_SIZE, summary=False
    )
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", type=Path,
        help=f"a model that Keras saved (default: that of cnn.py in {CNN_FOLDER}; if there is none, "
        "or one of the options for training is given, cnn.py runs first)",
    )  # fmt: skip
    # What is not given stays None here, so that a wish for the training is never passed over.
    parser.set_defaults(epochs=None, batch_size=None, seed=None)
    args = parser.parse_args(argv)
    wishes = {k: getattr(args, k) for k in ("data", "epochs", "batch_size", "limit", "seed")}
    wishes = [f"--{k.replace('_', '-')}={v}" for k, v in wishes.items() if v is not None]
    wishes += ["--fresh"] * args.fresh
    if args.model is None:
        args.model = CNN_FOLDER / "model.keras"
        if wishes or not args.model.exists():
            print(f"running cnn.py first, for {args.model}")
            cnn.main(wishes)
    elif wishes:
        parser.error(f"{wishes[0]} is for training, but a MODEL is trained already")

    after = utils.enlarged_tiles(kernel_images(load_kernels(args.model)))
    args.out.mkdir(parents=True, exist_ok=True)
    save_image(after, args.out / "after.png")
    # A run of our scripts has its untrained model, and what it was trained on, beside the trained.
    initial = args.model.with_name("initial.keras")
    if not initial.exists():
        return print(f"no {initial}, so there is no picture of the filters before training")
    before = utils.enlarged_tiles(kernel_images(load_kernels(initial)))
    save_image(before, args.out / "before.png")
    name = utils.read_record(args.model.with_name("run.json")).get("data", "unknown pictures")
    title = f"The filters of the first convolution; trained on {name}"
    figure = plot_both(before, after, title, args.show)
    utils.save_figure(figure, args.out / "weights.png", args.show)


if __name__ == "__main__":
    sys.exit(utils.run_script(main))
