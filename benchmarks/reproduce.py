"""Every result and figure of the README and of docs/: each script, from nothing to its last line.

    python benchmarks/reproduce.py --data SOURCE
    python benchmarks/reproduce.py --tables

Every script runs on one core, so that the CPU times can be compared. It takes about four hours;
stopped and started again it goes on where it was. With --seed it trains the runs of one seed and
stops, so that the seeds can run side by side; without, it then does the rest. It writes its tables
and what the scripts print beside this file, and the figures into `docs/`; after it
`python benchmarks/insert.py` puts the tables into the pages. Each epoch of each run is kept in
`runs/`; with --tables the tables and the figure of CPU minutes are made anew from these files alone.
"""

import argparse
import contextlib
import re
import shutil
from pathlib import Path

import ingredients
import minutes
from common import ROOT, keep, kept, run, run_of, spread, write
from PIL import Image

from support.files import replacing

RESULTS = ROOT / "results" / "reproduce"
CNN, GAP, TRANSFER = "cnn", "cnn_with_gap", "transfer_learning"
TUNED = [f"beyond.{name}" for name in (CNN, GAP, TRANSFER)]
ARTICLE = {CNN: "≈ 65", GAP: "≈ 56", TRANSFER: "11.9 → 77.3"}
# What is compared runs in turn, so that what else the machine does hits all.
COMPARED = (CNN, TUNED[0], TUNED[1], TRANSFER, TUNED[2])
SEEDS = (0, 1, 2)
SHORT = (2, 3, 4)  # epochs of the tuned GAP, to see what little time is worth
RUNS = [*[(name, seed) for seed in SEEDS for name in COMPARED], (GAP, 0)]
NAMES = [CNN, GAP, TRANSFER, *TUNED]
# The other commands of the README, in the folder of seed 0. Their logs are kept too.
COMMANDS = {
    "show_samples": ["show_samples"],
    "visualize_weights": ["visualize_weights", "--sort"],
    "cnn --summary": ["cnn", "--summary"],
    "transfer_learning --summary": ["transfer_learning", "--summary"],
    "cnn_with_gap --summary": ["cnn_with_gap", "--summary"],
    "beyond.cnn_with_gap --summary": ["beyond.cnn_with_gap", "--summary"],
}
FIGURES = {
    "samples.png": "show_samples/samples.png",
    "cnn.png": "cnn/accuracy.png",
    "cnn_model.png": "cnn/model.png",
    "weight.png": "visualize_weights/weight.png",
    "filters.png": "visualize_weights/filters.png",
    "responses.png": "visualize_weights/responses.png",
    "patches.png": "visualize_weights/patches.png",
    "cnn_with_gap.png": "cnn_with_gap/accuracy.png",
    "confidence_maps.jpg": "cnn_with_gap/confidence_maps.png",
    "beyond_cnn.png": "beyond/cnn/accuracy.png",
    "beyond_cnn_with_gap.png": "beyond/cnn_with_gap/accuracy.png",
    "beyond_cnn_with_gap_model.png": "beyond/cnn_with_gap/model.png",
    "beyond_confidence_maps.jpg": "beyond/cnn_with_gap/confidence_maps.png",
    "beyond_mobilenet_maps.jpg": "beyond/transfer_learning/confidence_maps.png",
}


def folder_of(seed):
    """Where the scripts of one seed run, each with the `--out` that it has by itself."""
    return RESULTS / f"seed-{seed}"


def out_of(name, seed):
    return folder_of(seed).joinpath("results", *name.split("."))


def log_of(name, seed):
    return folder_of(seed) / f"{name}.log"


def run_script(name, *options, seed, log):
    place = ["-m", name] if name.startswith("beyond.") else [ROOT / f"{name}.py"]
    folder_of(seed).mkdir(parents=True, exist_ok=True)
    run([*place, *options], folder_of(seed), log, append=log.suffix == ".log" and name in NAMES)


def short_out(epochs, seed):
    return out_of(f"{TUNED[1]}_{epochs}", seed)


