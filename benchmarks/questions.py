"""What a reader of the article asks: a script with one change, trained anew.

    python benchmarks/questions.py --data SOURCE [--mnist FILE.npz]
    python benchmarks/questions.py --tables

Why 65 %, when the book's network has nearly 99 % on MNIST? What if MobileNet's output layer alone is
trained? What do dropout, `padding="same"`, a second convolution and half of the images change? And what
do the sections give on the built-in sample? For each a piece of the script is replaced, and the new
script is run on one core, seed by seed. Stopped and started again it goes on where it was. The runs are
kept in `runs/questions.json`, and with --tables the tables are made from it alone, without training.

MNIST comes from `keras.datasets.mnist`, or from a file like its `mnist.npz`.
"""

import argparse
import re
import sys
from pathlib import Path

from common import ROOT, keep, kept, run, run_of, spread, write

import utils

RESULTS = ROOT / "results" / "questions"
SEEDS = (0, 1, 2)
IMPORTS = "    from keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D\n"
INPUT = "(input)\n    _input = Input(shape=(32, 32, 3))\n"
PIXELS = 'x = x.astype("float32") / 255.0\n'
SAME = '(convolution)\n    _hidden = Conv2D(filters=30, kernel_size=5, strides=(1, 1), padding="{}"'
POOLING = "(pooling)\n    _hidden = MaxPooling2D(pool_size=(2, 2))(_hidden)\n"
SECOND = '    _hidden = Conv2D(filters=30, kernel_size=5, activation="relu")(_hidden)\n'
FLATTEN = "    _hidden = Flatten()(_hidden)\n"
MOBILENET = (
    '_hidden = MobileNet(include_top=False, pooling="avg", alpha=alpha, weights=weights, name=name)(_input)\n'
)
FROZEN = (MOBILENET, f"{MOBILENET.replace('_hidden', 'mobilenet', 1).replace('(_input)', '')}"
          "    mobilenet.trainable = False\n    _hidden = mobilenet(_input)\n")  # fmt: skip

# A row's title to the script, what stands in it and what instead, and its options. The titles are the
# same in every language.
CHANGES = {
    "`trainable = False`": ("transfer_learning", [FROZEN], []),
    "`trainable = False`, [−1, 1]": (
        "transfer_learning",
        [FROZEN, (PIXELS, PIXELS.replace("255.0", "127.5 - 1"))],
        [],
    ),
    "`cnn.py`, MNIST 28×28×1": (
        "cnn",
        [(INPUT, INPUT.replace("32, 32, 3", "28, 28, 1")), (PIXELS, f"x = x[:, 2:30, 2:30, :1]\n    {PIXELS}")],
        [],
    ),
    "`cnn.py`, CIFAR-10 32×32×1": (
        "cnn",
        [(INPUT, INPUT.replace("3))", "1))")), (PIXELS, f"x = x.mean(axis=3, keepdims=True)\n    {PIXELS}")],
        [],
    ),
    "2 × (`Conv2D`, `MaxPooling2D`)": (
        "cnn",
        [(POOLING, POOLING + SECOND + POOLING.split("\n", 1)[1])],
        [],
    ),
    "`Dropout(0.5)`": (
        "cnn",
        [(IMPORTS, IMPORTS.replace("Flatten", "Dropout, Flatten")),
         (FLATTEN, f"{FLATTEN}    _hidden = Dropout(0.5)(_hidden)\n")],
        [],
    ),
    '`padding="same"`': ("cnn", [(SAME.format("valid"), SAME.format("same"))], []),
    "`--limit 25000`": ("cnn", [], ["--limit", "25000"]),
}  # fmt: skip
MNIST, GREY, SECOND_CONVOLUTION = list(CHANGES)[2:5]
CNN, TRANSFER = "`cnn.py`, CIFAR-10 32×32×3", "`transfer_learning.py`"  # as they are
SAMPLE = [f"python {name}.py --data sample --out results/sample/{name}"
          for name in ("cnn", "transfer_learning", "cnn_with_gap")]  # fmt: skip
RUNS = [(title, seed) for seed in SEEDS for title in [*CHANGES, *(SAMPLE if seed == 0 else [])]]


def changed(title):
    """The text of the script with its change."""
    script, pieces, _ = CHANGES[title]
    text = (ROOT / f"{script}.py").read_text(encoding="utf-8")
    for there, instead in pieces:
        if text.count(there) != 1:
            raise RuntimeError(f"{script}.py has not one piece for {title}: {there!r}")
        text = text.replace(there, instead)
    return text


def mnist_folder(file=None):
    """A folder with MNIST, each image with two black pixels around it: 32 × 32, as the scripts take them."""
    folder = RESULTS / "mnist"
    if folder.exists():
        return folder
    import numpy as np
    from PIL import Image

    if file:
        with np.load(file) as arrays:
            sets = {kind: (arrays[f"x_{kind}"], arrays[f"y_{kind}"]) for kind in ("train", "test")}
    else:
        import keras

        sets = dict(zip(("train", "test"), keras.datasets.mnist.load_data(), strict=True))
    part = folder.with_name("mnist.part")
    for kind, (x, y) in sets.items():
        for row, (image, label) in enumerate(zip(np.pad(x, ((0, 0), (2, 2), (2, 2))), y, strict=True)):
            path = part / kind / str(label) / f"{row:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path, compress_level=1)
    part.replace(folder)
    return folder


