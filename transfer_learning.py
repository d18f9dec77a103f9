"""記事の4節：ImageNetで学習済みのMobileNetの重みを使い、
CIFAR-10を学習させます（転移学習）。
乱数で初期化するのは出力層の重みだけで、学習では全層の
重みを更新します。

Section 4 of the article: MobileNet, trained on ImageNet, learns CIFAR-10 in three epochs.
Only the output layer begins with random weights; the training then adjusts those of all layers.
"""

from support import command_line, ending
from utils import plot_accuracy, print_result


def build_model(num_classes=10, alpha=1.0, weights="imagenet"):
    """4.2節のモデル。10クラスなら3,239,114パラメータ、うち21,888個は学習しない (section 4.2).

    alphaはフィルター数の倍率。weightsは"imagenet"、None（乱数）、または重みのファイル。
    学習しない21,888個は、バッチ正規化が記録する平均と分散。
    入力は画像（float32、形状(N, 32, 32, 3)、値は0から1）、出力は各クラスの確率（形状(N, num_classes)）。まだcompileしていない。
    (`alpha`: the width multiplier; `weights`: "imagenet", None for random ones, or a file.
    Images `float32` `(N, 32, 32, 3)` in [0, 1] to class probabilities `(N, num_classes)`; uncompiled.
    The 21,888 are batch normalization's running means and variances, which no gradient trains.)
    """
    from keras import Model
    from keras.applications.mobilenet import MobileNet
    from keras.layers import Dense, Input

    _input = Input(shape=(32, 32, 3))
    name = f"mobilenet_{alpha:.2f}_224"  # 記事の表と同じ名前 (as in the article's table)
    _hidden = MobileNet(include_top=False, pooling="avg", alpha=alpha, weights=weights, name=name)(_input)
    _output = Dense(num_classes, activation="softmax")(_hidden)
    return Model(_input, _output)


def prepare(x, y, num_classes):
    """4.3節の前処理。記事と同じくcnn.pyの2行を繰り返す (section 4.3 repeats the lines of cnn.py).

    Kerasの`mobilenet.preprocess_input`なら[-1, 1]になる (which would give [-1, 1]).
    """
    from keras.utils import to_categorical

    x = x.astype("float32") / 255.0
    y = to_categorical(y, num_classes=num_classes)
    return x, y


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=3, batch_size=128, alpha=1.0)
    import keras

    from support.data import images
    from support.figures import blocks
    from support.run import pretrained, training

    if args.summary:
        model = build_model(alpha=args.alpha, weights=None)
        return blocks.draw(model, args.script, args.out / "model.png")
    keras.utils.set_random_seed(args.seed)
    # 4.2 MobileNetの読み込み, 4.3 データセットの読み込み (model and data)
    # 重みを取得できなければNone：全層が乱数になり、転移学習ではない (None, if they cannot be had: all layers random)
    weights = pretrained.find_weights(args.weights, args.alpha)
    train, test = images.batches(args, prepare)
    model = build_model(train.num_classes, args.alpha, weights)
    model.summary()
    # 4.4 転移学習の実行 (transfer learning)
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    # 事前学習済みモデルのテスト ([損失, 精度]、出力層は未学習) ([loss, accuracy]; the output layer is untrained)
    print(model.evaluate(test.dataset, verbose=0))
    # 転移学習してみる (fine-tuning of all layers)
    # 途中までの学習があれば読み込む。どの重みから始めたかも記録する (loads an unfinished run that began with the same)
    run = training.resume(model, train, test, args, weights=weights or "none")
    _results = model.fit(train.dataset, epochs=args.epochs, verbose=args.verbose, validation_data=test.dataset,
                         callbacks=[run],  # エポックごとに保存し、画像を並べ替える (saves, and shuffles the images)
                         initial_epoch=run.done,  # 終えたエポックの続きから (goes on after the epochs that are done)
                         shuffle=False)  # 順番はrunがseedとエポック番号で決める (run does, by seed and epoch)  # fmt: skip
    title = f"MobileNet ({weights or 'random'} weights) on {train.name}"
    plot_accuracy(_results.history, title, args.out / "accuracy.png")
    print_result(_results.history, train.name)
    print("次は (next): python cnn_with_gap.py")


if __name__ == "__main__":
    ending.run(main)
