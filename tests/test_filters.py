"""`explore.filters` and `visualize_weights.py`: which kernels are shown, and how."""

from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import one_line, run_of
from PIL import Image

import transfer_learning
import visualize_weights
from explore import by_hand, classify, filters, maps, mistakes, models, regularity
from explore.convolution import Filters
from support.data import images
from support.ending import ScriptError
from support.figures import drawing
from support.run import run_folder, state


def first(model, pixels="0..1"):
    return Filters(models.Asked(Path("m.keras"), model, [], pixels=pixels), model)


def test_the_kernels_of_the_first_convolution():
    convolution = keras.layers.Conv2D(4, (3, 5))
    model = keras.Sequential([keras.Input((32, 32, 3)), convolution, keras.layers.Conv2D(2, 3)])
    np.testing.assert_array_equal(first(model).kernels, convolution.get_weights()[0])
    assert first(model).kernels.shape == (3, 5, 3, 4)


def test_kernels_of_a_model_inside_the_model():
    model = transfer_learning.build_model(alpha=1.0, weights=None)
    assert first(model).kernels.shape == (3, 3, 3, 32)


CONVOLUTIONS = {
    "has no convolution": [keras.layers.Dense(2)],
    "is a DepthwiseConv2D, not a Conv2D": [keras.layers.DepthwiseConv2D(3), keras.layers.Conv2D(2, 3)],
    "is a SeparableConv2D, not a Conv2D": [keras.layers.SeparableConv2D(2, 3)],
    "has 3 groups, not one": [keras.layers.Conv2D(6, 3, groups=3)],
    "has channels first, not last": [keras.layers.Permute((3, 1, 2)),
                                     keras.layers.Conv2D(2, 3, data_format="channels_first")],
    "sees 6 channels, not 3": [keras.layers.Dense(6), keras.layers.Conv2D(2, 3)],
    "has filters of 33 x 3, and sees 32 x 32": [keras.layers.Conv2D(2, (33, 3), padding="same")],
    "has filters of 17 x 17, and sees 16 x 16": [
        keras.layers.AveragePooling2D(2), keras.layers.Conv2D(2, 9, padding="same", dilation_rate=2)
    ],
}  # fmt: skip


