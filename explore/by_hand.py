"""Kerasの計算は本の計算と同じか：学習済みの重みを使い、
テスト画像1枚の順伝播を7章のNumPyの式で計算して比べます。

Is it the book's arithmetic? The forward pass of one test image in NumPy, as in chapter 7, with the
trained weights: the largest difference to Keras in each layer, and one value worked out in full.
"""

from explore import models
from support import command_line, ending
from support.ending import ScriptError


def compare_layers(model, image):
    """層ごとの形、最大の値、Kerasとの最大の差 (a row a layer: name, shapes in Keras and in the book, the
    largest value, the largest difference to Keras).

    Args:
        image: モデルに入れる (as the model takes it) `float32` `(1, 32, 32, 3)`.
    """
    import keras
    import numpy as np

    from explore import book

    layers = [layer for layer in model.layers if type(layer).__name__ != "InputLayer"]
    if inside := next((layer for layer in layers if isinstance(layer, keras.Model)), None):
        raise ScriptError(f"{inside.name}: by_hand does not know a model in a model; give another model")
    expected = keras.Model(model.inputs, [[layer.output] for layer in layers]).predict(image, verbose=0)
    x, flattened, rows = image.astype("float64").transpose(0, 3, 1, 2), None, []
    for layer, [keras_says] in zip(layers, expected, strict=True):
        kind, shape = type(layer).__name__, x.shape[1:]
        x = book.forward(layer, x, flattened)
        flattened = shape if kind == "Flatten" else None if kind == "Dense" else flattened
        difference = np.abs(book.in_keras_order(x, flattened) - keras_says).max()
        rows.append((layer.name, keras_says.shape, x.shape, np.abs(x).max(), difference))
    return rows


def work_out(layer, image):
    """特徴マップ0の中央の値を計算して見せる (the value in the middle of feature map 0, in full)."""
    from explore import book

    kernel, *bias = layer.get_weights()
    height, width = kernel.shape[:2]
    image = book.in_keras_order(book.padded(image.transpose(0, 3, 1, 2), layer, (height, width)))[0]
    row, column = (size // 2 for size in layer.output.shape[1:3])
    top, left = row * layer.strides[0], column * layer.strides[1]
    window = image[top : top + height, left : left + width]
    print(f"\n{layer.name}の特徴マップ0、{row}行{column}列 (feature map 0, row {row}, column {column})")
    for c, color in enumerate(("R", "G", "B")):
        print(f"{color}: 画素×重み (pixel times weight)")
        for pixels, weights in zip(window[..., c], kernel[..., c, 0], strict=True):
            print("  " + "  ".join(f"{x:.2f}×{w:+.2f}" for x, w in zip(pixels, weights, strict=True)))
    total, b = float((window * kernel[..., 0]).sum(dtype="float64")), float(bias[0][0]) if bias else 0.0
    print(f"{window.size}個の積の和 (sum of {window.size} products): {total:+.6f}, バイアス (bias): {b:+.6f}")
    value = max(total + b, 0) if layer.activation.__name__ == "relu" else total + b
    print(f"合計 (total): {total + b:+.6f}, {layer.activation.__name__}: {value:.6f}")
    return row, column, value


def main(argv=None):
    default = models.newest("Conv2D", without="DepthwiseConv2D")
    args = command_line.parse(__file__, __doc__, argv, model=default, data=None, pixels=None)
    asked = models.load(args.model, args.pixels)
    images, labels = models.test_images(asked, args)
    image = asked.prepare(images[:1])
    print(f"最初のテスト画像 (the first test image): {asked.class_names[labels[0]]}")
    rows = compare_layers(asked.model, image)
    print(f"{'layer':26} {'Keras':18} {'book':18} {'largest value':>13} {'difference':>10}")
    for name, keras_shape, book_shape, largest, difference in rows:
        print(f"{name:26} {keras_shape!s:18} {book_shape!s:18} {largest:13.4f} {difference:10.1e}")
    first = next((layer for layer in asked.model.layers if type(layer).__name__ == "Conv2D"), None)
    if first is None:
        raise ScriptError(f"{args.model}: has no convolution; give another model")
    work_out(first, image)


if __name__ == "__main__":
    ending.run(main)
