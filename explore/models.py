"""質問に共通のもの：モデル、学習前のモデル、画像 (what the questions share: model, untrained model, images)."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from support.ending import ScriptError
from support.run import state

SHIPPED = Path(__file__).with_name("trained.weights.h5")  # of beyond.cnn_with_gap, on CIFAR-10


@dataclass
class Asked:
    """質問の相手のモデル (a model that is asked)."""

    path: Path
    model: object  # `keras.Model`：画像から確率へ (images `float32` `(N, 32, 32, 3)` to class probabilities)
    class_names: list  # 出力の名前、不明なら番号 (of the outputs; numbers where nothing says them)
    untrained: object = None  # 学習前の同じモデル (the same before its training, if it was kept)
    run: dict = field(default_factory=dict)  # `state.read`の値、ほかで学習したモデルなら{} (of a run of ours)
    pixels: str = "0..1"  # モデルが受け取る画素値、または"0..255" (which pixels it takes, or "0..255")

    @property
    def training(self):
        """図の題のための、スクリプト、画像、エポック数 (script, images and epochs, for titles)."""
        if not self.run:
            return "trained on unknown images"
        record, epochs = self.run["record"], len(self.run["cpu seconds"])
        return f"trained by {record['script']} on {record['data']}, {epochs} epoch" + "s" * (epochs != 1)

    def prepare(self, images):
        """画像`uint8`を、モデルが受け取る値にする (images `uint8` `(N, 32, 32, 3)` as the model takes them)."""
        return images.astype("float32") / (255.0 if self.pixels == "0..1" else 1.0)

    def predict(self, images):
        """画像`uint8`の各クラスの確率 (class probabilities `(N, num_classes)` of images `uint8`)."""
        from explore.graph import batch_size

        if len(images) > 100:
            print(f"{len(images):,}枚を調べる (asking about {len(images):,} images) ...")
        return self.model.predict(self.prepare(images), batch_size=batch_size(self.model), verbose=0)


def run_of(path):
    """学習の記録、なければ{} (what a run has put into its `model.keras`, as `state.read`; {} if none has)."""
    try:
        return state.read(path)
    except Exception:  # a damaged file makes zipfile and json raise nearly anything
        return {}


def newest(layer="Dense", without="none", script="cnn"):
    """results/にある、条件に合う最新のモデルのパス。なければ`script`のモデルのパス (the newest model in results/ that
    has a layer of this class, and neither layer nor script `without`; else where this script's model would be)."""
    for path in sorted(Path("results").rglob("model.keras"), key=lambda path: -path.stat().st_mtime):
        record = run_of(path).get("record", {})
        kinds = {record.get("script"), *(each["class"] for each in record.get("layers", ()))}
        if layer in kinds and without not in kinds:
            return path
    return Path("results", script, "model.keras")


def load(path, pixels=None):
    """モデルを読み込み、何を読み込んだかを表示する (load a model and what is kept beside it, and say which it is).

    Raises:
        ScriptError: 読み込めないか、32×32の画像用ではないか、画素値の範囲が不明 (no model of 32 x 32 pixels of a known range).
    """
    from support.run import run_folder

    model, run, untrained = run_folder.load_model(path), run_of(path), path.with_name("initial.keras")
    if model.input_shape[1:] not in ((32, 32, 3), (None, None, 3)) or len(model.outputs) > 1:
        shapes = f"takes {model.input_shape} and gives {model.output_shape}"
        raise ScriptError(f"{path}: {shapes}, not one answer to images of 32 x 32; give another model")
    # 画素値の範囲は、学習の記録から (the range of the pixels: from the record of the run)
    low, high = run["record"].get("training set", {}).get("pixels", (0, 1)) if run else (-1, 0)
    if low < 0 and pixels is None:
        raise ScriptError(f"{path}: of no run that says which pixels it takes; give --pixels 0..1 or 0..255")
    names = run["record"]["classes"] if run else [str(n) for n in range(model.output_shape[-1])]
    asked = Asked(path, model, names, run=run, pixels=pixels or ("0..255" if high > 1 else "0..1"))
    if run and untrained.exists():
        asked.untrained = run_folder.load_model(untrained)
    print(f"{path}: {model.count_params():,} parameters, {asked.training}")
    if run and len(run["cpu seconds"]) < run["epochs"]:
        print(f"途中で止めた学習 (stopped after epoch {len(run['cpu seconds'])} of {run['epochs']}): "
              f"{run['record']['script']} goes on")  # fmt: skip
    return asked


def load_shipped():
    """付属の重みを持つ`beyond.cnn_with_gap`のネットワーク (with the weights that come with these scripts)."""
    from beyond import cnn_with_gap

    facts = json.loads(SHIPPED.with_suffix("").with_suffix(".json").read_text())
    model = cnn_with_gap.build_model(len(facts["classes"]))
    model.load_weights(SHIPPED)
    print(f"付属の学習済みモデル (comes with the scripts): {facts['network']}, "
          f"テスト精度 (test accuracy) {facts['test accuracy']:.1%}")  # fmt: skip
    return Asked(SHIPPED, model, facts["classes"])


def test_images(asked, args):
    """テスト画像`uint8` `(N, 32, 32, 3)`とラベル。--dataか、学習に使った画像から (test images and labels: of --data,
    else of the images that the model was trained on).

    Raises:
        ScriptError: どの画像かわからないか、画像がないか、クラスが違う (nothing says which images, they are not
            there, or have other classes).
    """
    from support.data import images

    if args.data is None and not asked.run:
        raise ScriptError(f"{asked.path}: not of a run of these scripts; give --data SOURCE for images")
    seed = asked.run["record"]["seed"] if asked.run else 0
    (x, y), names = images.load_tests(args.data or asked.run["source"], seed, args.verbose)
    if asked.run and asked.class_names != list(names):
        wanted, given = ", ".join(asked.class_names), ", ".join(names)
        raise ScriptError(f"{asked.path}: knows {wanted}; the images have {given}; give --data others")
    return x, y
