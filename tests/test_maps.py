import keras
import numpy as np
import pytest
from conftest import run_of
from PIL import Image

import cnn_with_gap
from beyond import transfer_learning as beyond_transfer_learning
from explore import confidence, maps
from support.data import images
from support.ending import ScriptError
from support.figures import drawing
from support.run import state


def maps_of(model, x, classes):
    return confidence.confidence_maps(model, confidence.head_of(model, "m.keras"), x, classes)


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
        lambda: with_head(
            keras.layers.Dense(9),
            keras.layers.Activation("relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(4, activation="softmax"),
        ),
        lambda: with_head(keras.layers.Dense(4, activation="softmax"), before=[keras.layers.Dense(7)]),
        lambda: with_head(keras.layers.Dense(4, activation="softmax"), before=[negative()]),
    ],
    ids=["article", "one", "three", "none", "relu apart", "dense before", "maps with negative means"],
)
def test_maps_are_grad_cam(model):
    model = model()
    x = np.random.default_rng(0).random((5, 32, 32, 3), dtype="float32")
    for classes in (model.predict(x, verbose=0).argmax(axis=1), np.arange(5) % 4):
        found, probabilities = maps_of(model, x, classes)
        np.testing.assert_allclose(found, grad_cam(model, x, classes), atol=1e-6)
        assert found.max() > 0
        np.testing.assert_allclose(probabilities, model(x), atol=1e-6)


def test_maps_of_a_model_inside_the_model():
    model = beyond_transfer_learning.build_model(alpha=0.25, weights=None)
    x = np.random.default_rng(0).random((3, 32, 32, 3), dtype="float32")
    found, _ = maps_of(model, x, np.array([1, 2, 3]))
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
    _, height = Image.open(tmp_path / "confidence_maps.png").size
    assert height == pytest.approx(shown * (maps.SIDE + 25) + 120, abs=40)


def test_a_damaged_untrained_model_ends_in_one_line(run, tmp_path):
    path = tmp_path / "initial.keras"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ScriptError, match=r"initial.keras: cannot be shown: "):
        ask(tmp_path)


NO_MAP = {
    "has no global average pooling": [keras.layers.Flatten(), keras.layers.Dense(4)],
    "has no global average pooling ": [keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(4)],
    "has no global average pooling  ": [keras.layers.AveragePooling2D(32), keras.layers.Flatten(), keras.layers.Dense(4)],
    "last behind its pooling is of no kind": [
        keras.layers.GlobalAveragePooling2D(), keras.layers.BatchNormalization(name="last"), keras.layers.Dense(4)
    ],
    "tanh behind its pooling is of no kind": [
        keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(5, "tanh", name="tanh"), keras.layers.Dense(4)
    ],
}  # fmt: skip


@pytest.mark.parametrize("said", NO_MAP)
def test_a_network_that_has_no_map_is_said_in_one_line(tmp_path, small, said):
    keras.Sequential([keras.Input((32, 32, 3)), *NO_MAP[said]]).save(tmp_path / "model.keras")
    with pytest.raises(ScriptError, match=rf"model.keras: .*{said.strip()}.*; give one of cnn_with_gap.py"):
        ask(tmp_path, "--data", small, "--pixels", "0..1")
    assert not (tmp_path / "confidence_maps.png").exists()


def test_a_branch_behind_the_pooling_is_refused():
    _input = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(_input)
    model = keras.Model(_input, keras.layers.Add()([pooled, keras.layers.Dense(3)(pooled)]))
    with pytest.raises(ScriptError, match="behind its pooling is of no kind"):
        confidence.head_of(model, "m.keras")


@pytest.mark.parametrize("kept", [True, False])
def test_beside_each_map_is_that_of_the_untrained_model_on_the_same_scale(
    run, tmp_path, monkeypatch, small, kept
):
    untrained, trained = run
    if not kept:
        (tmp_path / "initial.keras").unlink()
    shown, rows = [], []
    monkeypatch.setattr(confidence, "lay_over", lambda *values: shown.append(values))
    monkeypatch.setattr(drawing, "plot_cells", lambda *values: rows.extend(values[0]))
    ask(tmp_path)
    (x, y), _ = images.load_tests(small, 0, 0)
    x = x.astype("float32") / 255
    predicted = trained.predict(x, verbose=0).argmax(axis=1)
    pairs = maps.first_right_and_wrong(y, predicted)
    found = [row for row in pairs if row is not None]
    expected = [maps_of(model, x[found], predicted[found])[0] for model in (trained, untrained)[: 1 + kept]]
    columns = [shown[n :: 1 + kept] for n in range(1 + kept)]
    for column, values in zip(columns, expected, strict=True):
        np.testing.assert_allclose([each for _, each, *_ in column], values, rtol=1e-5, atol=1e-6)
    largest = np.max(expected, axis=(0, 2, 3))
    for column in columns:
        np.testing.assert_allclose([scale for *_, scale, _ in column], largest, rtol=1e-5)
        for (image, *_), row in zip(column, found, strict=True):
            np.testing.assert_array_equal(image, np.round(x[row] * 255))
    # The halves, with a gap between them.
    assert [label for label, _ in rows] == ["true class", *"abcd"]
    half = 2 + kept
    assert [rows[0][1][start][0] for start in (0, half + 1)] == ["recognised", "not recognised"]
    assert all(cells[half] is None for _, cells in rows)
    assert all(len(cells) == 2 * half + 1 for _, cells in rows[1:])
    drawn = [cells[start] is not None for _, cells in rows[1:] for start in (0, half + 1)]
    assert drawn == [row is not None for row in pairs]


@pytest.mark.parametrize("values", [[[0.0, 0.5, 1.0]], [[0.0, 0.0, 0.0]]])
def test_a_map_over_an_image_is_as_bright_as_its_values(values):
    laid = confidence.lay_over(np.full((32, 32, 3), 100, "uint8"), np.array(values), np.max(values), 96)
    assert laid.shape == (96, 96, 3)
    columns = laid[:, ::47].astype(int).sum(axis=(0, 2))
    assert (np.diff(columns) > 0).all() if np.any(values) else len(set(columns.tolist())) == 1
