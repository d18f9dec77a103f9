"""記事の2節と3.1節：本のSimpleConvNet（p. 229）に似た
ネットワークに、CIFAR-10を学習させます。
本で自作した層は、Kerasに用意されています。

Sections 2 and 3.1 of the article: a network like the book's SimpleConvNet (p. 229) learns CIFAR-10.
Keras has the layers that the book builds by hand.
"""

from support import command_line, ending
from utils import plot_accuracy, print_result


def build_model(num_classes=10):
    """2.2節と2.3節のモデル。10クラスなら591,390パラメータ (the model of sections 2.2 and 2.3).

    入力は画像（float32、形状(N, 32, 32, 3)、値は0から1）、出力は各クラスの確率（形状(N, num_classes)）。まだcompileしていない。
    (Images `float32` `(N, 32, 32, 3)` in [0, 1] to class probabilities `(N, num_classes)`; uncompiled.)
    """
    from keras import Model
    from keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D

    # 入力部 (input)
    _input = Input(shape=(32, 32, 3))
    # 畳み込み部 (convolution)
    _hidden = Conv2D(filters=30, kernel_size=5, strides=(1, 1), padding="valid", activation="relu")(_input)
    # プーリング部 (pooling)
    _hidden = MaxPooling2D(pool_size=(2, 2))(_hidden)
    # 出力処理 (output)
    _hidden = Flatten()(_hidden)
    _hidden = Dense(100, activation="relu")(_hidden)
    _output = Dense(num_classes, activation="softmax")(_hidden)
    return Model(_input, _output)


def prepare(x, y, num_classes):
    """2.4節の前処理。記事では全画像に一度に、ここでは少しずつ行う (section 2.4; a few images at a time).

    画像（uint8、形状(N, 32, 32, 3)）を0から1のfloat32に、ラベル（形状(N,)）をone-hot表現（形状(N, num_classes)）にする。
    (Images `uint8` `(N, 32, 32, 3)` become `float32` in [0, 1], labels `(N,)` one-hot `(N, num_classes)`.)
    """
    from keras.utils import to_categorical

    x = x.astype("float32") / 255.0
    y = to_categorical(y, num_classes=num_classes)
    return x, y


def print_tables():
    """2.3節の、最初の2つの表 (the first two tables of section 2.3)."""
    from keras import Model
    from keras.layers import Conv2D, Dense, Input, MaxPooling2D

    _input = Input(shape=(32, 32, 3))
    _hidden = Conv2D(filters=30, kernel_size=5, strides=(1, 1), padding="valid", activation="relu")(_input)
    _hidden = MaxPooling2D(pool_size=(2, 2))(_hidden)
    model = Model(_input, _hidden)
    model.summary()
    _hidden = Dense(100, activation="relu")(_hidden)
    model = Model(_input, _hidden)
    model.summary()
    print("Denseが変えるのは最後の軸だけ (Dense changes the last axis alone): 30 -> 100")
    print("Flattenは画像1枚分の出力を1本のベクトルにする (one vector an image): 14 * 14 * 30 = 5880")


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=20, batch_size=100)  # 記事の値 (the article's)
    import keras

    from support.data import images
    from support.figures import blocks
    from support.run import training

    if args.summary:  # 記事の3つの表と、2節の概要図 (the three tables, and section 2's figure)
        print_tables()
        keras.utils.clear_session()  # 層の名前の番号を最初に戻す (layer names are numbered from the beginning again)
        return blocks.draw(build_model(), args.script, args.out / "model.png")  # 3つ目の表も (the third)
    keras.utils.set_random_seed(args.seed)
    # 2.4 データセットの読み込みと学習設定 (data and training)
    train, test = images.batches(args, prepare)  # 記事のx_train, y_train, batch_sizeはtrainに (in `train`)
    model = build_model(train.num_classes)
    model.summary()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    run = training.resume(model, train, test, args)  # 途中の学習があれば読み込む (loads an unfinished run)
    _results = model.fit(train.dataset, epochs=args.epochs, verbose=args.verbose, validation_data=test.dataset,
                         callbacks=[run],  # エポックごとに保存し、画像を並べ替える (saves, and shuffles the images)
                         initial_epoch=run.done,  # 終えたエポックの続きから (goes on after the epochs that are done)
                         shuffle=False)  # 順番はrunがseedとエポック番号で決める (run does, by seed and epoch)  # fmt: skip
    # 3.1 学習結果。historyは全エポック分 (the result; `history` has all epochs)
    plot_accuracy(_results.history, f"cnn.py on {train.name}", args.out / "accuracy.png")
    print_result(_results.history, train.name)
    print("次は (next): python visualize_weights.py", args.out / "model.keras")


if __name__ == "__main__":
    ending.run(main)
