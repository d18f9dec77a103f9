"""What was tried to make the CNN's epoch cheaper, and what it gave.

python benchmarks/variants.py
"""

import argparse
import json
import time

from common import measure, median, write

# What is compiled in, what the batches get, what the environment says.
VARIANTS = {
    "a step at a time, as Keras does by itself": {},
    "five steps an execution (what the scripts do)": {"steps_per_execution": 5},
    "25 steps an execution": {"steps_per_execution": 25},
    "two workers that make batches": {"workers": 2},
    "XLA (`jit_compile=True`)": {"jit_compile": True},
    "one thread (TF_NUM_INTRAOP_THREADS=1)": {"TF_NUM_INTRAOP_THREADS": "1"},
    "without oneDNN (TF_ENABLE_ONEDNN_OPTS=0)": {"TF_ENABLE_ONEDNN_OPTS": "0"},
}
PICTURES = 10000


def child(variant):
    import utils  # noqa: F401  (first, as in the scripts)

    import numpy as np

    import cnn
    import data

    options = {k: v for k, v in VARIANTS[variant].items() if k.islower()}
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (PICTURES, 32, 32, 3), dtype="uint8")
    train = data.batches(images, rng.integers(0, 10, PICTURES), 10, 100, seed=0)
    train.workers = options.pop("workers", 1)
    model = cnn.build_model()
    model.compile(
        optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"], **options
    )
    spent = []
    for _ in range(3):
        start = time.process_time()
        model.fit(train, shuffle=False, verbose=0)
        spent.append(time.process_time() - start)
    print(json.dumps({"cpu": 1000 * min(spent[1:]) / PICTURES}))


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
        f"Training, {PICTURES:,} pictures, batch 100; medians of {args.rounds} rounds.\n",
        "| | CPU ms a picture | ratio |",
        "|---|---|---|",
        *(
            f"| {variant} | {median(found, 'cpu'):.3f} | {median(found, 'cpu') / base:.2f} |"
            for variant, found in results.items()
        ),
    )


if __name__ == "__main__":
    main()
