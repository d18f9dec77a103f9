"""What docs/beyond.md says of the recipes' networks."""

import subprocess

import keras
import numpy as np
import pytest
from conftest import ROOT, cold, one_line
from keras.optimizers import schedules

import cnn
from beyond import cnn as beyond_cnn
from beyond import cnn_with_gap, transfer_learning


def images(count=3):
    return np.random.default_rng(0).random((count, 32, 32, 3), dtype="float32")


def layers_of(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_without_dropout_and_batch_normalization_it_is_the_network_of_section_2():
    """Also that ReLU behind the pooling gives the same values as in the convolution."""
    tuned, plain = beyond_cnn.build_model(), cnn.build_model()
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    for one, other in zip(layers_of(tuned, kinds), layers_of(plain, kinds), strict=True):
        one.set_weights(other.get_weights())
    for layer in layers_of(tuned, keras.layers.BatchNormalization):
        layer.epsilon = 0.0
    np.testing.assert_allclose(tuned(images()), plain(images()), atol=1e-5)
    assert [layer.rate for layer in layers_of(tuned, keras.layers.Dropout)] == [0.6]


def test_a_place_of_the_last_maps_sees_34_pixels():
    network = cnn_with_gap.build_model()
    pooling = layers_of(network, keras.layers.GlobalAveragePooling2D)[0]
    inside = keras.Model(network.inputs, pooling.input)
    # Larger images, so that no border is met; no maximum, which hides what is not the largest.
    x = inputs = keras.Input((96, 96, 3))
    for layer in inside.layers[1:]:
        if isinstance(layer, keras.layers.Conv2D):
            x = keras.layers.Conv2D(1, 3, padding="same", use_bias=False, kernel_initializer="ones")(x)
        elif isinstance(layer, keras.layers.MaxPooling2D):
            x = keras.layers.AveragePooling2D(layer.pool_size)(x)
    linear = keras.Model(inputs, x)
    middle = linear.output_shape[1] // 2
    zero = np.zeros((1, 96, 96, 3), "float32")
    seen = 0
    for column in range(96):
        image = zero.copy()
        image[0, :, column] = 1
        seen += bool(linear.predict_on_batch(image)[0, middle, middle, 0])
    assert seen == 34


@pytest.mark.parametrize("alpha", [0.25, 1.0])
def test_mobilenet_gets_larger_images_and_keeps_its_first_blocks(alpha):
    model = transfer_learning.build_model(alpha=alpha, weights=None)
    features = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    weighted = [layer for layer in features.layers if layer.weights]
    frozen = [layer.name for layer in weighted if not layer.trainable]
    assert frozen == [layer.name for layer in weighted[: len(frozen)]]
    assert (frozen[0], frozen[-1]) == ("conv1", "conv_pw_6_bn")
    assert all(layer.trainable for layer in features.layers[features.layers.index(
        features.get_layer("conv_dw_7")):])  # fmt: skip
    shape = features.compute_output_shape((None, 64, 64, 3))
    assert shape[1:3] == (4, 4)
    assert features.layers[-1].name == "conv_pw_9_relu"
    (resizing,) = layers_of(model, keras.layers.Resizing)
    assert resizing.interpolation == "bicubic"
    assert not layers_of(model, keras.layers.Rescaling)
    given = keras.Model(model.inputs, resizing.input).predict(images(), verbose=0)
    assert 0 <= given.min() < 0.1 < 0.9 < given.max() <= 1
    assert resizing.output.shape[1:] == (64, 64, 3)
    edge = np.ones((1, 32, 32, 3), "float32")
    edge[:, :, :16] = -1
    by_default = keras.layers.Resizing(64, 64)

    def steepest(layer):
        return np.abs(np.diff(keras.ops.convert_to_numpy(layer(edge)), axis=2)).max()

    assert steepest(resizing) > 1.1 * steepest(by_default)
    if alpha == 1.0:
        trained = sum(np.prod(weight.shape) for weight in model.trainable_weights)
        assert f"of which {trained:,} are trained" in transfer_learning.build_model.__doc__


@pytest.mark.parametrize(
    ("module", "highest", "rising"),
    [(beyond_cnn, 0.0015, 0), (cnn_with_gap, 0.02, 20), (transfer_learning, 0.001, 20)],
)
def test_the_learning_rate_rises_in_a_tenth_of_the_steps_and_falls_to_zero(
    monkeypatch, small, tmp_path, module, highest, rising
):
    class FitCalledError(Exception):
        pass

    def fit(model, *_, **__):
        raise FitCalledError(model)

    monkeypatch.setattr(keras.Model, "fit", fit)
    command = ["--data", small, "--epochs", "2", "--batch-size", "1", "--out", str(tmp_path)]
    if module is transfer_learning:
        command += ["--alpha", "0.25", "--weights", "none"]
    with pytest.raises(FitCalledError) as called:
        module.main(command)
    model = called.value.args[0]
    schedule = schedules.deserialize(model.optimizer.get_config()["learning_rate"])
    rates = [float(schedule(step)) for step in range(201)]
    assert rates[rising] == max(rates) == pytest.approx(highest)
    assert rates[0] == pytest.approx(0 if rising else highest)
    assert rates[200] == pytest.approx(0, abs=1e-6)
    smoothing = getattr(model.loss, "label_smoothing", 0)
    assert smoothing == (0.1 if module is transfer_learning else 0)


@pytest.mark.parametrize("module", [beyond_cnn, cnn_with_gap, transfer_learning])
def test_each_says_its_number_of_parameters(module):
    options = {"weights": None} if module is transfer_learning else {}
    parameters = f"{module.build_model(**options).count_params():,}"
    assert parameters in module.build_model.__doc__
    assert parameters in (ROOT / "docs" / "beyond.md").read_text()


@pytest.mark.parametrize("name", ["cnn", "cnn_with_gap", "transfer_learning"])
def test_the_path_of_the_file_is_answered_with_the_right_command(name):
    done = subprocess.run(
        cold(ROOT / "beyond" / f"{name}.py", "--summary"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    one_line(done, f"python -m beyond.{name}")
