"""The filters of the convolution before and after training: section 3.2 of the article.

The book's figure 7-24 (p. 235) shows the same for MNIST: noise before, and after training filters
that answer to edges and blobs.
"""

from pathlib import Path

import cnn
from support import command_line, entry
from utils import combine_images


def weight_images(model):
    """Make an image of each filter of the first convolution (section 3.2.1).

    Args:
        model: its `get_weights()` begin with the kernels, `float32` `(height, width, 3, N)`.

    Returns:
        A list of N images `uint8` `(height, width, 3)`, each scaled to its own range.
    """
    import numpy as np
    from keras.preprocessing.image import array_to_img

    weights = model.get_weights()  # from the input on, so the convolution's come first
    weights = weights[0]  # 畳み込み層の重みを取ってくる: (5, 5, 3, 30)
    weights = np.split(weights, weights.shape[3], axis=3)  # 各フィルターに分割する

    weight_image = []

    for weight in weights:
        weight = np.squeeze(weight, axis=3)
        weight = array_to_img(weight)
        weight = np.array(weight)
        weight_image.append(weight)
    return weight_image


def main(argv=None):
    default = Path("results", "cnn", "model.keras")
    args = command_line.parse(__file__, __doc__, argv, model=default, sort=False)
    import numpy as np
    from PIL import Image

    from support import drawing, filters, regularity, responses

    models = filters.load_models(args, default, train=cnn.main)
    order = regularity.order(models, args.sort)
    images = {}
    for when, model in models.items():
        # 3.2.2 タイル状に画像を表示 (tiles)
        weight_image = weight_images(model)
        img = combine_images(np.array(weight_image)[order])  # 重み画像の合体
        name = "weight.png" if when == "after training" else "weight_before.png"
        drawing.save_image(Image.fromarray(img.astype(np.uint8)), name, args)
        images[when] = img
    filters.plot(images, models, args)
    tests = filters.test_images(args)
    regularity.report(models, tests)
    responses.plot(models, order, tests, args)


if __name__ == "__main__":
    entry.run(main)
