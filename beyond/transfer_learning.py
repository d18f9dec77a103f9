"""MobileNet for small images: one step beyond section 4 of the article.

MobileNet halves an image five times, which leaves one place out of 32 x 32. Here block 4 does not
halve, and the blocks after the seventh, made for large images, are cut off.
"""

import utils
from support import command_line, entry


def build_model(num_classes=10, alpha=1.0, weights="imagenet"):
    """549,578 parameters at alpha 1.0 for ten classes.

    Args:
        alpha: the width of MobileNet: 0.25, 0.5, 0.75 or 1.0.
        weights: "imagenet", None (random), or the path of a file of weights.

    Returns:
        An uncompiled `keras.Model`: images `float32` `(N, 32, 32, 3)` in [0, 1] to class
        probabilities `(N, num_classes)`.
    """
    from keras import Model, layers
    from keras.applications.mobilenet import MobileNet
    from keras.models import clone_model

    def adapted(layer):
        config = layer.get_config()
        if layer.name == "conv_dw_4":
            config["strides"] = (1, 1)
        if layer.name == "conv_pad_4":
            config["padding"] = ((1, 1), (1, 1))
        if isinstance(layer, layers.BatchNormalization):
            config["momentum"] = 0.9  # 0.99 is slow to forget ImageNet's statistics
        return layer.__class__.from_config(config)

    whole = MobileNet(include_top=False, alpha=alpha, weights=weights)
    fine = clone_model(whole, clone_function=adapted)
    fine.set_weights(whole.get_weights())

    _input = layers.Input(shape=(32, 32, 3))
    _hidden = layers.RandomFlip("horizontal")(_input)
    _hidden = layers.Rescaling(scale=2, offset=-1)(_hidden)
    _hidden = Model(fine.inputs, fine.get_layer("conv_pw_7_relu").output)(_hidden)
    _hidden = layers.GlobalAveragePooling2D()(_hidden)
    _output = layers.Dense(num_classes, activation="softmax")(_hidden)
    return Model(_input, _output)


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=3, batch_size=128, alpha=1.0)
    from keras.optimizers import Adam
    from keras.optimizers.schedules import CosineDecay

    from support import drawing, images, pretrained, report, training

    if args.summary:
        return drawing.draw(build_model(alpha=args.alpha, weights=None), args)
    training.start(args)
    weights = pretrained.find_weights(args)

    train, test = images.batches(args, prepare=utils.prepare)
    model = build_model(train.num_classes, args.alpha, weights)
    optimizer = Adam(CosineDecay(0.002, decay_steps=args.epochs * len(train)))
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    print(model.evaluate(test, verbose=0))
    _results = model.fit(
        train, epochs=args.epochs, validation_data=test, **training.resume(model, train, test, args)
    )
    utils.plot_accuracy(_results.history, train.name, args)
    report.compare_with_cnn(_results)


if __name__ == "__main__":
    entry.run(main)
