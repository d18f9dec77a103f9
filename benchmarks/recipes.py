"""The CPU time of the recipes in `beyond/`, beside that of the article's scripts.

    python benchmarks/recipes.py

Each trains on noise, which costs the same as photographs, with its validation on a fifth as many
images, in a process of its own, and all of them in turn. The time of an epoch times the number of
epochs is set in relation to the script that the recipe is held against.
"""

import argparse
import importlib
import json
import statistics
import time

from common import measure, noise, write

IMAGES, ROUNDS = 2_560, 3
# Name, epochs, batch size, and whose CPU time it is held against.
SCRIPTS = [
    ("cnn", 20, 100, "cnn"),
    ("beyond.cnn", 20, 100, "cnn"),
    ("beyond.cnn_with_gap", 9, 100, "cnn"),
    ("transfer_learning", 3, 128, "transfer_learning"),
    ("beyond.transfer_learning", 3, 128, "transfer_learning"),
]


def child(name, batch_size):
    build_model = importlib.import_module(name).build_model
    model = build_model(weights=None) if "transfer_learning" in name else build_model()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    train, test = noise(IMAGES, batch_size), noise(IMAGES // 5, 500)
    for _ in range(2):  # the first time has the start-up in it
        start = time.process_time()
        model.fit(train, validation_data=test, shuffle=False, verbose=0)
        seconds = time.process_time() - start
    print(json.dumps(seconds))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.child[0], int(args.child[1]))
    seconds = {name: [] for name, *_ in SCRIPTS}
    for _ in range(ROUNDS):
        for name, _, batch_size, _ in SCRIPTS:
            seconds[name].append(measure(__file__, name, batch_size))
            print(name, seconds[name][-1], flush=True)
    lines = ["| | epochs | CPU s of 50,000 images | all epochs, to | |", "|---|---|---|---|---|"]
    epochs = {name: number for name, number, *_ in SCRIPTS}
    for name, number, _, other in SCRIPTS:
        all_epochs = [number * s / epochs[other] / o for s, o in
                      zip(seconds[name], seconds[other], strict=True)]  # fmt: skip
        cost = statistics.median(seconds[name]) * 50_000 / IMAGES
        title = f"`python -m {name}`" if "." in name else f"`{name}.py`"
        lines.append(
            f"| {title} | {number} | {cost:.0f} | `{other}.py` | {statistics.median(all_epochs):.2f} |"
        )
    write("recipes", *lines, f"\nMedians of {ROUNDS} rounds in turn, on noise.")


if __name__ == "__main__":
    main()
