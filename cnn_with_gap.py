"""SimpleConvNet with global average pooling in place of Flatten: section 5.1 of the article.

Global average pooling (Lin, Chen and Yan, "Network In Network", 2013) keeps one number of each
feature map, its mean. The large dense layer behind Flatten, with almost all of the network's
parameters, shrinks to a hundredth, and so does the room for over-fitting.
"""

import sys

import utils  # before keras, which it defers until it is needed

import keras

import cluster
import cnn
import confidence
import data
import drawing
import runs

EPOCHS = 150
TUNED_EPOCHS = 10
BATCH_SIZE = 100


def build_model(num_classes=10):
    """The network of section 5.1: 6,390 parameters for ten classes.

    Returns:
        An uncompiled `keras.Sequential`: `float32` pictures `(N, 32, 32, 3)` in [0, 1] to class
        probabilities `(N, num_classes)`.
    """
    model = keras.Sequential()
    model.add(keras.Input(shape=(32, 32, 3)))
    model.add(
        keras.layers.Conv2D(
            filters=30, kernel_size=(5, 5), strides=(1, 1), padding="valid", activation="relu"
        )
    )
    model.add(keras.layers.MaxPooling2D(pool_size=(2, 2)))
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(100, activation="relu"))
    model.add(keras.layers.Dense(num_classes, activation="softmax"))
    return model


def build_tuned_model(num_classes=10):
    """Three small convolutions with batch normalization in place of one: 24,314 parameters.

    Arguments and result are `build_model`'s. While it trains, half of the pictures are mirrored.
    """
    model = keras.Sequential()
    model.add(keras.Input(shape=(32, 32, 3)))
    model.add(keras.layers.RandomFlip("horizontal"))
    for filters in (30, 32):
        model.add(keras.layers.Conv2D(filters, (3, 3), activation="relu"))
        model.add(keras.layers.MaxPooling2D((2, 2)))
        model.add(keras.layers.BatchNormalization(momentum=0.9))
    model.add(keras.layers.Conv2D(48, (3, 3), activation="relu"))
    model.add(keras.layers.BatchNormalization(momentum=0.9))
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(num_classes, activation="softmax"))
    return model


def main(argv=None):
    parser = utils.command_line(
        __file__, __doc__, epochs=EPOCHS, batch_size=BATCH_SIZE, tuned=TUNED_EPOCHS
    )
    args = parser.parse_args(argv)
    tuned = args.recipe == "tuned"
    build = build_tuned_model if tuned else build_model
    network = "SimpleConvNet with global average pooling" + " (tuned)" * tuned
    if args.summary:
        build().summary()
        return drawing.draw_model(build(), network, args.out)

    cluster.join()
    (x_train, y_train), (x_test, y_test), class_names, name = data.load(
        args.data, args.seed, args.limit
    )
    num_classes = len(class_names)
    train = data.batches(x_train, y_train, num_classes, args.batch_size, seed=args.seed)
    test = data.batches(x_test, y_test, num_classes, batch_size=500)

    keras.utils.set_random_seed(args.seed)
    model = build(num_classes)
    optimizer, recipe = "adam", "article"
    if tuned:
        steps, recipe = args.epochs * len(train), f"tuned for {args.epochs} epochs"
        optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.003, steps))
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    flatten = cnn.build_model(num_classes)
    print(f"{model.count_params():,} parameters; with Flatten there are {flatten.count_params():,}")

    title = f"{network} on {name}"
    with runs.Run(args, model, train, title, data=name, recipe=recipe) as run:
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
    confidence.plot(
        run.load(), x_test, y_test, class_names, name, args.out / "confidence_maps.png", args.show
    )
    utils.print_result(run.history, name)


if __name__ == "__main__":
    sys.exit(runs.run_script(main))
