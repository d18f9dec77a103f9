"""What each ingredient of the recipes in `beyond/` is worth: the recipe is trained without it.

    python benchmarks/ingredients.py --data SOURCE [--only NAME]

5,000 training images are held back and take the place of the test set, which is not looked at. For each
ingredient the script of the recipe is written anew with one piece of it left out or replaced (or, in
the last row of MobileNet's table, added), and trained with three seeds. Stopped and started again, it
goes on where it was. The runs are kept in `runs/`, and the tables are made from them.
"""

import argparse
import shutil
import statistics
import sys
from pathlib import Path

from common import ROOT, keep, kept, load_data, run, run_of, spread, write

RESULTS = ROOT / "results" / "ingredients"
SEEDS, HELD_BACK = (0, 1, 2), 5_000
NORMALIZATION = "        _hidden = layers.BatchNormalization()(_hidden)\n"
RELU = "        _hidden = layers.ReLU()(_hidden)\n"
COSINE = "CosineDecay({}, decay_steps=args.epochs * len(train))"
BICUBIC = 'layers.Resizing(64, 64, interpolation="bicubic")'
FLIP = 'layers.RandomFlip("horizontal")'
CONSTANT = ("Adam(schedule)", "Adam(0.001)")


def without_rise(highest):
    rising = f"CosineDecay(0.0, steps - rising, warmup_target={highest}, warmup_steps=rising)"
    return rising, f"CosineDecay({highest}, steps)"


# Of each recipe, how many of the images that are left it is trained on; and of each ingredient,
# what stands in the script and what stands there without it.
RECIPES = {
    "cnn": (
        10_000,
        {
            "dropout": [("    _hidden = layers.Dropout(0.6)(_hidden)\n", "")],
            "batch normalization": [(NORMALIZATION[4:], "")],
            "the falling learning rate (0.001 throughout)": [(COSINE.format(0.0015), "0.001")],
            "ReLU behind the pooling (in front of it)": [
                ("kernel_size=5)", 'kernel_size=5, activation="relu")'),
                (f"{RELU[4:]}    _hidden = layers.Flatten()", "    _hidden = layers.Flatten()"),
            ],
        },
    ),
    "cnn_with_gap": (
        10_000,
        {
            "mirrored images": [(f"{FLIP}(_input)", "_input")],
            "batch normalization (a bias in its place)": [
                (NORMALIZATION, ""),
                (", use_bias=False", ""),
            ],
            "the rising learning rate (0.02 from the first step)": [without_rise(0.02)],
            "the rising and falling learning rate (0.001 throughout)": [CONSTANT],
            "pooling first (behind ReLU)": [
                (
                    "        if pooling:\n"
                    "            _hidden = layers.MaxPooling2D(pool_size=(2, 2))(_hidden)\n",
                    "",
                ),
                (
                    RELU,
                    f"{RELU}        if pooling:\n"
                    "            _hidden = layers.MaxPooling2D(pool_size=(2, 2))(_hidden)\n",
                ),
            ],
        },
    ),
    "transfer_learning": (
        20_000,
        {
            "larger images (32 × 32)": [(f"{BICUBIC}(_hidden)", "_hidden")],
            "sharper enlarging: bicubic (bilinear)": [(BICUBIC, "layers.Resizing(64, 64)")],
            "the cut (all 13 blocks)": [("conv_pw_9_relu", "conv_pw_13_relu")],
            "frozen blocks (all are trained)": [(").trainable = False", ")")],
            "mirrored images": [(f"{FLIP}(_input)", "_input")],
            "batches of 64 (128)": [("batch_size=64", "batch_size=128")],
            "the rising learning rate (0.001 from the first step)": [without_rise(0.001)],
            "the rising and falling learning rate (0.001 throughout)": [CONSTANT],
            "label smoothing": [("label_smoothing=0.1", "")],
            "nothing, but pixels in [−1, 1]": [
                (f"{BICUBIC}(_hidden)", f"{BICUBIC}(layers.Rescaling(2, offset=-1)(_hidden))")
            ],
        },
    ),
}
NOTHING = "nothing"


def without(recipe, ingredient):
    """The text of the recipe's script without an ingredient."""
    text = (ROOT / "beyond" / f"{recipe}.py").read_text(encoding="utf-8")
    for there, instead in RECIPES[recipe][1].get(ingredient, []):
        if text.count(there) != 1:
            raise RuntimeError(f"beyond/{recipe}.py has not one piece for {ingredient}: {there!r}")
        text = text.replace(there, instead)
    return text


