"""Images as `fit` gets them: a batch when it is due."""

import functools
import math

import keras
import numpy as np

from support import processes


class Batches(keras.utils.PyDataset):
    """Images and labels that become a batch when it is due.

    They stay `uint8` in memory until then: as `float32` they would take four times as much. One of
    several processes gets its share of each batch; all shares together are the batch of a single
    process. The images that are left over when all are shared out are passed over.

    Attributes:
        images: `uint8` `(N, 32, 32, 3)` in 0..255.
        labels: `int64` `(N,)`.
        class_names: what the labels stand for, of which there are `num_classes`.
        name: of the data, for titles.
    """

    def __init__(self, images, labels, class_names, name, batch_size, prepare):
        super().__init__()
        self.images, self.labels = images, labels
        self.class_names, self.num_classes, self.name = class_names, len(class_names), name
        self.batch_size, self.prepare = batch_size, prepare
        self.order = np.arange(len(labels))

    def shuffle(self, seed, epoch):
        """Put the images into an order that depends on the seed and the epoch alone.

        `fit` must be told `shuffle=False`, or it shuffles the batches once more.
        """
        self.order = np.random.default_rng([seed, epoch]).permutation(len(self.labels))

    def __len__(self):
        return math.ceil(self.count / self.batch_size)

    @property
    def count(self):
        return len(self.labels) - len(self.labels) % processes.count()

    def __getitem__(self, index):
        rows = self.order[: self.count][index * self.batch_size : (index + 1) * self.batch_size]
        return self.prepared(np.split(rows, processes.count())[processes.number()])

    def prepared(self, rows):
        x, y = self.prepare(self.images[rows], self.labels[rows], self.num_classes)
        return x, y.astype("float32")  # `to_categorical` gives float64, of which JAX warns

    @functools.cached_property
    def dataset(self):
        """What `fit` and `evaluate` get: the same batches in the same order, in the backend's own way.

        TensorFlow asks for the first after `on_epoch_begin`. Keras would read a `PyDataset` there by
        `from_generator`, with which TensorFlow takes fresh memory for all large arrays in every step.
        """
        if keras.config.backend() != "tensorflow":
            return self
        import tensorflow as tf

        x_0, y_0 = self[0]

        def batch(index):
            x, y = tf.numpy_function(self.__getitem__, [index], [x_0.dtype, y_0.dtype])
            return tf.ensure_shape(x, (None, *x_0.shape[1:])), tf.ensure_shape(y, (None, *y_0.shape[1:]))

        options = tf.data.Options()
        options.autotune.enabled = False  # its thread can hold up an iterator's end for seconds
        return tf.data.Dataset.range(len(self)).map(batch).prefetch(2).with_options(options)
