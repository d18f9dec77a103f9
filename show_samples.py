"""記事の1節：CIFAR-10の画像を表示します。
32×32画素のカラー画像60,000枚、10クラスです。
samples.pngが記事の図です。classes.pngには、
各クラスから最大10枚が並びます。CIFAR-10を取得できなければ、
付属のsample（図形の画像）を使います。

Section 1 of the article: look at CIFAR-10, 60,000 colour images of 32 x 32 pixels in ten classes.
`samples.png` is the article's figure. `classes.png` has up to ten images of each class. Where CIFAR-10
cannot be had, drawings of shapes take its place.
"""

from support import command_line, ending


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, count=3)
    import matplotlib.pyplot as plt
    from PIL.Image import fromarray as toimage  # SciPyのtoimageは廃止された (SciPy's is gone)

    from support.data import images
    from support.figures import drawing

    # 記事のcifar10.load_data()に当たる。ラベルの形状は(N,)。クラス名とデータの名前も返す (labels are `(N,)`)
    (x_train, y_train), (x_test, y_test), class_names, name = images.load_data(args)
    print(f"{name}: training set {x_train.shape}, test set {x_test.shape}, {class_names}")
    names = drawing.shown_names(tuple(class_names))  # フォントになければ番号 (numbers if no font has them)

    n = min(args.count, len(x_train))
    plt.figure(figsize=(2 * n, 2.4))  # 枚数に合わせた幅 (as wide as n images need)
    for i in range(n):
        image = toimage(x_train[i])
        plt.subplot(1, n, i + 1)
        plt.imshow(image)
        plt.title(names[y_train[i]])
        plt.axis("off")
    drawing.save(plt.gcf(), args.out / "samples.png")  # plt.show()の代わり。--showで画面にも (and a window)
    title = f"Up to ten training images of each class: {name}"
    # 1行が1クラス、25クラスまで。("", image)は、上に置く言葉と画像 (a row a class; no words above an image)
    shown = [(label, x_train[y_train == k][:10]) for k, label in enumerate(names[:25])]
    rows = [(label, [("", image) for image in several]) for label, several in shown]
    drawing.plot_cells(rows, title, args.out / "classes.png")
    print("次は (next): python cnn.py")


if __name__ == "__main__":
    ending.run(main)
