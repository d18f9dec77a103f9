"""The five scripts as a reader runs them: subprocesses, in an empty folder, without a network."""

import keras
import pytest
from conftest import one_line
from PIL import Image

import data

SCRIPTS = [
    "show_samples.py",
    "cnn.py",
    "visualize_weights.py",
    "transfer_learning.py",
    "cnn_with_gap.py",
]
TRAINING = ["cnn.py", "transfer_learning.py", "cnn_with_gap.py"]
SMALL = ["--data", "sample", "--limit", 500, "--epochs", 1]


def read_history(folder):
    lines = (folder / "history.csv").read_text().splitlines()
    return [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]


@pytest.fixture
def without_keras(tmp_path):
    """A PYTHONPATH on which Keras is broken."""
    (tmp_path / "broken" / "keras").mkdir(parents=True)
    (tmp_path / "broken" / "keras" / "__init__.py").write_text("raise ImportError('no Keras here')")
    return {"PYTHONPATH": str(tmp_path / "broken")}


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_and_typos_are_answered_without_keras(script, without_keras, name):
    shown = script(name, "--help", **without_keras)
    assert "--data SOURCE" in shown.stdout
    assert ("--epochs" in shown.stdout) == (name != "show_samples.py")
    assert ("--summary" in shown.stdout) == (name in TRAINING)
    assert shown.stderr == ""
    one_line(script(name, "--typo", code=2, **without_keras), name, "--typo", "--help")
    one_line(script(name, "--data", "nowhere", code=1, **without_keras), "nowhere", "cifar10")


def test_keras_is_not_installed(script, without_keras):
    done = script("cnn.py", *SMALL, code=1, **without_keras)
    one_line(done, "no Keras here", "pip install -r requirements.txt")


def test_show_samples(script, tmp_path):
    done = script("show_samples.py", "--data", "sample", "--count", 5)
    assert "(5000, 32, 32, 3) uint8, 0 to 255" in done.stdout
    assert done.stderr == ""
    sizes = [
        Image.open(tmp_path / "results" / "show_samples" / f"{n}.png").size
        for n in ("samples", "classes")
    ]
    assert sizes[0][0] > 3 * sizes[0][1]  # five in a row
    assert sizes[1][1] > 700
    script("show_samples.py", "--data", "sample", "--count", 13, "--limit", 50, "--out", "more")
    assert (tmp_path / "more" / "samples.png").exists()


@pytest.mark.parametrize(
    ("name", "parameters", "extra"),
    [
        ("cnn.py", 591_390, []),
        ("cnn_with_gap.py", 6_390, []),
        ("cnn_with_gap.py", 24_314, ["--recipe", "tuned"]),
        ("transfer_learning.py", 221_114, ["--alpha", "0.25", "--weights", "none"]),
        (
            "transfer_learning.py",
            40_250,
            ["--alpha", "0.25", "--weights", "none", "--recipe", "tuned"],
        ),
    ],
)
def test_training(script, tmp_path, name, parameters, extra):
    done = script(name, *SMALL, *extra)
    assert done.stderr == ""
    folder = tmp_path / "results" / (name.removesuffix(".py") + "_tuned" * ("tuned" in extra))
    assert {p.name for p in folder.iterdir() if p.name[0] != "."} == {
        *("accuracy.png", "history.csv", "initial.keras", "model.keras", "run.json"),
        *(["confidence_maps.png"] if name == "cnn_with_gap.py" else []),
    }
    (row,) = read_history(folder)
    assert f"Best test accuracy {float(row['val_accuracy']):.1%}, at epoch 1." in done.stdout
    assert "the built-in sample" in done.stdout
    before, after = (
        keras.saving.load_model(folder / f"{n}.keras", compile=False) for n in ("initial", "model")
    )
    assert before.count_params() == after.count_params() == parameters
    _, (x_test, y_test), _, _ = data.load("sample", 0, 500)
    predicted = after.predict(x_test.astype("float32") / 255, verbose=0).argmax(axis=1)
    assert float(row["val_accuracy"]) == pytest.approx((predicted == y_test).mean())
    changed = [
        (a.numpy() != b.numpy()).any()
        for a, b in zip(before.trainable_weights, after.trainable_weights, strict=True)
    ]
    assert all(changed)
    if name == "cnn_with_gap.py":
        assert f"{parameters:,} parameters; with Flatten there are 591,390" in done.stdout
    if name == "transfer_learning.py":
        assert "before training: loss " in done.stdout
        assert f"before training, {float(row['val_accuracy']):.1%} after 1" in done.stdout


@pytest.mark.parametrize(
    ("name", "total"),
    [("cnn.py", "591,390"), ("cnn_with_gap.py", "6,390"), ("transfer_learning.py", "3,239,114")],
)
def test_summary_needs_no_data(script, tmp_path, name, total):
    done = script(name, "--summary", "--data", "nowhere")
    assert f"Total params: {total} " in done.stdout
    if name == "transfer_learning.py":
        assert "Non-trainable params: 21,888 " in done.stdout
    (drawn,) = (tmp_path / "results").rglob("*.*")
    assert drawn == tmp_path / "results" / name.removesuffix(".py") / "model.png"


