"""Look at CIFAR-10: 60,000 colour images of 32 x 32 pixels in ten classes (section 1 of the article).

`samples.png` is the article's figure. `classes.png` has ten images of each class.
"""

from support import command_line, entry


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, count=3)
    import matplotlib.pyplot as plt
    from PIL.Image import fromarray as toimage  # SciPy's `toimage` is gone

    from support import drawing, images, lettering

    # In place of `cifar10.load_data()`, so that --data may name other images
    (x_train, y_train), (x_test, y_test), class_names, name = images.load_data(args)
    print(f"{name}: training set {x_train.shape}, test set {x_test.shape}, {class_names}")

    n = min(args.count, len(x_train))
    plt.figure(figsize=(2 * n, 2.4))
    for i in range(n):
        image = toimage(x_train[i])
        plt.subplot(1, n, i + 1)
        plt.imshow(image)
        plt.title(lettering.labels(class_names)[y_train[i]])
        plt.axis("off")
    drawing.save(plt.gcf(), "samples.png", args)  # in place of `plt.show()`
    drawing.plot_classes(x_train, y_train, class_names, name, args)


if __name__ == "__main__":
    entry.run(main)
