"""5.1節の一歩先：物の部分を見るGlobal Average Pooling。
5×5の畳み込み1層を3×3の5層に替え、バッチ正規化を入れます。
最後の特徴マップの1か所は、6×6ではなく34×34画素を見ます。

One step beyond section 5.1 of the article: global average pooling that knows parts of things.
Five convolutions of 3 x 3 in place of one of 5 x 5, with batch normalization behind each: a place of
the last feature maps sees 34 x 34 pixels in place of 6 x 6.
"""

import utils
from cnn import prepare
from support import command_line, ending


def build_model(num_classes=10):
    """10クラスなら29,434パラメータ (29,434 parameters for ten classes).

    入力は値が[0, 1]の画像float32 (N, 32, 32, 3)、出力は各クラスの確率 (N, num_classes)。未コンパイル。
    (Images `float32` `(N, 32, 32, 3)` in [0, 1] to class probabilities `(N, num_classes)`; uncompiled.)
    """
    from keras import Model, layers

    _input = layers.Input(shape=(32, 32, 3))
    _hidden = layers.RandomFlip("horizontal")(_input)
    for filters, pooling in ((16, True), (28, True), (32, False), (32, False), (24, False)):
        _hidden = layers.Conv2D(filters, kernel_size=3, padding="same", use_bias=False)(_hidden)
        if pooling:
            _hidden = layers.MaxPooling2D(pool_size=(2, 2))(_hidden)
        # プーリングの後なら計算は4分の1 (behind the pooling: a quarter of the work)
        _hidden = layers.BatchNormalization()(_hidden)
        _hidden = layers.ReLU()(_hidden)
    _hidden = layers.GlobalAveragePooling2D()(_hidden)
    _output = layers.Dense(num_classes, activation="softmax")(_hidden)
    return Model(_input, _output)


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=13, batch_size=100)
    import keras
    from keras.optimizers import Adam
    from keras.optimizers.schedules import CosineDecay

    from support.data import images
    from support.figures import blocks
    from support.run import training

    if args.summary:
        return blocks.draw(build_model(), args.script, args.out / "model.png")
    keras.utils.set_random_seed(args.seed)
    train, test = images.batches(args, prepare)
    model = build_model(train.num_classes)
    # 学習率は最初の1割で0.02まで上がり、その後0まで下がる (rises in the first tenth, then falls to zero)
    steps = args.epochs * len(train)
    rising = steps // 10
    schedule = CosineDecay(0.0, steps - rising, warmup_target=0.02, warmup_steps=rising)
    model.compile(optimizer=Adam(schedule), loss="categorical_crossentropy", metrics=["accuracy"])
    run = training.resume(model, train, test, args)
    _results = model.fit(
        train.dataset, epochs=args.epochs, verbose=args.verbose, validation_data=test.dataset,
        callbacks=[run], initial_epoch=run.done, shuffle=False,
    )  # fmt: skip
    utils.plot_accuracy(_results.history, f"beyond.cnn_with_gap on {train.name}", args.out / "accuracy.png")
    utils.print_result(_results.history, train.name)
    print(f"次は (next): python -m explore.maps {args.out / 'model.keras'}")


if __name__ == "__main__":
    ending.run(main)
