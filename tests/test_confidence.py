import keras
import numpy as np
import pytest
from conftest import options, small_batches
from PIL import Image

import cnn_with_gap
from support import confidence


def with_head(*head, size=32):
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            keras.layers.Conv2D(6, 5, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            *head,
        ]
    )


def grad_cam(model, images):
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
        logit = tf.reduce_max(logits, axis=1)
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
    ],
    ids=["article", "one dense layer", "three", "none"],
)
def test_maps_are_grad_cam(model):
    model = model()
    images = np.random.default_rng(0).random((5, 32, 32, 3), dtype="float32")
    maps, probabilities = confidence.confidence_maps(model, images)
    np.testing.assert_allclose(maps, grad_cam(model, images), atol=1e-6)
    assert maps.max() > 0
    np.testing.assert_allclose(probabilities, model(images), atol=1e-6)


def test_first_right_and_wrong():
    labels = np.array([0, 1, 1, 0, 0, 2])
    predicted = np.array([1, 1, 1, 0, 0, 0])
    assert confidence.first_right_and_wrong(labels, predicted) == [3, 0, 1, None, None, 5]


def test_the_figure_has_room_for_any_number_of_classes(tmp_path):
    _, test = small_batches()
    with_head(keras.layers.Dense(3, activation="softmax"), size=8).save(tmp_path / "model.keras")
    confidence.plot(test, options(out=tmp_path))
    assert Image.open(tmp_path / "confidence_maps.png").size[0] > 900
