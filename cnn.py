"""記事の2節と3.1節：本のSimpleConvNet（p. 229）に似た
ネットワークに、CIFAR-10を学習させます。
本で自作した層が、Kerasではそれぞれ1行になります。

Sections 2 and 3.1 of the article: a network like the book's SimpleConvNet (p. 229) learns CIFAR-10.
Each layer, which the book builds by hand, is one line of Keras.
"""

import utils
from support import command_line, ending


def build_model(num_classes=10):
    """2.2節と2.3節のモデル。10クラスなら591,390パラメータ (the model of sections 2.2 and 2.3).

    画像float32 (N, 32, 32, 3)、値は[0, 1]、から各クラスの確率 (N, num_classes) を出す。未コンパイル。
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
    """2.4節の2行。記事は全画像に、ここでは1バッチずつ使う (section 2.4; here a batch at a time).

    画像uint8 (N, 32, 32, 3) をfloat32の[0, 1]に、ラベル (N,) をone-hotの (N, num_classes) にする。
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
    print("Denseは最後の軸だけに働く (Dense works on the last axis alone): 30 -> 100")
    print("全体を1つのベクトルにするのがFlatten (Flatten makes one vector of all): 14 * 14 * 30 = 5880")


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=20, batch_size=100)
    import keras

    from support.data import images
    from support.figures import blocks
    from support.run import training

    if args.summary:
        print_tables()
        keras.utils.clear_session()  # 層の名前を最初から付け直す (names of layers begin anew)
        return blocks.draw(build_model(), args.script, args.out / "model.png")
    keras.utils.set_random_seed(args.seed)
    # 2.4 データセットの読み込みと学習設定 (data and training)
    train, test = images.batches(args, prepare)
    model = build_model(train.num_classes)
    model.summary()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    run = training.resume(model, train, test, args)
    _results = model.fit(train.dataset, epochs=args.epochs, verbose=args.verbose, validation_data=test.dataset,
                         callbacks=[run],  # エポックごとに保存する (saves every epoch)
                         initial_epoch=run.done,  # 止めた学習の続きから (goes on where it was stopped)
                         shuffle=False)  # 順序はseedとエポックで決まる (by seed and epoch)  # fmt: skip
    # 3.1 学習結果 (the result)
    utils.plot_accuracy(_results.history, f"cnn.py on {train.name}", args.out / "accuracy.png")
    utils.print_result(_results.history, train.name)
    print("次は (next): python visualize_weights.py")


if __name__ == "__main__":
    ending.run(main)
