"""記事の3.2節：学習前後の、畳み込み層のフィルターを画像にします。
本の図7-24は、同じことをMNISTで示しています。
filters.pngに学習前と学習後が並びます。

Section 3.2 of the article: the filters of the convolution before and after training, as tiles.
The book's figure 7-24 is the same for MNIST. `filters.png` has both side by side.
"""

from pathlib import Path

from support import command_line, ending
from utils import combine_images


def weight_images(model):
    """3.2.1節：畳み込み層のフィルターの重みを画像にする (the kernels as images, section 3.2.1).

    get_weights()の先頭の重み（float32、形状(高さ, 幅, 3, N)）から、画像（uint8、形状(高さ, 幅, 3)）N枚のリストを作る。
    本の重みの形状は(FN, C, FH, FW)、Kerasでは(FH, FW, C, FN)なので、最後の軸で分ける。
    (The first weights, kernels `float32` `(height, width, 3, N)`, become N images `uint8`
    `(height, width, 3)`. The book has the filters on the first axis, Keras on the last.)
    """
    import numpy as np
    from keras.preprocessing.image import array_to_img

    weights = model.get_weights()  # 入力側から順に並ぶ (in order from the input)
    weights = weights[0]  # 畳み込み層の重みを取ってくる (the kernels: (5, 5, 3, 30))
    weights = np.split(weights, weights.shape[3], axis=3)  # 各フィルターに分割する (one by one)

    weight_image = []

    for weight in weights:
        weight = np.squeeze(weight, axis=3)
        weight = array_to_img(weight)  # フィルターごとに、最小値を0、最大値を255にする (each by itself)
        weight = np.array(weight)
        weight_image.append(weight)
    return weight_image


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, model=Path("results/cnn/model.keras"))
    import numpy as np
    from PIL import Image

    from support.figures import drawing
    from support.run import run_folder

    tiles = {}
    # 学習前のモデルも同じフォルダにある (the untrained model is in the same folder)
    for name, file_name in {"initial.keras": "weight_before.png", args.model.name: "weight.png"}.items():
        if not (path := args.model.with_name(name)).exists():
            print(f"{path}が見つからないので、学習前の画像は作らない (not found: no filters before training)")
            continue
        # 先頭の重みがフィルターであることも確かめる (and checks that the first weights are kernels)
        model = run_folder.load_model(path, kernels_first=True)
        # 3.2.2 タイル状に画像を表示 (tiles)
        weight_image = weight_images(model)
        img = combine_images(np.array(weight_image))  # 重み画像の合体 (one image of them all)
        drawing.save_image(Image.fromarray(img.astype(np.uint8)), args.out / file_name)
        tiles["before training" if name == "initial.keras" else "after training"] = weight_image
    title = f"The filters of the first convolution of {args.model}"
    # フィルターの番号順に並べる (the filters by their numbers)
    drawing.plot_tiles(tiles, range(len(weight_image)), title, args.out / "filters.png")
    print("次は (next): python transfer_learning.py")
    print(f"フィルターをさらに調べるには (more on them): python -m explore.filters {args.model}")


if __name__ == "__main__":
    ending.run(main)
