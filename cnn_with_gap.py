"""記事の5.1節：Flattenの代わりにGlobal Average Poolingを使います。
特徴マップごとの平均を取り、出力の形状は
(None, 14, 14, 30)から(None, 30)になります。
パラメータは591,390個から6,390個に減りますが、
150エポック学習するので時間がかかります。

Section 5.1 of the article: global average pooling (Lin, Chen and Yan, "Network In Network", 2013)
in place of `Flatten`. It makes one number of each feature map, its mean: (None, 14, 14, 30) becomes
(None, 30), and 591,390 parameters become 6,390.
"""

from cnn import prepare
from support import command_line, ending
from utils import plot_accuracy, print_result


def build_model(num_classes=10):
    """5.1節のモデル。10クラスなら6,390パラメータ (the model of section 5.1).

    入力は画像（float32、形状(N, 32, 32, 3)、値は0から1）、出力は各クラスの確率（形状(N, num_classes)）。まだcompileしていない。
    (Images `float32` `(N, 32, 32, 3)` in [0, 1] to class probabilities `(N, num_classes)`; uncompiled.)
    """
    from keras import Model
    from keras.layers import Conv2D, Dense, GlobalAveragePooling2D, Input, MaxPooling2D

    # モデル定義 (model)
    _input = Input(shape=(32, 32, 3))
    _hidden = Conv2D(filters=30, kernel_size=5, strides=(1, 1), padding="valid", activation="relu")(_input)
    _hidden = MaxPooling2D(pool_size=(2, 2))(_hidden)
    _hidden = GlobalAveragePooling2D()(_hidden)
    _hidden = Dense(100, activation="relu")(_hidden)
    _output = Dense(num_classes, activation="softmax")(_hidden)
    return Model(_input, _output)


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=150, batch_size=100)
    import keras

    from support.data import images
    from support.figures import blocks
    from support.run import training

    if args.summary:
        return blocks.draw(build_model(), args.script, args.out / "model.png")
    keras.utils.set_random_seed(args.seed)
    # エポック数のほかは2.4節と同じ (data and training, as in cnn.py but for the epochs)
    train, test = images.batches(args, prepare)
    model = build_model(train.num_classes)
    model.summary()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    # 途中までの学習があれば、その重みをmodelに読み込む (loads an unfinished run into model, if there is one)
    run = training.resume(model, train, test, args)
    _results = model.fit(train.dataset, epochs=args.epochs, verbose=args.verbose, validation_data=test.dataset,
                         callbacks=[run],  # エポックごとに保存し、画像を並べ替える (saves, and shuffles the images)
                         initial_epoch=run.done,  # 終えたエポックの続きから (goes on after the epochs that are done)
                         shuffle=False)  # 順番はrunがseedとエポック番号で決める (run does, by seed and epoch)  # fmt: skip
    # 学習結果 (the result)
    plot_accuracy(_results.history, f"cnn_with_gap.py on {train.name}", args.out / "accuracy.png")
    print_result(_results.history, train.name)
    print("記事はここまで。画像のどこを見て答えたか (the article ends here; where does the network look?): "
          f"python -m explore.maps {args.out / 'model.keras'}")  # fmt: skip


if __name__ == "__main__":
    ending.run(main)
