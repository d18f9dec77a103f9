"""One epoch of the CNN: our script, the article's code, Keras on JAX, and plain PyTorch.

    python benchmarks/epoch.py --data SOURCE

Every contender trains in a process of its own, in turn, so that what else the machine does hits
all alike. What is timed is the second epoch with its validation: the first has start-up in it.
The peers run in environments that this command makes in `benchmarks/.venv-*`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import HERE, measure, median, write

CONTENDERS = {  # its packages, if it needs an environment of its own
    "cnn.py": None,
    "the article's code": None,
    "cnn.py on JAX": ["jax", "keras", "numpy", "matplotlib", "pillow"],
    "PyTorch": ["torch", "numpy"],
}
# Multiplications and additions for a picture: convolution and dense layers forward; backward the
# convolution once more (for its weights), the dense layers twice (for weights and inputs).
CONVOLUTION, DENSE = 2 * 28 * 28 * 30 * 5 * 5 * 3, 2 * (5880 * 100 + 100 * 10)
TRAINING, TESTING = 2 * CONVOLUTION + 3 * DENSE, CONVOLUTION + DENSE


def clock():
    return time.process_time(), time.perf_counter()


def keras_clock(stamps):
    import keras

    fit = keras.Sequential.fit
    stamp = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: stamps.append(clock()))
    keras.Sequential.fit = lambda self, *args, callbacks=(), **options: fit(
        self, *args, callbacks=[*callbacks, stamp], **options
    )


def run_cnn(folder, source, stamps):
    import utils  # noqa: F401  (first, as in the scripts)

    import cnn

    keras_clock(stamps)
    cnn.main(["--data", source, "--epochs", "2", "--out", f"{folder}/cnn"])


def run_article(folder, source, stamps):
    """As the article does it: all pictures as floats in memory, and `fit` on the arrays."""
    import keras
    import numpy as np

    keras_clock(stamps)
    x_train, y_train, x_test, y_test = (np.load(f"{folder}/{n}.npy") for n in range(4))
    x_train = x_train.astype("float32") / 255
    x_test = x_test.astype("float32") / 255
    y_train = keras.utils.to_categorical(y_train, 10)
    y_test = keras.utils.to_categorical(y_test, 10)
    model = keras.Sequential()
    model.add(keras.Input(shape=(32, 32, 3)))
    model.add(keras.layers.Conv2D(30, (5, 5), activation="relu"))
    model.add(keras.layers.MaxPooling2D((2, 2)))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(100, activation="relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        x_train, y_train, batch_size=100, epochs=2, validation_data=(x_test, y_test), verbose=2
    )


def run_torch(folder, source, stamps):
    """The same model and steps, the pictures `uint8` in memory as in our script."""
    import numpy as np
    import torch
    from torch import nn

    x_train, y_train, x_test, y_test = (
        torch.from_numpy(np.load(f"{folder}/{n}.npy")) for n in range(4)
    )
    x_train, x_test = (x.permute(0, 3, 1, 2).contiguous() for x in (x_train, x_test))
    model = nn.Sequential(
        nn.Conv2d(3, 30, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(5880, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters())
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(2):
        right = total_loss = 0.0
        for rows in torch.randperm(len(x_train)).split(100):
            logits = model(x_train[rows].float() / 255)
            loss = loss_of(logits, y_train[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total_loss += loss.item()
            right += (logits.argmax(1) == y_train[rows]).sum().item()
        with torch.no_grad():
            right = sum(
                (model(x.float() / 255).argmax(1) == y).sum().item()
                for x, y in zip(x_test.split(100), y_test.split(100), strict=True)
            )
        print(f"epoch {epoch + 1}: test accuracy {right / len(x_test):.4f}")
        stamps.append(clock())


RUN = dict(zip(CONTENDERS, (run_cnn, run_article, run_cnn, run_torch), strict=True))


def matrix_rate():
    """Floating-point operations in a CPU second of a large float32 matrix product."""
    import numpy as np

    a, rates = np.ones((3000, 3000), "float32"), []
    for _ in range(6):
        start = time.process_time()
        a @ a
        rates.append(2 * 3000**3 / (time.process_time() - start))
    return statistics.median(rates[1:])


def child(name, folder, source):
    import resource

    if name == "matrix product":
        return print(json.dumps({"rate": matrix_rate()}))
    stamps = []
    RUN[name](folder, source, stamps)
    (cpu_1, wall_1), (cpu_2, wall_2) = stamps
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # in kB on Linux
    print(json.dumps({"cpu": cpu_2 - cpu_1, "wall": wall_2 - wall_1, "peak": peak}))


def environment(packages):
    """The Python of an environment with these packages, which is made if it is not there."""
    folder = HERE / f".venv-{packages[0]}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        (folder / "complete").touch()
    return python


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", default="cifar10", help="as for cnn.py; all of CIFAR-10's size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch", default="torch", help="the requirement that installs PyTorch")
    parser.add_argument("--only", nargs="*", default=list(CONTENDERS), choices=list(CONTENDERS))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(*args.child)

    import utils  # noqa: F401  (first, as in the scripts)

    import numpy as np

    import data

    CONTENDERS["PyTorch"][0] = args.torch
    results, missing = {name: [] for name in args.only}, {}
    pythons = {}
    for name in args.only:
        try:
            packages = CONTENDERS[name]
            pythons[name] = environment(packages) if packages else sys.executable
        except subprocess.CalledProcessError:
            missing[name] = "could not be installed here"
    with tempfile.TemporaryDirectory() as folder:
        (x_train, y_train), (x_test, y_test), _, source = data.load(args.data)
        for n, array in enumerate((x_train, y_train, x_test, y_test)):
            np.save(f"{folder}/{n}.npy", array)
        rates = []
        for n in range(args.rounds):
            rates.append(measure(__file__, "matrix product", folder, args.data)["rate"])
            for name, python in pythons.items():
                backend = {"KERAS_BACKEND": "jax"} if name.endswith("JAX") else {}
                out = Path(tempfile.mkdtemp(dir=folder))
                for file in Path(folder).glob("*.npy"):
                    (out / file.name).symlink_to(file)
                results[name].append(
                    measure(__file__, name, out, args.data, python=python, **backend)
                )
                print(n + 1, name, results[name][-1], flush=True)

    limit = (len(x_train) * TRAINING + len(x_test) * TESTING) / statistics.median(rates)
    base = {k: median(results["cnn.py"], k) for k in ("cpu", "wall", "peak")}
    lines = [
        f"One epoch, {len(x_train):,} training and {len(x_test):,} test pictures ({source}), batch "
        f"100; {os.cpu_count()} CPU cores; medians of {args.rounds} rounds.\n",
        "| | CPU s | ratio to cnn.py | wall s | peak memory, MB | CPU time / limit |",
        "|---|---|---|---|---|---|",
    ]
    for name in args.only:
        if name in missing:
            lines.append(f"| {name} | {missing[name]} | | | | |")
            continue
        m = {k: median(results[name], k) for k in base}
        lines.append(
            f"| {name} | {m['cpu']:.1f} | {m['cpu'] / base['cpu']:.2f} | {m['wall']:.1f} "
            f"| {1000 * m['peak']:.0f} | {m['cpu'] / limit:.1f} |"
        )
    lines.append(
        f"\nThe limit, {limit:.1f} CPU s, is the epoch's arithmetic at the rate of a 3000 x 3000 "
        f"float32 matrix product, {statistics.median(rates) / 1e9:.0f} GFLOP in a CPU second."
    )
    write("epoch", *lines)


if __name__ == "__main__":
    main()
