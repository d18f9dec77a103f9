"""SimpleConvNet, trained on CIFAR-10: sections 2 and 3.1 of the article.

The book builds the same network by hand in chapter 7 (p. 229): a convolution, a pooling and two
fully connected layers. Here each layer is one line.
"""

import utils
from support import command_line, entry


def build_model(num_classes=10):
    """The network of sections 2.2 and 2.3: 591,390 parameters for ten classes.

    Returns:
        An uncompiled `keras.Model`: images `float32` `(N, 32, 32, 3)` in [0, 1] to class
        probabilities `(N, num_classes)`.
    """
    from keras import Model
    from keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D

    # 入力部 (input)
    _input = Input(shape=(32, 32, 3))

    # 畳み込み部 (convolution)
    _hidden = Conv2D(filters=30, kernel_size=5, strides=(1, 1), padding="valid", activation="relu")(
        _input
    )

    # プーリング部 (pooling)
    _hidden = MaxPooling2D(pool_size=(2, 2))(_hidden)

    # 出力処理 (output)
    _hidden = Flatten()(_hidden)
    _hidden = Dense(100, activation="relu")(_hidden)
    _output = Dense(num_classes, activation="softmax")(_hidden)
    return Model(_input, _output)


def print_tables():
    """Print the three tables of section 2.3, which lead up to `Flatten`; the whole model."""
    from keras import Model
    from keras.layers import Dense, MaxPooling2D

    model = build_model()
    pooling = next((layer for layer in model.layers if isinstance(layer, MaxPooling2D)), None)
    if pooling:
        Model(model.inputs, pooling.output).summary()
        _hidden = Dense(100, activation="relu", name="dense")(pooling.output)
        Model(model.inputs, _hidden).summary()
        print("Dense works on the last axis alone: it turns the channels of each place into 100.")
        print("To see the whole image at once it needs all values in one row: Flatten.")
    model.summary()
    return model


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=20, batch_size=100)
    from support import drawing, images, report, training

    if args.summary:
        return drawing.draw(print_tables(), "SimpleConvNet", args)
    training.start(args)

    # 2.4 データセットの読み込みと学習設定 (data and training)
    train, test = images.batches(args, prepare=utils.prepare)
    model = build_model(train.num_classes)
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    _results = model.fit(
        train, epochs=args.epochs, validation_data=test, **training.resume(model, train, test, args)
    )

    # 3.1 学習結果 (the result)
    utils.plot_accuracy(_results.history, f"SimpleConvNet on {train.name}", args)
    report.print_result(_results)


if __name__ == "__main__":
    entry.run(main)
