"""フィルターの反応の図：フィルターごとに、画像のどこに反応し、
どんな部分に最も強く反応するか。

Figures of what filters answer to: where in an image each answers, and what excites it most.
"""

import numpy as np

from support.figures import drawing

PAGE, PATCHES = 10, 6  # 図1枚のフィルター、フィルターごとの小片 (filters in a figure, patches a filter)


def plot(filters, tiles, order, values, tests, training, out):
    """responses.png、responses_2.png、…を作る。どの画像にも反応しないフィルターを表示する。

    (Draw `responses.png`, `responses_2.png`, ..., and name the filters that answer to no image.)

    Args:
        filters: いつのものか ("before training", "after training") から (when to) `convolution.Filters`.
        tiles: 学習後の重みの画像 (the weights after training as images, `uint8` `(height, width, 3)`).
        order, values: フィルターの並びと規則性 (the order of the filters and their regularity).
        tests: テスト画像とラベル (test images `uint8` `(n, 32, 32, 3)` and labels `(n,)`).
    """
    images, labels = tests
    after = filters["after training"]
    strongest, weakest = after.excitement(images)
    strongest[strongest <= weakest] = -np.inf  # 反応しない (no answer)
    share = np.isfinite(strongest).mean(axis=0)
    silent = ", ".join(f"{n}番 (filter {n})" for n in np.flatnonzero(share == 0)) or "なし (none)"
    print(f"{len(images):,}枚のどのテスト画像にも反応しない (answer to none of the test images): {silent}")
    first = np.unique(labels, return_index=True)[1]  # 各クラスの最初の画像 (the first image of each class)
    shown = images[first[:: max(1, len(first) // 3)][:3]]
    maps = maps_of([each.given_and_answers(shown)[1] for each in filters.values()])
    head, words = [None, None], [("weights\nafter", None), None]
    for image in shown:
        head += [("", image), *[None] * len(filters)]
        words += [("before", None), ("after", None), None] if len(filters) > 1 else [("answers", None), None]
    pages = range(0, len(order), PAGE)
    for page, start in enumerate(pages, 1):
        rows = [("", head), ("", [*words, ("what excites it most, the strongest first", None)])]
        for n in order[start : start + PAGE]:
            cells = [("", tiles[n]), None]
            for k in range(len(shown)):
                cells += [*(("", each[k, ..., n, :]) for each in maps), None]
            cells += patches_of(after, images, strongest[:, n], n)
            rows.append(
                (f"filter {n}\nregularity {values[n]:z.2f}\nanswers to {share[n]:.1%} of images", cells)
            )
        title = (
            f"What the filters answer to, figure {page} of {len(pages)} ({training})\n"
            "bright: where it answers; before and after training and all images on the same scale for each filter"
        )
        drawing.plot_cells(rows, title, out / f"responses{f'_{page}' if page > 1 else ''}.png")


def maps_of(answers):
    """反応を画像に：反応しない所は黒、学習前と学習後は同じ基準 (answers to images: black where there is none,
    on one scale a filter, before training and after).

    Args:
        answers: 1つか2つの (one or two) `(n, h, w, N)`.

    Returns:
        同じ数の (as many) `uint8` `(n, h, w, N, 3)`.
    """
    # 図の1こまは64画素まで (a cell of the figure has 64 pixels)
    answers = [each[:, :: (step := -(-max(each.shape[1:3]) // 64)), ::step] for each in answers]
    largest = np.max([each.max(axis=(0, 1, 2)) for each in answers], axis=0)
    scale = 255 / np.where(largest > 0, largest, 1)
    return [(each.clip(0) * scale).round().astype("uint8")[..., None].repeat(3, axis=4) for each in answers]


def patches_of(filters, images, strongest, number):
    """フィルターが最も強く反応した小片、強い順に (the patches that excite a filter most, the strongest first).

    Args:
        strongest: 各画像での最大の反応、反応しなければ-inf (the strongest answer to each image; -inf: none).
    """
    rows = np.argsort(-strongest, kind="stable")[: min(PATCHES, np.isfinite(strongest).sum())]
    if not len(rows):
        return [("it answers to no image", None)]
    cells = [("", patch) for patch in filters.patches(images[rows], number)]
    return cells + [("to no other", None)] * (len(rows) < PATCHES)
