"""フィルターの規則性：3.2節が目で見つけることを数値にします。

How regular filters are: a number for what the article's section 3.2 finds by eye.
"""

import numpy as np


def regularity(kernels):
    """隣り合う重みがどれだけ似ているか：等しければ1、ノイズなら約0、正反対なら-1 (how alike neighbouring
    weights are: 1 where they are equal, about 0 in noise, -1 where opposite).

    距離1の空間的な自己相関。上下左右に隣り合う組の積の和を、2乗の平均の和で割る。(The spatial
    autocorrelation at a distance of one: the products of all pairs of neighbours, side by side or one
    above the other, divided by the means of their squares.)

    Args:
        kernels: `(height, width, channels, N)`.

    Returns:
        `(N,)`、-1から1。1×1か全部0なら0 (in -1..1; 0 for kernels that are 1 x 1 or all zero).
    """
    pairs = (kernels[1:], kernels[:-1]), (kernels[:, 1:], kernels[:, :-1])
    products = sum((one * other).sum(axis=(0, 1, 2)) for one, other in pairs)
    squares = sum((one**2 + other**2).sum(axis=(0, 1, 2)) / 2 for one, other in pairs)
    return np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)


def eigenvectors(images, shape, count, patches=50_000):
    """画像の小片の主成分をフィルターの形で。ラベルも学習も使わない (the leading eigenvectors of the covariance
    of image patches, as kernels: what the images alone give, without labels or training).

    Args:
        images: `(N, H, W, channels)`.
        shape: 小片の形 (of the patches: height, width, channels).
        count: 固有ベクトルの数 (of the eigenvectors).

    Returns:
        `(height, width, channels, count)`、小片の値の数が上限 (fewer where a patch has fewer values).
    """
    height, width, channels = shape
    rng = np.random.default_rng(0)
    windows = np.lib.stride_tricks.sliding_window_view(images, (height, width), axis=(1, 2))
    places = [rng.integers(size, size=patches) for size in windows.shape[:3]]
    found = windows[tuple(places)].reshape(patches, -1)  # 色、行、列の順 (in the order channel, row, column)
    vectors = np.linalg.eigh(np.cov(found.T.astype("float64")))[1][:, ::-1][:, :count]
    return vectors.reshape(channels, height, width, -1).transpose(1, 2, 0, 3)


def report(kernels, images):
    """規則性を、学習していない2種類のフィルターと並べて表示する (print how regular the filters are, beside two
    kinds of kernels that nobody has trained).

    Args:
        kernels: いつのものか ("before training", "after training") からフィルターへ (when to kernels).
        images: テスト画像 (of a test set).
    """
    *shape, count = kernels["after training"].shape
    noise = regularity(np.random.default_rng(0).normal(size=(*shape, 10_000)))
    limit = np.quantile(noise, 0.99)
    print(f"規則性 (regularity), 乱数 (random kernels): 平均 (mean) {noise.mean():z.2f}, "
          f"99%は{limit:.2f}未満 (99 % below {limit:.2f})")  # fmt: skip
    values = regularity(eigenvectors(images, shape, count))
    print(f"規則性 (regularity), 画像の小片の固有ベクトル{len(values)}個 "
          f"({len(values)} leading eigenvectors of the images' patches): 平均 (mean) {values.mean():z.2f}")  # fmt: skip
    for when, each in kernels.items():
        values = regularity(each)
        above = (values > limit).sum()
        print(f"規則性 (regularity), {WHEN[when]} ({when}): 平均 (mean) {values.mean():z.2f}, "
              f"{values.min():z.2f} ~ {values.max():z.2f}, {count}個中{above}個が{limit:.2f}より上 "
              f"({above} of {count} above {limit:.2f})")  # fmt: skip


WHEN = {"before training": "学習前", "after training": "学習後"}
