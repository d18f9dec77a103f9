"""The book's SimpleConvNet in Keras, trained on CIFAR-10: sections 2 and 3.1 of the article.

The book builds the same network by hand in chapter 7 (p. 229): convolution, pooling and two
fully connected layers. Here each of its layers is one line.
"""

import sys

import utils  # before keras, which it defers until it is needed

import keras

import cluster
import data
import drawing
import runs

EPOCHS = 20
BATCH_SIZE = 100


def build_model(num_classes=10):
    """The network of section 2: 591,390 parameters for ten classes.

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
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(100, activation="relu"))
    model.add(keras.layers.Dense(num_classes, activation="softmax"))
    return model


def print_tables():
    """Print the article's three tables, which lead up to `Flatten` (section 2.3)."""
    convolution, pooling, _, dense, _ = build_model().layers
    model = keras.Sequential([keras.Input(shape=(32, 32, 3)), convolution, pooling])
    model.summary()
    model.add(dense.__class__.from_config(dense.get_config()))
    model.summary()
    print(
        "Dense works on the last axis alone: put straight onto the feature maps, it turns the 30\n"
        "channels of each of the 14 x 14 places into 100. To see the whole picture at once it\n"
        "needs all 14 x 14 x 30 = 5,880 values in one row, and that is what Flatten makes.\n"
    )
    build_model().summary()


def main(argv=None):
    parser = utils.command_line(__file__, __doc__, epochs=EPOCHS, batch_size=BATCH_SIZE)
    args = parser.parse_args(argv)
    if args.summary:
        print_tables()
        return drawing.draw_model(build_model(), "SimpleConvNet", args.out)

    cluster.join()
    (x_train, y_train), (x_test, y_test), class_names, name = data.load(
        args.data, args.seed, args.limit
    )
    num_classes = len(class_names)
    train = data.batches(x_train, y_train, num_classes, args.batch_size, seed=args.seed)
    test = data.batches(x_test, y_test, num_classes, batch_size=500)

    keras.utils.set_random_seed(args.seed)
    model = build_model(num_classes)
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])

    title = f"SimpleConvNet on {name}"
    with runs.Run(args, model, train, title, data=name) as run:
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


if __name__ == "__main__":
    sys.exit(runs.run_script(main))