def train_short(epochs, seed, source):
    """The tuned GAP with fewer epochs, for which its learning rate falls faster."""
    log = short_out(epochs, seed).with_suffix(".log")
    if not log.exists():
        log.parent.mkdir(parents=True, exist_ok=True)
        options = ["--epochs", epochs, "--seed", seed, "--out", short_out(epochs, seed)]
        run_script(TUNED[1], "--data", source, *options, seed=seed, log=log)


def train(name, seed, source, again):
    options = ["--data", source, "--seed", seed]
    if "transfer_learning" in name:
        options += ["--alpha", "1.0", "--weights", "imagenet"]
    log = log_of(name, seed)
    if not log.exists():
        run_script(name, *options, seed=seed, log=log)
    # A run that is done draws its figures and says its last lines anew, for it may find more to
    # compare itself with; the log of its epochs stays.
    if again:
        run_script(name, *options, seed=seed, log=log.with_suffix(".last"))


def title_of(name):
    return f"python -m {name}" if name.startswith("beyond.") else f"{name}.py"


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
    from support import report

    yield (
        "| | training accuracy 5 points ahead from epoch | test loss lowest in epoch "
        "| test accuracy highest in epoch |"
    )
    yield "|---|---|---|---|"
    for trained in runs[title_of(CNN)]:
        ahead, lowest = report.ahead_epoch(trained), report.lowest_loss_epoch(trained)
        best, accuracy = report.best_epoch(trained), max(percent(trained, "val_accuracy"))
        yield f"| seed {trained['seed']} | {ahead} | {lowest} | {best} ({accuracy:.1f} %) |"


def write_tables():
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


def quoted(log, begin="", end=r"\Z"):
    """What a script printed, from the line that begins so up to another, without what it wrote."""
    text = re.sub(r"^(wrote|results/|\d+/\d+ -.*/image).*\n", "", log.read_text(), flags=re.MULTILINE)
    return re.search(rf"^{begin}.*?(?={end})", text, re.MULTILINE | re.DOTALL)[0].strip()


def keep_printed(title, *texts):
    folder = Path(__file__).with_name("printed")
    folder.mkdir(exist_ok=True)
    with replacing(folder / f"{title.replace(' --', '_')}.txt") as part:
        part.write_text("\n".join(texts) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", default="cifar10", metavar="SOURCE")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--seed", type=int, choices=SEEDS, help="train the runs of this seed alone")
    only.add_argument("--tables", action="store_true", help="make the tables from runs/ alone")
    args = parser.parse_args()
    if args.tables:
        write_tables()
        return
    source = Path(args.data).resolve() if Path(args.data).exists() else args.data
    for name, seed in RUNS:
        if args.seed in (None, seed):
            train(name, seed, source, again=False)
    for seed in SEEDS if args.seed is None else [args.seed]:
        for epochs in SHORT:
            train_short(epochs, seed, source)
    if args.seed is not None:
        return
    for name in NAMES:
        train(name, 0, source, again=True)
    for title, (name, *options) in COMMANDS.items():
        data = ["--data", source] * (name in ("show_samples", "visualize_weights"))
        run_script(name, *options, *data, seed=0, log=log_of(title, 0))
    keep("reproduce", finished_runs())
    for recipe in ingredients.RECIPES:
        ingredients.compare(recipe, source)
    write_tables()
    for title in COMMANDS:
        keep_printed(title, quoted(log_of(title, 0)))
    for name in NAMES:
        begin = "Trained on" if name == CNN else "test accuracy"
        texts = [quoted(log_of(name, 0).with_suffix(".last"), begin)]
        if name == TRANSFER:
            table = quoted(log_of(f"{TRANSFER} --summary", 0), begin="┏")
            texts = [table, quoted(log_of(name, 0), begin=r"\[", end="\n\nTrained on"), *texts]
        keep_printed(name, *texts)
    for name, figure in FIGURES.items():
        found = folder_of(0) / "results" / figure
        with replacing(ROOT / "docs" / name) as part:
            if name.endswith(".jpg"):  # a third of the size for figures that are photographs
                with contextlib.closing(Image.open(found)) as image:
                    image.convert("RGB").save(part)
            else:
                shutil.copyfile(found, part)


if __name__ == "__main__":
    main()
