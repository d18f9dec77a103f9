from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import run_of
from PIL import Image

import transfer_learning
from explore import filters, models, responses
from explore.convolution import Filters
from support.figures import drawing
from support.run import state


def opened(model, pixels="0..1"):
    return Filters(models.Asked(Path("m.keras"), model, [], pixels=pixels), model)


def convolution(kernels, before=(), behind=(), **options):
    """A model of one convolution with ReLU."""
    height, width, _, count = kernels.shape
    layer = keras.layers.Conv2D(count, (height, width), activation="relu", **options)
    model = keras.Sequential([keras.Input((32, 32, 3)), *before, layer, *behind])
    layer.set_weights([kernels, np.zeros(count)])
    return model


def edge():
    """Kernels of 3 x 2: dark on the left and bright on the right, the reverse, and nothing."""
    kernel = np.zeros((3, 2, 3, 3), "float32")
    kernel[:, 0, :, 0], kernel[:, 1, :, 0] = -1, 1
    kernel[..., 1] = -kernel[..., 0]
    return kernel


def step(at, size=32):
    image = np.zeros((size, size, 3), "uint8")
    image[:, at:] = 255
    return image


def noise(count, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype="uint8")


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2])
def test_a_patch_is_what_the_filter_sees_where_it_answers_most(padding, strides):
    found = opened(convolution(edge(), padding=padding, strides=strides))
    images = np.array([step(5), step(8), step(11)])
    given, answers = found.given_and_answers(images)
    np.testing.assert_allclose(given, images / 255, atol=1e-6)
    patches = found.patches(images, 0)
    assert patches.shape == (3, 3, 2, 3)
    # The kernel on the patch gives the answer, wherever the padding and the stride have put it.
    values = np.einsum("nhwc,hwc->n", patches / 255, edge()[..., 0])
    np.testing.assert_allclose(values, answers[..., 0].max(axis=(1, 2)), atol=1e-5)
    assert values.max() == 9


def test_patches_of_a_kernel_with_holes():
    kernels = np.random.default_rng(0).normal(size=(3, 3, 3, 2)).astype("float32")
    found = opened(convolution(kernels, dilation_rate=2, padding="same"))
    images = noise(4)
    patches = found.patches(images, 1)
    assert patches.shape == (4, 5, 5, 3)
    _, answers = found.given_and_answers(images)
    values = np.einsum("nhwc,hwc->n", patches[:, ::2, ::2] / 255, kernels[..., 1])
    np.testing.assert_allclose(values, answers[..., 1].max(axis=(1, 2)), rtol=1e-3)


IN_THE_MODEL = {
    "Rescaling": ([keras.layers.Rescaling(1 / 255)], lambda x: x / 255),
    "x / 127.5 - 1": ([keras.layers.Rescaling(1 / 127.5, offset=-1)], lambda x: x / 127.5 - 1),
    "Normalization": ([keras.layers.Normalization(mean=[9, 8, 7], variance=[4, 1, 9])],
                      lambda x: (x - [9, 8, 7]) / [2, 1, 3]),
    "pooling": ([keras.layers.Rescaling(1 / 255), keras.layers.AveragePooling2D(2)],
                lambda x: x.reshape(-1, 16, 2, 16, 2, 3).mean(axis=(2, 4)) / 255),
    "a model": ([keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 255)])],
                lambda x: x / 255),
}  # fmt: skip


@pytest.mark.parametrize("kind", IN_THE_MODEL)
def test_what_a_model_does_before_its_first_convolution_is_done(kind):
    layers, outside = IN_THE_MODEL[kind]
    kernels = np.random.default_rng(0).normal(size=(3, 3, 3, 5)).astype("float32")
    kernels[..., 2], images = -np.abs(kernels[..., 2]), noise(20)
    found = opened(convolution(kernels, layers), "0..255")
    given, answers = found.given_and_answers(images)
    np.testing.assert_allclose(given, outside(images.astype("float32")), rtol=1e-5, atol=1e-5)
    expected = keras.layers.Conv2D(5, 3, activation="relu")
    expected.build(given.shape)
    expected.set_weights([kernels, np.zeros(5)])
    expected = keras.ops.convert_to_numpy(expected(outside(images.astype("float32"))))
    np.testing.assert_allclose(answers, expected, rtol=1e-5, atol=1e-5 * np.abs(given).max())


