import argparse
import json

import keras
import numpy as np
import pytest

import data
import runs


def small_pictures():
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (100, 8, 8, 3), "uint8"), rng.integers(0, 3, 100)


def small_run(out, epochs=2, seed=0, extra=(), evaluate_first=False, layers=(), **settings):
    """A real training run of a network that has a dense layer alone."""
    options = argparse.Namespace(out=out, epochs=epochs, seed=seed, batch_size=20, fresh=False)
    options.__dict__.update({k: settings.pop(k) for k in ("fresh", "batch_size") if k in settings})
    images, labels = small_pictures()
    train = data.batches(images, labels, 3, options.batch_size, seed=seed)
    test = data.batches(images[:30], labels[:30], 3, 10)
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            *(layer() for layer in layers),
            keras.layers.Flatten(),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    if evaluate_first:
        model.evaluate(test, verbose=0)
    with runs.Run(options, model, train, "T", **settings) as run:
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


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [lambda: keras.layers.RandomFlip("horizontal"), lambda: keras.layers.Dropout(0.5)],
        [keras.layers.BatchNormalization],
    ],
    ids=["plain", "random", "batch normalization"],
)
def test_a_continued_run_is_the_uninterrupted_one(tmp_path, capsys, layers):
    small_run(tmp_path / "whole", epochs=4, layers=layers)
    small_run(tmp_path / "halves", epochs=1, layers=layers)
    capsys.readouterr()
    small_run(tmp_path / "halves", epochs=4, layers=layers)
    assert "halves: continuing at epoch 2 of 4" in capsys.readouterr().out
    whole, halves = (tmp_path / name / "history.csv" for name in ("whole", "halves"))
    assert whole.read_bytes() == halves.read_bytes()
    run = small_run(tmp_path / "halves", epochs=4, layers=layers)
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
    with pytest.raises(runs.RunError, match=f"{named}; add --fresh"):
        small_run(tmp_path, **({"data": "D"} | change))
    assert (tmp_path / "model.keras").read_bytes() == kept
    assert small_run(tmp_path, **({"data": "D", "fresh": True} | change)).epoch == 2


def test_a_model_of_other_origin_is_not_overwritten(tmp_path):
    (tmp_path / "model.keras").write_text("precious")
    with pytest.raises(runs.RunError, match=r"model.keras: not from a run"):
        small_run(tmp_path)
    assert (tmp_path / "model.keras").read_text() == "precious"


@pytest.mark.parametrize("name", ["model.keras", "history.csv", "run.json"])
def test_a_damaged_run_is_said(tmp_path, name):
    small_run(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:40])
    with pytest.raises(runs.RunError, match=r"damaged.*--fresh"):
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
    held = runs.lock(tmp_path / ".lock")
    with pytest.raises(runs.RunError, match="another run"):
        small_run(tmp_path)
    held.close()
    assert small_run(tmp_path).epoch == 2


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    small_run(tmp_path, epochs=1)
    kept = (tmp_path / "model.keras").read_bytes()

    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.layers[-1].bias.assign([float("nan")] * 3)

    with pytest.raises(runs.RunError, match=r"the loss became nan in epoch 2; .*try"):
        small_run(tmp_path, epochs=3, extra=[Spoil()])
    assert (tmp_path / "model.keras").read_bytes() == kept
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 2
