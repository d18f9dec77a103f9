import csv
import json
import zipfile

import keras
import numpy as np
import pytest
from conftest import options, small_batches

from support.ending import ScriptError
from support.run import training


def small_model(layers=(), optimizer="adam"):
    """A network that has a dense layer alone, behind what is to be tried."""
    _input = _hidden = keras.Input((8, 8, 3))
    for layer in layers:
        _hidden = layer()(_hidden)
    _output = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(_hidden))
    model = keras.Model(_input, _output)
    model.compile(
        optimizer() if callable(optimizer) else optimizer,
        "categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def small_run(out, epochs=2, layers=(), optimizer="adam", evaluate_first=False, extra=(), **values):
    """A real training run, of a moment."""
    args = options(out=out, epochs=epochs, batch_size=20, **values)
    keras.utils.set_random_seed(args.seed)
    train, test = small_batches()
    model = small_model(layers, optimizer)
    if evaluate_first:
        model.evaluate(test.dataset, verbose=0)
    run = training.resume(model, train, test, args)
    return model.fit(
        train.dataset, epochs=epochs, verbose=0, validation_data=test.dataset,
        callbacks=[run, *extra], initial_epoch=run.done, shuffle=False,
    )  # fmt: skip


@pytest.mark.filterwarnings(
    "ignore:Skipping variable loading for optimizer"
)  # the optimizer is not looked at
def test_a_run_leaves_its_files(tmp_path):
    results = small_run(tmp_path / "a" / "b")
    names = {path.name for path in (tmp_path / "a" / "b").iterdir()}
    assert names == {".lock", "run.json", "history.csv", "initial.keras", "model.keras"}
    with open(tmp_path / "a" / "b" / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [float(row["loss"]) for row in rows] == results.history["loss"]
    before, after = (
        keras.saving.load_model(tmp_path / "a" / "b" / f"{n}.keras") for n in ("initial", "model")
    )
    assert int(before.optimizer.iterations) == 0
    assert int(after.optimizer.iterations) == 10
    record = json.loads((tmp_path / "a" / "b" / "run.json").read_text())
    assert record["data"] == "noise"
    assert len(results.cpu_seconds) == 2
    assert min(results.cpu_seconds) > 0


def test_every_test_image_counts_also_after_an_evaluation_before_training(tmp_path):
    results = small_run(tmp_path, evaluate_first=True)
    _, test = small_batches()
    x, _ = test.prepare(test.images, test.labels, 3)
    predicted = results.model.predict(x, verbose=0).argmax(axis=1)
    assert results.history["val_accuracy"][-1] == pytest.approx(np.mean(predicted == test.labels))


def loss_scaled():
    """Gradients that are scaled too far up: the first steps are skipped, and each halves the scale."""
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=3.4e38)


LAYERS = {
    "random layers that draw once or twice a step": {
        "layers": [
            lambda: keras.layers.RandomFlip("horizontal"),
            lambda: keras.layers.RandomTranslation(0.3, 0.3),
            lambda: keras.layers.RandomCrop(6, 6),
            lambda: keras.layers.Resizing(8, 8),
            lambda: keras.layers.Dropout(0.5),
        ]
    },
    "random layers inside other layers, batch normalization": {
        "layers": [
            lambda: keras.Sequential([keras.layers.RandomRotation(0.2), keras.layers.GaussianNoise(0.1)]),
            keras.layers.BatchNormalization,
            lambda: keras.layers.Reshape((8, 24)),
            lambda: keras.layers.SimpleRNN(4, dropout=0.3, recurrent_dropout=0.3, unroll=True),
        ]
    },
    "a schedule": {
        "optimizer": lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 15))
    },
    "momentum and averages": {"optimizer": lambda: keras.optimizers.SGD(0.01, momentum=0.9, use_ema=True)},
    "skipped steps": {"layers": [lambda: keras.layers.Rescaling(10)], "optimizer": loss_scaled},
}


