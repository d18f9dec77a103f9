"""The scripts against the article: its tables, its snippets, its words."""

import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import ROOT

import cnn
import cnn_with_gap
import transfer_learning

INPUT = ("input_layer", "InputLayer", "(None, 32, 32, 3)", "0")
CONVOLUTION = ("conv2d", "Conv2D", "(None, 28, 28, 30)", "2,280")
POOLING = ("max_pooling2d", "MaxPooling2D", "(None, 14, 14, 30)", "0")
LAST = ("dense_1", "Dense", "(None, 10)", "1,010")
# Row for row as in sections 2.3, 4.2 and 5.1, with the names that Keras gives today.
TABLES = {
    "cnn.py": [
        ([INPUT, CONVOLUTION, POOLING], ("2,280", "2,280", "0")),
        (
            [INPUT, CONVOLUTION, POOLING, ("dense", "Dense", "(None, 14, 14, 100)", "3,100")],
            ("5,380", "5,380", "0"),
        ),
        (
            [INPUT, CONVOLUTION, POOLING, ("flatten", "Flatten", "(None, 5880)", "0"),
             ("dense", "Dense", "(None, 100)", "588,100"), LAST],
            ("591,390", "591,390", "0"),
        ),
    ],
    "transfer_learning.py": [
        (
            [INPUT, ("mobilenet_1.00_224", "Functional", "(None, 1024)", "3,228,864"),
             ("dense", "Dense", "(None, 10)", "10,250")],
            ("3,239,114", "3,217,226", "21,888"),
        )
    ],
    "cnn_with_gap.py": [
        (
            [INPUT, CONVOLUTION, POOLING,
             ("global_average_pooling2d", "GlobalAveragePooling2D", "(None, 30)", "0"),
             ("dense", "Dense", "(None, 100)", "3,100"), LAST],
            ("6,390", "6,390", "0"),
        )
    ],
}  # fmt: skip


def tables_in(text):
    """The tables that `model.summary()` has printed: rows, and the three totals."""
    tables = []
    for part in text.split("Model: ")[1:]:
        # A long row is broken into two lines.
        cells = [[c.strip() for c in line.split("│")[1:-1]] for line in part.splitlines() if "│" in line]
        rows = []
        for name, shape, count in cells:
            if shape:
                rows.append([name, shape, count])
            else:
                rows[-1][0] += f" {name}"
        parsed = [re.fullmatch(r"(\S+) \((\w+)\)", name).groups() for name, _, _ in rows]
        totals = re.findall(r"(?:Total|Trainable|Non-trainable) params: ([\d,]+)", part)
        rows = [(*name, *row[1:]) for name, row in zip(parsed, rows, strict=True)]
        tables.append((rows, tuple(totals)))
    return tables


@pytest.mark.parametrize("name", TABLES)
def test_summary_prints_the_article_s_tables_row_for_row(script, tmp_path, name):
    done = script(name, "--summary")
    assert tables_in(done.stdout) == TABLES[name]
    assert done.stderr == ""
    folder = tmp_path / "results" / name.removesuffix(".py")
    assert [path.name for path in folder.iterdir()] == ["model.png"]
    assert "no screen for --show" in script(name, "--summary", "--show", MPLBACKEND=None).stderr


