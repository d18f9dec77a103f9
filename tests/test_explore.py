"""A question to a trained network: what it says about a photo, where it is wrong, the book's arithmetic."""

import hashlib
import json
import re

import keras
import numpy as np
import pytest
from conftest import ROOT, cold, one_line
from PIL import Image

import cnn
import cnn_with_gap
from beyond import cnn as beyond_cnn
from beyond import cnn_with_gap as beyond_gap
from explore import book, by_hand, classify, mistakes, models
from support.data import folder, sample
from support.figures import drawing


@pytest.fixture
def photo(tmp_path):
    """A wide photograph: its middle is not the whole."""
    pixels = np.zeros((60, 100, 3), "uint8")
    pixels[..., 0] = np.linspace(0, 255, 100)
    pixels[20:40, :, 1] = 200
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize(
    "backend",
    ["tensorflow", *(pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("jax", "torch"))],
)
def test_a_photo_is_classified_right_after_installation(script, photo, tmp_path, backend):
    pytest.importorskip(backend)
    done = script("-m", "explore.classify", photo, backend=backend)
    assert "beyond.cnn_with_gap" in done.stdout
    assert "79.6%" in done.stdout
    facts = json.loads((ROOT / "explore/trained.json").read_text())
    model = beyond_gap.build_model()
    model.load_weights(ROOT / "explore/trained.weights.h5")
    x = folder.read_image(photo)[None].astype("float32") / 255
    probabilities = model.predict(x, verbose=0)[0]
    best = probabilities.argsort()[::-1][:3]
    expected = ", ".join(f"{facts['classes'][n]} {probabilities[n]:.0%}" for n in best)
    assert f"{photo}: {expected}\n" in done.stdout
    assert (tmp_path / "results/explore/classify/photos.png").exists()


def test_a_model_of_one_s_own_with_japanese_classes(script, tmp_path, photo):
    rng = np.random.default_rng(0)
    for part, count in (("train", 10), ("test", 2)):
        for n, name in enumerate(("猫", "犬")):
            (tmp_path / "own" / part / name).mkdir(parents=True)
            for k in range(count):
                pixels = rng.integers(128 * n, 128 * n + 127, (32, 32, 3), "uint8")
                Image.fromarray(pixels).save(tmp_path / "own" / part / name / f"{k}.png")
    script("cnn.py", "--data", "own", "--epochs", "1", eager=True)
    done = script("-m", "explore.classify", photo, "--model", "results/cnn/model.keras")
    assert re.search(r"photo.png: (猫|犬) \d+%, (猫|犬) \d+%\n", done.stdout)
    done = script("-m", "explore.mistakes")
    assert (
        "results/cnn/model.keras: 590,582 parameters, trained by cnn.py on the images in own, 1 epoch\n"
        in done.stdout
    )
    assert "4枚 (images)" in done.stdout
    one_line(script("-m", "explore.mistakes", "--data", "sample", code=1), "knows 犬, 猫", "arrow")


def test_what_is_said_of_a_photo_is_never_that_it_is_something(capsys):
    names = ["a", "b", "c", "d"]
    assert list(classify.say("x.jpg", np.array([0.1, 0.2, 0.6, 0.1]), names))[:2] == [2, 1]
    assert capsys.readouterr().out == "x.jpg: c 60%, b 20%, d 10%\n"
    classify.say("x.jpg", np.array([0.3, 0.25, 0.2, 0.25]), names)
    assert "the best is below one half" in capsys.readouterr().out


def test_a_photo_that_cannot_be_shown_ends_in_one_line(script, tmp_path):
    one_line(script("-m", "explore.classify", "nothing.jpg", code=1), "nothing.jpg: No such file")
    (tmp_path / "text.jpg").write_text("no image")
    one_line(script("-m", "explore.classify", "text.jpg", code=1), "text.jpg: not an image")


