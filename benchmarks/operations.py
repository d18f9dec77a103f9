"""Where the time of the CNN's training step goes, by operation (TensorFlow's own profiler).

python benchmarks/operations.py
"""

import collections
import tempfile
from pathlib import Path

from common import compiled_cnn, noise, parser_of, write

STEPS = 200


GROUPS = {  # what a name has in it, the first that fits
    "PyFunc": "making the batch: `Batches`",
    "adam/": "Adam",
    "Conv2DBackpropFilter": "convolution, backward",
    "conv2d_1/ReluGrad": "ReLU of the convolution, backward",
    "conv2d": "convolution with ReLU, forward",
    "MaxPoolGrad": "max pooling, backward",
    "max_pooling": "max pooling, forward",
    "gradient_tape/functional_1/dense": "dense layers, backward",
    "Softmax": "softmax and loss",
    "dense": "dense layers, forward",
}


def group(name):
    return next((label for part, label in GROUPS.items() if part in name), "loss, metrics, the rest")


def main():
    parser_of(__doc__, rounds=False).parse_args()
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    train, model = noise(100 * STEPS).dataset, compiled_cnn()
    model.fit(train, shuffle=False, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        model.fit(train, shuffle=False, verbose=0)
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).glob("**/*.xplane.pb")).read_bytes())

    spent = collections.Counter()
    for plane in space.planes:
        names = {key: value.name for key, value in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                name = names[event.metadata_id]
                if name.startswith("StatefulPartitionedCall/") or name.startswith("PyFunc"):
                    spent[group(name)] += event.duration_ps / 1e9 / STEPS
    total = sum(spent.values())
    write(
        "operations",
        f"A training step of the CNN, batch 100, as TensorFlow's profiler sees it ({STEPS} steps).\n",
        "| operation | ms a step | share |",
        "|---|---|---|",
        *(f"| {name} | {ms:.2f} | {ms / total:.0%} |" for name, ms in spent.most_common()),
        f"| all | {total:.2f} | |",
    )


if __name__ == "__main__":
    main()
