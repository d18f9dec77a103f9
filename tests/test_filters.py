import keras
import numpy as np
import pytest
from conftest import options, run_of
from PIL import Image
from support.regularity import kernels_of

import transfer_learning
import visualize_weights
from support import filters, images, regularity, run_folder
from support.ending import ScriptError


def test_the_kernels_come_first():
    convolution = keras.layers.Conv2D(4, (3, 5))
    model = keras.Sequential([keras.Input((32, 32, 3)), convolution, keras.layers.Conv2D(2, 3)])
    assert filters.with_kernels_first(model) is model
    kernels = kernels_of(model)
    np.testing.assert_array_equal(kernels, convolution.get_weights()[0])
    assert kernels.shape == (3, 5, 3, 4)


def test_or_the_convolution_alone_is_taken():
    convolution = keras.layers.Conv2D(4, 3)
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.BatchNormalization(), convolution])
    assert filters.with_kernels_first(model) is convolution


def test_kernels_of_a_model_inside_the_model():
    model = transfer_learning.build_model(alpha=1.0, weights=None)
    assert kernels_of(filters.with_kernels_first(model)).shape == (3, 3, 3, 32)
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    images, numbers = keras.Input((8, 8, 3)), keras.Input((4,))
    joined = keras.layers.Concatenate()(
        [dense(numbers), keras.layers.Flatten()(keras.layers.Conv2D(6, 3)(images))]
    )
    nested = keras.Model([numbers, images], joined)
    assert kernels_of(filters.with_kernels_first(nested)).shape == (3, 3, 3, 6)


def test_each_filter_is_scaled_by_its_own_range():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(30, 5)])
    kernels, bias = model.get_weights()
    kernels[..., 7] = 2.5  # a filter that is the same everywhere has no range
    model.set_weights([kernels, bias])
    images = visualize_weights.weight_images(model)
    assert len(images) == 30
    assert images[0].shape == (5, 5, 3)
    assert images[0].dtype == np.uint8
    spans = {(int(i.min()), int(i.max())) for n, i in enumerate(images) if n != 7}
    assert spans <= {(0, 255), (0, 254)}
    assert len({int(v) for v in images[7].flat}) == 1
    for n in (0, 29):
        order = kernels[..., n].ravel().argsort()
        assert (np.diff(images[n].ravel()[order].astype(int)) >= 0).all()


def save(path, *layers):
    keras.Sequential(list(layers)).save(path)
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path, "no such file"),
        (lambda path: path.write_text("not a model") and path, "cannot show its filters"),
        (
            lambda path: save(path, keras.Input((4,)), keras.layers.Dense(2)),
            "it has no convolution",
        ),
        (
            lambda path: save(path, keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)),
            "its first convolution sees 1 channels, not 3",
        ),
    ],
)
def test_models_that_have_no_filters_to_show(tmp_path, make, reason):
    path = make(tmp_path / "m.keras")
    with pytest.raises(ScriptError, match=rf"m.keras: .*{reason}"):
        filters.load(path)


@pytest.mark.parametrize("name", ["evil.keras", "evil.h5"])
def test_code_inside_a_model_file_does_not_run(tmp_path, name):
    written = tmp_path / "written"
    # A lambda goes into the file as its byte code.
    write = eval(f"lambda x: (open({str(written)!r}, 'w'), x)[1]")
    path = save(
        tmp_path / name,
        keras.Input((8, 8, 3)),
        keras.layers.Lambda(write),
        keras.layers.Conv2D(2, 3),
    )
    written.unlink(missing_ok=True)  # building the model ran it here
    with pytest.raises(ScriptError, match="cannot show its filters"):
        filters.load(path)
    assert not written.exists()


def model_of(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(6, 5)])


def test_the_figure_has_a_panel_for_each_model(tmp_path):
    sizes = []
    for count in (1, 2):
        models = {when: model_of(0) for when in ("before training", "after training")[-count:]}
        tiles = {when: np.zeros((15, 10, 3), "uint8") for when in models}
        args = options(out=tmp_path / str(count), model=tmp_path / "model.keras", sort=True)
        filters.plot(tiles, models, args)
        sizes.append(Image.open(tmp_path / str(count) / "filters.png").size[0])
    assert sizes[1] > 1.25 * sizes[0]


def test_sorted_each_filter_keeps_its_partner(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(filters, "plot", lambda tiles, models, args: shown.append(tiles))
    models = dict(zip(filters.WHEN, map(model_of, (0, 1)), strict=True))
    for sort in (False, True):
        args = options(out=tmp_path, model=tmp_path / "model.keras", sort=sort, data=None)
        filters.explain(models, visualize_weights.weight_images, args)
    order = regularity.order({"after training": models["weight.png"]}, True)
    assert order.tolist() != list(range(6))
    for when in filters.WHEN.values():
        plain, ordered = (
            [tiles[when][5 * (n // 2) :, 5 * (n % 2) :][:5, :5].tolist() for n in range(6)] for tiles in shown
        )
        assert [plain[n] for n in order] == ordered


def test_images_that_have_moved_are_named_and_passed_over(tmp_path, capsys):
    model = tmp_path / "model.keras"
    model.touch()
    run_folder.write_state(model, run_of({"seed": 0}, source=str(tmp_path / "moved")))
    assert filters.test_images(options(model=model, data=None)) is None
    assert "moved" in capsys.readouterr().out
    assert filters.test_images(options(model=tmp_path / "none.keras", data=None)) is None
    with pytest.raises(ScriptError, match="elsewhere"):
        filters.test_images(options(model=model, data=str(tmp_path / "elsewhere")))


def test_the_images_of_a_run_are_those_of_its_seed(tmp_path):
    model = tmp_path / "model.keras"
    model.touch()
    run_folder.write_state(model, run_of({"seed": 5}))
    x, _ = filters.test_images(options(model=model, data=None, seed=None))
    _, (expected, _), _, _ = images.load_data(options(data="sample", seed=5))
    np.testing.assert_array_equal(x, expected)


def test_a_run_that_was_stopped_is_said_and_how_long_it_was(tmp_path, capsys):
    path = tmp_path / "model.keras"
    for seconds, said in (([1, 1], True), ([1] * 20, False)):
        path.unlink(missing_ok=True)
        path.touch()
        run_folder.write_state(path, run_of({"data": "CIFAR-10", "script": "cnn.py"}, {}, seconds))
        assert filters.trained_on(path) == f"CIFAR-10, {len(seconds)} epochs"
        assert ("was stopped after epoch 2 of 20" in capsys.readouterr().out) == said
    assert filters.trained_on(tmp_path / "none.keras") == "unknown images"
