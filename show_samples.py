"""Look at the pictures before anything is learned from them: section 1 of the article.

CIFAR-10 has 60,000 colour pictures of 32 x 32 pixels in ten classes.
"""

import sys

import numpy as np

import utils  # before data, whose import of keras it defers until it is needed

import data
import runs


def plot_samples(images, labels, class_names, name, show):
    """The article's figure: pictures side by side, each under the name of its class."""
    columns = min(len(images), 10)
    rows = -(-len(images) // columns)
    figure, axes = utils.subplots(
        show, rows, columns, figsize=(2 * columns, 2.2 * rows + 0.5), squeeze=False
    )
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, label in zip(axes.flat, images, labels, strict=False):
        ax.imshow(image)
        ax.set_title(class_names[label])
    figure.suptitle(f"Training pictures: {name}")
    return figure


def plot_classes(images, labels, class_names, name, show):
    """A row a class: its name and its first ten pictures."""
    figure, axes = utils.subplots(
        show, len(class_names), 10, figsize=(9, 0.85 * len(class_names) + 0.6), squeeze=False
    )
    for row, class_name in enumerate(class_names):
        pictures = images[np.flatnonzero(labels == row)[:10]]
        for column, ax in enumerate(axes[row]):
            ax.axis("off")
            if column < len(pictures):
                ax.imshow(pictures[column])
        axes[row, 0].text(
            -0.2, 0.5, class_name, ha="right", va="center", transform=axes[row, 0].transAxes
        )
    figure.suptitle(f"Ten training pictures of each class: {name}", y=0.92)
    figure.subplots_adjust(wspace=0.06, hspace=0.06)
    return figure


def main(argv=None):
    parser = utils.command_line(__file__, __doc__)
    parser.add_argument(
        "--count", type=utils.whole_number(1), default=3, metavar="N",
        help="how many pictures samples.png shows (3)",
    )  # fmt: skip
    args = parser.parse_args(argv)

    (x_train, y_train), (x_test, y_test), class_names, name = data.load(
        args.data, args.seed, args.limit
    )
    print(f"{name}: {len(class_names)} classes")
    print(f"training pictures: {x_train.shape} {x_train.dtype}, {x_train.min()} to {x_train.max()}")
    print(f"test pictures:     {x_test.shape} {x_test.dtype}, {x_test.min()} to {x_test.max()}")

    args.out.mkdir(parents=True, exist_ok=True)
    first = slice(args.count)
    figure = plot_samples(x_train[first], y_train[first], class_names, name, args.show)
    utils.save_figure(figure, args.out / "samples.png", args.show)
    figure = plot_classes(x_train, y_train, class_names, name, args.show)
    utils.save_figure(figure, args.out / "classes.png", args.show)


if __name__ == "__main__":
    sys.exit(runs.run_script(main))
