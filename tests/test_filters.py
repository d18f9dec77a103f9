"""`explore.filters` and `visualize_weights.py`: which kernels are shown, and how."""

from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import run_of
from PIL import Image

import transfer_learning
import visualize_weights
from explore import filters, models, regularity, responses
from explore.regularity import kernels_of
from support.data import images
from support.ending import ScriptError
from support.figures import drawing
from support.run import run_folder, state


def first(model):
    return responses.with_kernels_first(model, "m.keras")


def test_the_kernels_come_first():
    convolution = keras.layers.Conv2D(4, (3, 5))
    model = keras.Sequential([keras.Input((32, 32, 3)), convolution, keras.layers.Conv2D(2, 3)])
    assert first(model) is model
    kernels = kernels_of(model)
    np.testing.assert_array_equal(kernels, convolution.get_weights()[0])
    assert kernels.shape == (3, 5, 3, 4)


def test_or_the_convolution_alone_is_taken():
    convolution = keras.layers.Conv2D(4, 3)
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.BatchNormalization(), convolution])
    assert first(model) is convolution


def test_kernels_of_a_model_inside_the_model():
    model = transfer_learning.build_model(alpha=1.0, weights=None)
    assert kernels_of(first(model)).shape == (3, 3, 3, 32)
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    images, numbers = keras.Input((8, 8, 3)), keras.Input((4,))
    joined = keras.layers.Concatenate()(
        [dense(numbers), keras.layers.Flatten()(keras.layers.Conv2D(6, 3)(images))]
    )
    nested = keras.Model([numbers, images], joined)
    assert kernels_of(first(nested)).shape == (3, 3, 3, 6)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([keras.Input((4,)), keras.layers.Dense(2)], "has no convolution"),
        ([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)], "its first convolution sees 1 channels, not 3"),
    ],
)
def test_models_that_have_no_kernels_for_colours(layers, said):
    with pytest.raises(ScriptError, match=rf"m.keras: {said}; give another model"):
        first(keras.Sequential(layers))


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


NO_FILTERS = {
    "nothing": lambda path: path,
    "no model": lambda path: path.write_text("not a model") and path,
    "cut": lambda path: (
        save(path, keras.Input((32, 32, 3)), keras.layers.Conv2D(2, 3)),
        path.write_bytes(path.read_bytes()[:-300]),
    ),
    "no convolution": lambda path: save(path, keras.Input((32, 32, 3)), keras.layers.Dense(2)),
    "one channel": lambda path: save(path, keras.Input((32, 32, 1)), keras.layers.Conv2D(2, 3)),
    "no weights": lambda path: save(path, keras.Input((32, 32, 3)), keras.layers.Flatten()),
}


