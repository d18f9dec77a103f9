"""SimpleConvNet with global average pooling in place of `Flatten`: section 5.1 of the article.

Global average pooling (Lin, Chen and Yan, "Network In Network", 2013) makes one number of each
feature map, its mean: (None, 14, 14, 30) becomes (None, 30). So the first dense layer has 3,100
parameters in place of 588,100, and the whole network 6,390 in place of 591,390.
"""

import utils
from support import command_line, entry


def build_model(num_classes=10):
    """The network of section 5.1: 6,390 parameters for ten classes.

    Returns:
        An uncompiled `keras.Model` that turns images `float32` `(N, 32, 32, 3)` in [0, 1] into
        class probabilities `(N, num_classes)`.
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
    from support import confidence, drawing, images, report, training

    if args.summary:
        return drawing.draw(build_model(), args)
    training.set_up(args)

    # データと学習: 2.4と同じ (data and training, as in cnn.py)
    train, test = images.batches(args, prepare=utils.prepare)
    model = build_model(train.num_classes)
    model.summary()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    _results = model.fit(
        train, epochs=args.epochs, validation_data=test, **training.resume(model, train, test, args)
    )

    # 学習結果 (the result)
    utils.plot_accuracy(_results.history, train.name, args)
    confidence.plot(test, args)  # where in an image the trained model finds its class
    report.compare_with_cnn(_results)


if __name__ == "__main__":
    entry.run(main)
