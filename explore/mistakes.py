"""どこで間違えるか：クラスごとの精度、混同行列、
最も自信を持って間違えた16枚を示します。

Where is it wrong? The accuracy of each class, the confusion matrix, the most certain mistakes.
"""

import numpy as np

from explore import models
from support import command_line, ending

MOST_CLASSES = 25  # これより多ければ行列の代わりに組を示す (above it, pairs in place of the matrix)


def confusion(labels, predicted, num_classes):
    """混同行列：行が正解、列が予測 (counts `(num_classes, num_classes)`; rows: the true class)."""
    pairs = labels * num_classes + predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def worst_pairs(counts, names, most):
    """多い間違いから順に (the most frequent mistakes): `(true, predicted, count)`."""
    wrong = [(names[t], names[p], int(n)) for (t, p), n in np.ndenumerate(counts) if n and t != p]
    return sorted(wrong, key=lambda pair: -pair[2])[:most]


def plot_confusion(axes, counts, names):
    if len(names) > MOST_CLASSES:
        true, predicted, numbers = zip(*worst_pairs(counts, names, 20)[::-1], strict=True)
        bars = axes.barh([f"{t} as {p}" for t, p in zip(true, predicted, strict=True)], numbers)
        axes.bar_label(bars)
        return axes.set_xlabel("test images")
    axes.imshow(counts / counts.sum(axis=1, keepdims=True).clip(1), cmap="Blues", vmin=0, vmax=1)
    for (row, column), n in np.ndenumerate(counts):
        color = "white" if 2 * n > counts[row].sum() else "black"
        axes.text(column, row, n, ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted class", ylabel="true class")


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, model=models.newest(), data=None, pixels=None)
    from matplotlib import pyplot as plt

    from support.figures import drawing

    asked = models.load(args.model, args.pixels)
    images, labels = models.test_images(asked, args)
    probabilities = asked.predict(images)
    predicted, names = probabilities.argmax(axis=1), asked.class_names
    counts = confusion(labels, predicted, len(names))
    accuracy = counts.diagonal() / counts.sum(axis=1).clip(1)
    print(f"テスト精度 (test accuracy): {np.mean(predicted == labels):.1%}, {len(labels):,}枚 (images)")
    for n in np.argsort(-accuracy, kind="stable"):
        print(f"  {accuracy[n]:6.1%}  {names[n]}")
    print("多い間違い (the most frequent mistakes):")
    for true, guess, count in worst_pairs(counts, names, 5):
        print(f"  {count:5}  {true}を{guess}と答えた ({true} taken for {guess})")

    shown, size = drawing.shown_names(tuple(names)), 2.5 + 0.55 * min(len(names), MOST_CLASSES)
    figure, axes = plt.subplots(figsize=(size, size), layout="constrained")
    axes.set_title(f"test accuracy {np.mean(predicted == labels):.1%} \n{asked.training}")
    plot_confusion(axes, counts, shown)
    drawing.save(figure, args.out / "confusion.png")
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:16]
    figure, axes = plt.subplots(4, 4, figsize=(8, 9.5), layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for ax, n in zip(axes.flat, wrong, strict=False):
        ax.imshow(images[n], interpolation="nearest")
        said = f"{shown[predicted[n]]} {probabilities[n].max():.2%}"
        ax.set_title(f"{shown[labels[n]]}\ntaken for {said}", fontsize=9)
    figure.suptitle("The mistakes of which the network was most certain: true class, and what it said")
    drawing.save(figure, args.out / "mistakes.png")


if __name__ == "__main__":
    ending.run(main)
