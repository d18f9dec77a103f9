"""MobileNet, trained on ImageNet, learns CIFAR-10 in three epochs: section 4 of the article.

A network that has seen 1.3 million photographs knows edges, textures and parts already. Only the
last layer begins with random weights; the training then adjusts those of all layers.
"""

import utils
from support import command_line, entry


def build_model(num_classes=10, alpha=1.0, weights="imagenet"):
    """MobileNet without its output layer, and a new one (section 4.2): 3,239,114 parameters.

    21,888 of them are batch normalization's running means and variances, which no gradient trains.

    Args:
        alpha: scales the number of filters: 0.25, 0.5, 0.75 or, in the article, 1.0.
        weights: "imagenet", None (random), or the path of a file of weights.

    Returns:
        An uncompiled `keras.Model` that turns images `float32` `(N, 32, 32, 3)` in [0, 1] into
        class probabilities `(N, num_classes)`.
    """
    from keras import Model
    from keras.applications.mobilenet import MobileNet
    from keras.layers import Dense, Input

    _input = Input(shape=(32, 32, 3))
    # Made for 224 x 224, it takes every size from 32 x 32 on (4.3): the images stay as they are.
    name = f"mobilenet_{alpha:.2f}_224"  # as in the article's table
    _hidden = MobileNet(include_top=False, pooling="avg", alpha=alpha, weights=weights, name=name)(_input)
    _output = Dense(num_classes, activation="softmax")(_hidden)
    return Model(_input, _output)


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=3, batch_size=128, alpha=1.0)
    from support import drawing, images, pretrained, report, training

    if args.summary:
        return drawing.draw(build_model(alpha=args.alpha, weights=None), args)
    training.set_up(args)
    weights = pretrained.find_weights(args)

    # 4.2 MobileNetの読み込み, 4.3 データセットの読み込み (model and data)
    train, test = images.batches(args, prepare=utils.prepare)
    model = build_model(train.num_classes, args.alpha, weights)
    model.summary()

    # 4.4 転移学習の実行 (transfer learning)
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])

    # 事前学習済みモデルのテスト (before training: the output layer knows nothing yet)
    print(model.evaluate(test, verbose=0))

    # 転移学習してみる (fine-tuning)
    _results = model.fit(
        train, epochs=args.epochs, validation_data=test, **training.resume(model, train, test, args)
    )
    utils.plot_accuracy(_results.history, train.name, args)
    report.compare_with_cnn(_results)


if __name__ == "__main__":
    entry.run(main)