def out_of(title, seed):
    number = [*CHANGES, *SAMPLE].index(title)
    return RESULTS / str(number) / f"seed-{seed}"


def train(title, seed, source):
    """A run, unless it has ended before."""
    out = out_of(title, seed)
    log, script = out.with_suffix(".log"), out.with_name("recipe.py")
    if title in SAMPLE:
        script, options = ROOT / title.split()[1], ["--data", "sample"]
    else:
        text, options = changed(title), ["--data", source, *CHANGES[title][2]]
        if script.exists() and script.read_text(encoding="utf-8") != text:
            sys.exit(f"{out.parent}: the runs of a script that has changed since; delete this folder")
    if log.exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    if title not in SAMPLE:
        script.write_text(text, encoding="utf-8")
    if "transfer_learning" in (title if title in SAMPLE else CHANGES[title][0]):
        options += ["--weights", "imagenet"]
    run([script, *options, "--seed", seed, "--out", out], folder=out.parent, log=log, append=True)


def finished_runs():
    """A title to its runs, one a seed, as far as they have ended."""
    runs = {}
    for title, seed in sorted(RUNS, key=lambda run: [*CHANGES, *SAMPLE].index(run[0])):
        if not (log := out_of(title, seed).with_suffix(".log")).exists():
            continue
        one = run_of(out_of(title, seed))
        # The script prints `[loss, accuracy]` before MobileNet trains.
        if before := re.search(r"^\[[\d.]+, ([\d.]+)\]$", log.read_text(), re.MULTILINE):
            one["untrained accuracy"] = round(float(before[1]), 5)
        runs.setdefault(title, []).append(one)
    return runs


def percent(runs, key, pick):
    return spread([100 * pick(one[key]) for one in runs])


def last(values):
    return values[-1]


def table(rows):
    """
    Args:
        rows: a title to its runs, one a seed.
    """
    yield "| | parameters | test accuracy, % | best epoch, % | training accuracy, % | seeds |"
    yield "|---|---|---|---|---|---|"
    for title, runs in rows.items():
        found = [percent(runs, *what) for what in
                 (("val_accuracy", last), ("val_accuracy", max), ("accuracy", last))]  # fmt: skip
        yield f"| {title} | {runs[0]['parameters']:,} | {' | '.join(found)} | {len(runs)} |"


def table_of_exercises(rows):
    """The same, and for each seed the two epochs in which over-fitting shows (section 3.1)."""
    header, line, *lines = table(rows)
    yield f"{header} training accuracy 5 points ahead from epoch | test loss lowest in epoch |"
    yield f"{line}---|---|"
    for text, runs in zip(lines, rows.values(), strict=True):
        ahead = ", ".join(str(utils.ahead_epoch(one) or "–") for one in runs)
        lowest = ", ".join(str(utils.lowest_loss_epoch(one)) for one in runs)
        yield f"{text} {ahead} | {lowest} |"


def table_of_output_layer(rows):
    """Section 4.4's three epochs, when all layers are trained and when the last one is."""
    yield "| test accuracy, % | before | epoch 1 | epoch 2 | epoch 3 | training accuracy, % | seeds | CPU s |"
    yield "|---|---|---|---|---|---|---|---|"
    for title, runs in rows.items():
        before = spread([100 * one["untrained accuracy"] for one in runs])
        epochs = [spread([100 * one["val_accuracy"][n] for one in runs]) for n in range(3)]
        training = percent(runs, "accuracy", last)
        cost = spread([sum(one["cpu seconds"]) for one in runs], 0)
        yield f"| {title} | {before} | {' | '.join(epochs)} | {training} | {len(runs)} | {cost} |"


def table_of_sample(rows):
    yield "| | test accuracy, % | best epoch, % | training accuracy, % | CPU s |"
    yield "|---|---|---|---|---|"
    for title, runs in rows.items():
        accuracy = " | ".join(list(table({title: runs}))[2].split(" | ")[2:5])
        yield f"| `{title}` | {accuracy} | {sum(runs[0]['cpu seconds']):.0f} |"


def write_tables():
    """The tables, each with the rows whose runs have ended."""
    runs, article = kept("questions"), kept("reproduce")
    runs |= {CNN: article["cnn.py"], TRANSFER: article["transfer_learning.py"]}

    def rows(*titles):
        return {title: runs[title] for title in titles if title in runs}

    write("questions_why", *table(rows(MNIST, GREY, CNN, SECOND_CONVOLUTION)))
    write("questions_exercises", *table_of_exercises(rows(CNN, *list(CHANGES)[4:])))
    write("questions_output_layer", *table_of_output_layer(rows(TRANSFER, *list(CHANGES)[:2])))
    write("questions_sample", *table_of_sample(rows(*SAMPLE)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", default="cifar10", metavar="SOURCE")
    parser.add_argument("--mnist", metavar="FILE", help="an mnist.npz (default: Keras fetches it)")
    parser.add_argument("--tables", action="store_true", help="make the tables from runs/ alone")
    args = parser.parse_args()
    if not args.tables:
        source = Path(args.data).resolve() if Path(args.data).exists() else args.data
        mnist = mnist_folder(args.mnist)
        for title, seed in RUNS:
            train(title, seed, mnist if title == MNIST else source)
            keep("questions", kept("questions") | finished_runs())
    write_tables()


if __name__ == "__main__":
    main()
