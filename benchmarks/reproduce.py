"""Every result and figure of the README and of docs/: each script, from nothing to its last line.

    python benchmarks/reproduce.py --data SOURCE
    python benchmarks/reproduce.py --figures
    python benchmarks/reproduce.py --tables

Every script runs on one core, so that the CPU times can be compared. It takes about five hours; stopped
and started again it goes on where it was. With --seed it trains the runs of one seed and stops, so that
the seeds can run side by side; without, it then does the rest. Each epoch of each run is kept in `runs/`.

With --tables nothing runs: all tables, the lines that the scripts print at their end, and the figures of
curves are made anew from `runs/` alone. With --figures nothing is trained: the other figures, such as
those of filters, and the weights that come with `explore.classify` are made anew from the models that
seed 0 has left in `results/reproduce/`.
Afterwards `python benchmarks/insert.py` puts tables and lines into the pages.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import ingredients
import minutes
from common import HERE, ROOT, keep, kept, run, run_of, spread, write
from PIL import Image

import utils
from explore import compare, models
from support.files import replacing

RESULTS = ROOT / "results" / "reproduce"
DATA = "the images in CIFAR-10"  # what the scripts call a folder of this name
CNN, GAP, TRANSFER = "cnn", "cnn_with_gap", "transfer_learning"
TUNED = [f"beyond.{name}" for name in (CNN, GAP, TRANSFER)]
ARTICLE = {CNN: "≈ 65", GAP: "≈ 56", TRANSFER: "11.9 → 77.3"}
# What is compared runs in turn, so that what else the machine does hits all.
COMPARED = (CNN, TUNED[0], TUNED[1], TRANSFER, TUNED[2])
SEEDS = (0, 1, 2)
SHORT = (2, 3, 4)  # epochs of the tuned GAP, to see what little time is worth
RUNS = [*[(name, seed) for seed in SEEDS for name in COMPARED], *[(GAP, seed) for seed in SEEDS]]
NAMES = [CNN, GAP, TRANSFER, *TUNED]
ACCURACY = {CNN: "cnn.png", GAP: "cnn_with_gap.png", TUNED[0]: "beyond_cnn.png",
            TUNED[1]: "beyond_cnn_with_gap.png"}  # fmt: skip
# The other commands of the pages, which run in the folder of seed 0, and the figures that they make.
MODEL = "results/{}/model.keras"
COMMANDS = {
    "visualize_weights": {"filters.png": "filters.png", "weight.png": "weight.png"},
    "cnn --summary": {"model.png": "cnn_model.png"},
    "beyond.cnn_with_gap --summary": {"model.png": "beyond_cnn_with_gap_model.png"},
    f"explore.filters --sort {MODEL.format(CNN)}": {
        "filters.png": "filters_sorted.png", "responses.png": "responses.png",
    },
    f"explore.mistakes {MODEL.format(CNN)}": {"confusion.png": "confusion.png", "mistakes.png": "mistakes.png"},
    f"explore.page {MODEL.format(CNN)}": {"page.html": "cnn.html"},
    f"explore.maps {MODEL.format(GAP)}": {"confidence_maps.png": "confidence_maps.jpg"},
    f"explore.maps {MODEL.format('beyond/cnn_with_gap')}": {"confidence_maps.png": "beyond_confidence_maps.jpg"},
    f"explore.maps {MODEL.format('beyond/transfer_learning')}": {
        "confidence_maps.png": "beyond_mobilenet_maps.jpg"
    },
}  # fmt: skip


def folder_of(seed):
    """Where the scripts of one seed run, each with the `--out` that it has by itself."""
    return RESULTS / f"seed-{seed}"


def out_of(name, seed):
    return folder_of(seed).joinpath("results", *name.split("."))


def log_of(name, seed):
    return folder_of(seed) / f"{name.split()[0]}.log"


def run_script(name, *options, seed, log, append=False):
    place = ["-m", name] if "." in name else [ROOT / f"{name}.py"]
    log.parent.mkdir(parents=True, exist_ok=True)
    run([*place, *options], folder_of(seed), log, append)


def train(name, seed, source, *options, log=None):
    """A run, unless it has ended before."""
    log = log or log_of(name, seed)
    if "transfer_learning" in name:
        options += ("--alpha", "1.0", "--weights", "imagenet")
    if not log.exists():
        run_script(name, "--data", source, "--seed", seed, *options, seed=seed, log=log, append=True)


def short_out(epochs, seed):
    return out_of(f"{TUNED[1]}_{epochs}", seed)


def train_short(epochs, seed, source):
    """The tuned GAP with fewer epochs, for which its learning rate falls faster."""
    out = short_out(epochs, seed)
    train(TUNED[1], seed, source, "--epochs", epochs, "--out", out, log=out.with_suffix(".log"))


def title_of(name):
    return f"python -m {name}" if "." in name else f"{name}.py"


def percent(run, key):
    return [100 * value for value in run[key]]


def untrained_accuracy(name, seed):
    """The script prints `[loss, accuracy]` before it trains."""
    found = re.search(r"^\[[\d.]+, ([\d.]+)\]$", log_of(name, seed).read_text(), re.MULTILINE)
    return round(float(found[1]), 5)


def finished_runs():
    """A script's title to its runs, and at the end the short ones of the tuned GAP."""
    runs = {}
    for name in NAMES:
        seeds = [seed for other, seed in RUNS if other == name]
        runs[title_of(name)] = [run_of(out_of(name, seed)) for seed in seeds]
        if "transfer_learning" in name:
            for trained in runs[title_of(name)]:
                trained["untrained accuracy"] = untrained_accuracy(name, trained["seed"])
    for epochs in SHORT:
        runs[short_title(epochs)] = [run_of(short_out(epochs, seed)) for seed in SEEDS]
    return runs