@pytest.mark.parametrize("kind", LAYERS.values(), ids=LAYERS)
def test_a_continued_run_is_the_uninterrupted_one(tmp_path, capsys, kind):
    small_run(tmp_path / "whole", epochs=3, **kind)
    small_run(tmp_path / "halves", epochs=1, **kind)
    capsys.readouterr()
    results = small_run(tmp_path / "halves", epochs=3, **kind)
    said = capsys.readouterr().out
    assert "halves: " in said
    assert "(continuing at epoch 2 of 3)" in said
    assert "(if it is stopped, the same command without --fresh goes on)" in said
    whole, halves = (tmp_path / name / "history.csv" for name in ("whole", "halves"))
    assert whole.read_bytes() == halves.read_bytes()
    assert len(results.history["loss"]) == 3


class Draws(keras.callbacks.Callback):
    """How far the generators of the random layers have come, at the beginning of each step."""

    def __init__(self):
        super().__init__()
        self.states = []

    def on_train_batch_begin(self, batch, logs=None):
        variables = self.model.non_trainable_variables
        states = [v for v in variables if v.name == "seed_generator_state"]
        self.states.append([keras.ops.convert_to_numpy(state).tolist() for state in states])


def test_no_step_of_a_run_draws_what_another_has_drawn(tmp_path):
    """A generator begins an epoch with the number of the steps before it, of five an epoch."""
    layers = [lambda: keras.layers.Dropout(0.5), lambda: keras.layers.GaussianNoise(0.1)]
    first, second = Draws(), Draws()
    small_run(tmp_path, epochs=2, layers=layers, extra=[first])
    small_run(tmp_path, epochs=4, layers=layers, extra=[second])
    steps = first.states + second.states
    assert [[drawn for _, drawn in states] for states in steps] == [[n, n] for n in range(20)]
    seeds = {tuple(seed for seed, _ in states) for states in steps}
    assert len(seeds) == 1  # in all epochs, and of each layer its own
    assert len(set(*seeds)) == 2


def test_each_epoch_has_an_order_of_its_own_and_each_seed(tmp_path):
    runs = ((1, 0), (2, 0), (3, 0), (3, 1))
    orders = [
        tuple(small_run(tmp_path / f"{epochs}-{seed}", epochs=epochs, seed=seed).train.order)
        for epochs, seed in runs
    ]
    assert len(set(orders)) == 4
    assert all(sorted(order) == list(range(100)) for order in orders)


def test_a_finished_run_is_not_trained_again(tmp_path, capsys):
    small_run(tmp_path)
    kept = (tmp_path / "model.keras").read_bytes()
    capsys.readouterr()
    results = small_run(tmp_path)
    said = capsys.readouterr().out
    assert "has all 2 epochs already" in said
    assert "continuing" not in said
    assert len(results.history["loss"]) == 2
    assert (tmp_path / "model.keras").read_bytes() == kept
    assert len(small_run(tmp_path, epochs=1).history["loss"]) == 2
    assert "(has all 2 epochs already, more than --epochs 1)" in capsys.readouterr().out


def test_steps_were_really_skipped(tmp_path):
    """Else the test above would not try what it says."""
    model = small_run(tmp_path, epochs=3, **LAYERS["skipped steps"]).model
    assert 0 < int(model.optimizer.iterations) < 15


