"""One epoch of the CNN: our script, the article's code, our script on JAX and PyTorch, plain PyTorch.

    python benchmarks/epoch.py --data SOURCE

Every contender trains in a process of its own, in turn, so that what else the machine does hits
all alike. What is timed is an epoch with its validation, but never the first, which has start-up in
it. It takes the packages of requirements-dev.txt.
"""

import json
import os
import statistics
import tempfile
import time

from common import in_turn, load_data, measure, median, parser_of, write

EPOCHS = 3
# Multiplications and additions for an image: convolution and dense layers forward; backward the
# convolution once more (for its weights), the dense layers twice (for weights and inputs).
CONVOLUTION, DENSE = 2 * 28 * 28 * 30 * 5 * 5 * 3, 2 * (5880 * 100 + 100 * 10)
TRAINING, TESTING = 2 * CONVOLUTION + 3 * DENSE, CONVOLUTION + DENSE


def clock():
    return time.process_time(), time.perf_counter()


def keras_clock(stamps):
    """Let `fit`, whoever calls it, note the time after each epoch."""
    import keras

    fit = keras.Model.fit
    stamp = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: stamps.append(clock()))
    keras.Model.fit = lambda self, *args, callbacks=(), **options: fit(
        self, *args, callbacks=[*callbacks, stamp], **options
    )


def run_cnn(folder, source, stamps):
    import cnn

    keras_clock(stamps)
    cnn.main(["--data", source, "--epochs", str(EPOCHS), "--out", f"{folder}/{os.getpid()}"])


def run_article(folder, source, stamps):
    """As printed: all images as `float64` in memory, `fit` on the arrays, and no seed.

    (With `keras.utils.set_random_seed` every epoch would have the same order: see `seed.py`.)
    """
    import numpy as np
    from keras import Model
    from keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D
    from keras.utils import to_categorical

    keras_clock(stamps)
    x_train, y_train, x_test, y_test = (np.load(f"{folder}/{n}.npy") for n in range(4))
    x_train = x_train.astype("float") / 255.0
    x_test = x_test.astype("float") / 255.0
    y_train = to_categorical(y_train, num_classes=10)
    y_test = to_categorical(y_test, num_classes=10)

    _input = Input(shape=(32, 32, 3))
    _hidden = Conv2D(30, 5, strides=(1, 1), padding="valid", activation="relu")(_input)
    _hidden = MaxPooling2D(pool_size=(2, 2))(_hidden)
    _hidden = Flatten()(_hidden)
    _hidden = Dense(100, activation="relu")(_hidden)
    _output = Dense(10, activation="softmax")(_hidden)
    model = Model(_input, _output)
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        x=x_train, y=y_train, batch_size=100, epochs=EPOCHS, verbose=2,
        validation_data=(x_test, y_test),
    )  # fmt: skip


def run_torch(folder, source, stamps):
    """The same model and steps, the images `uint8` in memory as in our script."""
    import numpy as np
    import torch
    from torch import nn

    x_train, y_train, x_test, y_test = (torch.from_numpy(np.load(f"{folder}/{n}.npy")) for n in range(4))
    x_train, x_test = (x.permute(0, 3, 1, 2).contiguous() for x in (x_train, x_test))
    model = nn.Sequential(
        nn.Conv2d(3, 30, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(5880, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip
    optimizer, loss_of = torch.optim.Adam(model.parameters()), nn.CrossEntropyLoss()
    for epoch in range(EPOCHS):
        total_loss = right = 0.0
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


BASE = "the article's code"  # which all are compared with
CONTENDERS = {
    "cnn.py": (run_cnn, "tensorflow"),
    BASE: (run_article, "tensorflow"),
    "cnn.py on JAX": (run_cnn, "jax"),
    "cnn.py on PyTorch": (run_cnn, "torch"),
    "plain PyTorch": (run_torch, ""),
}


def child(name, folder, source):
    import resource

    if name == "matrix product":
        return print(json.dumps({"rate": matrix_rate()}))
    stamps = []
    CONTENDERS[name][0](folder, source, stamps)
    (cpu_1, wall_1), (cpu_2, wall_2) = stamps[0], stamps[-1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # in kB on Linux
    cpu, wall = (cpu_2 - cpu_1) / (EPOCHS - 1), (wall_2 - wall_1) / (EPOCHS - 1)
    print(json.dumps({"cpu": cpu, "wall": wall, "peak": peak}))


def matrix_rate():
    """Floating-point operations in a CPU second of a large float32 matrix product."""
    import numpy as np

    a, rates = np.ones((3000, 3000), "float32"), []
    for _ in range(6):
        start = time.process_time()
        a @ a
        rates.append(2 * 3000**3 / (time.process_time() - start))
    return statistics.median(rates[1:])


def main():
    parser = parser_of(__doc__, data="as for cnn.py; all of CIFAR-10's size", child=3)
    others = [name for name in CONTENDERS if name != BASE]
    parser.add_argument("--only", nargs="*", default=others, choices=others, help=f"beside {BASE}")
    args = parser.parse_args()
    if args.child:
        return child(*args.child)
    names = [name for name in CONTENDERS if name == BASE or name in args.only]

    import numpy as np

    rate = "matrix product"
    with tempfile.TemporaryDirectory() as folder:
        (x_train, y_train), (x_test, y_test), _, source = load_data(args.data)
        for n, array in enumerate((x_train, y_train, x_test, y_test)):
            np.save(f"{folder}/{n}.npy", array)

        def measure_one(name):
            backend = CONTENDERS[name][1] if name != rate else ""
            return measure(__file__, name, folder, args.data, **{"KERAS_BACKEND": backend} if backend else {})

        results = in_turn(args.rounds, [rate, *names], measure_one)

    rate = median(results.pop(rate), "rate")
    limit = (len(x_train) * TRAINING + len(x_test) * TESTING) / rate

    def ratio(name, key):
        """To the article's code, round by round."""
        pairs = zip(results[name], results[BASE], strict=True)
        return statistics.median(own[key] / other[key] for own, other in pairs)

    write(
        "epoch",
        f"One epoch, {len(x_train):,} training and {len(x_test):,} test images ({source}), batch "
        f"100; {os.cpu_count()} CPU cores; medians of {args.rounds} rounds.\n",
        "| | CPU s | to the article's code | wall s | peak memory, MB | to the article's code "
        "| CPU time / limit |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {name} | {median(found, 'cpu'):.1f} | {ratio(name, 'cpu'):.2f} "
            f"| {median(found, 'wall'):.1f} | {median(found, 'peak'):.0f} "
            f"| {ratio(name, 'peak'):.2f} | {median(found, 'cpu') / limit:.1f} |"
            for name, found in results.items()
        ),
        f"\nThe limit, {limit:.1f} CPU s, is the epoch's arithmetic at the rate of a 3000 x 3000 "
        f"float32 matrix product, {rate / 1e9:.0f} GFLOP in a CPU second.",
    )


if __name__ == "__main__":
    main()
