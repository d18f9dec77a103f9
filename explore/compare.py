"""どの学習がよかったか：何回かの学習の精度、パラメータ数、
計算時間を、1つの図と表に並べます。

Which run was better? The curves of any number of runs in one figure, and their accuracy, parameters
and CPU time in a table.
"""

from explore import models
from support import command_line, ending
from support.ending import ScriptError


def read_run(path):
    """1回の学習の記録 (what a run has on record; `path`: its folder, or the model.keras in it).

    Raises:
        ScriptError: そこに学習の記録がない (there is no run).
    """
    file = path / "model.keras" if path.is_dir() else path
    if run := models.run_of(file):
        return run
    raise ScriptError(f"{file}: not of a run of these scripts; give a folder in which one has trained")


def print_table(runs):
    """表を表示する (print the table).

    Args:
        runs: 名前から、学習曲線、パラメータ数、各エポックのCPU時間へ (a name to the `history` of `fit`, the
            number of parameters, the CPU time of each epoch).
    """
    print("テスト精度 (エポック) (test accuracy (epoch); 50 %: the first epoch with half of them right)")
    print(f"{'run':32} {'best':>12} {'last':>12} {'50 %':>6} {'parameters':>12} {'CPU time':>10}")
    for name, (history, parameters, seconds) in runs.items():
        test = history["val_accuracy"]
        half = next((n for n, value in enumerate(test, 1) if value >= 0.5), "-")
        best, last = f"{max(test):.1%} ({test.index(max(test)) + 1})", f"{test[-1]:.1%} ({len(test)})"
        print(f"{name:32} {best:>12} {last:>12} {half:>6} {parameters:>12,} {sum(seconds):>8.0f} s")


def plot(runs, path):
    """どの学習も1つの図に (the curves of all in one figure; `runs` as for `print_table`)."""
    from matplotlib import pyplot as plt

    from support.figures import drawing

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    last, height = lambda run: run[1][0]["val_accuracy"][-1], 0
    for number, (name, (history, *_)) in enumerate(sorted(runs.items(), key=last)):
        color, test = f"C{number % 10}", history["val_accuracy"]
        epochs, height = range(1, len(test) + 1), max(height + 0.045, test[-1])
        axes.plot(epochs, history["accuracy"], "--", color=color, lw=1)
        axes.plot(epochs, test, ".-", color=color)
        # 名前は右に、重ならない高さで (names on the right, at heights where they do not overlap)
        axes.annotate(name, (len(test), test[-1]), (1.02, height), ("data", "data"), ("axes fraction", "data"),
                      {"arrowstyle": "-", "color": color, "lw": 0.5}, color=color, va="center")  # fmt: skip
    axes.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1), title="solid: test set, dashed: training set")
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.yaxis.set_major_formatter(lambda value, position: f"{value:.0%}")
    axes.grid(alpha=0.3)
    drawing.save(figure, path)


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, runs=None)
    states, runs = {str(path): read_run(path) for path in args.runs}, {}
    for name, state in states.items():
        parameters = sum(layer["parameters"] for layer in state["record"]["layers"])
        runs[name] = state["history"], parameters, state["cpu seconds"]
    print_table(runs)
    first = next(iter(states.values()))["record"]
    for name, state in states.items():
        if any(state["record"][key] != first[key] for key in ("training set", "test set")):
            print(f"{name}：ほかの画像で学習した (other images: {state['record']['data']})")
    plot(runs, args.out / "curves.png")


if __name__ == "__main__":
    ending.run(main)
