import keras
import numpy as np
import pytest
from PIL import Image

import transfer_learning
from explore import responses


def convolution(kernels, **options):
    """A model of one convolution, and the model that shows what it is given and answers."""
    height, width, _, count = kernels.shape
    layer = keras.layers.Conv2D(count, (height, width), activation="relu", **options)
    model = keras.Sequential([keras.Input((16, 16, 3)), layer])
    model.set_weights([kernels, np.zeros(count)])
    return model


def edge():
    """Kernels of 3 x 2: dark on the left and bright on the right, the reverse, and nothing."""
    kernel = np.zeros((3, 2, 3, 3), "float32")
    kernel[:, 0, :, 0], kernel[:, 1, :, 0] = -1, 1
    kernel[..., 1] = -kernel[..., 0]
    return kernel


def step(at, size=16):
    image = np.zeros((size, size, 3), "uint8")
    image[:, at:] = 255
    return image


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2])
def test_a_patch_is_what_the_filter_sees_where_it_answers_most(padding, strides):
    model = convolution(edge(), padding=padding, strides=strides)
    images = np.array([step(5), step(8), step(11)])
    layers = responses.first_layers(model, images)
    given, answers = responses.inputs_and_answers(layers, images)
    np.testing.assert_allclose(given, images / 255, atol=1e-6)
    found = responses.patches(layers, images, 0)
    assert found.shape == (3, 3, 2, 3)
    # The kernel on the patch gives the answer, wherever the padding and the stride have put it.
    values = np.einsum("nhwc,hwc->n", found, edge()[..., 0])
    np.testing.assert_allclose(values, np.asarray(answers)[..., 0].max(axis=(1, 2)), atol=1e-5)
    assert values.max() == 9


def test_patches_of_a_kernel_with_holes():
    kernels = np.random.default_rng(0).normal(size=(3, 3, 3, 2)).astype("float32")
    model = convolution(kernels, dilation_rate=2, padding="same")
    images = np.random.default_rng(1).integers(0, 256, (4, 16, 16, 3), dtype="uint8")
    layers = responses.first_layers(model, images)
    found = responses.patches(layers, images, 1)
    assert found.shape == (4, 5, 5, 3)
    given, answers = responses.inputs_and_answers(layers, images)
    low, high = np.asarray(given).min(), np.asarray(given).max()
    values = np.einsum("nhwc,hwc->n", found[:, ::2, ::2] * (high - low) + low, kernels[..., 1])
    np.testing.assert_allclose(values, np.asarray(answers)[..., 1].max(axis=(1, 2)), rtol=1e-4)


def test_what_prepares_the_images_comes_before_a_convolution():
    layers = [keras.layers.RandomFlip(), keras.layers.Rescaling(2, offset=-1)]
    model = keras.Sequential([keras.Input((16, 16, 3)), *layers, keras.layers.Conv2D(4, 3)])
    images = np.array([step(5), step(8)])
    given, _ = responses.inputs_and_answers(responses.first_layers(model, images), images)
    np.testing.assert_allclose(given, images / 127.5 - 1, atol=1e-6)


def test_a_convolution_inside_a_model_or_alone():
    images = np.array([step(5, 32)])
    model = transfer_learning.build_model(alpha=0.25, weights=None)
    answers = responses.apply(responses.first_layers(model, images), images)
    assert answers.shape == (1, 16, 16, 8)
    alone = model.layers[1].get_layer("conv1")
    np.testing.assert_array_equal(answers, responses.apply(responses.first_layers(alone, images), images))


def test_three_classes_are_shown():
    labels = np.array([3, 3, 0, 1, 2, 4, 5, 0])
    assert labels[responses.first_of_three_classes(labels)].tolist() == [0, 2, 4]
    assert responses.first_of_three_classes(np.array([1, 1, 0])) == [2, 0]


def test_figures_and_the_filters_that_answer_to_nothing(tmp_path, capsys):
    after, before = convolution(edge()), convolution(edge()[..., ::-1])
    images, labels = np.array([step(n) for n in range(3, 13)]), np.arange(10) % 2
    models = {"before training": before, "after training": after}
    responses.plot(models, np.arange(3), (images, labels), tmp_path)
    assert "answer to nothing in 10 test images: 1, 2\n" in capsys.readouterr().out
    both = Image.open(tmp_path / "responses.png").size[0]
    assert (tmp_path / "patches.png").exists()
    responses.plot({"after training": after}, np.arange(3), (images, labels), tmp_path)
    assert Image.open(tmp_path / "responses.png").size[0] < 0.8 * both


def test_every_filter_that_answers_is_not_named(tmp_path, capsys):
    model = convolution(np.ones((3, 3, 3, 2), "float32"))
    responses.plot(
        {"after training": model},
        [0, 1],
        (np.array([step(5)]), np.array([0])),
        tmp_path,
    )
    assert "answer to nothing in 1 test images: none\n" in capsys.readouterr().out


def test_without_images_there_is_a_line(tmp_path, capsys):
    responses.plot({}, [], None, tmp_path)
    assert "give --data SOURCE" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
