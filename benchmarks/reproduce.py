"""Every result of the README: each script with each recipe, from nothing to the table and the figures.

    python benchmarks/reproduce.py --data SOURCE [--alpha A]

It takes about an hour on two CPU cores. Stopped and started again it goes on where it was.
It writes `reproduce.md` beside this file, and the figures into `docs/`.
"""

import argparse
import csv
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
from pathlib import Path

from common import ROOT, write
from PIL import Image

RESULTS = ROOT / "results" / "reproduce"
CNN = "cnn.py", "article"
GAP, GAP_TUNED = ("cnn_with_gap.py", "article"), ("cnn_with_gap.py", "tuned")
TRANSFER, TRANSFER_TUNED = ("transfer_learning.py", "article"), ("transfer_learning.py", "tuned")
ARTICLE = {CNN: "about 65", GAP: "about 56", TRANSFER: "11.9 → 77.3"}
# Recipes that are compared run in turn, so that what else the machine does hits both.
RUNS = [
    *[(recipe, 0) for recipe in (CNN, GAP_TUNED)],
    *[(recipe, seed) for seed in (0, 1, 2) for recipe in (TRANSFER, TRANSFER_TUNED)],
    *[(GAP_TUNED, seed) for seed in (1, 2)],
    *[(CNN, seed) for seed in (1, 2)],
    (GAP, 0),
]
FIGURES = {
    "cnn.png": (CNN, "accuracy.png"),
    "cnn_with_gap.png": (GAP, "accuracy.png"),
    "cnn_with_gap_tuned.png": (GAP_TUNED, "accuracy.png"),
    "confidence_maps.jpg": (GAP, "confidence_maps.png"),
    "confidence_maps_tuned.jpg": (GAP_TUNED, "confidence_maps.png"),
}


def folder_of(recipe, seed):
    script, kind = recipe
    return RESULTS / f"{Path(script).stem}-{kind}-{seed}"


def run(script, *options, log=os.devnull):
    """Run a script to its end; the CPU seconds that it took, and whether it was interrupted."""
    command = [sys.executable, "-u", ROOT / script, *map(str, options)]
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the script's to answer
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with open(log, "a") as file:
        for line in process.stdout:
            print(line, end="", flush=True)
            file.write(line)
    _, status, usage = os.wait4(process.pid, 0)
    signal.signal(signal.SIGINT, previous)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, 130):
        sys.exit(f"reproduce.py: {script} ended with exit code {code}; see above")
    return usage.ru_utime + usage.ru_stime, code == 130


def train(recipe, seed, source, alpha):
    """One run, or what is left of it, and its CPU time in a file beside its folder."""
    script, kind = recipe
    folder = folder_of(recipe, seed)
    record = folder.with_suffix(".json")
    before = json.loads(record.read_text()) if record.exists() else {"cpu": 0, "state": "new"}
    if before["state"] == "done":
        return
    options = ["--data", source, "--seed", seed, "--out", folder]
    if script == "transfer_learning.py":
        options += ["--alpha", alpha, "--weights", "imagenet"]
    if script != "cnn.py":
        options += ["--recipe", kind]
    if before["state"] == "running":  # killed, and nobody knows after how long: measure anew
        options, before = [*options, "--fresh"], {"cpu": 0}
    RESULTS.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"cpu": 0, "state": "running"}))
    cpu, interrupted = run(script, *options, log=folder.with_suffix(".log"))
    state = "interrupted" if interrupted else "done"
    record.write_text(json.dumps({"cpu": before["cpu"] + cpu, "state": state}))
    if interrupted:
        sys.exit(130)


def read(recipe, seed):
    with open(folder_of(recipe, seed) / "history.csv", newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    test = [row["val_accuracy"] for row in rows]
    cpu = json.loads(folder_of(recipe, seed).with_suffix(".json").read_text())["cpu"]
    return len(rows), 100 * test[-1], 100 * max(test), 100 * rows[-1]["accuracy"], cpu


def parameters(recipe):
    program = (
        "import sys, runs, keras; "
        "print(keras.saving.load_model(sys.argv[1], compile=False).count_params())"
    )
    model = folder_of(recipe, 0) / "model.keras"
    command = [sys.executable, "-c", program, model]
    return int(subprocess.check_output(command, cwd=ROOT, text=True).split()[-1])


def spread(values, digits=1):
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    mean, low, high = statistics.mean(values), min(values), max(values)
    return f"{mean:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", default="cifar10", metavar="SOURCE")
    parser.add_argument("--alpha", default="1.0", help="width of MobileNet (1.0)")
    args = parser.parse_args()
    for recipe, seed in RUNS:
        train(recipe, seed, args.data, args.alpha)
    model, log = folder_of(CNN, 0) / "model.keras", RESULTS / "weights.log"
    log.unlink(missing_ok=True)
    run("visualize_weights.py", model, "--sort", "--out", RESULTS / "weights", log=log)
    regularity = [line for line in log.read_text().splitlines() if line.startswith("regularity")]

    lines = [
        "| script | recipe | parameters | epochs | article | test accuracy, % | best epoch, % "
        "| training, % | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for recipe in (CNN, GAP, GAP_TUNED, TRANSFER, TRANSFER_TUNED):
        results = [read(recipe, seed) for other, seed in RUNS if other == recipe]
        epochs, last, best, training, cpu = zip(*results, strict=True)
        accuracy = spread(last)
        if recipe[0] == "transfer_learning.py":
            log = folder_of(recipe, 0).with_suffix(".log").read_text()
            untrained = float(re.search("before training: loss .*, accuracy (.*)", log)[1])
            accuracy = f"{100 * untrained:.1f} → {accuracy}"
        lines.append(
            f"| `{recipe[0]}` | {recipe[1]} | {parameters(recipe):,} | {epochs[0]} "
            f"| {ARTICLE.get(recipe, '')} | {accuracy} | {spread(best)} | {spread(training)} "
            f"| {spread(cpu, 0)} |"
        )
    write("reproduce", *lines, "", *(f"- {line}" for line in regularity))
    for name, (recipe, figure) in FIGURES.items():
        if name.endswith(".jpg"):  # a third of the size for figures that are photographs
            Image.open(folder_of(recipe, 0) / figure).convert("RGB").save(ROOT / "docs" / name)
        else:
            shutil.copyfile(folder_of(recipe, 0) / figure, ROOT / "docs" / name)
    shutil.copyfile(RESULTS / "weights" / "weights.png", ROOT / "docs" / "weights.png")
    for script, *options in (["cnn.py"], ["cnn_with_gap.py", "--recipe", "tuned"]):
        run(script, "--summary", *options, "--out", RESULTS / "drawing")
        name = Path(script).stem + "_tuned" * bool(options)
        shutil.copyfile(RESULTS / "drawing" / "model.png", ROOT / "docs" / f"{name}_model.png")


if __name__ == "__main__":
    main()
