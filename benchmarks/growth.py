"""How the cost grows with the number of pictures and with the batch size.

python benchmarks/growth.py
"""

import argparse
import json
import resource
import time

from common import ROOT, measure, median, write

PICTURES = [5000, 10000, 20000, 50000]  # at batch 100
BATCHES = [25, 50, 100, 200, 400, 800]  # at 10,000 pictures


def child(pictures, batch_size):
    """Train the CNN on noise, which costs the same as photographs; time the second epoch."""
    import utils  # noqa: F401  (first, as in the scripts)

    import numpy as np

    import cnn
    import data

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (pictures, 32, 32, 3), dtype="uint8")
    train = data.batches(images, rng.integers(0, 10, pictures), 10, batch_size, seed=0)
    model = cnn.build_model()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(train, shuffle=False, verbose=0)
    start = time.process_time()
    model.fit(train, shuffle=False, verbose=0)
    cpu = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000  # kB on Linux
    print(json.dumps({"cpu": 1000 * cpu / pictures, "peak": peak}))


def plot(path, results):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(9, 5.6), layout="constrained")
    for column, (label, sizes, key) in enumerate(
        [("training pictures, batch 100", PICTURES, 0), ("batch size, 10,000 pictures", BATCHES, 1)]
    ):
        found = [results[(size, 100) if key == 0 else (10000, size)] for size in sizes]
        for row, (what, unit) in enumerate(
            [("cpu", "CPU ms a picture"), ("peak", "peak memory, MB")]
        ):
            ax = axes[row, column]
            ax.plot(sizes, [median(f, what) for f in found], "o-")
            ax.set(
                xscale="log",
                ylim=(0, 1.1 * max(median(f, what) for f in results.values())),
                xlabel=label,
                ylabel=unit if column == 0 else "",
            )
            ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
            ax.minorticks_off()
            ax.grid(alpha=0.3)
    figure.suptitle("The cost of a training epoch of the CNN")
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", nargs=2, type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(*args.child)

    points = [(n, 100) for n in PICTURES] + [(10000, b) for b in BATCHES if b != 100]
    results = {point: [] for point in points}
    for _ in range(args.rounds):
        for point in points:
            results[point].append(measure(__file__, *point))
    plot(ROOT / "docs" / "growth.png", results)
    write(
        "growth",
        f"Medians of {args.rounds} rounds.\n",
        "| pictures | batch | CPU ms a picture | peak memory, MB |",
        "|---|---|---|---|",
        *(
            f"| {n:,} | {b} | {median(found, 'cpu'):.3f} | {median(found, 'peak'):.0f} |"
            for (n, b), found in results.items()
        ),
    )


if __name__ == "__main__":
    main()
