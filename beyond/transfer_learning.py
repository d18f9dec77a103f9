"""4節の一歩先：画像を拡大し、MobileNetの前半を凍結します。
32×32画素では最後が1か所になり、物の位置が失われます。
64×64なら、学習済みの224×224に近づきます。

One step beyond section 4 of the article: MobileNet with its first blocks frozen, on larger images. Of
32 x 32 pixels it makes a single place; 64 x 64 look more like the 224 x 224 that it was trained on.
"""

import utils
from cnn import prepare
from support import command_line, ending


def build_model(num_classes=10, alpha=1.0, weights="imagenet"):
    """alpha 1.0、10クラスなら1,091,274パラメータ、うち811,530個を学習する (of which 811,530 are trained).

    alphaはMobileNetの幅。weightsは"imagenet"、None（乱数）、または重みのファイル。
    入力は値が[0, 1]の画像float32 (N, 32, 32, 3)、出力は各クラスの確率 (N, num_classes)。未コンパイル。
    (`weights`: "imagenet", None for random ones, or a file. Images `float32` `(N, 32, 32, 3)` in [0, 1]
    to class probabilities `(N, num_classes)`; uncompiled.)
    """
    from keras import Model, layers
    from keras.applications.mobilenet import MobileNet

    mobilenet = MobileNet(include_top=False, alpha=alpha, weights=weights)
    # 13ブロックの最後の4つは、大きな画像の大きな物のため (the last four are for what is large)
    features = Model(mobilenet.input, mobilenet.get_layer("conv_pw_9_relu").output)
    # 最初の6つが知る輪郭や質感はここでも同じ (the first six know edges and textures: no backward pass)
    Model(mobilenet.input, mobilenet.get_layer("conv_pw_6_relu").output).trainable = False

    _input = layers.Input(shape=(32, 32, 3))
    _hidden = layers.RandomFlip("horizontal")(_input)
    _hidden = layers.Resizing(64, 64, interpolation="bicubic")(_hidden)  # 既定より鮮明 (sharper)
    _hidden = features(_hidden)
    _hidden = layers.GlobalAveragePooling2D()(_hidden)
    _output = layers.Dense(num_classes, activation="softmax")(_hidden)
    return Model(_input, _output)


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=3, batch_size=64, alpha=1.0)
    import keras
    from keras.losses import CategoricalCrossentropy
    from keras.optimizers import Adam
    from keras.optimizers.schedules import CosineDecay

    from support.data import images
    from support.figures import blocks
    from support.run import pretrained, training

    if args.summary:
        return blocks.draw(build_model(alpha=args.alpha, weights=None), args.script, args.out / "model.png")
    keras.utils.set_random_seed(args.seed)
    weights = pretrained.find_weights(args.weights, args.alpha)
    train, test = images.batches(args, prepare)
    model = build_model(train.num_classes, args.alpha, weights)
    # 出力層が何も知らない間は小さく、最初の1割で上げる (rises first, lest what MobileNet knows is lost)
    rising = (steps := args.epochs * len(train)) // 10
    schedule = CosineDecay(0.0, steps - rising, warmup_target=0.001, warmup_steps=rising)
    loss = CategoricalCrossentropy(label_smoothing=0.1)  # 確信しすぎない (not to be quite certain)
    model.compile(optimizer=Adam(schedule), loss=loss, metrics=["accuracy"])
    print(model.evaluate(test.dataset, verbose=0))
    run = training.resume(model, train, test, args, weights=weights or "none")
    _results = model.fit(
        train.dataset, epochs=args.epochs, verbose=args.verbose, validation_data=test.dataset,
        callbacks=[run], initial_epoch=run.done, shuffle=False,
    )  # fmt: skip
    title = f"beyond.transfer_learning ({weights or 'random'} weights) on {train.name}"
    utils.plot_accuracy(_results.history, title, args.out / "accuracy.png")
    utils.print_result(_results.history, train.name)
    print(f"次は (next): python -m explore.maps {args.out / 'model.keras'}")


if __name__ == "__main__":
    ending.run(main)
