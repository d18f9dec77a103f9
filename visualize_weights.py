"""The filters of the convolution before and after training: section 3.2 of the article.

`weight_before.png` and `weight.png` show them as tiles. The book's figure 7-24 (p. 234-236) is the
same for MNIST: noise at first, and then filters that are regular.
"""

import cnn
from support import command_line, entry
from utils import combine_images


def weight_images(model):
    """The filters of the first convolution as images (section 3.2.1).

    Args:
        model: its first weights are kernels `float32` `(height, width, 3, N)`.

    Returns:
        A list of N images `uint8` `(height, width, 3)`.
    """
    import numpy as np
    from keras.preprocessing.image import array_to_img

    weights = model.get_weights()  # in order from the input: the kernels come first
    weights = weights[0]  # 畳み込み層の重みを取ってくる: (5, 5, 3, 30)
    weights = np.split(weights, weights.shape[3], axis=3)  # 各フィルターに分割する

    weight_image = []

    for weight in weights:
        weight = np.squeeze(weight, axis=3)
        weight = array_to_img(weight)  # its smallest value becomes 0, its largest 255
        weight = np.array(weight)
        weight_image.append(weight)
    return weight_image


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, model="results/cnn/model.keras", sort=False)
    import numpy as np
    from PIL import Image

    from support import drawing, filters

    models = filters.load_models(args, train=cnn.main)
    for file_name, model in models.items():
        # 3.2.2 タイル状に画像を表示 (tiles)
        weight_image = weight_images(model)
        img = combine_images(np.array(weight_image))  # 重み画像の合体
        drawing.save_image(Image.fromarray(img.astype(np.uint8)), file_name, args)

    # Beyond the article: how regular the filters are, and to what in an image they answer
    filters.explain(models, weight_images, args)


if __name__ == "__main__":
    entry.run(main)
