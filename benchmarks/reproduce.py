"""Every result and figure of the README and of docs/: each script, from nothing to its last line.

    python benchmarks/reproduce.py --data SOURCE

Every script runs on one core, so that the CPU times can be compared. It takes about five hours;
stopped and started again it goes on where it was. With --seed it trains the runs of one seed and
stops, so that the seeds can run side by side; without, it then does the rest. It writes its tables
and what the scripts print beside this file, and the figures into `docs/`; after it
`python benchmarks/insert.py` puts the tables into the pages.
"""

import argparse
import contextlib
import re
import shutil
from pathlib import Path

import ingredients
import minutes
from common import ROOT, run, spread, write
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


def state_of(name, seed):
    """What the run keeps: its record, its history and its CPU time."""
    from support import run_folder

    return run_folder.read_state(out_of(name, seed) / "model.keras")


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


def percent(history, key):
    return [100 * value for value in history[key]]


def untrained_accuracy(name, seed):
    """In percent; the script prints `[loss, accuracy]` before it trains."""
    found = re.search(r"^\[[\d.]+, ([\d.]+)\]$", log_of(name, seed).read_text(), re.MULTILINE)
    return 100 * float(found[1])


def table_of_results():
    yield (
        "| script | parameters | epochs | article, % | test accuracy, % | best epoch, % "
        "| training accuracy, % | seeds | CPU s |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in NAMES:
        seeds = [seed for other, seed in RUNS if other == name]
        states = [state_of(name, seed) for seed in seeds]
        tests = [percent(state["history"], "val_accuracy") for state in states]
        training = [percent(state["history"], "accuracy")[-1] for state in states]
        accuracy = spread([test[-1] for test in tests])
        if "transfer_learning" in name:
            accuracy = f"{spread([untrained_accuracy(name, seed) for seed in seeds])} → {accuracy}"
        parameters = sum(layer["parameters"] for layer in states[0]["record"]["layers"])
        yield (
            f"| `{title_of(name)}` | {parameters:,} | {len(tests[0])} | {ARTICLE.get(name, '–')} "
            f"| {accuracy} | {spread([max(test) for test in tests])} | {spread(training)} "
            f"| {len(seeds)} | {spread([sum(state['cpu seconds']) for state in states], 0)} |"
        )


def table_of_epochs():
    """Section 4.4's three epochs."""
    yield "| test accuracy, % | before | epoch 1 | epoch 2 | epoch 3 |"
    yield "|---|---|---|---|---|"
    yield "| article | 11.9 | 71.4 | 75.0 | 77.3 |"
    for seed in SEEDS:
        test = percent(state_of(TRANSFER, seed)["history"], "val_accuracy")
        values = [untrained_accuracy(TRANSFER, seed), *test]
        yield f"| seed {seed} | {' | '.join(f'{value:.1f}' for value in values)} |"


def table_of_over_fitting():
    """Section 3.1's 「5エポック目あたりから過学習の傾向」, a row a seed."""
    from support import report

    yield (
        "| | training accuracy 5 points ahead from epoch | test loss lowest in epoch "
        "| test accuracy highest in epoch |"
    )
    yield "|---|---|---|---|"
    for seed in SEEDS:
        history = state_of(CNN, seed)["history"]
        best = report.best_epoch(history)
        accuracy = max(percent(history, "val_accuracy"))
        yield (
            f"| seed {seed} | {report.ahead_epoch(history)} | {report.lowest_loss_epoch(history)} "
            f"| {best} ({accuracy:.1f} %) |"
        )


def quoted(log, begin="", end=r"\Z"):
    """What a script printed, from the line that begins so up to another, without what it wrote."""
    text = re.sub(
        r"^(wrote|results/|\d+/\d+ -.*/image).*\n", "", log.read_text(), flags=re.MULTILINE
    )
    return re.search(rf"^{begin}.*?(?={end})", text, re.MULTILINE | re.DOTALL)[0].strip()


def keep_printed(title, *texts):
    folder = Path(__file__).with_name("printed")
    folder.mkdir(exist_ok=True)
    with replacing(folder / f"{title.replace(' --', '_')}.txt") as part:
        part.write_text("\n".join(texts) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", default="cifar10", metavar="SOURCE")
    parser.add_argument("--seed", type=int, choices=SEEDS, help="train the runs of this seed alone")
    args = parser.parse_args()
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
    write("results", *table_of_results())
    write("epochs", *table_of_epochs())
    write("over_fitting", *table_of_over_fitting())
    from support import run_folder

    minutes.report(
        {title_of(n): [state_of(n, seed) for other, seed in RUNS if other == n] for n in NAMES},
        {
            n: [run_folder.read_state(short_out(n, seed) / "model.keras") for seed in SEEDS]
            for n in SHORT
        },
    )
    for title in COMMANDS:
        keep_printed(title, quoted(log_of(title, 0)))
    for name in NAMES:
        begin = "Trained on" if name == CNN else "test accuracy"
        texts = [quoted(log_of(name, 0).with_suffix(".last"), begin)]
        if name == TRANSFER:
            table = quoted(log_of(f"{TRANSFER} --summary", 0), begin="┏")
            texts = [table, quoted(log_of(name, 0), begin=r"\[", end="\n\nTrained on"), *texts]
        keep_printed(name, *texts)
    for recipe in ingredients.RECIPES:
        ingredients.compare(recipe, source)
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