def test_mixed_precision_goes_on_as_well(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        kind = {"layers": [lambda: keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization]}
        small_run(tmp_path / "whole", epochs=3, **kind)
        small_run(tmp_path / "halves", epochs=1, **kind)
        small_run(tmp_path / "halves", epochs=3, **kind)
    finally:
        keras.config.set_dtype_policy("float32")
    whole, halves = (tmp_path / name / "history.csv" for name in ("whole", "halves"))
    assert whole.read_bytes() == halves.read_bytes()
    with pytest.raises(ScriptError, match="LossScaleOptimizer, not Adam"):
        small_run(tmp_path / "halves", epochs=3, **kind)


def test_a_second_run_in_one_process_goes_on_without_clearing_anything(tmp_path):
    """As in a notebook, where layers' names count up and an interrupted cell is run again."""

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.epoch == 2:
                raise KeyboardInterrupt

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

    with pytest.raises(KeyboardInterrupt):
        small_run(tmp_path / "run", epochs=4, extra=[Interrupt()])
    small_run(tmp_path / "run", epochs=4)
    small_run(tmp_path / "whole", epochs=4)
    whole, run = (tmp_path / name / "history.csv" for name in ("whole", "run"))
    assert whole.read_bytes() == run.read_bytes()


def test_keras_own_backup_carries_the_optimizer_but_repeats_an_epoch(tmp_path):
    """Why a run continues from `model.keras` and not from `BackupAndRestore`'s two files."""

    def fit(epochs):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        model.compile("adam", "mse")
        backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
        history = model.fit(np.ones((10, 4)), np.ones((10, 2)), epochs=epochs, verbose=0, callbacks=[backup])
        return int(model.optimizer.iterations), len(history.epoch)

    assert fit(2) == (2, 2)
    older = (tmp_path / "training_metadata.json").read_text()
    assert fit(3) == (3, 1)
    (tmp_path / "training_metadata.json").write_text(older)  # a kill after the weights, before this
    assert fit(3) == (4, 1)


def test_keras_reads_a_model_that_has_a_history_in_it(tmp_path):
    results = small_run(tmp_path)
    assert "run.json" in zipfile.ZipFile(tmp_path / "model.keras").namelist()
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(loaded.get_weights(), results.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_decides_the_result_is_compared(tmp_path):
    small_run(tmp_path)
    kept = (tmp_path / "model.keras").read_bytes()
    with pytest.raises(ScriptError, match="optimizer class Adam, not SGD"):
        small_run(tmp_path, optimizer="sgd")
    with pytest.raises(ScriptError, match="2 layers, not 3"):
        small_run(tmp_path, layers=[lambda: keras.layers.Dropout(0.5)])
    assert (tmp_path / "model.keras").read_bytes() == kept
    assert small_run(tmp_path, optimizer="sgd", fresh=True).done == 2


def test_the_model_of_another_run_is_not_taken_for_this_one_s(tmp_path):
    for seed in (0, 1):
        small_run(tmp_path / str(seed), seed=seed)
    (tmp_path / "0" / "model.keras").write_bytes((tmp_path / "1" / "model.keras").read_bytes())
    with pytest.raises(ScriptError, match="holds a run with seed 1, not 0"):
        small_run(tmp_path / "0", epochs=3)


@pytest.mark.parametrize("damage", ["gone", "cut", "altered", "a line more"])
def test_the_history_is_written_anew_from_what_the_model_keeps(tmp_path, damage):
    small_run(tmp_path, epochs=3)
    path = tmp_path / "history.csv"
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(whole[:60])
    elif damage == "altered":
        path.write_bytes(whole.replace(b"0.", b"1."))
    else:
        path.write_bytes(whole + whole.splitlines()[-1])
    small_run(tmp_path, epochs=3)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_a_damaged_model_is_said_and_kept(tmp_path, cut):
    small_run(tmp_path)
    path = tmp_path / "model.keras"
    path.write_bytes(path.read_bytes()[:cut])
    damaged = path.read_bytes()
    with pytest.raises(ScriptError, match=r"model.keras: damaged: .*; --fresh starts anew"):
        small_run(tmp_path, epochs=3)
    assert path.read_bytes() == damaged
    assert small_run(tmp_path, fresh=True).done == 2


def test_a_weight_that_has_changed_is_found(tmp_path):
    """Keras would load it: a bit of a number gives another number."""
    run = small_run(tmp_path)
    path = tmp_path / "model.keras"
    kernel = run.model.get_weights()[0]
    whole = path.read_bytes()
    place = whole.index(kernel.tobytes()[:64])
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(ScriptError, match=r"model.keras: damaged: .* has changed; --fresh"):
        small_run(tmp_path, epochs=3)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    small_run(tmp_path, epochs=1)
    kept = (tmp_path / "model.keras").read_bytes()

    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.layers[-1].bias.assign([float("nan")] * 3)

    with pytest.raises(ScriptError, match=r"the loss became nan in epoch 2; .*--fresh"):
        small_run(tmp_path, epochs=3, extra=[Spoil()])
    assert (tmp_path / "model.keras").read_bytes() == kept
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 2
    run = training.resume(small_model(), *small_batches(), options(out=tmp_path, batch_size=20))
    with pytest.raises(ScriptError, match=r"the loss became inf in epoch 2"):  # of a loss without a bound
        run.on_epoch_end(1, {"loss": float("inf")})
