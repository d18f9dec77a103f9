import keras
import numpy as np
import pytest
from conftest import run_of
from matplotlib import pyplot as plt
from PIL import Image

import cnn_with_gap
from beyond import transfer_learning as beyond_transfer_learning
from explore import maps
from support.data import images
from support.ending import ScriptError
from support.run import state


def negative():
    """Moves half of the maps below 0, as batch normalization does."""
    return keras.layers.BatchNormalization(beta_initializer=keras.initializers.RandomNormal(-0.5, 1))


def with_head(*head, before=()):
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(6, 5, activation="relu"),
            *before,
            keras.layers.GlobalAveragePooling2D(),
            *head,
        ]
    )


def grad_cam(model, x, classes):
    """The same by automatic differentiation."""
    import tensorflow as tf

    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    pooling = next(n for n, layer in enumerate(layers) if "global" in layer.name)
    before = x
    for layer in layers[:pooling]:
        before = layer(before)
    with tf.GradientTape() as tape:
        pooled = tf.reduce_mean(before, axis=(1, 2))
        tape.watch(pooled)
        x = pooled
        for layer in layers[pooling + 1 : -1]:
            x = layer(x)
        logits = x
        if isinstance(model.layers[-1], keras.layers.Dense):
            logits = x @ model.layers[-1].kernel.value + model.layers[-1].bias.value
        logit = tf.gather(logits, classes, batch_dims=1)
    gradient = tape.gradient(logit, pooled)
    return np.maximum(np.einsum("nhwc,nc->nhw", before, gradient), 0)


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
    x = np.random.default_rng(0).random((5, 32, 32, 3), dtype="float32")
    for classes in (model.predict(x, verbose=0).argmax(axis=1), np.arange(5) % 4):
        found, probabilities = maps.confidence_maps(model, x, classes)
        np.testing.assert_allclose(found, grad_cam(model, x, classes), atol=1e-6)
        assert found.max() > 0
        np.testing.assert_allclose(probabilities, model(x), atol=1e-6)


def test_maps_of_a_model_inside_the_model():
    model = beyond_transfer_learning.build_model(alpha=0.25, weights=None)
    x = np.random.default_rng(0).random((3, 32, 32, 3), dtype="float32")
    found, _ = maps.confidence_maps(model, x, np.array([1, 2, 3]))
    *before, _, dense = model.layers
    for layer in before[1:]:
        x = layer(x, training=False) if isinstance(layer, keras.layers.RandomFlip) else layer(x)
    expected = np.einsum("nhwc,cn->nhw", x, dense.kernel.numpy()[:, 1:4])
    np.testing.assert_allclose(found, np.maximum(expected, 0), rtol=1e-4, atol=1e-6)


def test_first_right_and_wrong():
    labels = np.array([0, 1, 1, 0, 0, 2])
    predicted = np.array([1, 1, 1, 0, 0, 0])
    assert maps.first_right_and_wrong(labels, predicted) == [3, 0, 1, None, None, 5]


@pytest.fixture
def run(tmp_path, small):
    """A run whose network has been trained on the four classes of `small`, and stopped."""
    untrained = with_head(keras.layers.Dense(4, activation="softmax"))
    trained = keras.models.clone_model(untrained)
    trained.set_weights([weights * 2 + 0.01 for weights in untrained.get_weights()])
    untrained.save(tmp_path / "initial.keras")
    trained.save(tmp_path / "model.keras")
    record = {"classes": list("abcd"), "data": "D", "script": "s", "seed": 0, "layers": []}
    state.write(tmp_path / "model.keras", run_of(record, seconds=[1], source=small))
    return untrained, trained


def ask(folder, *options):
    maps.main([str(folder / "model.keras"), "--out", str(folder), *options])


@pytest.mark.parametrize(("most", "shown"), [(20, 4), (2, 2)])
def test_the_figure_has_a_line_for_each_class_up_to_twenty(run, tmp_path, monkeypatch, most, shown):
    assert maps.MOST_CLASSES == 20
    monkeypatch.setattr(maps, "MOST_CLASSES", most)
    ask(tmp_path)
    width, height = Image.open(tmp_path / "confidence_maps.png").size
    assert height / width == pytest.approx((1.5 * shown + 0.9) / 8.5, rel=0.15)


def test_a_damaged_untrained_model_ends_in_one_line(run, tmp_path):
    path = tmp_path / "initial.keras"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ScriptError, match=r"initial.keras: cannot be shown: "):
        ask(tmp_path)


def test_a_network_without_the_pooling_is_said(tmp_path):
    flat = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    flat.save(tmp_path / "model.keras")
    with pytest.raises(ScriptError, match=r"model.keras: has no global average pooling; give one of"):
        ask(tmp_path)


@pytest.mark.parametrize("kept", [True, False])
def test_the_last_column_is_of_the_untrained_model(run, tmp_path, monkeypatch, small, kept):
    untrained, trained = run
    if not kept:
        (tmp_path / "initial.keras").unlink()
    shown = []
    monkeypatch.setattr(maps, "lay_over", lambda ax, image, values: shown.append((image, values)))
    ask(tmp_path)
    (x, y), _ = images.load_tests(small, 0, 0)
    x = x.astype("float32") / 255
    predicted = trained.predict(x, verbose=0).argmax(axis=1)
    rows = [row for row in maps.first_right_and_wrong(y, predicted) if row is not None]
    expected = [maps.confidence_maps(model, x[rows], predicted[rows])[0] for model in (trained, untrained)]
    expected = expected[0] if not kept else [each for pair in zip(*expected, strict=True) for each in pair]
    for (_, found), values in zip(shown, expected, strict=True):
        np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-6)
    for (image, _), row in zip(shown[:: 2 if kept else 1], rows, strict=True):
        np.testing.assert_array_equal(image, np.round(x[row] * 255))


@pytest.mark.parametrize("values", [[[0.02, 0.08]], [[0.0, 0.0]]])
def test_only_a_place_that_says_nothing_has_no_colour(values):
    _, ax = plt.subplots()
    maps.lay_over(ax, np.zeros((2, 4, 3), "uint8"), np.array(values))
    low, high = ax.images[-1].get_clim()
    assert low == 0
    assert high == (np.max(values) or 1)
    plt.close()
