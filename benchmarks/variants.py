"""What was tried to make the CNN's epoch cheaper, and what it gave.

python benchmarks/variants.py
"""

import argparse
import json
import time

from common import compiled_cnn, cpu_seconds, measure, median, noise, write

# What is compiled in, what the batches get, what the environment says.
VARIANTS = {
    "a step at a time (what the scripts do)": {},
    "five steps an execution (TensorFlow and JAX alone have it)": {"steps_per_execution": 5},
    "25 steps an execution": {"steps_per_execution": 25},
    "two workers that make batches": {"workers": 2},
    "`float32` arrays in place of batches (four times the memory)": {"arrays": True},
    "a `tf.data` pipeline that prepares each batch in TensorFlow": {"pipeline": True},
    "XLA (`jit_compile=True`)": {"jit_compile": True},
    "one thread (TF_NUM_INTRAOP_THREADS=1)": {"TF_NUM_INTRAOP_THREADS": "1"},
    "without oneDNN (TF_ENABLE_ONEDNN_OPTS=0)": {"TF_ENABLE_ONEDNN_OPTS": "0"},
}
IMAGES = 10000


def child(variant):
    options = {k: v for k, v in VARIANTS[variant].items() if k.islower()}
    train = noise(IMAGES)
    train.workers = options.pop("workers", 1)
    if options.pop("arrays", False):
        x, y = train.prepare(train.images, train.labels, 10)
        return report(compiled_cnn(), Arrays(x, y))
    if options.pop("pipeline", False):
        return report(compiled_cnn(), pipeline(train))
    report(compiled_cnn(**options), train)


def report(model, train):
    fit = train.fit if isinstance(train, Arrays) else lambda model: cpu_seconds(model, train, 2)
    print(json.dumps({"cpu": 1000 * min(fit(model)) / IMAGES}))


class Arrays:
    """What the article gives to `fit`."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def fit(self, model):
        spent = []
        for _ in range(3):
            start = time.process_time()
            model.fit(self.x, self.y, batch_size=100, verbose=0)
            spent.append(time.process_time() - start)
        return spent[1:]


def pipeline(train):
    """The same batches out of TensorFlow: the images stay `uint8`, and no step returns to Python."""
    import tensorflow as tf

    images, labels = tf.constant(train.images), tf.constant(train.labels)

    def batch(rows):
        return tf.cast(tf.gather(images, rows), "float32") / 255, tf.one_hot(tf.gather(labels, rows), 10)

    rows = tf.data.Dataset.range(IMAGES).shuffle(IMAGES).batch(100)
    return rows.map(batch).prefetch(tf.data.AUTOTUNE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.child)

    results = {variant: [] for variant in VARIANTS}
    for _ in range(args.rounds):
        for variant, options in VARIANTS.items():
            environment = {k: v for k, v in options.items() if k.isupper()}
            results[variant].append(measure(__file__, variant, **environment))
    base = median(next(iter(results.values())), "cpu")
    write(
        "variants",
        f"Training, {IMAGES:,} images, batch 100; medians of {args.rounds} rounds.\n",
        "| | CPU ms an image | ratio |",
        "|---|---|---|",
        *(
            f"| {variant} | {median(found, 'cpu'):.3f} | {median(found, 'cpu') / base:.2f} |"
            for variant, found in results.items()
        ),
    )


if __name__ == "__main__":
    main()
