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

import cluster
import data
import drawing
import runs

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


def build_tuned_model(num_classes=10, alpha=1.0, weights="imagenet"):
    """MobileNet without what is too coarse for 32 x 32, flipped pictures, and pixels in [-1, 1].

    MobileNet halves a picture five times, which leaves one place out of 32 x 32. Here block 4 does
    not halve, and the blocks after the seventh, made for large pictures, are cut off. At alpha 1.0
    there are 549,578 parameters for ten classes. Arguments, result and errors are `build_model`'s.
    """
    whole = build_model(num_classes, alpha, weights).layers[0]

    def adapted(layer):
        config = layer.get_config()
        if layer.name == "conv_dw_4":
            config["strides"] = (1, 1)
        if layer.name == "conv_pad_4":
            config["padding"] = ((1, 1), (1, 1))
        if isinstance(layer, keras.layers.BatchNormalization):
            config["momentum"] = 0.9  # 0.99 averages over more steps than these epochs have
        return layer.__class__.from_config(config)

    fine = keras.models.clone_model(whole, clone_function=adapted)
    fine.set_weights(whole.get_weights())
    model = keras.Sequential()
    model.add(keras.Input(shape=(32, 32, 3)))
    model.add(keras.layers.RandomFlip("horizontal"))
    model.add(keras.layers.Rescaling(scale=2, offset=-1))
    model.add(keras.Model(fine.inputs, fine.get_layer("conv_pw_7_relu").output))
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(num_classes, activation="softmax"))
    return model


def build_with_weights(num_classes, alpha, wanted, build=build_model):
    """The model and the name of its weights: those `wanted`, or the best that can be had."""
    weights = {None: "imagenet", "none": None}.get(wanted, wanted)
    try:
        return build(num_classes, alpha, weights), wanted or "imagenet"
    except Exception as error:
        way_out = "give --weights FILE, or --weights none for random ones"
        if wanted is not None:
            raise runs.RunError(f"weights {wanted}: cannot be had: {error}; {way_out}") from None
        print(
            f"warning: MobileNet's ImageNet weights cannot be had: {error}\n"
            f"warning: going on with random weights: this is no transfer learning; {way_out}",
            file=sys.stderr,
        )
        return build(num_classes, alpha, None), "none"


def main(argv=None):
    parser = utils.command_line(
        __file__, __doc__, epochs=EPOCHS, batch_size=BATCH_SIZE, tuned=EPOCHS
    )
    parser.add_argument(
        "--alpha", type=float, choices=[0.25, 0.5, 0.75, 1.0], default=1.0,
        help="width of MobileNet (1.0)",
    )  # fmt: skip
    parser.add_argument(
        "--weights", metavar="W",
        help="imagenet, none (random), or a file (default: imagenet, else none)",
    )  # fmt: skip
    args = parser.parse_args(argv)
    tuned = args.recipe == "tuned"
    build = build_tuned_model if tuned else build_model
    network = f"MobileNet (alpha {args.alpha}" + ", tuned" * tuned
    if args.summary:
        model = build(alpha=args.alpha, weights=None)
        model.summary()
        return drawing.draw_model(model, network + ")", args.out)
    if args.weights not in (None, "imagenet", "none") and not Path(args.weights).is_file():
        raise runs.RunError(
            f"--weights {args.weights}: no such file; give imagenet, none or a file"
        )

    cluster.join()
    (x_train, y_train), (x_test, y_test), class_names, name = data.load(
        args.data, args.seed, args.limit
    )
    num_classes = len(class_names)
    train = data.batches(x_train, y_train, num_classes, args.batch_size, seed=args.seed)
    test = data.batches(x_test, y_test, num_classes, batch_size=500)

    keras.utils.set_random_seed(args.seed)
    socket.setdefaulttimeout(30)  # else a server that stalls is waited for for ever
    model, weights = build_with_weights(num_classes, args.alpha, args.weights, build)
    optimizer, recipe = "adam", "article"
    if tuned:
        steps, recipe = args.epochs * len(train), f"tuned for {args.epochs} epochs"
        optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.002, steps))
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])

    loss, before = model.evaluate(test, verbose=0)
    print(f"before training: loss {loss:.4f}, accuracy {before:.4f}")

    title = f"{network}, weights: {Path(weights).name}) on {name}"
    settings = {"data": name, "weights": weights, "alpha": args.alpha, "recipe": recipe}
    with runs.Run(args, model, train, title, **settings) as run:
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
    sys.exit(runs.run_script(main))
