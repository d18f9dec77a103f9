"""モデルのグラフについて (about the graph of a model)."""

import math

import keras

from support.run.records import flat_layers


def batch_size(model):
    """最大の層の出力が64MBに収まる枚数 (so many images that the largest output of a layer takes 64 MB at the most)."""
    outputs = keras.tree.flatten([getattr(layer, "output", []) for layer in flat_layers(model)])
    values = [math.prod(size or 32 for size in output.shape[1:]) for output in outputs]
    return max(1, min(500, 2**24 // max(values, default=1)))


def follows(layer, before):
    """ある層が、別の層の出力だけを受け取るか (whether a layer takes what another gives, and nothing else).

    Sequentialの層は何度も呼ばれているので、`layer.input is before.output`にはならない。(`Sequential` calls its
    layers several times, so that `layer.input is before.output` does not hold.)
    """
    history = getattr(layer.input, "_keras_history", None)
    return history is not None and history.operation is before
