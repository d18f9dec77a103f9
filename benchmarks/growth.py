"""How the cost grows with the number of images and with the batch size.

python benchmarks/growth.py
"""

import json
import resource

from common import ROOT, compiled_cnn, cpu_seconds, in_turn, measure, median, noise, parser_of, write

from support.files import replacing

IMAGES = [5000, 10000, 20000, 50000]  # at batch 100
BATCHES = [25, 50, 100, 200, 400, 800]  # at 10,000 images


def child(count, batch_size):
    """Train the CNN on noise, which costs the same as photographs."""
    (cpu,) = cpu_seconds(compiled_cnn(), noise(count, batch_size).dataset, times=1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000  # kB on Linux
    print(json.dumps({"cpu": 1000 * cpu / count, "peak": peak}))


def plot(path, results):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(9, 5.6), layout="constrained")
    for column, (label, sizes, key) in enumerate(
        [("training images, batch 100", IMAGES, 0), ("batch size, 10,000 images", BATCHES, 1)]
    ):
        found = [results[(size, 100) if key == 0 else (10000, size)] for size in sizes]
        for row, (what, unit) in enumerate([("cpu", "CPU ms an image"), ("peak", "peak memory, MB")]):
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
    with replacing(path) as part:
        figure.savefig(part, dpi=110)


def main():
    args = parser_of(__doc__, child=2).parse_args()
    if args.child:
        return child(*map(int, args.child))

    points = [(n, 100) for n in IMAGES] + [(10000, b) for b in BATCHES if b != 100]
    results = in_turn(args.rounds, points, lambda point: measure(__file__, *point))
    plot(ROOT / "docs" / "growth.png", results)
    write(
        "growth",
        f"{args.rounds} round{'s' * (args.rounds > 1)}, medians.\n",
        "| images | batch | CPU ms an image | peak memory, MB |",
        "|---|---|---|---|",
        *(
            f"| {n:,} | {b} | {median(found, 'cpu'):.3f} | {median(found, 'peak'):.0f} |"
            for (n, b), found in results.items()
        ),
    )


if __name__ == "__main__":
    main()