def variants_of(recipe):
    """The ingredients that are left out, one after the other; first comes the recipe itself."""
    return [NOTHING, *(name for name in RECIPES[recipe][1] if name != NOTHING)]


def hold_back(source):
    """A folder with the training images alone, 5,000 of them in the place of the test set."""
    folder = RESULTS / "images"
    if folder.exists():
        return folder
    import numpy as np
    from PIL import Image

    from support.data import images

    (x, y), _, class_names, _ = load_data(source)
    held_back = images.pick(y, HELD_BACK, np.random.default_rng(0))
    part = folder.with_name("images.part")
    shutil.rmtree(part, ignore_errors=True)
    for kind in ("train", "test"):
        for name in class_names:
            (part / kind / name).mkdir(parents=True)
    test = set(held_back.tolist())
    for row, (image, label) in enumerate(zip(x, y, strict=True)):
        kind = "test" if row in test else "train"
        path = part / kind / class_names[label] / f"{row:05}.png"
        Image.fromarray(image).save(path, compress_level=1)
    part.replace(folder)
    return folder


def out_of(recipe, ingredient, seed):
    number = variants_of(recipe).index(ingredient)
    return RESULTS / recipe / str(number) / f"seed-{seed}"


def train(recipe, ingredient, seed, source):
    out = out_of(recipe, ingredient, seed)
    log, script = out.with_suffix(".log"), out.with_name("recipe.py")  # no name of another module
    text = without(recipe, ingredient)
    if script.exists() and script.read_text(encoding="utf-8") != text:
        sys.exit(f"{out.parent}: the runs of a recipe that has changed since; delete this folder")
    if log.exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    script.write_text(text, encoding="utf-8")
    options = ["--data", source, "--limit", RECIPES[recipe][0], "--seed", seed, "--out", out]
    if recipe == "transfer_learning":
        options += ["--weights", "imagenet"]
    run([script, *options], folder=out.parent, log=log, append=True)


def table(runs):
    """
    Args:
        runs: each ingredient, "nothing" first, to its runs, one a seed.
    """
    last = {
        key: [[100 * run[key][-1] for run in several] for several in runs.values()]
        for key in ("val_accuracy", "accuracy")
    }
    cost = [[sum(run["cpu seconds"]) for run in several] for several in runs.values()]
    whole = runs[NOTHING]
    yield (
        "| left out | accuracy on held-back images, % | points lost | training accuracy, % "
        "| CPU time, to that of the recipe |"
    )
    yield "|---|---|---|---|---|"
    for ingredient, held_back, training, seconds in zip(
        runs, last["val_accuracy"], last["accuracy"], cost, strict=True
    ):
        lost = [a - b for a, b in zip(last["val_accuracy"][0], held_back, strict=True)]
        ratio = statistics.median(a / b for a, b in zip(seconds, cost[0], strict=True))
        yield (
            f"| {ingredient} | {spread(held_back)} | {'–' if ingredient == NOTHING else spread(lost)} "
            f"| {spread(training)} | {ratio:.2f} |"
        )
    training, held_back = whole[0]["images"]
    yield (
        f"\n{training:,} training images, {held_back:,} others held back. Means of {len(whole)} "
        "seeds, with the lowest and the highest; of the CPU times, the median."
    )


def compare(recipe, source):
    """Train the recipe and its variants, seed by seed and in turn, and keep the runs."""
    images = hold_back(source)
    for seed in SEEDS:
        for ingredient in variants_of(recipe):
            train(recipe, ingredient, seed, images)
    keep(
        f"ingredients_{recipe}",
        {
            ingredient: [run_of(out_of(recipe, ingredient, seed)) for seed in SEEDS]
            for ingredient in variants_of(recipe)
        },
    )


def write_table(recipe):
    write(f"ingredients_{recipe}", *table(kept(f"ingredients_{recipe}")))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", default="cifar10", metavar="SOURCE")
    parser.add_argument("--only", choices=RECIPES, help="one recipe")
    args = parser.parse_args()
    source = Path(args.data).resolve() if Path(args.data).exists() else args.data
    for recipe in [args.only] if args.only else RECIPES:
        compare(recipe, source)
        write_table(recipe)


if __name__ == "__main__":
    main()