@pytest.mark.parametrize("question", [filters, visualize_weights])
@pytest.mark.parametrize("kind", NO_FILTERS)
def test_files_that_have_no_filters_to_show(tmp_path, question, kind):
    NO_FILTERS[kind](tmp_path / "m.keras")
    reason = "No such file" if kind == "nothing" else ""
    with pytest.raises(ScriptError, match=rf"m.keras: {reason}.*; give a"):
        question.main([str(tmp_path / "m.keras"), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


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
    with pytest.raises(ScriptError, match="cannot be shown"):
        run_folder.load_model(path)
    assert not written.exists()


def model_of(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Conv2D(6, 5), keras.layers.GlobalAveragePooling2D()]
    )


def keep(folder, seconds=(1,), epochs=20, source="sample", **record):
    """The folder of a run, with an untrained and a trained model."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(("initial.keras", "model.keras")):
        model_of(seed).save(folder / name)
    layers = [{"class": "Conv2D"}, {"class": "GlobalAveragePooling2D"}]
    record = {"data": "CIFAR-10", "script": "cnn.py", "seed": 0, "layers": layers} | record
    run = run_of({"classes": list("abcdef")} | record, seconds=seconds, source=source)
    run.epochs = epochs
    state.write(folder / "model.keras", run)
    return folder / "model.keras"


@pytest.mark.parametrize("question", [filters, visualize_weights])
def test_the_figure_has_a_panel_for_each_model(tmp_path, monkeypatch, small, question):
    monkeypatch.chdir(tmp_path)  # a long path in the title would make both figures as wide
    path, sizes = keep(Path("run"), source=small, classes=list("abcd")), []
    for name in ("one", "two"):
        question.main([str(path), "--out", name])
        sizes.append(Image.open(Path(name, "filters.png")).size[0])
        path.with_name("initial.keras").unlink(missing_ok=True)
    assert sizes[0] > 1.25 * sizes[1]


def test_sorted_each_filter_keeps_its_partner(tmp_path, small, monkeypatch):
    shown = []
    monkeypatch.setattr(drawing, "plot_tiles", lambda tiles, *_: shown.append(list(tiles.values())))
    path = keep(tmp_path, source=small, classes=list("abcd"))
    for sort in ((), ("--sort",)):
        filters.main([str(path), "--out", str(tmp_path), *sort])
    order = regularity.order({"after training": run_folder.load_model(path)}, True)
    assert order.tolist() != list(range(6))
    for before_or_after in (0, 1):
        plain, ordered = (
            [tiles[before_or_after][5 * (n // 2) :, 5 * (n % 2) :][:5, :5].tolist() for n in range(6)]
            for tiles in shown
        )
        assert [plain[n] for n in order] == ordered


def test_images_that_have_moved_are_named_after_the_figure_that_needs_none(tmp_path):
    path = keep(tmp_path, source=str(tmp_path / "moved"))
    with pytest.raises(ScriptError, match=r"moved: no such file or folder; give --data"):
        filters.main([str(path), "--out", str(tmp_path)])
    assert (tmp_path / "filters.png").exists()


def test_a_model_of_nobody_s_run_needs_no_images(tmp_path, capsys):
    model_of(0).save(tmp_path / "m.keras")
    filters.main([str(tmp_path / "m.keras"), "--out", str(tmp_path)])
    assert "give --data SOURCE for images" in capsys.readouterr().out
    assert not (tmp_path / "responses.png").exists()


def args(data=None):
    return type("Args", (), {"data": data, "verbose": 0})


def test_the_images_of_a_run_are_those_of_its_seed(tmp_path):
    (expected, labels), names = images.load_tests("sample", 5, 0)
    asked = models.load(keep(tmp_path, seed=5, classes=list(names)))
    x, y = models.test_images(asked, args())
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(y, labels)


def test_images_of_other_classes_are_refused(tmp_path, small):
    asked = models.load(keep(tmp_path))
    with pytest.raises(ScriptError, match=r"knows a, b, c, d, e, f; the images have a, b, c, d; give --data"):
        models.test_images(asked, args(small))


def test_of_a_model_of_nobody_s_run_nothing_is_made_up(tmp_path, small):
    model_of(0).save(tmp_path / "m.keras")
    model_of(1).save(tmp_path / "initial.keras")  # of which nobody knows whose it is
    asked = models.load(tmp_path / "m.keras")
    assert (asked.trained_on, asked.untrained, asked.run) == ("unknown images", None, {})
    assert asked.class_names == ["0", "1", "2", "3", "4", "5"]
    with pytest.raises(ScriptError, match=r"m.keras: not of a run of these scripts; give --data SOURCE"):
        models.test_images(asked, args())
    assert len(models.test_images(asked, args(small))[0]) == 20


def test_a_run_that_was_stopped_is_said_and_how_long_it_was(tmp_path, capsys):
    for epochs, stopped in ((1, True), (2, True), (20, False)):
        asked = models.load(keep(tmp_path, seconds=[1] * epochs))
        assert asked.trained_on == f"CIFAR-10, {epochs} epoch{'s' * (epochs > 1)}"
        said = capsys.readouterr().out
        assert f"model.keras: 456 parameters, trained on {asked.trained_on}" in said
        assert (f"(stopped after epoch {epochs} of 20): cnn.py goes on" in said) == stopped


def test_images_of_another_size_than_32_are_no_question_for_a_model(tmp_path):
    path = save(tmp_path / "m.keras", keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3))
    with pytest.raises(ScriptError, match=r"m.keras: takes \(None, 8, 8, 3\), not images of 32 x 32"):
        models.load(path)


def test_a_damaged_run_is_not_the_newest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert models.newest("Conv2D").as_posix() == "results/cnn/model.keras"
    path = keep(tmp_path / "results" / "beyond" / "x")
    (tmp_path / "results" / "damaged").mkdir()
    (tmp_path / "results" / "damaged" / "model.keras").write_bytes(path.read_bytes()[:-100])
    assert models.newest("Conv2D").as_posix() == "results/beyond/x/model.keras"
    assert models.newest("Dense").as_posix() == "results/cnn/model.keras"
    assert models.newest("Conv2D", without="GlobalAveragePooling2D").as_posix() == "results/cnn/model.keras"
