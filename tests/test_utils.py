import argparse
import json
import math
import subprocess
import sys

import keras
import matplotlib.image
import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import data
import utils


def slow_combine_images(images):
    """The same in single pixels."""
    count, height, width, channels = images.shape
    columns = int(math.sqrt(count))
    rows = 0
    while rows * columns < count:
        rows += 1
    combined = np.zeros((rows * height, columns * width, channels), images.dtype)
    for n in range(count):
        for y in range(height):
            for x in range(width):
                combined[n // columns * height + y, n % columns * width + x] = images[n, y, x]
    return combined


@given(
    arrays.arrays(
        st.sampled_from(["uint8", "float32", "int64", "bool", "complex64"]),
        st.tuples(st.integers(1, 30), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    )
)
def test_combine_images(images):
    combined = utils.combine_images(images)
    assert combined.dtype == images.dtype
    np.testing.assert_array_equal(combined, slow_combine_images(images))


def test_combine_images_of_the_article():
    assert utils.combine_images(np.zeros((30, 5, 5, 3))).shape == (30, 25, 3)


@pytest.mark.parametrize("shape", [(0, 5, 5, 3), (5, 5, 3), (5,), (1, 1, 5, 5, 3)])
def test_combine_images_wants_a_batch(shape):
    with pytest.raises(ValueError, match=r"\(N, H, W, C\)"):
        utils.combine_images(np.zeros(shape))


def test_enlarged_tiles_show_every_pixel_unsmoothed():
    images = np.random.default_rng(0).integers(0, 256, (30, 5, 5, 3), dtype="uint8")
    image = np.asarray(utils.enlarged_tiles(images, side=80, gap=4))
    assert image.shape == (6 * 88, 5 * 88, 3)
    for row, column, n in ((0, 0, 0), (0, 4, 4), (5, 4, 29)):
        tile = image[row * 88 + 4 : row * 88 + 84, column * 88 + 4 : column * 88 + 84]
        np.testing.assert_array_equal(tile[::16, ::16], images[n])
        np.testing.assert_array_equal(tile[15::16, 15::16], images[n])
    assert (image[:4] == 255).all()


# Files and figures


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), utils.replacing(path) as part:
        part.write_text("half of the new \udcff")
    assert path.read_text() == "old"
    with utils.replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_accuracy_figure_marks_the_best_epoch(tmp_path):
    places = []
    for test in ([0.9, 0.5, 0.4], [0.4, 0.9, 0.5], [0.4, 0.5, 0.9]):
        utils.plot_accuracy(
            {"accuracy": [0.2, 0.3, 0.4], "val_accuracy": test}, "T", tmp_path / "a.png"
        )
        pixels = matplotlib.image.imread(tmp_path / "a.png")[..., :3]
        above = pixels[: len(pixels) // 2]  # the legend lies below
        red = np.abs(above - np.array([214, 39, 40]) / 255).max(axis=2) < 0.05
        assert red.sum() > 20
        places.append(red.nonzero()[1].mean() / pixels.shape[1])
    assert places[0] < 0.3 < 0.45 < places[1] < 0.65 < 0.8 < places[2]


def test_result_in_words(capsys):
    utils.print_result({"accuracy": [0.5, 0.9], "val_accuracy": [0.625, 0.6]}, "CIFAR-10")
    said = capsys.readouterr().out
    assert "Best test accuracy 62.5%, at epoch 1." in said
    assert "training accuracy 90.0%, test accuracy 60.0%" in said
    assert "30.0 points between the two are over-fitting" in said
    assert "original" not in said
    utils.print_result({"accuracy": [0.55], "val_accuracy": [0.54]}, "the built-in sample")
    said = capsys.readouterr().out
    assert "not over-fitting" in said
    assert "not the original CIFAR-10 but: the built-in sample" in said


# The command line


def test_command_line():
    parser = utils.command_line("/somewhere/cnn.py", "Does this.\n\nAnd that.", 20, 100)
    args = parser.parse_args([])
    assert args.epochs == 20
    assert args.batch_size == 100
    assert (args.data, args.limit, args.seed, args.fresh, args.show) == (
        None,
        None,
        0,
        False,
        False,
    )
    assert str(args.out) == "results/cnn"
    assert "Does this." in parser.format_help()
    assert "And that." not in parser.format_help()
    assert not hasattr(utils.command_line("show_samples.py", "").parse_args([]), "epochs")


@pytest.mark.parametrize(
    "wrong",
    [
        "--epochs 0",
        "--epochs 1.5",
        "--seed -1",
        "--seed 4294967296",
        "--limit ²",
        "--epoch 3",
        "--typo",
    ],
)
def test_wrong_options_end_in_one_line(wrong, capsys):
    parser = utils.command_line("cnn.py", "", 20, 100)
    with pytest.raises(SystemExit) as exit:
        parser.parse_args(wrong.split())
    assert exit.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cnn.py: error: ")
    assert wrong.split()[0] in line
    assert "--help" in line


def test_keras_is_imported_when_it_is_first_used_and_not_before():
    program = (
        "import sys, utils, keras, data\n"
        "assert 'tensorflow' not in sys.modules and 'keras.src' not in sys.modules\n"
        "assert keras.layers.Dense(3).units == 3\n"
        "assert 'keras.src' in sys.modules \n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


# A training run


def small_pictures():
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (100, 8, 8, 3), "uint8"), rng.integers(0, 3, 100)


def small_run(out, epochs=2, seed=0, extra=(), evaluate_first=False, **settings):
    """A real training run of a network that has a dense layer alone."""
    options = argparse.Namespace(out=out, epochs=epochs, seed=seed, batch_size=20, fresh=False)
    options.__dict__.update({k: settings.pop(k) for k in ("fresh", "batch_size") if k in settings})
    images, labels = small_pictures()
    train = data.batches(images, labels, 3, options.batch_size, seed=seed)
    test = data.batches(images[:30], labels[:30], 3, 10)
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    if evaluate_first:
        model.evaluate(test, verbose=0)
    with utils.Run(options, model, train, "T", **settings) as run:
        model.fit(
            train, epochs=epochs, initial_epoch=run.epoch, validation_data=test, shuffle=False,
            callbacks=run.callbacks + list(extra), verbose=0,
        )  # fmt: skip
    return run


def test_a_run_leaves_its_files(tmp_path):
    run = small_run(tmp_path / "a" / "b", data="D")
    assert run.epoch == 2
    names = {path.name for path in (tmp_path / "a" / "b").iterdir()}
    assert names == {".lock", "run.json", "history.csv", "initial.keras", "model.keras"}
    lines = (tmp_path / "a" / "b" / "history.csv").read_text().splitlines()
    assert lines[0] == "epoch,accuracy,loss,val_accuracy,val_loss"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2"]
    before, after = (
        keras.saving.load_model(tmp_path / "a" / "b" / name)
        for name in ("initial.keras", "model.keras")
    )
    assert int(before.optimizer.iterations) == 0
    assert int(after.optimizer.iterations) == 10
    assert json.loads((tmp_path / "a" / "b" / "run.json").read_text())["data"] == "D"


def test_every_test_picture_counts_also_after_an_evaluation_before_training(tmp_path):
    run = small_run(tmp_path, evaluate_first=True)
    images, labels = small_pictures()
    predicted = run.model.predict(images[:30].astype("float32") / 255, verbose=0).argmax(axis=1)
    assert run.history["val_accuracy"][-1] == pytest.approx(np.mean(predicted == labels[:30]))


def test_a_continued_run_is_the_uninterrupted_one(tmp_path, capsys):
    small_run(tmp_path / "whole", epochs=4)
    small_run(tmp_path / "halves", epochs=1)
    capsys.readouterr()
    small_run(tmp_path / "halves", epochs=4)
    assert "halves: continuing at epoch 2 of 4" in capsys.readouterr().out
    whole, halves = (tmp_path / name / "history.csv" for name in ("whole", "halves"))
    assert whole.read_bytes() == halves.read_bytes()
    run = small_run(tmp_path / "halves", epochs=4)
    assert "has all 4 epochs already" in capsys.readouterr().out
    assert len(run.history["loss"]) == 4


def test_keras_own_backup_carries_the_optimizer_but_repeats_an_epoch(tmp_path):
    """Why a run continues from `model.keras` and not from `BackupAndRestore`'s two files."""

    def fit(epochs):
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        model.compile("adam", "mse")
        backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
        history = model.fit(
            np.ones((10, 4)), np.ones((10, 2)), epochs=epochs, verbose=0, callbacks=[backup]
        )
        return int(model.optimizer.iterations), len(history.epoch)

    assert fit(2) == (2, 2)
    older = (tmp_path / "training_metadata.json").read_text()
    assert fit(3) == (3, 1)
    (tmp_path / "training_metadata.json").write_text(older)  # a kill after the weights, before this
    assert fit(3) == (4, 1)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed 0, not 1"),
        ({"batch_size": 50}, "batch size 20, not 50"),
        ({"data": "other"}, "data D, not other"),
    ],
)
def test_a_run_with_other_settings_is_not_continued(tmp_path, change, named):
    small_run(tmp_path, **{"data": "D"})
    kept = (tmp_path / "model.keras").read_bytes()
    with pytest.raises(utils.RunError, match=f"{named}; add --fresh"):
        small_run(tmp_path, **({"data": "D"} | change))
    assert (tmp_path / "model.keras").read_bytes() == kept
    assert small_run(tmp_path, **({"data": "D", "fresh": True} | change)).epoch == 2


