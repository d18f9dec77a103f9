"""confidence map：画像のどこが、あるクラスの根拠になるか。
特徴マップに、クラスのロジットの勾配を掛けて足します。

Confidence maps: how much each place of an image speaks for a class. They are the maps before the
pooling, each weighted by the gradient of the class's logit: Grad-CAM (Selvaraju et al., 2017).
"""

import itertools

import keras
import numpy as np
from matplotlib import colormaps
from PIL import Image

from support.ending import ScriptError

KNOWN = ("Dense", "Dropout", "Activation", "Softmax")


def head_of(model, path):
    """GAPと、その後ろの層 (the global average pooling and the layers behind it).

    Raises:
        ScriptError: GAPがないか、後ろに知らない層がある (there is none, or something unknown behind it).
    """
    pooling = keras.layers.GlobalAveragePooling2D
    head = list(itertools.dropwhile(lambda layer: not isinstance(layer, pooling), model.layers))
    if not head or head[0].data_format != "channels_last" or head[0].keepdims:
        raise ScriptError(f"{path}: has no global average pooling of its own; give one of cnn_with_gap.py")
    for layer in head[1:]:
        activations = ["linear", "relu"] + ["softmax", "sigmoid"] * (layer is head[-1])
        if type(layer).__name__ not in KNOWN or activation_of(layer) not in activations:
            raise ScriptError(f"{path}: {layer.name} behind its pooling is of no kind that explore.maps knows; "
                              "give one of cnn_with_gap.py")  # fmt: skip
    return head


def activation_of(layer):
    if type(layer).__name__ == "Softmax":
        return "softmax"
    return getattr(getattr(layer, "activation", None), "__name__", "linear")


def confidence_maps(model, head, images, classes):
    """各場所が、あるクラスの根拠になる程度 (how much each place speaks for a class).

    勾配は本の5章の逆伝播。Denseではカーネルを掛け、ReLUが通さなかった所は0になる。後ろがsoftmax層だけなら、勾配は
    その層の重みになる (CAM)。(The gradient is the backward pass of the book's chapter 5: through `Dense` times
    the kernel, and 0 where a ReLU let nothing through. With a softmax layer alone behind the pooling it is
    that layer's kernel: CAM, Zhou et al., 2016.)

    Args:
        head: `head_of`の層 (of `head_of`).
        images: モデルに入れる (as the model takes them) `float32` `(N, H, W, 3)`.
        classes: 画像ごとのクラス (that of each image), `(N,)`.

    Returns:
        `float32` `(N, h, w)` >= 0、確率 (and class probabilities) `(N, num_classes)`.
    """
    inside = keras.Model(model.inputs, [head[0].input, *(layer.output for layer in head)])
    maps, *outputs = inside.predict(images, verbose=0)
    # softmaxの前の値（ロジット）の勾配から始める (it begins with the logits, which go into the softmax)
    gradient = np.eye(outputs[-1].shape[1], dtype="float32")[classes]
    for layer, output in zip(head[:0:-1], outputs[:0:-1], strict=True):
        if activation_of(layer) == "relu":
            gradient = gradient * (output > 0)
        if isinstance(layer, keras.layers.Dense):
            gradient = gradient @ keras.ops.convert_to_numpy(layer.kernel).T
    return np.maximum(np.einsum("nhwc,nc->nhw", maps, gradient), 0), outputs[-1]


def lay_over(image, values, largest, side):
    """白黒にした画像に、地図を重ねる (a map over the image in grey).

    Args:
        image: `uint8` `(H, W, 3)`.
        values: `(h, w)` >= 0.
        largest: 最も明るい値 (what is brightest).

    Returns:
        `uint8` `(side, side, 3)`.
    """
    grey = Image.fromarray(image).convert("L").resize((side, side), Image.Resampling.NEAREST)
    values = Image.fromarray((values / (largest or 1)).astype("float32"))
    values = np.asarray(values.resize((side, side), Image.Resampling.BILINEAR))
    colours = 255 * colormaps["inferno"](values)[..., :3]
    return (0.4 * np.asarray(grey)[..., None] + 0.6 * colours).astype("uint8")
