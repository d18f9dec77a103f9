"""MobileNet on larger images, with frozen first blocks: one step beyond section 4 of the article.

MobileNet was trained on 224 x 224 pixels. Of 32 x 32 it makes a single place, and where something
is in the image is lost; enlarged to 56 x 56, an image looks more like those that MobileNet knows.
"""

import utils
from support import command_line, entry


def build_model(num_classes=10, alpha=1.0, weights="imagenet"):
    """1,632,970 parameters at alpha 1.0 for ten classes, of which 1,552,906 are trained.

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
    # The last two of its 13 blocks are for what is large in a large image.
    features = Model(mobilenet.input, mobilenet.get_layer("conv_pw_11_relu").output)
    # The first blocks know edges and textures, which are the same here. They need no backward pass.
    Model(mobilenet.input, mobilenet.get_layer("conv_pw_4_relu").output).trainable = False

    _input = layers.Input(shape=(32, 32, 3))
    _hidden = layers.RandomFlip("horizontal")(_input)
    _hidden = layers.Rescaling(scale=2, offset=-1)(_hidden)  # [-1, 1], as in its training
    _hidden = layers.Resizing(56, 56)(_hidden)
    _hidden = features(_hidden)
    _hidden = layers.GlobalAveragePooling2D()(_hidden)
    _output = layers.Dense(num_classes, activation="softmax")(_hidden)
    return Model(_input, _output)


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=3, batch_size=128, alpha=1.0)
    from keras.optimizers import Adam
    from keras.optimizers.schedules import CosineDecay

    from support import confidence, drawing, images, pretrained, report, training

    if args.summary:
        return drawing.draw(build_model(alpha=args.alpha, weights=None), args)
    training.set_up(args)
    weights = pretrained.find_weights(args)

    train, test = images.batches(args, prepare=utils.prepare)
    model = build_model(train.num_classes, args.alpha, weights)
    optimizer = Adam(CosineDecay(0.001, decay_steps=args.epochs * len(train)))
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    print(model.evaluate(test, verbose=0))
    _results = model.fit(
        train, epochs=args.epochs, validation_data=test, **training.resume(model, train, test, args)
    )
    utils.plot_accuracy(_results.history, train.name, args)
    confidence.plot(test, args)
    report.compare_with_cnn(_results)


if __name__ == "__main__":
    entry.run(main)
