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
import runs

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


def regularity(kernels):
    """How alike neighbouring weights are: 1 where they are equal, 0 in noise, -1 where opposite.

    The article finds by eye that filters become regular; this is the number for it, the spatial
    autocorrelation at a distance of one: the products of all pairs of neighbours, side by side or one
    above the other, divided by the means of their squares.

    Args:
        kernels: `(height, width, channels, filters)`.

    Returns:
        `(filters,)` in -1..1; 0 for kernels that are 1 x 1 or all zero.
    """
    pairs = (kernels[1:], kernels[:-1]), (kernels[:, 1:], kernels[:, :-1])
    products = sum((one * other).sum(axis=(0, 1, 2)) for one, other in pairs)
    squares = sum((one**2 + other**2).sum(axis=(0, 1, 2)) / 2 for one, other in pairs)
    return np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)


def load_kernels(path):
    if not path.is_file():
        raise runs.RunError(f"{path}: no such file; give a model that Keras saved, or none")
    try:
        # Safe mode, Keras' default, refuses models that bring code of their own.
        return first_kernels(keras.saving.load_model(path, compile=False, safe_mode=True))
    except Exception as error:  # a damaged file makes Keras raise nearly anything
        reason = textwrap.shorten(str(error), 250, placeholder=" ...")
        raise runs.RunError(
            f"{path}: cannot show its filters: {reason}; give another model"
        ) from None


def save_image(image, path):
    with utils.replacing(path) as part:
        image.save(part)
    print(f"wrote {path}")


def plot_both(images, captions, title, show):
    """Both tile images side by side (the figure of section 3.2)."""
    figure, axes = utils.subplots(show, 1, 2, figsize=(8, 5.6), layout="constrained")
    figure.get_layout_engine().set(wspace=0.15)
    for ax, image, caption in zip(axes, images, captions, strict=True):
        ax.imshow(image, interpolation="nearest")
        ax.set_title(caption)
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
    parser.add_argument(
        "--sort", action="store_true",
        help="the most regular filters (after training) first; else in the network's order",
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

    kernels = {"after training": load_kernels(args.model)}
    values = regularity(kernels["after training"])
    order = np.argsort(-values) if args.sort else np.arange(len(values))
    # A run of our scripts has its untrained model, and what it was trained on, beside the trained.
    initial = args.model.with_name("initial.keras")
    if initial.exists():
        kernels = {"before training": load_kernels(initial)} | kernels
    # The baseline: kernels of the same size that have learned nothing.
    shape = kernels["after training"].shape[:3]
    noise = regularity(np.random.default_rng(0).normal(size=(*shape, 10_000)))
    limit = np.quantile(noise, 0.99)
    print(f"regularity of random kernels: {noise.mean():z.2f} on average, 99 % below {limit:.2f}")

    args.out.mkdir(parents=True, exist_ok=True)
    images, captions = [], []
    for when, stage in kernels.items():
        values = regularity(stage)
        images.append(utils.enlarged_tiles(kernel_images(stage)[order]))
        captions.append(f"{when}\nregularity {values.mean():z.2f}")
        save_image(images[-1], args.out / f"{when.split()[0]}.png")
        print(
            f"regularity {when}: {values.mean():z.2f} on average, {values.min():z.2f} to "
            f"{values.max():.2f}; {(values > limit).sum()} of {len(values)} above {limit:.2f}"
        )
    if not initial.exists():
        return print(f"no {initial}, so there is no picture of the filters before training")
    name = runs.read_record(args.model.with_name("run.json")).get("data", "unknown pictures")
    title = f"The filters of the first convolution; trained on {name}"
    title += "\nsorted: the most regular after training first" * args.sort
    figure = plot_both(images, captions, title, args.show)
    utils.save_figure(figure, args.out / "weights.png", args.show)


if __name__ == "__main__":
    sys.exit(runs.run_script(main))
