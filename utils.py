"""記事の複数の節で使うもの：タイル状の画像、精度の図、
図から読み取れること。

What several sections share: tiles (3.2), the accuracy figure and what it shows (3.1, 5.1).
"""

import math
import sys

AHEAD = 0.05  # 訓練精度とテスト精度の差 (of training accuracy over test accuracy)


def combine_images(images):
    """3.2.2節：画像をタイル状に並べて1枚にする (tile images into one, section 3.2.2).

    Args:
        images: 配列 (an array) `(N, H, W, C)`, N > 0.

    Returns:
        `(行数 * H, 列数 * W, C)`、列数は`int(sqrt(N))`、余った場所は0 (`(rows * H, columns * W, C)`
        of the same dtype, with `int(sqrt(N))` columns, and zeros in the places that stay empty).

    Raises:
        ValueError: 4次元でないか、N = 0 (not 4-D, or N = 0).
    """
    import numpy as np

    if images.ndim != 4 or len(images) == 0:
        raise ValueError(f"expected images of shape (N, H, W, C) with N > 0, got {images.shape}")
    num = images.shape[0]
    width = int(math.sqrt(num))
    height = math.ceil(num / width)
    shape = images.shape[1:]
    image = np.zeros((height * shape[0], width * shape[1], shape[2]), dtype=images.dtype)
    for index, img in enumerate(images):
        i = index // width
        j = index % width
        image[i * shape[0] : (i + 1) * shape[0], j * shape[1] : (j + 1) * shape[1], :] = img
    return image


def plot_accuracy(history, title, path):
    """3.1節と5.1節の図：訓練精度とテスト精度の推移 (accuracy against the epoch, sections 3.1 and 5.1).

    Args:
        history: fitの結果の`history`。エポックごとの値のリスト (of what `fit` returned: lists "accuracy",
            "val_accuracy" and "val_loss", a value an epoch).
        title: 図の題 (of the figure).
        path: PNGのパス (of the PNG file).
    """
    import matplotlib.pyplot as plt

    from support.figures import drawing

    train, test = history["accuracy"], history["val_accuracy"]
    epochs, best = range(1, len(test) + 1), best_epoch(history)
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    axes.plot(epochs, train, ".-", label="training set")
    axes.plot(epochs, test, ".-", label="test set")
    label = f"best on the test set: {max(test):.1%} in epoch {best}"
    axes.plot(best, max(test), "o", ms=11, mfc="none", mec="C3", label=label)
    ahead, lowest = ahead_epoch(history), lowest_loss_epoch(history)
    if ahead:
        label = f"training set ahead by 5 points or more from epoch {ahead} on"
        axes.axvline(ahead, color="0.5", ls="--", label=label)
    axes.axvline(lowest, color="C2", ls=":", label=f"test loss lowest in epoch {lowest}")
    axes.set(title=title, xlabel="epoch", ylabel="accuracy", xlim=(0.5, len(test) + 0.5), ylim=(0, 1))
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.yaxis.set_major_formatter(lambda value, position: f"{value:.0%}")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2)  # 曲線に重ねない (never on a curve)
    try:
        drawing.save(figure, path)
    except Exception as error:  # 図がなくても、学習は終わっている (the training is done, figure or not)
        print(f"warning: the figure is left out: {' '.join(str(error).split())}", file=sys.stderr)


def best_epoch(history):
    """テスト精度が最高の、最初のエポック。番号は1から (the first with the highest test accuracy, from 1)."""
    test = history["val_accuracy"]
    return test.index(max(test)) + 1


def lowest_loss_epoch(history):
    """テスト損失が最小のエポック。1から数える (the epoch with the lowest test loss, from 1)."""
    loss = history["val_loss"]
    return loss.index(min(loss)) + 1


def ahead_epoch(history):
    """そこから最後まで、訓練精度がテスト精度より5ポイント以上高い最初のエポック、なければNone (5 points ahead, or None)."""
    pairs = list(zip(history["accuracy"], history["val_accuracy"], strict=True))
    together = [n for n, (train, test) in enumerate(pairs, 1) if train - test < AHEAD]
    first = together[-1] + 1 if together else 1
    return first if first <= len(pairs) else None


def print_result(history, data):
    """図から読み取れることを文で示す (print what the accuracy figure shows).

    Args:
        history: plot_accuracyと同じ (as for `plot_accuracy`).
        data: データの名前 (the name of the images).
    """
    train, test, best = history["accuracy"][-1], history["val_accuracy"], best_epoch(history)
    print(f"\n学習に使った画像 (trained on): {data}, {len(test)}エポック (epochs: {len(test)})")
    print(f"テスト精度の最高値 (best test accuracy): {test[best - 1]:.1%}, {best}エポック目 (epoch {best})")
    print(f"最後のエポック (last epoch): 訓練精度 (training accuracy) {train:.1%}, "
          f"テスト精度 (test accuracy) {test[-1]:.1%}")  # fmt: skip
    ahead, lowest = ahead_epoch(history), lowest_loss_epoch(history)
    if ahead:
        print(f"訓練精度がテスト精度より5ポイント以上高い (training accuracy 5 points or more ahead): "
              f"{ahead}エポック目から (from epoch {ahead} on)")  # fmt: skip
    print(f"テスト損失が最小 (lowest test loss): {lowest}エポック目 (epoch {lowest})")
    if ahead and lowest < len(test):  # 一方だけでは過学習と言い切れない (one alone may mean something else)
        print("テスト損失は下げ止まり、精度の差は開いたまま：過学習の傾向 "
              "(test loss no longer falls, and the gap stays: over-fitting)")  # fmt: skip
    if not data.endswith("CIFAR-10"):  # その名前のフォルダでもない (nor a folder of this name)
        print(f"CIFAR-10そのものではないので、数値は記事と異なる (not CIFAR-10 itself: {data})")