def test_a_model_of_other_origin_is_not_overwritten(tmp_path):
    (tmp_path / "model.keras").write_text("precious")
    with pytest.raises(utils.RunError, match=r"model.keras: not from a run"):
        small_run(tmp_path)
    assert (tmp_path / "model.keras").read_text() == "precious"


@pytest.mark.parametrize("name", ["model.keras", "history.csv", "run.json"])
def test_a_damaged_run_is_said(tmp_path, name):
    small_run(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:40])
    with pytest.raises(utils.RunError, match=r"damaged.*--fresh"):
        small_run(tmp_path, epochs=3)


def test_a_history_that_is_a_line_ahead_of_the_model(tmp_path):
    small_run(tmp_path, epochs=3)
    whole = (tmp_path / "history.csv").read_bytes()
    (tmp_path / "model.keras").unlink()
    small_run(tmp_path, epochs=2)
    (tmp_path / "history.csv").write_bytes(whole)  # killed when the third line was written already
    assert len(small_run(tmp_path, epochs=3).history["loss"]) == 3
    assert (tmp_path / "history.csv").read_bytes() == whole


def test_two_runs_do_not_share_a_folder(tmp_path):
    held = utils.lock(tmp_path / ".lock")
    with pytest.raises(utils.RunError, match="another run"):
        small_run(tmp_path)
    held.close()
    assert small_run(tmp_path).epoch == 2


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    small_run(tmp_path, epochs=1)
    kept = (tmp_path / "model.keras").read_bytes()

    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.layers[-1].bias.assign([float("nan")] * 3)

    with pytest.raises(utils.RunError, match=r"the loss became nan in epoch 2; .*try"):
        small_run(tmp_path, epochs=3, extra=[Spoil()])
    assert (tmp_path / "model.keras").read_bytes() == kept
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 2
