"""本の7章の順伝播をNumPyで：im2col、Convolution、Pooling、Affine。
画像は(N, C, H, W)、フィルターは(FN, C, FH, FW)の順で、Kerasとは異なります。

The forward pass of the book's chapter 7 in NumPy. Its axes are (N, C, H, W) for images and
(FN, C, FH, FW) for filters, where Keras has (N, H, W, C) and (FH, FW, C, FN).
"""

import numpy as np

from support.ending import ScriptError


def im2col(x, height, width, stride):
    """窓を1行ずつに並べる (p. 221): `(N, C, H, W)` to `(N * OH * OW, C * height * width)`, OH, OW."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1]]
    n, _, out_h, out_w = windows.shape[:4]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * out_h * out_w, -1), out_h, out_w


def convolution(x, W, b, stride):
    """本のConvolution (p. 224): 窓の行列とフィルターの行列の積 (windows times filters)."""
    col, out_h, out_w = im2col(x, W.shape[2], W.shape[3], stride)
    out = np.dot(col, W.reshape(len(W), -1).T) + b
    return out.reshape(len(x), out_h, out_w, -1).transpose(0, 3, 1, 2)


def pooling(x, size, stride, reduce):
    """本のPooling (p. 226): 窓ごとの最大値、または平均 (`reduce` is `np.max` or `np.mean`)."""
    col, out_h, out_w = im2col(x, *size, stride)
    out = reduce(col.reshape(-1, size[0] * size[1]), axis=1)
    return out.reshape(len(x), out_h, out_w, -1).transpose(0, 3, 1, 2)


def padded(x, layer, size, value=0.0):
    """padding="same"の余白を付ける (the margin of `padding="same"`)."""
    if layer.padding == "valid":
        return x
    margins = [(0, 0), (0, 0)]
    for length, kernel, stride in zip(x.shape[2:], size, layer.strides, strict=True):
        total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        margins.append((total // 2, total - total // 2))
    return np.pad(x, margins, constant_values=value)


def activate(x, name, layer):
    if name == "softmax":  # オーバーフロー対策に最大値を引く (p. 69)
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    if name not in ("linear", "relu"):
        raise ScriptError(f"{layer.name}: by_hand does not know the activation {name}; give another model")
    return np.maximum(x, 0) if name == "relu" else x


def forward(layer, x, flattened):
    """1つの層を、本の軸の順で計算する (one layer, in the order of the book's axes).

    Args:
        layer: Kerasの層 (a layer of Keras).
        x: `(1, C, H, W)` または (or) `(1, D)`.
        flattened: xが平らにされる前の形、なければNone (the shape `(C, H, W)` that a `Flatten` before has
            made flat; None if there was none, or a `Dense` since).

    Raises:
        ScriptError: 知らない層 (a layer that it does not know).
    """
    kind, weights = type(layer).__name__, [np.asarray(w, "float64") for w in layer.get_weights()]
    if flattened and weights:  # 重みの行も本の順に (so the rows of the weights change places, too)
        c, h, w = flattened
        rows = np.arange(c * h * w).reshape(h, w, c).transpose(2, 0, 1).ravel()
        weights = [weight[rows] if len(weight) == len(rows) else weight for weight in weights]
    if kind == "Conv2D" and layer.groups == 1 and layer.dilation_rate == (1, 1):
        W = weights[0].transpose(3, 2, 0, 1)  # (FH, FW, C, FN) -> (FN, C, FH, FW)
        x = convolution(
            padded(x, layer, W.shape[2:]), W, weights[1] if layer.use_bias else 0.0, layer.strides
        )
        return activate(x, layer.activation.__name__, layer)
    if kind == "MaxPooling2D":
        return pooling(padded(x, layer, layer.pool_size, -np.inf), layer.pool_size, layer.strides, np.max)
    if kind == "AveragePooling2D" and layer.padding == "valid":
        return pooling(x, layer.pool_size, layer.strides, np.mean)
    if kind == "GlobalAveragePooling2D" and not layer.keepdims:
        return x.mean(axis=(2, 3))
    if kind == "Flatten":  # 本では(C, H, W)の順に並ぶ (in the book's order, which is not Keras')
        return x.reshape(1, -1)
    if kind == "Dense" and x.ndim == 2:
        x = np.dot(x, weights[0]) + (weights[1] if layer.use_bias else 0.0)
        return activate(x, layer.activation.__name__, layer)
    if kind == "BatchNormalization" and layer.scale and layer.center:
        gamma, beta, mean, var = (w.reshape(-1, *[1] * (x.ndim - 2)) for w in weights)
        return gamma * (x - mean) / np.sqrt(var + layer.epsilon) + beta
    if kind == "ReLU" and layer.max_value is None and not layer.negative_slope and not layer.threshold:
        return np.maximum(x, 0)
    if kind in ("Dropout", "RandomFlip"):  # 使うときは何もしない (nothing when a network is used)
        return x
    raise ScriptError(f"{layer.name}: by_hand does not know {kind} with these settings; give another model")


def in_keras_order(x, flattened=None):
    """`(1, C, H, W)` -> `(1, H, W, C)`, and what was made flat in the order that Keras has."""
    if flattened:
        return x.reshape(flattened).transpose(1, 2, 0).reshape(1, -1)
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x
