import keras
import numpy as np
import pytest
from conftest import options, small_batches
from matplotlib import pyplot as plt
from PIL import Image

import cnn_with_gap
from beyond import transfer_learning as beyond_transfer_learning
from support import confidence
from support.ending import ScriptError


def negative():
    """Moves half of the maps below 0, as batch normalization does."""
    return keras.layers.BatchNormalization(beta_initializer=keras.initializers.RandomNormal(-0.5, 1))


def with_head(*head, size=32, before=()):
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            keras.layers.Conv2D(6, 5, activation="relu"),
            *before,
            keras.layers.GlobalAveragePooling2D(),
            *head,
        ]
    )


def grad_cam(model, images, classes):
    """The same by automatic differentiation."""
    import tensorflow as tf

    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    pooling = next(n for n, layer in enumerate(layers) if "global" in layer.name)
    maps = images
    for layer in layers[:pooling]:
        maps = layer(maps)
    with tf.GradientTape() as tape:
        pooled = tf.reduce_mean(maps, axis=(1, 2))
        tape.watch(pooled)
        x = pooled
        for layer in layers[pooling + 1 : -1]:
            x = layer(x)
        logits = x
        if isinstance(model.layers[-1], keras.layers.Dense):
            logits = x @ model.layers[-1].kernel.value + model.layers[-1].bias.value
        logit = tf.gather(logits, classes, batch_dims=1)
    gradient = tape.gradient(logit, pooled)
    return np.maximum(np.einsum("nhwc,nc->nhw", maps, gradient), 0)


@pytest.mark.parametrize(
    "model",
    [
        cnn_with_gap.build_model,
        lambda: with_head(keras.layers.Dense(4, activation="softmax")),
        lambda: with_head(
            keras.layers.Dense(9, activation="relu"),
            keras.layers.Dense(7, activation="relu"),
            keras.layers.Dense(4, activation="softmax"),
        ),
        lambda: with_head(keras.layers.Softmax()),
        lambda: with_head(keras.layers.Dense(4, activation="softmax"), before=[negative()]),
    ],
    ids=["article", "one dense layer", "three", "none", "maps with negative means"],
)
def test_maps_are_grad_cam(model):
    model = model()
    images = np.random.default_rng(0).random((5, 32, 32, 3), dtype="float32")
    for classes in (model.predict(images, verbose=0).argmax(axis=1), np.arange(5) % 4):
        maps, probabilities = confidence.confidence_maps(model, images, classes)
        np.testing.assert_allclose(maps, grad_cam(model, images, classes), atol=1e-6)
        assert maps.max() > 0
        np.testing.assert_allclose(probabilities, model(images), atol=1e-6)


def test_maps_of_a_model_inside_the_model():
    model = beyond_transfer_learning.build_model(alpha=0.25, weights=None)
    images = np.random.default_rng(0).random((3, 32, 32, 3), dtype="float32")
    maps, _ = confidence.confidence_maps(model, images, np.array([1, 2, 3]))
    *before, _, dense = model.layers
    x = images
    for layer in before[1:]:
        x = layer(x, training=False) if isinstance(layer, keras.layers.RandomFlip) else layer(x)
    expected = np.einsum("nhwc,cn->nhw", x, dense.kernel.numpy()[:, 1:4])
    np.testing.assert_allclose(maps, np.maximum(expected, 0), rtol=1e-4, atol=1e-6)


def test_first_right_and_wrong():
    labels = np.array([0, 1, 1, 0, 0, 2])
    predicted = np.array([1, 1, 1, 0, 0, 0])
    assert confidence.first_right_and_wrong(labels, predicted) == [3, 0, 1, None, None, 5]


@pytest.mark.parametrize(("most", "share"), [(20, 1), (2, 2 / 3)])
def test_the_figure_has_a_line_for_each_class_up_to_twenty(tmp_path, monkeypatch, most, share):
    monkeypatch.setattr(confidence, "MOST_CLASSES", most)
    _, test = small_batches()
    model = with_head(keras.layers.Dense(3, activation="softmax"), size=8)
    for name in ("initial", "model"):
        model.save(tmp_path / f"{name}.keras")
    confidence.plot(test, options(out=tmp_path))
    width, height = Image.open(tmp_path / "confidence_maps.png").size
    assert height / width == pytest.approx((1.5 * 3 * share + 0.9) / 8.5, rel=0.15)


def test_a_damaged_untrained_model_ends_in_one_line(tmp_path):
    _, test = small_batches()
    model = with_head(keras.layers.Dense(3, activation="softmax"), size=8)
    model.save(tmp_path / "model.keras")
    (tmp_path / "initial.keras").write_bytes((tmp_path / "model.keras").read_bytes()[:500])
    with pytest.raises(ScriptError, match=r"initial.keras: cannot be loaded: .*; remove it, and"):
        confidence.plot(test, options(out=tmp_path))


def test_the_last_column_is_of_the_untrained_model(tmp_path, monkeypatch):
    _, test = small_batches()
    shown = []
    monkeypatch.setattr(confidence, "lay_over", lambda ax, image, values: shown.append(values))
    untrained = with_head(keras.layers.Dense(3, activation="softmax"), size=8)
    untrained.save(tmp_path / "initial.keras")
    trained = keras.models.clone_model(untrained)
    trained.set_weights([weights * 2 + 0.01 for weights in untrained.get_weights()])
    trained.save(tmp_path / "model.keras")
    confidence.plot(test, options(out=tmp_path))
    predicted = trained.predict(test, verbose=0).argmax(axis=1)
    rows = [r for r in confidence.first_right_and_wrong(test.labels, predicted) if r is not None]
    x, _ = test.prepare(test.images[rows], test.labels[rows], 3)
    for model, found in ((trained, shown[::2]), (untrained, shown[1::2])):
        maps, _ = confidence.confidence_maps(model, x, predicted[rows])
        np.testing.assert_allclose(found, maps, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("values", [[[0.02, 0.08]], [[0.0, 0.0]]])
def test_only_a_place_that_says_nothing_has_no_colour(values):
    _, ax = plt.subplots()
    confidence.lay_over(ax, np.zeros((2, 4, 3), "uint8"), np.array(values))
    low, high = ax.images[-1].get_clim()
    assert low == 0
    assert high == (np.max(values) or 1)
    plt.close()
