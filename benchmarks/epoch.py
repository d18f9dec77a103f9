"""One epoch, of the CNN and of MobileNet: our scripts, the article's code, other backends, plain PyTorch.

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

EPOCHS = 2  # the first is not counted
TENTH = ", a tenth of the images"  # MobileNet takes ten times as long
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


def saving_clock():
    """A list that gets how long each epoch of our scripts takes to be saved."""
    from support.run import training

    seconds, on_epoch_end = [], training.Run.on_epoch_end

    def timed(self, *args):
        start = time.perf_counter()
        on_epoch_end(self, *args)
        seconds.append(time.perf_counter() - start)

    training.Run.on_epoch_end = timed
    return seconds


def run_cnn(folder, source, stamps):
    import cnn

    keras_clock(stamps)
    saving = saving_clock()
    cnn.main(["--data", source, "--epochs", str(EPOCHS), "--out", f"{folder}/{os.getpid()}"])
    return saving


def run_mobilenet(folder, source, stamps):
    import transfer_learning

    keras_clock(stamps)
    saving = saving_clock()
    options = ["--data", source, "--limit", "5000", "--epochs", str(EPOCHS), "--weights", "none"]
    transfer_learning.main([*options, "--out", f"{folder}/{os.getpid()}"])
    return saving


def arrays(folder, step=1):
    """The images as the article makes them in sections 2.4 and 4.3: all of them as `float64`."""
    import numpy as np
    from keras.utils import to_categorical

    x_train, y_train, x_test, y_test = (np.load(f"{folder}/{n}.npy")[::step] for n in range(4))
    x_train = x_train.astype("float") / 255.0
    x_test = x_test.astype("float") / 255.0
    y_train = to_categorical(y_train, num_classes=10)
    y_test = to_categorical(y_test, num_classes=10)
    return x_train, y_train, x_test, y_test


def run_article(folder, source, stamps):
    """As printed: all images as `float64` in memory, `fit` on the arrays, and no seed.

    (With `keras.utils.set_random_seed` every epoch would have the same order: see `seed.py`.)
    """
    from keras import Model
    from keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D

    keras_clock(stamps)
    x_train, y_train, x_test, y_test = arrays(folder)
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


def run_articles_mobilenet(folder, source, stamps):
    """As printed in section 4, but with random weights, which cost the same."""
    from keras import Model
    from keras.applications.mobilenet import MobileNet
    from keras.layers import Dense, Input

    keras_clock(stamps)
    x_train, y_train, x_test, y_test = arrays(folder, step=10)
    _input = Input(shape=(32, 32, 3))
    _hidden = MobileNet(include_top=False, pooling="avg", weights=None)(_input)
    _output = Dense(10, activation="softmax")(_hidden)
    model = Model(_input, _output)
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        x=x_train, y=y_train, batch_size=128, epochs=EPOCHS, verbose=2,
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


OURS = f"transfer_learning.py{TENTH}"
# What the others are compared with.
BASE, MOBILENET = "the article's code", f"the article's MobileNet{TENTH}"
CONTENDERS = {
    "cnn.py": (run_cnn, "tensorflow"),
    BASE: (run_article, "tensorflow"),
    "cnn.py on JAX": (run_cnn, "jax"),
    "cnn.py on PyTorch": (run_cnn, "torch"),
    "plain PyTorch": (run_torch, ""),
    OURS: (run_mobilenet, "tensorflow"),
    MOBILENET: (run_articles_mobilenet, "tensorflow"),
}


def base_of(name):
    return MOBILENET if name in (OURS, MOBILENET) else BASE


def child(name, folder, source):
    import resource

    if name == "matrix product":
        return print(json.dumps({"rate": matrix_rate()}))
    stamps = []
    saving = CONTENDERS[name][0](folder, source, stamps)
    (cpu_1, wall_1), (cpu_2, wall_2), epochs = stamps[0], stamps[-1], len(stamps) - 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # in kB on Linux
    found = {"cpu": (cpu_2 - cpu_1) / epochs, "wall": (wall_2 - wall_1) / epochs, "peak": peak}
    print(json.dumps(found | {"saving": statistics.mean(saving[1:]) if saving else 0}))


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
    bases = [BASE, MOBILENET]
    others = [name for name in CONTENDERS if name not in bases]
    parser.add_argument("--only", nargs="*", default=others, choices=others, help="and what they go with")
    args = parser.parse_args()
    if args.child:
        return child(*args.child)
    wanted = {base_of(name) for name in args.only} | set(args.only)
    names = [name for name in CONTENDERS if name in wanted]

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

    def row(name):
        found, base = results[name], results[base_of(name)]

        def ratio(key):
            """To the article's code, round by round."""
            pairs = zip(found, base, strict=True)
            return statistics.median(own[key] / other[key] for own, other in pairs)

        cells = [f"{median(found, key):,.{digits}f} | {ratio(key):.2f}"
                 for key, digits in (("cpu", 1), ("wall", 1), ("peak", 0))]  # fmt: skip
        saving = f"{median(found, 'saving') * 1000:.0f}" if found[0]["saving"] else "–"
        return f"| {name} | " + " | ".join([*cells, saving]) + " |"

    rows = [row(name) for name in results]
    if BASE in results:
        share = limit / median(results[BASE], "cpu")
        rows.insert(names.index(MOBILENET) - 1 if MOBILENET in names else len(rows),
                    f"| the limit of the CNN | {limit:.1f} | {share:.2f} | | | | | |")  # fmt: skip
    write(
        "epoch",
        f"One epoch, {len(x_train):,} training and {len(x_test):,} test images ({source}), batch 100 (MobileNet "
        f"128); {os.cpu_count()} CPU cores; medians of {args.rounds} rounds.\n",
        "| | CPU s | ratio | wall s | ratio | peak memory, MB | ratio | of it to save the run, ms |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        f"\nThe ratios are to the article's code for the same network. The limit is the arithmetic of the CNN's "
        f"epoch at the rate of a 3000 x 3000 float32 matrix product, {rate / 1e9:.0f} GFLOP in a CPU second.",
    )


if __name__ == "__main__":
    main()
