"""What the figures of a run show, in words and numbers."""

from pathlib import Path

from support import records, run_folder

AHEAD = 0.05  # in accuracy
CNN = Path("results", "cnn", "model.keras")


def best_epoch(history):
    """The first epoch with the highest test accuracy, counted from 1."""
    test = history["val_accuracy"]
    return test.index(max(test)) + 1


def lowest_loss_epoch(history):
    """The epoch with the lowest test loss, counted from 1."""
    loss = history["val_loss"]
    return loss.index(min(loss)) + 1


def ahead_epoch(history):
    """The epoch from which the training accuracy stays 5 points ahead of the test accuracy.

    None where it is not so after the last epoch.
    """
    pairs = list(zip(history["accuracy"], history["val_accuracy"], strict=True))
    together = [n for n, (train, test) in enumerate(pairs, 1) if train - test < AHEAD]
    first = together[-1] + 1 if together else 1
    return first if first <= len(pairs) else None


def print_result(results):
    """Print what the accuracy figure shows.

    Args:
        results: what `fit` returned, a `training.Run`.
    """
    history, data = results.history, results.record["data"]
    train, test, best = history["accuracy"][-1], history["val_accuracy"], best_epoch(history)
    print(f"\nTrained on {data}, {len(test)} epochs.")
    print(f"Best test accuracy: {test[best - 1]:.1%}, in epoch {best}.")
    print(f"After the last epoch: training accuracy {train:.1%}, test accuracy {test[-1]:.1%}.")
    lowest = lowest_loss_epoch(history)
    if ahead := ahead_epoch(history):
        points = f"{100 * AHEAD:.0f} points or more"
        print(f"From epoch {ahead} on the training accuracy is {points} ahead of the test accuracy.")
    # Both together are over-fitting; either alone need not be.
    over_fitting = ", and rises while the network still learns: over-fitting"
    print(f"The test loss is lowest in epoch {lowest}{over_fitting * bool(ahead and lowest < len(test))}.")
    if not data.endswith("CIFAR-10"):
        print(f"The images are not those of CIFAR-10 but {data}: the article's figures differ.")


def compare_with_cnn(results):
    """Print the result, and beside it that of `cnn.py` on the same images, if it has run here.

    Args:
        results: what `fit` returned, a `training.Run`.
    """
    print_result(results)
    rows = [(results.record, results.history, results.cpu_seconds)]
    if cnn := state_of_cnn(results.record):
        rows.append((cnn["record"], cnn["history"], cnn["cpu seconds"]))
    print(f"\n{'test accuracy':26}   epoch 1  epoch 2  epoch 3  best              50 % in    CPU time")
    for record, history, seconds in rows:
        test, best = history["val_accuracy"], best_epoch(history)
        first = "".join(f"{value:9.1%}" for value in test[:3])
        half = next((n for n, value in enumerate(test, 1) if value >= 0.5), None)
        print(
            f"{record['script']:26} {first:27}  {f'{test[best - 1]:.1%} in epoch {best}':17} "
            f"{f'epoch {half}' if half else 'none':9}{sum(seconds):8.0f} s"
        )
    if not cnn:
        return print("python cnn.py on the same images adds its row to this table.")
    points = 100 * (max(rows[0][1]["val_accuracy"]) - max(rows[1][1]["val_accuracy"]))
    cost, parameters = (
        f"{one / other:.{digits}f}"
        for one, other, digits in (
            (sum(rows[0][2]), sum(rows[1][2]), 1),
            (parameters_of(rows[0][0]), parameters_of(rows[1][0]), 2),
        )
    )
    print(
        f"Beside cnn.py: {points:+.1f} points at its best, {parameters} times the parameters, "
        f"{cost} times the CPU time."
    )


def parameters_of(record):
    return sum(layer["parameters"] for layer in record["layers"])


def state_of_cnn(record):
    """What the folder of `cnn.py` keeps, if it was trained on the same images as `record` says."""
    try:
        state = run_folder.read_state(CNN)
    except Exception:  # not there, or damaged: in either case there is nothing to compare with
        return None
    pairs = [(state["record"].get(key), record[key]) for key in ("training set", "test set")]
    return None if any(records.difference(*pair, "") for pair in pairs) else state
