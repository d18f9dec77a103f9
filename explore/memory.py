"""何枚の画像を一度に計算するか (how many images are computed at a time)."""

import math

import keras

from support.run.records import flat_layers


def batch_size(model):
    """最大の層の出力が64MBに収まる枚数 (so many that the largest output of a layer takes 64 MB at the most)."""
    outputs = keras.tree.flatten([getattr(layer, "output", []) for layer in flat_layers(model)])
    values = [math.prod(size or 32 for size in output.shape[1:]) for output in outputs]
    return max(1, min(500, 2**24 // max(values, default=1)))
