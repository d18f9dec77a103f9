"""SimpleConvNet with its over-fitting cured: one step beyond sections 2 and 3.1 of the article.

The same convolution, pooling and dense layers, in the same 20 epochs. Dropout takes most of the
inputs of the first dense layer away, others in each step, so that no weight can rely on one of them.
"""

import utils
from support import command_line, entry


def build_model(num_classes=10):
    """591,790 parameters for ten classes: the article's, and 400 of batch normalization.

    Returns:
        An uncompiled `keras.Model` that turns images `float32` `(N, 32, 32, 3)` in [0, 1] into
        class probabilities `(N, num_classes)`.
    """
    from keras import Model, layers

    _input = layers.Input(shape=(32, 32, 3))
    _hidden = layers.Conv2D(filters=30, kernel_size=5)(_input)
    _hidden = layers.MaxPooling2D(pool_size=(2, 2))(_hidden)
    # Behind the pooling ReLU gives the same values as before it, from a quarter of the places.
    _hidden = layers.ReLU()(_hidden)
    _hidden = layers.Flatten()(_hidden)
    _hidden = layers.Dropout(0.6)(_hidden)
    _hidden = layers.Dense(100)(_hidden)
    _hidden = layers.BatchNormalization()(_hidden)
    _hidden = layers.ReLU()(_hidden)
    _output = layers.Dense(num_classes, activation="softmax")(_hidden)
    return Model(_input, _output)


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=20, batch_size=100)
    from keras.optimizers import Adam
    from keras.optimizers.schedules import CosineDecay

    from support import drawing, images, report, training

    if args.summary:
        return drawing.draw(build_model(), args)
    training.set_up(args)

    train, test = images.batches(args, prepare=utils.prepare)
    model = build_model(train.num_classes)
    optimizer = Adam(CosineDecay(0.0015, decay_steps=args.epochs * len(train)))
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    _results = model.fit(
        train, epochs=args.epochs, validation_data=test, **training.resume(model, train, test, args)
    )
    utils.plot_accuracy(_results.history, train.name, args)
    report.compare_with_cnn(_results)


if __name__ == "__main__":
    entry.run(main)