@pytest.mark.parametrize(
    "path", ["explore/classify.py", "explore/by_hand.py", "explore/maps.py", "beyond/cnn.py"]
)
def test_a_script_called_by_its_path_says_how_to_call_it(tmp_path, path):
    import subprocess

    done = subprocess.run(cold(path), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    one_line(done, f"python -m {path.replace('/', '.').removesuffix('.py')}")


def test_the_shipped_weights_are_those_on_record():
    content = (ROOT / "explore/trained.weights.h5").read_bytes()
    kept = json.loads((ROOT / "benchmarks/runs/trained.json").read_text())
    assert hashlib.sha256(content).hexdigest() == kept["sha256"]
    facts = json.loads((ROOT / "explore/trained.json").read_text())
    runs = json.loads((ROOT / "benchmarks/runs/reproduce.json").read_text())
    run = next(run for run in runs["python -m beyond.cnn_with_gap"] if run["seed"] == kept["seed"])
    assert facts["test accuracy"] == pytest.approx(run["val_accuracy"][-1], abs=1e-5)
    asked = models.load_shipped()
    assert asked.model.count_params() == 29_434
    probabilities = asked.predict(sample.draw(0)[1][0][:20])
    assert probabilities.shape == (20, 10)
    # Weights left as they began give nearly the same answer to every image.
    assert probabilities.max(axis=1).mean() > 0.5
    assert len(set(probabilities.argmax(axis=1))) > 2


def test_confusion_counts_of_a_hand_made_model():
    """A model that answers with the class whose colour channel is brightest."""
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    bright = np.array([0, 0, 1, 1, 2, 2, 2, 0])
    images = np.zeros((8, 32, 32, 3), "uint8")
    images[np.arange(8), :, :, bright] = 255
    _input = keras.Input((32, 32, 3))
    model = keras.Model(_input, keras.layers.GlobalAveragePooling2D()(_input))
    asked = models.Asked(None, model, ["r", "g", "b"])
    counts = mistakes.confusion(labels, asked.predict(images).argmax(axis=1), 3)
    assert counts.tolist() == [[2, 1, 0], [0, 1, 1], [1, 0, 2]]
    pairs = mistakes.worst_pairs(np.add(counts, [[0, 4, 0], [0, 0, 0], [1, 0, 0]]), ["r", "g", "b"], 2)
    assert pairs == [("r", "g", 5), ("b", "r", 2)]


def test_the_figure_of_mistakes_has_the_true_class_in_rows_and_above_25_classes_pairs():
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots()
    mistakes.plot_confusion(axes, np.array([[7, 3], [1, 9]]), ["cat", "dog"])
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    assert shown == {(0, 0): "7", (1, 0): "3", (0, 1): "1", (1, 1): "9"}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted class")
    plt.close(figure)
    figure, axes = plt.subplots()
    counts = np.eye(26, dtype=int) * 9
    counts[3, 5], counts[8, 1] = 4, 6
    mistakes.plot_confusion(axes, counts, [str(n) for n in range(26)])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["3 as 5", "8 as 1"]
    assert [bar.get_width() for bar in axes.patches] == [4, 6]
    plt.close(figure)


def test_the_most_certain_mistakes_come_first(small, tmp_path, monkeypatch, capsys):
    figures = []
    monkeypatch.setattr(drawing, "save", lambda figure, path: figures.append(figure))
    keras.utils.set_random_seed(0)
    _input = keras.Input((32, 32, 3))
    _output = keras.layers.Dense(4, activation="softmax")(keras.layers.Flatten()(_input))
    keras.Model(_input, _output).save(tmp_path / "m.keras")
    words = ["--data", small, "--pixels", "0..1", "--out", str(tmp_path)]
    mistakes.main([str(tmp_path / "m.keras"), *words])
    titles = [ax.get_title() for ax in figures[-1].axes if ax.get_title()]
    found = [re.fullmatch(r"(.)\ntaken for (.) (.*)%", title).groups() for title in titles]
    assert len(found) > 5
    assert all(true != said for true, said, _ in found)
    certain = [float(value) for *_, value in found]
    assert certain == sorted(certain, reverse=True)
    assert len(set(certain)) > 5
    # What is printed is that part of each class's images, a row of the matrix, which is recognised.
    printed = re.findall(r"^ +(\d+\.\d)%  (\w)$", capsys.readouterr().out, re.MULTILINE)
    counts = np.zeros((4, 4))
    for text in figures[0].axes[0].texts:
        counts[int(text.get_position()[1]), int(text.get_position()[0])] = text.get_text()
    assert counts.sum(axis=0).tolist() != counts.sum(axis=1).tolist()
    names = [label.get_text() for label in figures[0].axes[0].get_yticklabels()]
    expected = {
        name: f"{100 * row[n] / row.sum():.1f}"
        for n, (name, row) in enumerate(zip(names, counts, strict=True))
    }
    assert {name: value for value, name in printed} == expected
    assert [float(value) for value, _ in printed] == sorted(map(float, expected.values()), reverse=True)


def reader_s_own():
    """What a reader may make of `build_model`: strides, padding, average pooling, activations apart."""
    from keras import layers

    return keras.Sequential([
        keras.Input((32, 32, 3)),
        layers.Conv2D(4, (3, 5), strides=(2, 1), padding="same", activation="relu"),
        layers.MaxPooling2D(3, strides=2, padding="same"),
        layers.Conv2D(6, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Dense(7, activation="relu"),
        layers.Dense(5, activation="softmax"),
    ])  # fmt: skip


@pytest.mark.parametrize(
    "build",
    [cnn.build_model, cnn_with_gap.build_model, beyond_cnn.build_model, beyond_gap.build_model, reader_s_own],
)
def test_the_book_s_arithmetic_gives_what_keras_does(build):
    keras.utils.set_random_seed(0)
    model, rng = build(), np.random.default_rng(0)
    # Nothing at its initial value: a bias of 0 would hide a mistake.
    model.set_weights([w + np.abs(rng.normal(0, 0.1, w.shape)) for w in model.get_weights()])
    image = rng.uniform(0, 1, (1, 32, 32, 3)).astype("float32")
    rows = by_hand.compare_layers(model, image)
    assert [row[0] for row in rows] == [layer.name for layer in model.layers if layer.name[:5] != "input"]
    for name, _, _, largest, difference in rows:
        assert difference <= 1e-5 * max(1, largest), name
    assert rows[-1][-1] <= 1e-5


def test_axes_of_the_book_and_of_keras():
    rows = by_hand.compare_layers(cnn.build_model(), np.zeros((1, 32, 32, 3), "float32"))
    assert rows[0][1:3] == ((1, 28, 28, 30), (1, 30, 28, 28))
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    col, height, width = book.im2col(x, 2, 3, (1, 2))
    assert (height, width) == (3, 2)
    assert col[1].tolist() == x[0, :, 0:2, 2:5].ravel().tolist()  # the second window: two to the right


def test_one_value_is_worked_out_in_full(capsys):
    model, rng = cnn.build_model(), np.random.default_rng(1)
    image = rng.uniform(0, 1, (1, 32, 32, 3)).astype("float32")
    row, column, value = by_hand.work_out(model.layers[1], image)
    maps = keras.Model(model.inputs, model.layers[1].output).predict(image, verbose=0)
    assert value == pytest.approx(maps[0, row, column, 0], abs=1e-6)
    out = capsys.readouterr().out
    assert out.count("×") - out.count("画素×") == 75
    assert "75個の積の和" in out


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (keras.layers.DepthwiseConv2D(3), "DepthwiseConv2D"),
        (keras.layers.Conv2D(3, 3, dilation_rate=2), "Conv2D with these settings"),
        (keras.layers.Conv2D(3, 3, activation="gelu"), "gelu"),
    ],
)
def test_a_layer_that_by_hand_does_not_know_is_named(layer, words):
    from support.ending import ScriptError

    model = keras.Sequential([keras.Input((32, 32, 3)), layer])
    with pytest.raises(ScriptError, match=words):
        by_hand.compare_layers(model, np.zeros((1, 32, 32, 3), "float32"))


def test_the_newest_run_that_fits_is_asked(script, small, tmp_path):
    script("cnn.py", "--data", small, "--epochs", "1", eager=True)
    script("cnn_with_gap.py", "--data", small, "--epochs", "1", eager=True)
    assert "results/cnn_with_gap/model.keras: 5,784" in script("-m", "explore.by_hand").stdout
    assert "results/cnn_with_gap/model.keras: 5,784" in script("-m", "explore.maps").stdout
    (tmp_path / "results/cnn/model.keras").touch()
    assert "results/cnn/model.keras: 590,784" in script("-m", "explore.by_hand").stdout
    # MobileNet has a pooling inside, but none of its own.
    mobilenet = ["--epochs", "1", "--alpha", "0.25", "--weights", "none"]
    script("transfer_learning.py", "--data", small, *mobilenet, eager=True)
    assert "results/cnn_with_gap/model.keras: 5,784" in script("-m", "explore.maps").stdout
