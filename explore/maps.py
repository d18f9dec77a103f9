"""ネットワークは画像のどこを見ているか：5.1節の信頼度マップ。
論文（Network In Network、3.2節）は、GAPの特徴マップを
「クラスごとの信頼度マップ」として読めると言います。

Where does a network look? The confidence maps of section 5.1. The paper (Lin, Chen and Yan, "Network
In Network", 2013, section 3.2) has one map a class and no dense layer behind the pooling. The article's
model has 30 maps and two dense layers, so what a map counts for a class is worked out from them.
"""

import numpy as np

from explore import models
from support import command_line, ending

MOST_CLASSES, SIDE = 20, 128  # 図の行数と、画像の画素 (rows of the figure, pixels of an image)


def first_right_and_wrong(labels, predicted):
    """クラスごとに、最初の正解と最初の間違い (for each class its first recognised and its first mistaken image).

    Returns:
        2つずつの行番号、なければNone (rows in pairs; None where there is none).
    """
    rows = []
    for label in range(labels.max() + 1):
        for kind in (predicted == labels, predicted != labels):
            found = np.flatnonzero(kind & (labels == label))
            rows.append(int(found[0]) if len(found) else None)
    return rows


def main(argv=None):
    default = models.newest("GlobalAveragePooling2D", without="transfer_learning.py", script="cnn_with_gap")
    args = command_line.parse(__file__, __doc__, argv, model=default, data=None, pixels=None)
    from explore.confidence import confidence_maps, head_of, lay_over
    from support.figures import drawing

    asked = models.load(args.model, args.pixels)
    heads = [(model, head_of(model, args.model)) for model in (asked.model, asked.untrained) if model]
    images, labels = models.test_images(asked, args)
    predicted = asked.predict(images).argmax(axis=1)
    pairs = first_right_and_wrong(labels, predicted)[: 2 * MOST_CLASSES]
    found = [row for row in pairs if row is not None]
    # 学習前の地図と変わらなければ、学習したことは何も示さない (a map that needs no training says nothing
    # about what was learned: Adebayo et al., "Sanity Checks for Saliency Maps", 2018)
    x = asked.prepare(images[found])
    (maps, probabilities), *before = [confidence_maps(*of, x, predicted[found]) for of in heads]
    names, halves = drawing.shown_names(tuple(asked.class_names)), []
    for row in pairs:
        cells = [None] * (2 + len(before))
        if row is not None:
            n = found.index(row)
            several = [maps[n], *(each[n] for each, _ in before)]
            words = [f"{names[predicted[row]]} {probabilities[n].max():.0%}", "untrained"]
            # 学習前と学習後は同じ基準 (one scale before and after training)
            laid = [lay_over(images[row], each, np.max(several), SIDE) for each in several]
            cells = [("", images[row]), *zip(words, laid, strict=False)]
        halves.append(cells)
    rows = [(names[k], [*halves[2 * k], None, *halves[2 * k + 1]]) for k in range(len(pairs) // 2)]
    heads = [("recognised", None), *[None] * (1 + len(before))], [("not recognised", None)]
    rows.insert(0, ("true class", [*heads[0], None, *heads[1]]))
    some = f"; the first {len(pairs) // 2} of {len(names)} classes" if len(pairs) < 2 * len(names) else ""
    title = (f"What speaks for the prediction: bright ({asked.training}{some})\n"
             "the first test image of each class that is recognised, and the first that is not; above a map\n"
             "what was predicted" + "; untrained: the same before the training, on the same scale" * len(before))  # fmt: skip
    print("図を描く (drawing) ...")
    drawing.plot_cells(rows, title, args.out / "confidence_maps.png", SIDE)


if __name__ == "__main__":
    ending.run(main)