def short_title(epochs):
    return f"{title_of(TUNED[1])} --epochs {epochs}"


def table_of_results(runs):
    yield (
        "| script | parameters | epochs | article, % | test accuracy, % | best epoch, % "
        "| training accuracy, % | seeds | CPU s |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in NAMES:
        several = runs[title_of(name)]
        tests = [percent(run, "val_accuracy") for run in several]
        training = [percent(run, "accuracy")[-1] for run in several]
        accuracy = spread([test[-1] for test in tests])
        if "transfer_learning" in name:
            before = [100 * run["untrained accuracy"] for run in several]
            accuracy = f"{spread(before)} → {accuracy}"
        yield (
            f"| `{title_of(name)}` | {several[0]['parameters']:,} | {len(tests[0])} "
            f"| {ARTICLE.get(name, '–')} | {accuracy} | {spread([max(test) for test in tests])} "
            f"| {spread(training)} | {len(several)} "
            f"| {spread([sum(run['cpu seconds']) for run in several], 0)} |"
        )


def table_of_epochs(runs):
    """Section 4.4's three epochs."""
    yield "| test accuracy, % | before | epoch 1 | epoch 2 | epoch 3 |"
    yield "|---|---|---|---|---|"
    yield "| article | 11.9 | 71.4 | 75.0 | 77.3 |"
    for trained in runs[title_of(TRANSFER)]:
        values = [100 * trained["untrained accuracy"], *percent(trained, "val_accuracy")]
        yield f"| seed {trained['seed']} | {' | '.join(f'{value:.1f}' for value in values)} |"


def table_of_over_fitting(runs):
    """Section 3.1's 「5エポック目あたりから過学習の傾向」, a row a seed."""
    yield (
        "| | training accuracy 5 points ahead from epoch | test loss lowest in epoch "
        "| test accuracy highest in epoch |"
    )
    yield "|---|---|---|---|"
    for trained in runs[title_of(CNN)]:
        ahead, lowest = utils.ahead_epoch(trained), utils.lowest_loss_epoch(trained)
        best, accuracy = utils.best_epoch(trained), max(percent(trained, "val_accuracy"))
        yield f"| seed {trained['seed']} | {ahead} | {lowest} | {best} ({accuracy:.1f} %) |"


def keep_printed(name, text):
    with replacing(HERE / "printed" / f"{name}.txt") as part:
        part.write_text(text.strip("\n") + "\n", encoding="utf-8")


def printed_by(function, *arguments):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        function(*arguments)
    return said.getvalue()


def write_tables():
    """All that `runs/` gives, without a network."""
    os.environ["MPLBACKEND"] = "agg"  # which needs no screen
    runs = kept("reproduce")
    write("results", *table_of_results(runs))
    write("epochs", *table_of_epochs(runs))
    write("over_fitting", *table_of_over_fitting(runs))
    minutes.report(
        {title_of(name): runs[title_of(name)] for name in NAMES},
        {epochs: runs[short_title(epochs)] for epochs in SHORT},
    )
    for recipe in ingredients.RECIPES:
        ingredients.write_table(recipe)
    compared = {}
    for name in NAMES:
        first = runs[title_of(name)][0]
        if name in (CNN, GAP):
            keep_printed(name, printed_by(utils.print_result, first, DATA))
        if name in ACCURACY:
            title = title_of(name).removeprefix("python -m ")
            utils.plot_accuracy(first, f"{title} on {DATA}", ROOT / "docs" / ACCURACY[name])
        compared[f"results/{name.replace('.', '/')}"] = first, first["parameters"], first["cpu seconds"]
    keep_printed("explore.compare", printed_by(compare.print_table, compared))
    articles = dict(list(compared.items())[: len(ARTICLE)])
    compare.plot(articles, ROOT / "docs" / "curves.png")


def quoted(log, begin="", end=r"\Z"):
    """What a script printed, from the line that begins so up to another, without what it wrote."""
    text = re.sub(
        r"^(wrote|results/|次は|最初の|\d+/\d+ -.*/image).*\n", "", log.read_text(), flags=re.MULTILINE
    )
    return re.search(rf"^{begin}.*?(?=^{end})", text, re.MULTILINE | re.DOTALL)[0]


def draw_figures():
    """What the commands of the pages make of the models of seed 0, and what was printed in training."""
    keep_printed(f"{TRANSFER}_log", quoted(log_of(TRANSFER, 0), begin=r"\[", end="\n"))
    source = compare.read_run(out_of(CNN, 0))["source"]
    commands = {f"show_samples --data {source}": {"samples.png": "samples.png"}} | COMMANDS
    for number, (words, figures) in enumerate(commands.items()):
        name, *options = words.split()
        out = folder_of(0) / "figures" / str(number)
        run_script(name, *options, "--out", out, seed=0, log=out.with_suffix(".log"))
        if name == "explore.filters":
            keep_printed(name, quoted(out.with_suffix(".log"), begin="規則性"))
        for found, figure in figures.items():
            with replacing(ROOT / "docs" / figure) as part:
                if figure.endswith(".jpg"):  # a third of the size for figures that are photographs
                    with Image.open(out / found) as image:
                        image.convert("RGB").save(part)
                else:
                    shutil.copyfile(out / found, part)


def ship_weights():
    """The trained network that `explore.classify` asks where no model is named: the tuned GAP of seed 0."""
    import keras

    model = out_of(TUNED[1], 0) / "model.keras"
    run, facts = run_of(model.parent), models.SHIPPED.with_name("trained.json")
    about = {"network": TUNED[1], "classes": compare.read_run(model)["record"]["classes"], "pixels": [0, 1]}
    about["test accuracy"] = round(run["val_accuracy"][-1], 3)
    with tempfile.TemporaryDirectory() as folder, replacing(models.SHIPPED) as part:
        weights = Path(folder, models.SHIPPED.name)  # Keras wants names that end in .weights.h5
        keras.saving.load_model(model, compile=False).save_weights(weights)
        shutil.copyfile(weights, part)
    sha256 = hashlib.sha256(models.SHIPPED.read_bytes()).hexdigest()
    on_record = {"network": TUNED[1], "seed": run["seed"], "sha256": sha256}
    for path, values, indent in ((facts, about, 1), (HERE / "runs" / "trained.json", on_record, None)):
        with replacing(path) as part:
            part.write_text(json.dumps(values, indent=indent) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", default="cifar10", metavar="SOURCE")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--seed", type=int, choices=SEEDS, help="train the runs of this seed alone")
    only.add_argument("--figures", action="store_true", help="make figures and weights from seed 0's models")
    only.add_argument("--tables", action="store_true", help="make the tables from runs/ alone")
    args = parser.parse_args()
    if args.tables:
        return write_tables()
    if args.figures:
        ship_weights()
        return draw_figures()
    source = Path(args.data).resolve() if Path(args.data).exists() else args.data
    for name, seed in RUNS:
        if args.seed in (None, seed):
            train(name, seed, source)
    for seed in SEEDS if args.seed is None else [args.seed]:
        for epochs in SHORT:
            train_short(epochs, seed, source)
    if args.seed is not None:
        return
    keep("reproduce", finished_runs())
    for recipe in ingredients.RECIPES:
        ingredients.compare(recipe, source)
    write_tables()
    ship_weights()
    draw_figures()


if __name__ == "__main__":
    main()
