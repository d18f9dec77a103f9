"""A network like the book's SimpleConvNet (p. 229), on CIFAR-10: sections 2 and 3.1 of the article.

The book builds its network by hand. Here each layer is one call.
"""

import utils
from support import command_line, entry


def build_model(num_classes=10):
    """The network of sections 2.2 and 2.3: 591,390 parameters for ten classes.

    Returns:
        An uncompiled `keras.Model` that turns images `float32` `(N, 32, 32, 3)` in [0, 1] into
        class probabilities `(N, num_classes)`.
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


def print_tables(args):
    """The three tables of section 2.3, and the figure of section 2 (`model.png`)."""
    from keras import Model
    from keras.layers import Dense, MaxPooling2D

    from support import drawing

    model = build_model()
    for layer in model.layers:
        if isinstance(layer, MaxPooling2D):  # the first; a model of your own may have none
            Model(model.inputs, layer.output).summary()  # up to the pooling
            _hidden = Dense(100, activation="relu", name="dense")(layer.output)
            Model(model.inputs, _hidden).summary()  # the two lines that the article leaves out
            print("Dense works on the last axis: 100 values from the channels of each place.")
            print("For Dense to see the whole image, all values must stand in one vector: Flatten.")
            break
    drawing.draw(model, args)  # the table of the whole model, and the figure


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=20, batch_size=100)
    from support import images, report, training  # Keras takes seconds to load: not for --help

    if args.summary:
        return print_tables(args)
    training.set_up(args)  # seeds the random numbers; joins other processes, if any

    # 2.4 データセットの読み込みと学習設定 (data and training)
    train, test = images.batches(args, prepare=utils.prepare)
    model = build_model(train.num_classes)
    model.summary()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    _results = model.fit(  # `resume`: a run that was stopped goes on after its last finished epoch
        train, epochs=args.epochs, validation_data=test, **training.resume(model, train, test, args)
    )

    # 3.1 学習結果 (the result)
    utils.plot_accuracy(_results.history, train.name, args)
    report.print_result(_results)


if __name__ == "__main__":
    entry.run(main)