@pytest.mark.parametrize("divide", ["a lambda's operations", "a layer", "a layer in a model in the model"])
def test_a_model_that_divides_by_itself_is_as_one_that_does_not(divide, tmp_path):
    kernels = np.random.default_rng(0).normal(size=(5, 5, 3, 8)).astype("float32")
    kernels[..., 3], kernels[..., 6] = -np.abs(kernels[..., 3]), 0  # which never answer to pixels >= 0
    _input = keras.Input((32, 32, 3))
    if divide == "a lambda's operations":
        model = keras.Model(_input, convolution(kernels)(_input / 255.0))
    elif divide == "a layer":
        model = convolution(kernels, [keras.layers.Rescaling(1 / 255)])
    else:
        inner = convolution(kernels, [keras.layers.Rescaling(1 / 255)])
        model = keras.Model(_input, keras.layers.GlobalAveragePooling2D()(inner(_input)))
    model.save(tmp_path / "m.keras")
    inside = opened(keras.saving.load_model(tmp_path / "m.keras"), "0..255")
    outside, images = opened(convolution(kernels)), noise(30)
    np.testing.assert_allclose(*(each.given_and_answers(images)[1] for each in (inside, outside)), atol=1e-5)
    silent = []
    for each in (inside, outside):
        strongest, weakest = each.excitement(images)
        silent.append(np.flatnonzero((strongest <= weakest).all(axis=0)).tolist())
    assert silent == [[3, 6], [3, 6]]
    np.testing.assert_array_equal(inside.patches(images, 0), outside.patches(images, 0))


def test_a_convolution_inside_a_model_and_what_stands_behind_it():
    model = transfer_learning.build_model(alpha=0.25, weights=None)
    mobilenet = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    # Nothing at its initial value: a normalization that changes nothing would hide a mistake.
    mobilenet.set_weights([w + 0.1 for w in mobilenet.get_weights()])
    found, images = opened(model), noise(2)
    answers = found.given_and_answers(images)[1]
    assert answers.shape == (2, 16, 16, 8)
    expected = keras.Model(mobilenet.inputs, mobilenet.get_layer("conv1_relu").output)
    np.testing.assert_allclose(answers, expected.predict(images / 255, verbose=0), rtol=1e-4, atol=1e-5)


def test_a_filter_whose_answer_is_the_same_everywhere_answers_to_nothing():
    """Behind a batch normalization that is not 0, and one that answers to one image alone is not among them."""
    kernels, images = edge(), np.array([step(0), step(0), step(9)])
    model = convolution(kernels, behind=[keras.layers.BatchNormalization(beta_initializer="ones")])
    strongest, weakest = opened(model).excitement(images)
    assert (strongest > weakest).sum(axis=0).tolist() == [1, 0, 0]


def test_memory_is_bounded_whatever_the_size_of_a_layer():
    large = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Resizing(224, 224),
                              keras.layers.Conv2D(64, 3)])  # fmt: skip
    sizes, found = [], opened(large)
    predict = found.layers.predict_on_batch
    found.layers.predict_on_batch = lambda x: sizes.append(len(x)) or predict(x)
    strongest, _ = found.excitement(noise(12))
    assert strongest.shape == (12, 64)
    assert sum(sizes) == 12
    assert max(sizes) * 222 * 222 * 64 * 4 <= 64 * 2**20
    from explore.graph import batch_size

    assert batch_size(large) == max(sizes)
    assert batch_size(keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(30, 5)])) == 500


def cells_of(monkeypatch, tmp_path, models_of, images, labels):
    """The rows of each figure that `plot` draws."""
    shown = {}
    monkeypatch.setattr(drawing, "plot_cells", lambda rows, title, path, *_: shown.update({path.name: rows}))
    found = {when: opened(model) for when, model in models_of.items()}
    count = found["after training"].kernels.shape[3]
    tiles = np.zeros((count, 3, 2, 3), "uint8")
    responses.plot(found, tiles, np.arange(count), np.zeros(count), (images, labels), "D", tmp_path)
    return shown


