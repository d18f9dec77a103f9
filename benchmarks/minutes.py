"""What a CPU minute is worth: test accuracy against the CPU time of training, from `reproduce.py`'s runs."""

import statistics
from itertools import accumulate

from common import ROOT, spread, write

from support.files import replacing

ARTICLE = 65  # percent
SECONDS = (30, 60, 120, 180, 240, 300)
# Of a network's line: colours and marks that the colour-blind tell apart (Okabe and Ito's).
LOOKS = [("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^")]
# Whose CPU time a recipe's is held against.
OTHERS = {
    "python -m beyond.cnn": "cnn.py",
    "python -m beyond.cnn_with_gap": "cnn.py",
    "python -m beyond.transfer_learning": "transfer_learning.py",
}


def curve(runs):
    """CPU seconds and test accuracy in percent, epoch by epoch: the means of several seeds."""
    seconds = [list(accumulate(run["cpu seconds"])) for run in runs]
    accuracies = [run["val_accuracy"] for run in runs]
    return (
        [statistics.mean(values) for values in zip(*seconds, strict=True)],
        [100 * statistics.mean(values) for values in zip(*accuracies, strict=True)],
    )


def best_until(curve, limit):
    """The best accuracy of an epoch that ended within so many CPU seconds; None if none did."""
    reached = [accuracy for seconds, accuracy in zip(*curve, strict=True) if seconds <= limit]
    return max(reached, default=None)


def table(curves):
    yield f"| test accuracy, %, within | {' | '.join(f'{s} s' for s in SECONDS)} |"
    yield "|---" * (len(SECONDS) + 1) + "|"
    for title, points in curves.items():
        found = [best_until(points, limit) for limit in SECONDS]
        cells = ["–" if value is None else f"{value:.1f}" for value in found]
        yield f"| `{title}` | {' | '.join(cells)} |"


def table_of_ratios(runs):
    yield "| whole run | CPU time, to that of | |"
    yield "|---|---|---|"
    for title, other in OTHERS.items():
        seconds = [[sum(run["cpu seconds"]) for run in runs[name]] for name in (title, other)]
        ratios = [a / b for a, b in zip(*seconds, strict=True)]
        yield f"| `{title}` | `{other}` | {spread(ratios, 2)} |"


def draw(curves, short):
    """
    Args:
        curves: title to CPU seconds and accuracies. The article's networks have solid lines.
        short: the number of epochs to CPU seconds and accuracy at their end, of the tuned GAP.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
    looks = {}
    for title, points in curves.items():
        name = title.removeprefix("python -m beyond.").removesuffix(".py")
        colour, mark = looks.setdefault(name, LOOKS[len(looks) % len(LOOKS)])
        style, fill = ("--", "white") if "beyond" in title else ("-", None)
        label = title.removeprefix("python -m ")
        ax.plot(*points, style, marker=mark, color=colour, mfc=fill, markersize=5, label=label)
    ax.plot(
        *zip(*short.values(), strict=True), "*", color=looks["cnn_with_gap"][0], markersize=11,
        label="beyond.cnn_with_gap with " + ", ".join(map(str, short)) + " epochs in all",
    )  # fmt: skip
    ax.set(
        xlim=(0, SECONDS[-1]), ylim=(0, 95),
        xlabel="CPU time of training, s", ylabel="test accuracy, %",
        title="What a CPU minute is worth (CIFAR-10, one point an epoch)",
    )  # fmt: skip
    ax.grid(alpha=0.3)
    ax.legend(fontsize=9, loc="lower right")
    with replacing(ROOT / "docs" / "cpu_minutes.png") as part:
        figure.savefig(part, dpi=110)


def report(runs, short):
    """Write the table and the figure.

    Args:
        runs: the title of each script to its runs, one a seed.
        short: the same for the tuned GAP, by its number of epochs.
    """
    curves = {title: curve(several) for title, several in runs.items()}
    ends = {n: tuple(values[-1] for values in curve(several)) for n, several in short.items()}
    draw(curves, ends)
    lines = list(table(curves))
    lines += ["", *table_of_ratios(runs)]
    lines += ["", "| `python -m beyond.cnn_with_gap`, epochs in all | test accuracy, % | CPU s |"]
    lines += ["|---|---|---|"]
    lines += [f"| {n} | {accuracy:.1f} | {seconds:.0f} |" for n, (seconds, accuracy) in ends.items()]
    single = [curve([run]) for run in runs["cnn.py"]]
    best = [max(accuracies) for _, accuracies in single]
    at = [s[accuracies.index(max(accuracies))] for s, accuracies in single]
    seconds, accuracies = curves["cnn.py"]
    at_mean = seconds[accuracies.index(max(accuracies))]
    lines.append(
        f"\nMeans of the seeds. A run of `cnn.py` is at its best, {spread(best)} %, after "
        f"{spread(at, 0)} CPU seconds; the mean of the runs is at its best, "
        f"{max(accuracies):.1f} %, after {at_mean:.0f}."
    )
    if above := [(end[0], n) for n, end in ends.items() if end[1] >= ARTICLE]:
        end, n = min(above)
        lines[-1] += (
            f" The whole run of `python -m beyond.cnn_with_gap --epochs {n}` passes the article's "
            f"{ARTICLE} % in {end:.0f}: {end / statistics.mean(at):.2f} times the first, and "
            f"{end / at_mean:.2f} times the second."
        )
    write("cpu_minutes", *lines)