@pytest.mark.parametrize("said", CONVOLUTIONS)
def test_what_is_not_shown_is_said_before_there_is_a_figure(tmp_path, small, said):
    path = save(tmp_path / "m.keras", keras.Input((32, 32, 3)), *CONVOLUTIONS[said])
    with pytest.raises(ScriptError, match=rf"m.keras: .*{said}; give another model"):
        ask(path, small, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_savedmodel_and_weights_alone_are_refused_in_one_line(tmp_path, script):
    model_of(0).save_weights(tmp_path / "m.weights.h5")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    for place in (["-m", "explore.filters"], ["visualize_weights.py"]):
        done = script(*place, "saved", code=1)
        one_line(done, "saved: a SavedModel, which Keras 3 cannot load")
        done = script(*place, "m.weights.h5", code=1)
        one_line(
            done, "m.weights.h5: cannot be shown: No model config", "; give a whole model that Keras saved"
        )
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("question", [filters, visualize_weights])
def test_weights_that_are_no_numbers_are_refused(tmp_path, small, question):
    model = model_of(0)
    kernels, bias = model.get_weights()
    kernels[0, 0, 0, 1] = np.nan
    model.set_weights([kernels, bias])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ScriptError, match=r"m.keras: cannot be shown: some of its weights are no numbers"):
        question.main([str(tmp_path / "m.keras"), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


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


def ask(path, data, out, *options):
    filters.main([str(path), "--data", data, "--pixels", "0..1", "--out", str(out), *options])


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
    words = ["--pixels", "0..1"] if question is filters else []
    with pytest.raises(ScriptError, match=rf"m.keras: {reason}.*; give a"):
        question.main([str(tmp_path / "m.keras"), "--out", str(tmp_path / "out"), *words])
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
def test_the_figure_has_a_panel_for_each_model(tmp_path, small, question):
    path, sizes = keep(tmp_path / (9 * "a long path ") / "run", source=small, classes=list("abcd")), []
    for name in ("one", "two"):
        question.main([str(path), "--out", str(tmp_path / name)])
        sizes.append(Image.open(tmp_path / name / "filters.png").size[0])
        path.with_name("initial.keras").unlink(missing_ok=True)
    assert sizes[0] > 1.25 * sizes[1]


def test_sorted_each_filter_keeps_its_number_and_its_partner(tmp_path, small, monkeypatch):
    shown = {}
    monkeypatch.setattr(drawing, "plot_cells", lambda rows, title, path, *_: shown.update({path.name: rows}))
    path = keep(tmp_path, source=small, classes=list("abcd"))
    models_of = [run_folder.load_model(path.with_name(name)) for name in ("initial.keras", "model.keras")]
    tiles = [visualize_weights.weight_images(model) for model in models_of]
    regular = np.argsort(-regularity.regularity(models_of[1].get_weights()[0])).tolist()
    assert regular != list(range(6))
    for sort, order in (((), list(range(6))), (("--sort",), regular)):
        filters.main([str(path), "--out", str(tmp_path), *sort])
        for place, weights in zip((slice(0, 2), slice(3, 5)), tiles, strict=True):
            panel = [cell for _, cells in shown["filters.png"][1:] for cell in cells[place]]
            assert [int(number) for number, _ in panel] == order
            for number, image in panel:
                np.testing.assert_array_equal(image, weights[int(number)])
        rows = shown["responses.png"][2:]
        assert [int(words.split()[1]) for words, _ in rows] == order
        for n, (_, cells) in zip(order, rows, strict=True):
            np.testing.assert_array_equal(cells[0][1], tiles[1][n])


def test_images_that_have_moved_are_named(tmp_path):
    path = keep(tmp_path, source=str(tmp_path / "moved"))
    with pytest.raises(ScriptError, match=r"moved: no such file or folder; give --data"):
        filters.main([str(path), "--out", str(tmp_path)])


@pytest.mark.parametrize("question", [filters, mistakes, maps, by_hand, classify])
def test_which_pixels_a_model_of_nobody_s_run_takes_has_to_be_said(tmp_path, small, question, photo_of):
    model_of(0).save(tmp_path / "m.keras")
    words = [str(tmp_path / "m.keras"), "--data", small]
    words = [photo_of(small), "--model", words[0]] if question is classify else words
    with pytest.raises(ScriptError, match=r"m.keras: of no run .* give --pixels 0..1 or 0..255"):
        question.main([*words, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.fixture
def photo_of():
    return lambda folder: str(next(Path(folder).rglob("*.png")))


def test_a_model_gets_the_pixels_that_it_takes(tmp_path):
    x = np.array([[[[0, 51, 255]]]], "uint8")
    path = tmp_path / "m.keras"
    model_of(0).save(path)
    for pixels, expected in (("0..1", [0, 0.2, 1]), ("0..255", [0, 51, 255])):
        np.testing.assert_allclose(models.load(path, pixels).prepare(x).ravel(), expected, rtol=1e-6)
    for low, high, expected in ((0, 1, 1), (0, 255, 255)):  # as the run has it on record
        kept = keep(tmp_path / str(high), **{"training set": {"pixels": [low, high]}})
        assert models.load(kept).prepare(x).max() == expected
        assert models.load(kept, "0..1").prepare(x).max() == 1
    with pytest.raises(ScriptError, match=r"give --pixels"):
        models.load(keep(tmp_path / "own", **{"training set": {"pixels": [-1, 1]}}))


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
    asked = models.load(tmp_path / "m.keras", "0..1")
    assert (asked.training, asked.untrained, asked.run) == ("trained on unknown images", None, {})
    assert asked.class_names == ["0", "1", "2", "3", "4", "5"]
    with pytest.raises(ScriptError, match=r"m.keras: not of a run of these scripts; give --data SOURCE"):
        models.test_images(asked, args())
    assert len(models.test_images(asked, args(small))[0]) == 20


def test_a_run_that_was_stopped_is_said_and_how_long_it_was(tmp_path, capsys):
    for epochs, stopped in ((1, True), (2, True), (20, False)):
        asked = models.load(keep(tmp_path, seconds=[1] * epochs))
        assert asked.training == f"trained by cnn.py on CIFAR-10, {epochs} epoch{'s' * (epochs > 1)}"
        said = capsys.readouterr().out
        assert f"model.keras: 456 parameters, {asked.training}" in said
        assert (f"(stopped after epoch {epochs} of 20): cnn.py goes on" in said) == stopped


def test_images_of_another_size_than_32_are_no_question_for_a_model(tmp_path):
    path = save(tmp_path / "m.keras", keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3))
    with pytest.raises(
        ScriptError, match=r"m.keras: takes \(None, 8, 8, 3\) .* not one answer to images of 32"
    ):
        models.load(path)
    path = save(tmp_path / "any.keras", keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3))
    assert first(models.load(path, "0..1").model).layers.output_shape[1] == (None, 30, 30, 2)


def test_a_model_that_gives_two_answers_is_refused(tmp_path):
    _input = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(_input)
    model = keras.Model(_input, [keras.layers.Dense(2)(pooled), keras.layers.Dense(3)(pooled)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ScriptError, match=r"gives .*\(None, 2\), \(None, 3\).*, not one answer"):
        models.load(tmp_path / "m.keras", "0..1")


def test_a_damaged_run_is_not_the_newest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert models.newest("Conv2D").as_posix() == "results/cnn/model.keras"
    path = keep(tmp_path / "results" / "beyond" / "x")
    (tmp_path / "results" / "damaged").mkdir()
    (tmp_path / "results" / "damaged" / "model.keras").write_bytes(path.read_bytes()[:-100])
    assert models.newest("Conv2D").as_posix() == "results/beyond/x/model.keras"
    assert models.newest("Dense").as_posix() == "results/cnn/model.keras"
    assert models.newest("Conv2D", without="GlobalAveragePooling2D").as_posix() == "results/cnn/model.keras"
