"""自分の写真を何と見るか：確率の高い3クラスを示します。
図には写真、ネットワークに入る32×32画素、確率の棒が並びます。

What does it say about my photo? The three most probable classes of each. The figure shows the photo,
the 32 x 32 pixels that the network sees, and a bar for each class. Without --model, the trained network
that comes with these scripts is asked.
"""

from explore import models
from support import command_line, ending

DRAWN = 20  # 図に入れる写真の数 (photos in the figure, at most)


def say(photo, probabilities, class_names):
    """1枚分の行を表示する (print what there is to say of one photo).

    Args:
        probabilities: 各クラスの確率 (of the classes), `(num_classes,)`.
    """
    best = probabilities.argsort()[::-1][:3]
    print(f"{photo}: " + ", ".join(f"{class_names[n]} {probabilities[n]:.0%}" for n in best))
    if probabilities[best[0]] < 0.5:
        print("  最も高くても半分に届かない (the best is below one half): perhaps none of its classes")
    return best


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, photos=None, model=None, pixels=None)
    import numpy as np
    from matplotlib import pyplot as plt

    from support.data import folder
    from support.figures import drawing

    # 学習のときと同じ方法で32×32にする (made 32 x 32 as --data makes them)
    pixels = np.stack([folder.read_image(photo) for photo in args.photos])
    asked = models.load(args.model, args.pixels) if args.model else models.load_shipped()
    probabilities = asked.predict(pixels)
    print(f"答えられるクラス (its classes): {', '.join(asked.class_names)}")
    best = [say(*of, asked.class_names) for of in zip(args.photos, probabilities, strict=True)]
    print("どのクラスでもない写真も、どれかに振り分けられる (a photo of none of them gets a class too)")

    names = np.array(drawing.shown_names(tuple(asked.class_names)))
    shown = args.photos[:DRAWN]
    figure, axes = plt.subplots(
        len(shown), 3, figsize=(9, 2.6 * len(shown) + 0.5), squeeze=False, layout="constrained"
    )
    for n, (photo, (left, middle, right)) in enumerate(zip(shown, axes, strict=True)):
        image = folder.open_image(photo)
        image.thumbnail((400, 400))
        left.imshow(image)
        left.set_title(photo.name, fontsize=9)
        middle.imshow(pixels[n], interpolation="nearest")
        left.axis("off")
        middle.axis("off")
        bars = right.barh(names[best[n]], probabilities[n, best[n]], color="C0")
        right.bar_label(bars, [f"{value:.0%}" for value in probabilities[n, best[n]]], padding=3)
        right.set(xlim=(0, 1.15), xticks=[])
        right.invert_yaxis()
        right.spines[["top", "right", "bottom"]].set_visible(False)
    figure.suptitle(
        f"Each photo gets one of {len(names)} classes, also where it shows none of them", fontsize=11
    )
    axes[0, 1].set_title("what the network sees: 32 × 32 pixels", fontsize=9)
    axes[0, 2].set_title("the three most probable classes", fontsize=9)
    drawing.save(figure, args.out / "photos.png")


if __name__ == "__main__":
    ending.run(main)