def test_the_same_seed_gives_the_same_files(script, tmp_path):
    for folder in ("one", "two", "other"):
        seed = 1 if folder == "other" else 0
        script("cnn.py", *SMALL, "--seed", seed, "--out", folder)
        script("visualize_weights.py", f"{folder}/model.keras", "--out", f"{folder}_weights")
    one, two, other = ((tmp_path / n / "history.csv").read_bytes() for n in ("one", "two", "other"))
    assert one == two != other
    for name in ("before.png", "after.png", "weights.png"):
        one, two, other = (
            (tmp_path / f"{n}_weights" / name).read_bytes() for n in ("one", "two", "other")
        )
        assert one == two != other


def test_visualize_weights_trains_first_where_there_is_no_model(script, tmp_path):
    done = script("visualize_weights.py", *SMALL)
    assert "running cnn.py first" in done.stdout
    assert done.stderr == ""
    folder = tmp_path / "results" / "visualize_weights"
    assert {p.name for p in folder.iterdir()} == {"before.png", "after.png", "weights.png"}
    assert Image.open(folder / "before.png").size == (5 * 88, 6 * 88)
    assert (folder / "before.png").read_bytes() != (folder / "after.png").read_bytes()
    assert len(read_history(tmp_path / "results" / "cnn")) == 1
    assert "running cnn.py" not in script("visualize_weights.py").stdout
    # Sorted, each filter keeps its partner: the same tiles, both pictures in the same new order.
    assert "of 30 above" in script("visualize_weights.py", "--sort", "--out", "sorted").stdout
    tiles = {
        (where, when): [
            Image.open(path / f"{when}.png").crop((x, y, x + 88, y + 88)).tobytes()
            for y in range(0, 528, 88)
            for x in range(0, 440, 88)
        ]
        for where, path in (("network", folder), ("sorted", tmp_path / "sorted"))
        for when in ("before", "after")
    }
    moves = [tiles["network", "after"].index(tile) for tile in tiles["sorted", "after"]]
    assert sorted(moves) == list(range(30)) != moves
    assert [tiles["network", "before"][n] for n in moves] == tiles["sorted", "before"]
    # A wish that does not fit the model at hand is not passed over.
    one_line(
        script("visualize_weights.py", *SMALL, "--seed", 3, code=1), "seed 0, not 3", "--fresh"
    )
    one_line(
        script("visualize_weights.py", "results/cnn/model.keras", "--epochs", 2, code=2),
        "--epochs",
        "MODEL",
    )
    one_line(
        script("visualize_weights.py", "nothing.keras", code=1), "nothing.keras", "no such file"
    )


def test_without_cifar10_a_script_goes_on_with_the_sample_and_says_so(script):
    done = script("cnn.py", "--limit", 500, "--epochs", 1)
    assert "not in Keras' cache" in done.stderr
    assert "taking the built-in sample instead" in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert "not the original CIFAR-10 but: the built-in sample" in done.stdout


def test_cifar10_by_name_is_cifar10_or_an_error(script, tmp_path):
    done = script("cnn.py", "--data", "cifar10", code=1)
    one_line(done, "CIFAR-10: not in Keras' cache", "--data")
    assert "skipped https://zenodo.org/" in done.stdout
    assert "skipped https://www.cs.toronto.edu/" in done.stdout
    assert not (tmp_path / "results").exists()


def test_weights_left_out_are_the_best_to_be_had_and_weights_named_are_those(script):
    done = script("transfer_learning.py", *SMALL, "--alpha", "0.25", code=0)
    assert "this is no transfer learning" in done.stderr
    assert "weights: none" not in done.stderr
    one_line(
        script("transfer_learning.py", *SMALL, "--weights", "imagenet", code=1), "weights imagenet"
    )
    one_line(
        script("transfer_learning.py", *SMALL, "--weights", "no.h5", code=1), "no.h5: no such file"
    )
    one_line(script("transfer_learning.py", "--alpha", "0.6", code=2), "--alpha")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_folder_that_cannot_be_written_is_found_first(script, tmp_path, name):
    (tmp_path / "file").write_text("in the way")
    small = SMALL if name in TRAINING else SMALL[:2] if name == "show_samples.py" else ["m.keras"]
    if name == "visualize_weights.py":
        keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)]).save(
            tmp_path / "m.keras"
        )
    extra = ["--alpha", 0.25, "--weights", "none"] if name == "transfer_learning.py" else []
    done = script(name, *small, *extra, "--out", "file/below", code=1)
    one_line(done, "file", "Not a directory", "--out")
    assert "Epoch 1" not in done.stdout
    assert (tmp_path / "file").read_text() == "in the way"