@pytest.mark.parametrize(("before", "after"), [(1 / 4, 1), (1, 1 / 4)])
def test_before_and_after_training_have_one_scale(monkeypatch, tmp_path, before, after):
    images, labels = np.array([step(n) for n in range(3, 13)]), np.arange(10) % 2
    networks = {
        "before training": convolution(edge() * before),
        "after training": convolution(edge() * after),
    }
    shown = cells_of(monkeypatch, tmp_path, networks, images, labels)
    (_, head), (_, words), *rows = shown["responses.png"]
    assert [text for text, _ in filter(None, words)][:5] == [
        "weights\nafter",
        *2 * ["before", "after"],
    ]
    np.testing.assert_array_equal(head[2][1], images[0])
    shown = [rows[0][1][n][1] for n in (2, 3)]
    assert [image.max() for image in shown] == [round(255 * before), round(255 * after)]
    np.testing.assert_allclose(shown[0] / before, shown[1] / after, atol=4)


@pytest.mark.parametrize(
    ("size", "shown"), [((28, 28), (28, 28)), ((112, 64), (56, 32)), ((222, 222), (56, 56))]
)
def test_answers_larger_than_a_cell_are_made_smaller(size, shown):
    (maps,) = responses.maps_of([np.ones((2, *size, 3))])
    assert maps.shape == (2, *shown, 3, 3)


def test_ten_filters_a_figure_and_each_has_its_number(monkeypatch, tmp_path):
    kernels = np.random.default_rng(0).normal(size=(3, 3, 3, 23)).astype("float32")
    networks = {"after training": convolution(kernels)}
    shown = cells_of(monkeypatch, tmp_path, networks, noise(9), np.arange(9))
    assert list(shown) == ["responses.png", "responses_2.png", "responses_3.png"]
    numbers = [[int(words.split()[1]) for words, _ in rows[2:]] for rows in shown.values()]
    assert numbers == [list(range(10)), list(range(10, 20)), [20, 21, 22]]


def test_a_filter_that_is_dead_or_nearly_says_so(monkeypatch, tmp_path, capsys):
    images = np.array([*[step(0)] * 7, step(9), step(12)])
    networks = {"after training": convolution(edge())}
    _, _, *rows = cells_of(monkeypatch, tmp_path, networks, images, np.arange(9) % 2)["responses.png"]
    assert [words.splitlines()[2] for words, _ in rows] == [
        "answers to 22.2% of images",
        "answers to 0.0% of images",
        "answers to 0.0% of images",
    ]
    patches = [cells[2 + 2 * 2 :] for _, cells in rows]
    assert [[text for text, _ in cells] for cells in patches] == [
        ["", "", "to no other"], *2 * [["it answers to no image"]]
    ]  # fmt: skip
    assert all(image.max() == 255 for _, image in patches[0][:2])
    assert (
        "9枚のどのテスト画像にも反応しない (answer to none of the test images): 1番 (filter 1), 2番"
        in capsys.readouterr().out
    )


def test_every_filter_that_answers_is_not_named(monkeypatch, tmp_path, capsys):
    networks = {"after training": convolution(np.ones((3, 3, 3, 2), "float32"))}
    cells_of(monkeypatch, tmp_path, networks, np.array([step(5)]), np.array([0]))
    assert "反応しない (answer to none of the test images): なし (none)\n" in capsys.readouterr().out


def test_the_figures_of_a_run_are_drawn(tmp_path, small):
    for name, seed in (("initial.keras", 0), ("model.keras", 1)):
        keras.utils.set_random_seed(seed)
        keras.Sequential([
            keras.Input((32, 32, 3)), keras.layers.Conv2D(12, 5), keras.layers.GlobalAveragePooling2D()
        ]).save(tmp_path / name)  # fmt: skip
    record = {"data": "D", "script": "s", "seed": 0, "classes": list("abcd"), "layers": []}
    state.write(tmp_path / "model.keras", run_of(record, source=small))
    filters.main([str(tmp_path / "model.keras"), "--out", str(tmp_path / "out")])
    heights = {path.name: Image.open(path).size[1] for path in (tmp_path / "out").iterdir()}
    assert set(heights) == {"filters.png", "responses.png", "responses_2.png"}
    assert heights["responses_2.png"] < heights["responses.png"] / 2
