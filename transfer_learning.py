"""MobileNet, trained on ImageNet, learns CIFAR-10 in three epochs: section 4 of the article.

A network that has seen 1.3 million photographs knows edges, textures and parts already. Only the
last layer is new, and all of it is fine-tuned.
"""

import socket
import sys
import warnings
from pathlib import Path

import utils  # before keras, which it defers until it is needed

import keras

import data

EPOCHS = 3
BATCH_SIZE = 128


def build_model(num_classes=10, alpha=1.0, weights="imagenet"):
    """MobileNet without its top, average pooling, and a softmax layer on it (section 4).

    Args:
        alpha: MobileNet's width multiplier; at 1.0 the model has 3,239,114 parameters for ten
            classes, 21,888 of them (the statistics of batch normalization) not trainable.
        weights: "imagenet", None (random), or the path of a file of weights.

    Returns:
        An uncompiled `keras.Sequential`: `float32` pictures `(N, 32, 32, 3)` in [0, 1] to class
        probabilities `(N, num_classes)`.

    Raises:
        Exception: Keras cannot get, read or fit the weights; it has no one type for that.
    """
    with warnings.catch_warnings(action="ignore"):  # that no weights are made for 32 x 32 is known
        base = keras.applications.MobileNet(
            input_shape=(32, 32, 3), alpha=alpha, include_top=False, weights=weights, pooling="avg"
        )
    model = keras.Sequential()
    model.add(base)
    model.add(keras.layers.Dense(num_classes, activation="softmax"))
    return model


def build_with_weights(num_classes, alpha, wanted):
    """The model and the name of its weights: those `wanted`, or the best that can be had."""
    weights = {None: "imagenet", "none": None}.get(wanted, wanted)
    try:
        return build_model(num_classes, alpha, weights), wanted or "imagenet"
    except Exception as error:
        way_out = "give --weights FILE, or --weights none for random ones"
        if wanted is not None:
            raise utils.RunError(f"weights {wanted}: cannot be had: {error}; {way_out}") from None
        print(
            f"warning: MobileNet's ImageNet weights cannot be had: {error}\n"
            f"warning: going on with random weights: this is no transfer learning; {way_out}",
            file=sys.stderr,
        )
        return build_model(num_classes, alpha, None), "none"


def main(argv=None):
    parser = utils.command_line(__file__, __doc__, epochs=EPOCHS, batch_size=BATCH_SIZE)
    parser.add_argument(
        "--alpha", type=float, choices=[0.25, 0.5, 0.75, 1.0], default=1.0,
        help="width of MobileNet (1.0)",
    )  # fmt: skip
    parser.add_argument(
        "--weights", metavar="W",
        help="imagenet, none (random), or a file (default: imagenet, else none)",
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.summary:
        return build_model(alpha=args.alpha, weights=None).summary()
    if args.weights not in (None, "imagenet", "none") and not Path(args.weights).is_file():
        raise utils.RunError(
            f"--weights {args.weights}: no such file; give imagenet, none or a file"
        )

    (x_train, y_train), (x_test, y_test), class_names, name = data.load(
        args.data, args.seed, args.limit
    )
    num_classes = len(class_names)
    train = data.batches(x_train, y_train, num_classes, args.batch_size, seed=args.seed)
    test = data.batches(x_test, y_test, num_classes, batch_size=500)

    keras.utils.set_random_seed(args.seed)
    socket.setdefaulttimeout(30)  # else a server that stalls is waited for for ever
    model, weights = build_with_weights(num_classes, args.alpha, args.weights)
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])

    loss, before = model.evaluate(test, verbose=0)
    print(f"before training: loss {loss:.4f}, accuracy {before:.4f}")

    title = f"MobileNet (alpha {args.alpha}, weights: {Path(weights).name}) on {name}"
    with utils.Run(args, model, train, title, data=name, weights=weights, alpha=args.alpha) as run:
        model.fit(
            train,
            epochs=args.epochs,
            initial_epoch=run.epoch,
            validation_data=test,
            shuffle=False,  # the batches come shuffled
            callbacks=run.callbacks,
            verbose=run.verbose,
        )
    utils.plot_accuracy(run.history, title, args.out / "accuracy.png", args.show)
    utils.print_result(run.history, name)
    after = run.history["val_accuracy"]
    print(f"Test accuracy {before:.1%} before training, {after[-1]:.1%} after {len(after)} epochs.")


if __name__ == "__main__":
    sys.exit(utils.run_script(main))