@pytest.mark.parametrize("change", ["another convolution", "dropout", "no pooling", "sequential"])
def test_a_changed_network_does_not_break_the_summary(tmp_path, capsys, monkeypatch, change):
    """What the README invites to."""
    from keras import Model, Sequential
    from keras.layers import Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D

    def build_model(num_classes=10):
        _input = Input(shape=(32, 32, 3))
        _hidden = Conv2D(30, 5, activation="relu")(_input)
        if change != "no pooling":
            _hidden = MaxPooling2D()(_hidden)
        if change == "another convolution":
            _hidden = MaxPooling2D()(Conv2D(20, 3, padding="same")(_hidden))
        _hidden = Flatten()(_hidden)
        if change == "dropout":
            _hidden = Dropout(0.5)(_hidden)
        _output = Dense(num_classes, activation="softmax")(_hidden)
        model = Model(_input, _output)
        return Sequential(model.layers) if change == "sequential" else model

    monkeypatch.setattr(cnn, "build_model", build_model)
    cnn.main(["--summary", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert said.count("Total params") == 3
    assert f"Total params: {build_model().count_params():,}" in said
    assert (tmp_path / "model.png").exists()


@pytest.mark.parametrize("script", [cnn, cnn_with_gap, transfer_learning])
def test_a_model_is_uncompiled_and_gives_class_probabilities(script):
    options = {"alpha": 0.25, "weights": None} if script is transfer_learning else {}
    model = script.build_model(num_classes=7, **options)
    assert not model.compiled
    probabilities = model(np.zeros((3, 32, 32, 3), "float32"))
    assert probabilities.shape == (3, 7)
    np.testing.assert_allclose(keras.ops.sum(probabilities, axis=1), 1, rtol=1e-5)


# What the article prints must stand in the script of its section, but for line breaks and quotes.
LINES = {
    "show_samples.py": [
        "plt.subplot(1, n, i + 1)", "plt.imshow(image)", "plt.axis('off')", "for i in range(n):",
        "image = toimage(x_train[i])",
    ],
    "cnn.py": [
        "_input = Input(shape=(32, 32, 3))",
        "_hidden = Conv2D(filters=30, kernel_size=5, strides=(1, 1), padding='valid', "
        "activation='relu')(_input)",
        "_hidden = MaxPooling2D(pool_size=(2, 2))(_hidden)",
        "_hidden = Flatten()(_hidden)",
        "_hidden = Dense(100, activation='relu')(_hidden)",
        "from keras.utils import to_categorical",
        "x = x.astype('float32') / 255.", "y = to_categorical(y, num_classes=num_classes)",
        "model.compile(optimizer='adam', loss='categorical_crossentropy', metrics=['accuracy'])",
        "_results = model.fit(",
    ],
    "utils.py": [
        "num = images.shape[0]", "width = int(math.sqrt(num))", "shape = images.shape[1:]",
        "image = np.zeros((height * shape[0], width * shape[1], shape[2]), dtype=images.dtype)",
        "for index, img in enumerate(images):", "j = index % width",
        "image[i * shape[0] : (i + 1) * shape[0], j * shape[1] : (j + 1) * shape[1], :] = img",
        "return image",
    ],
    "visualize_weights.py": [
        "from keras.preprocessing.image import array_to_img",
        "weights = model.get_weights()", "weights = weights[0]", "weights = np.split(weights, ",
        "weight_image = []", "for weight in weights:", "weight = np.squeeze(weight, axis=3)",
        "weight = array_to_img(weight)", "weight = np.array(weight)", "weight_image.append(weight)",
        "img = combine_images(np.array(weight_image)", "Image.fromarray(img.astype(np.uint8))",
        "weight.png",
    ],
    "transfer_learning.py": [
        "from keras.applications.mobilenet import MobileNet", "_input = Input(shape=(32, 32, 3))",
        "_hidden = MobileNet(include_top=False, pooling='avg'",
        "from keras.utils import to_categorical",
        "x = x.astype('float32') / 255.", "y = to_categorical(y, num_classes=num_classes)",
        "model = ", "print(model.evaluate(",
        "model.compile(optimizer='adam', loss='categorical_crossentropy', metrics=['accuracy'])",
        "_results = model.fit(",
    ],
    "cnn_with_gap.py": [
        "_hidden = MaxPooling2D(pool_size=(2, 2))(_hidden)",
        "_hidden = GlobalAveragePooling2D()(_hidden)",
        "_hidden = Dense(100, activation='relu')(_hidden)",
        "model.compile(optimizer='adam', loss='categorical_crossentropy', metrics=['accuracy'])",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_the_article_s_lines_stand_in_the_script(name):
    def plain(text):
        return re.sub(r"\s+|,(?=\s*\))", "", text.replace('"', "'"))

    text = plain((ROOT / name).read_text())
    for line in LINES[name]:
        assert plain(line) in text, line


def test_importing_a_script_does_nothing_and_loads_nothing(tmp_path):
    program = (
        "import sys, show_samples, cnn, visualize_weights, transfer_learning, cnn_with_gap, utils\n"
        "print([m for m in ('keras', 'tensorflow', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
