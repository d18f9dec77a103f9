"""自分が学習したネットワークを1つのHTMLファイルにします。
ブラウザで値をクリックすると、その値の計算がすべて見えます。

One's own network as a page for the browser: click a value, and see every number that made it.
"""

import base64
import json
from pathlib import Path

from explore import models
from support import command_line, ending, files
from support.ending import ScriptError

# ページが計算できる層、要る設定、限られた設定 (layers that the page knows, settings that it needs, and allows)
LAYERS = ("Conv2D", "MaxPooling2D", "AveragePooling2D", "Flatten", "Dense", "GlobalAveragePooling2D",
          "BatchNormalization", "ReLU", "Activation", "Dropout", "RandomFlip")  # fmt: skip
SETTINGS = ("activation", "kernel_size", "pool_size", "strides", "padding", "epsilon")
ONLY = {"groups": [1], "dilation_rate": [(1, 1)], "data_format": ["channels_last"], "keepdims": [False],
        "scale": [True], "center": [True], "max_value": [None], "negative_slope": [0], "threshold": [0],
        "activation": ["linear", "relu", "softmax"]}  # fmt: skip


def describe(layer):
    """ページに書く1つの層 (a layer, for the page)."""
    kind, config = type(layer).__name__, layer.get_config()
    odd = [f"{key}={config[key]}" for key in ONLY if config.get(key, ONLY[key][0]) not in ONLY[key]]
    if kind not in LAYERS or odd:
        what = " with ".join([kind, *odd])
        raise ScriptError(f"{layer.name}: the page does not know {what}; give another model")
    settings = {key: config[key] for key in SETTINGS if key in config} | {"weights": halves(layer)}
    return {"kind": kind, "name": layer.name, "shape": layer.output.shape[1:]} | settings


def halves(layer):
    """重みを16ビットの小数で (the weights of a layer, as numbers of 16 bits)."""
    return [base64.b64encode(w.astype("<f2").tobytes()).decode() for w in layer.get_weights()]


def choose(labels, predicted, num_classes, most=30):
    """クラスごとに3枚、うち1枚は誤り (the rows of three images of each class, one of them mistaken)."""
    rows, each = [], max(most // num_classes, 1)
    for label in range(num_classes):
        right = [n for n, of in enumerate(labels) if of == label == predicted[n]]
        wrong = [n for n, of in enumerate(labels) if of == label != predicted[n]]
        rows += sorted([*wrong[: each // 3], *right, *wrong[each // 3 :]][:each])
    return rows[:most]


def main(argv=None):
    default = models.newest("Conv2D", without="DepthwiseConv2D")
    args = command_line.parse(__file__, __doc__, argv, model=default, data=None, pixels=None)
    asked, path = models.load(args.model, args.pixels), args.out / "page.html"
    if asked.pixels != "0..1":
        raise ScriptError(f"{args.model}: takes pixels {asked.pixels}, not 0..1; give another model")
    template = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
    if path.exists() and path.read_text(encoding="utf-8", errors="replace")[:300] != template[:300]:
        raise ScriptError(f"{path}: not written by this script; move it away, or take another --out")
    layers = [describe(layer) for layer in asked.model.layers if type(layer).__name__ != "InputLayer"]
    images, labels = models.test_images(asked, args)
    exact = asked.predict(images)
    asked.model.set_weights([w.astype("float16").astype(w.dtype) for w in asked.model.get_weights()])
    rounded = asked.predict(images)  # ページはこれと比べる (what the page compares itself with)
    accuracy = [float((p.argmax(axis=1) == labels).mean()) for p in (exact, rounded)]
    print(f"テスト精度 (test accuracy): {accuracy[0]:.2%}; 重みを16ビットに丸めると (with weights of 16 bits): "
          f"{accuracy[1]:.2%}, 確率の差は最大 (probabilities differ by) {abs(exact - rounded).max():.1e}")  # fmt: skip
    rows = choose(labels, rounded.argmax(axis=1), len(asked.class_names))
    first = [layer for layer in getattr(asked.untrained, "layers", []) if type(layer).__name__ == "Conv2D"]
    data = {"title": asked.training if asked.run else f"{args.model.name}, {asked.training}", "layers": layers,
            "classes": asked.class_names, "accuracy": accuracy, "untrained": halves(first[0]) if first else None,
            "images": [base64.b64encode(image.tobytes()).decode() for image in images[rows]],
            "labels": labels[rows].tolist(), "probabilities": rounded[rows].astype(float).round(8).tolist()}  # fmt: skip
    files.make_folder(args.out)
    with files.replacing(path) as part:  # there must be no </script> in it
        part.write_text(template.replace("@DATA@", json.dumps(data).replace("<", "\\u003c")), "utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    ending.run(main)
