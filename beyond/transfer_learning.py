"""MobileNet on larger images, with frozen first blocks: one step beyond section 4 of the article.

MobileNet was trained on 224 x 224 pixels. Of 32 x 32 it makes a single place, and where something
is in the image is lost; enlarged to 64 x 64, an image looks more like those that MobileNet knows.
"""

import utils
from support import command_line, entry


def build_model(num_classes=10, alpha=1.0, weights="imagenet"):
    """1,091,274 parameters at alpha 1.0 for ten classes, of which 811,530 are trained.

    Args:
        alpha: the width of MobileNet: 0.25, 0.5, 0.75 or 1.0.
        weights: "imagenet", None (random), or the path of a file of weights.

    Returns:
        An uncompiled `keras.Model` that turns images `float32` `(N, 32, 32, 3)` in [0, 1] into
        class probabilities `(N, num_classes)`.
    """
    from keras import Model, layers
    from keras.applications.mobilenet import MobileNet

    mobilenet = MobileNet(include_top=False, alpha=alpha, weights=weights)
    # The last four of its 13 blocks are for what is large in a large image.
    features = Model(mobilenet.input, mobilenet.get_layer("conv_pw_9_relu").output)
    # The first six know edges and textures, which are the same here. They need no backward pass.
    Model(mobilenet.input, mobilenet.get_layer("conv_pw_6_relu").output).trainable = False

    _input = layers.Input(shape=(32, 32, 3))
    _hidden = layers.RandomFlip("horizontal")(_input)
    _hidden = layers.Resizing(64, 64, interpolation="bicubic")(_hidden)  # sharper than by default
    _hidden = features(_hidden)
    _hidden = layers.GlobalAveragePooling2D()(_hidden)
    _output = layers.Dense(num_classes, activation="softmax")(_hidden)
    return Model(_input, _output)


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=3, batch_size=64, alpha=1.0)
    from keras.losses import CategoricalCrossentropy
    from keras.optimizers import Adam
    from keras.optimizers.schedules import CosineDecay

    from support import confidence, drawing, images, pretrained, report, training

    if args.summary:
        return drawing.draw(build_model(alpha=args.alpha, weights=None), args)
    training.set_up(args)
    weights = pretrained.find_weights(args)

    train, test = images.batches(args, prepare=utils.prepare)
    model = build_model(train.num_classes, args.alpha, weights)
    # The learning rate rises in the first tenth of the steps: what MobileNet knows is not to be lost
    # while the output layer knows nothing. Then it falls to zero.
    steps = args.epochs * len(train)
    rising = steps // 10
    schedule = CosineDecay(0.0, steps - rising, warmup_target=0.001, warmup_steps=rising)
    loss = CategoricalCrossentropy(label_smoothing=0.1)  # no image is to be taken for quite certain
    model.compile(optimizer=Adam(schedule), loss=loss, metrics=["accuracy"])
    print(model.evaluate(test, verbose=0))
    _results = model.fit(
        train, epochs=args.epochs, validation_data=test, **training.resume(model, train, test, args)
    )
    utils.plot_accuracy(_results.history, train.name, args)
    confidence.plot(test, args)
    report.compare_with_cnn(_results)


if __name__ == "__main__":
    entry.run(main)
