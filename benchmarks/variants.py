"""What was tried to make the CNN's epoch cheaper, and what it gave.

python benchmarks/variants.py
"""

import json

from common import compiled_cnn, cpu_seconds, in_turn, measure, median, noise, parser_of, write

# What is compiled in, what the batches get, what the environment says.
VARIANTS = {
    "each batch by `tf.numpy_function` (what the scripts do)": {},
    "each batch by Keras (what the scripts do on JAX and PyTorch)": {"workers": 1},
    "each batch by Keras, with two workers": {"workers": 2},
    "five steps an execution (only TensorFlow and JAX have it)": {"steps_per_execution": 5},
    "25 steps an execution": {"steps_per_execution": 25},
    "`float32` arrays in place of batches (four times the memory)": {"arrays": True},
    "a `tf.data` pipeline that prepares each batch in TensorFlow": {"pipeline": True},
    "XLA (`jit_compile=True`)": {"jit_compile": True},
    "one thread (TF_NUM_INTRAOP_THREADS=1)": {"TF_NUM_INTRAOP_THREADS": "1"},
    "without oneDNN (TF_ENABLE_ONEDNN_OPTS=0)": {"TF_ENABLE_ONEDNN_OPTS": "0"},
}
IMAGES = 10000


def child(variant):
    options = {key: value for key, value in VARIANTS[variant].items() if key.islower()}
    train, more = noise(IMAGES), {}
    given = train.dataset
    if "workers" in options:
        given, train.workers = train, options.pop("workers")
    elif options.pop("arrays", False):  # what the article gives to `fit`
        given, y = train.prepare(train.images, train.labels, 10)
        more = {"y": y, "batch_size": 100, "shuffle": True}
    elif options.pop("pipeline", False):
        given = pipeline(train)
    model = compiled_cnn(**options)
    cpu_seconds(model, given, 0, **more)
    before = page_faults()
    [spent] = cpu_seconds(model, given, 1, **more)
    faults = (page_faults() - before) / 2 / (IMAGES / 100)
    print(json.dumps({"cpu": 1000 * spent / IMAGES, "faults": faults}))


def page_faults():
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def pipeline(train):
    """The same batches out of TensorFlow: the images stay `uint8`, and no step returns to Python."""
    import tensorflow as tf

    images, labels = tf.constant(train.images), tf.constant(train.labels)

    def batch(rows):
        return tf.cast(tf.gather(images, rows), "float32") / 255, tf.one_hot(tf.gather(labels, rows), 10)

    rows = tf.data.Dataset.range(IMAGES).shuffle(IMAGES).batch(100)
    return rows.map(batch).prefetch(tf.data.AUTOTUNE)


def main():
    args = parser_of(__doc__, child=1).parse_args()
    if args.child:
        return child(*args.child)

    def measure_one(variant):
        return measure(__file__, variant, **{k: v for k, v in VARIANTS[variant].items() if k.isupper()})

    results = in_turn(args.rounds, VARIANTS, measure_one)
    base = median(next(iter(results.values())), "cpu")
    write(
        "variants",
        f"Training, {IMAGES:,} images, batch 100; rounds: {args.rounds} (medians).\n",
        "| | CPU ms an image | ratio | page faults a step |",
        "|---|---|---|---|",
        *(
            f"| {variant} | {median(found, 'cpu'):.3f} | {median(found, 'cpu') / base:.2f} "
            f"| {median(found, 'faults'):,.0f} |"
            for variant, found in results.items()
        ),
    )


if __name__ == "__main__":
    main()
