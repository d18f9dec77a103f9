"""A trap: after `keras.utils.set_random_seed`, `fit` on arrays repeats one order of the images.

    python benchmarks/seed.py --data SOURCE

On TensorFlow the shuffle of `fit` on arrays begins from its seed again in each epoch. First the order
of twelve samples is looked at, then the article's code is run with and without the call.
"""

import json

from common import compiled_cnn, load_data, measure, parser_of, spread, write

SAMPLES, EPOCHS, RUNS = 12, 4, 2
WAYS = {
    "arrays, no seed": (False, False),
    "arrays, `set_random_seed`": (True, False),
    "our batches, `set_random_seed`": (True, True),
}


def batches_of(x, y, batch_size):
    from support.data.batches import Batches

    return Batches(x, y, list(range(10)), "", batch_size, lambda x, y, _: (x, y))


def orders(seeded, batches):
    """The order in which a model is given so many samples, in each epoch."""
    import keras
    import numpy as np

    class Shuffle(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            given.append([])
            if batches:
                samples.shuffle(0, epoch)

    given = []
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss=lambda y, prediction: prediction)
    if seeded:
        keras.utils.set_random_seed(0)
    x = np.arange(SAMPLES, dtype="float32")[:, None]
    samples = batches_of(x, x, 1)
    step = model.train_step

    def train_step(data):
        given[-1].append(int(data[0][0, 0]))
        return step(data)

    model.train_step, model.run_eagerly = train_step, True
    data = {"x": samples, "shuffle": False} if batches else {"x": x, "y": x, "batch_size": 1}
    model.fit(**data, epochs=EPOCHS, verbose=0, callbacks=[Shuffle()])
    return given


def accuracy(seed, seeded, batches, source):
    """The article's code, 20 epochs: the test accuracy after each of them."""
    import keras
    from keras.utils import to_categorical

    class Shuffle(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if batches:
                data["x"].shuffle(seed, epoch)

    (x_train, y_train), (x_test, y_test), _, _ = load_data(source)
    if seeded:
        keras.utils.set_random_seed(seed)
    model = compiled_cnn()
    x_train, x_test = x_train.astype("float") / 255.0, x_test.astype("float") / 255.0
    y_train, y_test = to_categorical(y_train, 10), to_categorical(y_test, 10)
    data = {"x": x_train, "y": y_train, "batch_size": 100}
    if batches:
        data = {"x": batches_of(x_train, y_train, 100), "shuffle": False}
    results = model.fit(**data, epochs=20, verbose=0, validation_data=(x_test, y_test), callbacks=[Shuffle()])
    return results.history["val_accuracy"]


def child(what, way, seed, source):
    way = WAYS[way]
    found = orders(*way) if what == "orders" else accuracy(int(seed), *way, source)
    print(json.dumps(found))


def main():
    args = parser_of(__doc__, rounds=False, data="as for cnn.py", child=4).parse_args()
    if args.child:
        return child(*args.child)

    lines = [
        f"| | different orders in {EPOCHS} epochs | best test accuracy, % | after 20 epochs, % |",
        "|---|---|---|---|",
    ]
    results = {way: [] for way in WAYS}
    for seed in range(RUNS):
        for way in WAYS:
            results[way].append(measure(__file__, "accuracy", way, seed, args.data))
            print(way, max(results[way][-1]), results[way][-1][-1], flush=True)
    for way, runs in results.items():
        found = measure(__file__, "orders", way, 0, args.data)
        different = len({tuple(order) for order in found})
        best, last = ([100 * value for value in values] for values in
                      ([max(run) for run in runs], [run[-1] for run in runs]))  # fmt: skip
        lines.append(f"| {way} | {different} | {spread(best)} | {spread(last)} |")
    write("seed", *lines, f"\nMeans of {RUNS} runs each, the lowest and the highest in brackets.")


if __name__ == "__main__":
    main()
