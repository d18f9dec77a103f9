"""モデルの最初の畳み込み：そのフィルターと、画像への反応。
本の`ch07/apply_filter.py`も、フィルターを画像に当てます。

The first convolution of a model: its filters, and what they answer to images. The book's
`ch07/apply_filter.py` applies filters to an image, too.
"""

import keras
import numpy as np

from explore.graph import batch_size, follows
from support.ending import ScriptError
from support.run.records import flat_layers

# すぐ後ろにあれば、その出力までを反応とみなす (what stands right behind belongs to the answer)
BEHIND = ("BatchNormalization", "Activation", "ReLU", "LeakyReLU")


class Filters:
    """モデルの最初の畳み込みのフィルター (the filters of a model's first convolution).

    Attributes:
        kernels: `(height, width, 3, N)`.
        layers: `keras.Model`。画像から、畳み込みの入力と反応まで (from images to what the convolution is
            given, `(n, H, W, 3)`, and to its answers, `(n, h, w, N)`).
    """

    def __init__(self, asked, model):
        """最初の畳み込みまでのグラフを取り出す (take the model's own graph up to its first convolution).

        Args:
            asked: `models.Asked`.
            model: その学習前か学習後のモデル (that before its training or after).

        Raises:
            ScriptError: カラー画像のふつうの畳み込みではない (no plain convolution of colour images).
        """
        found = (layer for layer in flat_layers(model) if "Conv" in type(layer).__name__)
        self.convolution = layer = next(found, None)
        if layer is None:
            raise ScriptError(f"{asked.path}: has no convolution; give another model")
        why = ""
        if not isinstance(layer, keras.layers.Conv2D):
            why = f"is a {type(layer).__name__}, not a Conv2D"
        elif layer.data_format != "channels_last":
            why = "has channels first, not last"
        elif layer.groups > 1:
            why = f"has {layer.groups} groups, not one"
        elif layer.kernel.shape[2] != 3:
            why = f"sees {layer.kernel.shape[2]} channels, not 3"
        else:
            _input = keras.Input((32, 32, 3))
            self.layers = keras.Model(_input, up_to(layer, model)(_input))
            seen, extent = self.layers.outputs[0].shape[1:3], self.extent
            if extent[0] > seen[0] or extent[1] > seen[1]:
                why = "has filters of {} x {}, and sees {} x {}".format(*extent, *seen)
        if why:
            raise ScriptError(f"{asked.path}: its first convolution {why}; give another model")
        self.kernels, self.prepare = layer.get_weights()[0], asked.prepare

    @property
    def extent(self):
        """フィルターが見る範囲の高さと幅 (height and width of what a filter sees)."""
        pairs = zip(self.convolution.kernel_size, self.convolution.dilation_rate, strict=True)
        return [(size - 1) * rate + 1 for size, rate in pairs]

    def given_and_answers(self, images):
        """`layers`の出力 (what `layers` make of images `uint8` `(n, 32, 32, 3)`)."""
        outputs = self.layers.predict_on_batch(self.prepare(images))
        return [keras.ops.convert_to_numpy(output) for output in outputs]

    def excitement(self, images):
        """各画像での各フィルターの最大の反応と、全画像での最小の反応 (for each image the strongest answer
        of each filter, `(n, N)`; for each filter the weakest to any, `(N,)`)."""
        size = batch_size(self.layers)
        batches = (images[start : start + size] for start in range(0, len(images), size))
        answers = (self.given_and_answers(batch)[1] for batch in batches)
        found = [(each.max(axis=(1, 2)), each.min(axis=(0, 1, 2))) for each in answers]
        return np.concatenate([high for high, _ in found]), np.min([low for _, low in found], axis=0)

    def patches(self, images, number):
        """フィルターが最も強く反応した部分を、各画像から1つ (what excites one filter most, of each image).

        Returns:
            `uint8` `(n, height, width, 3)`：畳み込みの入力を0から255にしたもの (what the convolution is given
            there, brought from 0 to 255).
        """
        given, answers = self.given_and_answers(images)
        (height, width), layer, found = self.extent, self.convolution, []
        wide = np.pad(given, [(0, 0), (height, height), (width, width), (0, 0)])  # 画像の外は0 (0 outside)
        wide = 255 * (wide - wide.min()) / max(wide.max() - wide.min(), 1e-7)
        for image, answer in zip(wide.round().astype("uint8"), answers[..., number], strict=True):
            corner = np.unravel_index(answer.argmax(), answer.shape) * np.array(layer.strides)
            if layer.padding == "same":  # 画像の前に付く余白 (the margin before the image)
                total = (np.array(answer.shape) - 1) * layer.strides + self.extent - given.shape[1:3]
                corner -= total.clip(0) // 2
            top, left = corner + self.extent
            found.append(image[top : top + height, left : left + width])
        return np.array(found)


def up_to(convolution, model):
    """画像から、ある畳み込みの入力と反応まで (images to what a convolution is given and answers).

    モデルの中のモデルにある畳み込みには、外側のグラフをつなぐ (where it is in a model inside the model, the
    graph outside comes first).
    """
    for n, layer in enumerate(model.layers):
        if layer is convolution:
            last = layer
            for behind in model.layers[n + 1 :]:
                if type(behind).__name__ in BEHIND and follows(behind, last):
                    last = behind
            given = keras.layers.Identity()(layer.input)  # 入力そのものは出力にできない (not an input itself)
            return keras.Model(model.inputs, [given, last.output])
        if isinstance(layer, keras.Model) and any(each is convolution for each in flat_layers(layer)):
            # 外側で受け取るもの。layer.inputは内側の入力 (what it is given outside; `layer.input` is inside)
            return keras.Model(model.inputs, up_to(convolution, layer)(keras.Operation.input.fget(layer)))
