"""2節と3.1節の一歩先：SimpleConvNetの過学習を抑えます。
畳み込み、プーリング、全結合の構成と20エポックは同じです。
Dropoutが全結合層への入力の大半を毎回ランダムに落とします。

One step beyond sections 2 and 3.1 of the article: SimpleConvNet with its over-fitting cured.
The same convolution, pooling and dense layers, in the same 20 epochs. Dropout takes most of the inputs
of the first dense layer away, others in each step, so that no weight can rely on one of them.
"""

import utils
from cnn import prepare
from support import command_line, ending


def build_model(num_classes=10):
    """10クラスなら591,790パラメータ。記事より400個多いのはバッチ正規化の分 (400 of batch normalization).

    入力は値が[0, 1]の画像float32 (N, 32, 32, 3)、出力は各クラスの確率 (N, num_classes)。未コンパイル。
    (Images `float32` `(N, 32, 32, 3)` in [0, 1] to class probabilities `(N, num_classes)`; uncompiled.)
    """
    from keras import Model, layers

    _input = layers.Input(shape=(32, 32, 3))
    _hidden = layers.Conv2D(filters=30, kernel_size=5)(_input)
    _hidden = layers.MaxPooling2D(pool_size=(2, 2))(_hidden)
    # ReLUはプーリングの後でも結果が同じで、計算は4分の1 (the same behind the pooling, a quarter of the work)
    _hidden = layers.ReLU()(_hidden)
    _hidden = layers.Flatten()(_hidden)
    _hidden = layers.Dropout(0.6)(_hidden)
    _hidden = layers.Dense(100)(_hidden)
    _hidden = layers.BatchNormalization()(_hidden)
    _hidden = layers.ReLU()(_hidden)
    _output = layers.Dense(num_classes, activation="softmax")(_hidden)
    return Model(_input, _output)


def main(argv=None):
    args = command_line.parse(__file__, __doc__, argv, epochs=20, batch_size=100)
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
    optimizer = Adam(CosineDecay(0.0015, decay_steps=args.epochs * len(train)))
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    run = training.resume(model, train, test, args)
    _results = model.fit(
        train.dataset, epochs=args.epochs, verbose=args.verbose, validation_data=test.dataset,
        callbacks=[run], initial_epoch=run.done, shuffle=False,
    )  # fmt: skip
    utils.plot_accuracy(_results.history, f"beyond.cnn on {train.name}", args.out / "accuracy.png")
    utils.print_result(_results.history, train.name)
    print("cnn.pyと比べるには (beside cnn.py): python -m explore.compare results/cnn", args.out)


if __name__ == "__main__":
    ending.run(main)
