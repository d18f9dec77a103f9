"""Global average pooling that knows parts of things: one step beyond section 5.1 of the article.

Five convolutions of 3 x 3 in place of one of 5 x 5, with batch normalization behind each: a place of
the last feature maps sees 34 x 34 pixels in place of 6 x 6, so that a map can stand for a part of a
thing.
"""

import utils
from support import command_line, entry


def build_model(num_classes=10):
    """29,434 parameters for ten classes.

    Returns:
        An uncompiled `keras.Model` that turns images `float32` `(N, 32, 32, 3)` in [0, 1] into
        class probabilities `(N, num_classes)`.
    """
    from keras import Model, layers

    _input = layers.Input(shape=(32, 32, 3))
    _hidden = layers.RandomFlip("horizontal")(_input)
    for filters, pooling in ((16, True), (28, True), (32, False), (32, False), (24, False)):
        _hidden = layers.Conv2D(filters, kernel_size=3, padding="same", use_bias=False)(_hidden)
        if pooling:
            _hidden = layers.MaxPooling2D(pool_size=(2, 2))(_hidden)
        # Behind the pooling: a quarter of the places is a quarter of the work.
        _hidden = layers.BatchNormalization()(_hidden)
        _hidden = layers.ReLU()(_hidden)
    _hidden = layers.GlobalAveragePooling2D()(_hidden)
    _output = layers.Dense(num_classes, activation="softmax")(_hidden)
    return Model(_input, _output)


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=13, batch_size=100)
    from keras.optimizers import Adam
    from keras.optimizers.schedules import CosineDecay

    from support import confidence, drawing, images, report, training

    if args.summary:
        return drawing.draw(build_model(), args)
    training.set_up(args)

    train, test = images.batches(args, prepare=utils.prepare)
    model = build_model(train.num_classes)
    # The learning rate rises to 0.02 in the first tenth of the steps, and then falls to zero.
    steps = args.epochs * len(train)
    rising = steps // 10
    schedule = CosineDecay(0.0, steps - rising, warmup_target=0.02, warmup_steps=rising)
    model.compile(optimizer=Adam(schedule), loss="categorical_crossentropy", metrics=["accuracy"])
    _results = model.fit(
        train, epochs=args.epochs, validation_data=test, **training.resume(model, train, test, args)
    )
    utils.plot_accuracy(_results.history, train.name, args)
    confidence.plot(test, args)
    report.compare_with_cnn(_results)


if __name__ == "__main__":
    entry.run(main)
