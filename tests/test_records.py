import keras
import pytest
from conftest import options, small_batches
from keras.optimizers import schedules

from support import run_json
from support.ending import ScriptError
from support.run import records


def small_model(
    optimizer="adam", filters=4, activation="relu", loss="categorical_crossentropy", metrics=("accuracy",)
):
    _input = keras.Input((8, 8, 3))
    _hidden = keras.layers.Conv2D(filters, 3, activation=activation)(_input)
    _output = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(_hidden))
    model = keras.Model(_input, _output)
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


def describe(model=None, train=None, test=None, weights="none", **values):
    batches = small_batches()
    model, train, test = model or small_model(), train or batches[0], test or batches[1]
    return records.describe(model, train, test, options(**{"alpha": 0.5} | values), weights=weights)


def test_a_record_can_be_read():
    record = describe()
    # What docs/recovery.md says that is compared, and the epochs, which are only told.
    assert set(record) - {"epochs"} == {
        *("script", "data", "seed", "batch size", "classes", "training set", "test set"),
        *("optimizer", "loss", "metrics", "layers", "alpha", "weights"),
    }
    assert record["epochs"] == 1
    assert (record["script"], record["data"], record["seed"]) == ("test.py", "noise", 0)
    assert (record["batch size"], record["alpha"], record["weights"]) == (100, 0.5, "none")
    assert record["classes"] == ["class 0", "class 1", "class 2"]
    assert record["training set"]["size"] == 100
    assert record["test set"]["size"] == 30
    assert record["optimizer"]["class"] == "Adam"
    assert record["optimizer"]["beta_1"] == 0.9
    assert (record["loss"], record["metrics"]) == ("categorical_crossentropy", ["accuracy"])
    assert record["layers"][0]["class"] == "Conv2D"
    assert record["layers"][0]["output"] == [6, 6, 4]
    assert record["layers"][0]["parameters"] == 112
    assert record["layers"][0]["kernel_size"] == [3, 3]
    assert record["layers"][0]["dtype"] == "float32"


def test_without_mobilenet_there_is_no_alpha():
    args = options()
    assert not hasattr(args, "alpha")
    assert not {"alpha", "weights"} & set(records.describe(small_model(), *small_batches(), args))


def changed(name):
    train, test = small_batches()
    if name in ("seed", "batch size", "script", "alpha", "weights"):
        values = {"seed": 1, "batch_size": 50, "script": "x.py", "alpha": 1.0, "weights": "imagenet"}
        name = name.replace(" ", "_")
        return describe(**{name: values[name]})
    if name == "images":
        train.images[-1, -1, -1, -1] ^= 1
        return describe(train=train)
    if name == "labels":
        train.labels[[0, 1]] = 1 - train.labels[[0, 1]]
        return describe(train=train)
    if name == "test images":
        test.images[0, 0, 0, 0] ^= 1
        return describe(test=test)
    if name == "test labels":
        test.labels[0] = (test.labels[0] + 1) % 3
        return describe(test=test)
    if name == "class names":
        train.class_names = ["class 0", "cat", "class 2"]
        return describe(train=train)
    if name == "fewer images":
        return describe(train=small_batches(count=80)[0])
    if name == "prepare":
        prepare, train.prepare = train.prepare, lambda *batch: (2 * prepare(*batch)[0], None)
        return describe(train=train)
    if name == "data":
        train.name = "others"
        return describe(train=train)
    models = {
        "optimizer": {"optimizer": "sgd"},
        "learning rate": {"optimizer": keras.optimizers.Adam(0.01)},
        "schedule": {"optimizer": keras.optimizers.Adam(schedules.CosineDecay(0.001, 50))},
        "loss": {"loss": "mse"},
        "metrics": {"metrics": ["mae"]},
    }
    return describe(small_model(**models[name]))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("script", "script test.py, not x.py;"),
        ("seed", "seed 0, not 1;"),
        ("batch size", "batch size 100, not 50;"),
        ("alpha", "alpha 0.5, not 1.0;"),
        ("weights", "weights none, not imagenet;"),
        ("images", r"training set images \w{16}, not \w{16};"),
        ("prepare", r"training set prepared 1 \w{16}, not \w{16};"),
        ("labels", r"training set labels \w{16}, not \w{16};"),
        ("test images", r"test set images \w{16}, not \w{16};"),
        ("test labels", r"test set labels \w{16}, not \w{16};"),
        ("class names", "classes 2 class 1, not cat;"),
        ("fewer images", "training set size 100, not 80;"),
        ("data", "data noise, not others;"),
        ("optimizer", "optimizer class Adam, not SGD;"),
        ("learning rate", r"optimizer learning_rate 0.001\d*, not 0.00999\d*;"),
        ("schedule", r"optimizer learning_rate 0.001\d*, not CosineDecay;"),
        ("loss", "loss categorical_crossentropy, not mse;"),
        ("metrics", "metrics 1 accuracy, not mae;"),
    ],
)
def test_the_value_that_differs_is_named(name, said):
    with pytest.raises(ScriptError, match=f"run: holds a run with {said} --fresh .*--out"):
        run_json.compare("run", describe(), changed(name))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"filters": 5}, "layer 1, Conv2D, filters 4, not 5;"),
        ({"activation": "tanh"}, "layer 1, Conv2D, activation relu, not tanh;"),
    ],
)
def test_the_layer_that_has_changed_is_named(model, said):
    with pytest.raises(ScriptError, match=f"run: the model has changed, {said} --fresh .*--out"):
        run_json.compare("run", describe(), describe(small_model(**model)))


def test_other_epochs_are_the_same_run_unless_the_learning_rate_depends_on_them():
    run_json.compare("run", describe(), describe(epochs=20))
    old, new = (
        describe(small_model(keras.optimizers.Adam(schedules.CosineDecay(0.001, 5 * epochs))), epochs=epochs)
        for epochs in (1, 20)
    )
    with pytest.raises(ScriptError, match="holds a run with --epochs 1, not 20; --fresh"):
        run_json.compare("run", old, new)
    with pytest.raises(ScriptError, match="holds a run with optimizer class Adam, not SGD; --fresh"):
        run_json.compare("run", describe(), describe(small_model("sgd"), epochs=20))


def test_names_of_layers_that_count_up_do_not_matter():
    first = describe()
    assert first == describe()
    run_json.compare("run", first, describe())


def test_a_layer_more_is_said():
    deeper = keras.Sequential([small_model(), keras.layers.Dropout(0.5)])
    deeper.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    with pytest.raises(ScriptError, match="the model has changed, 3 layers, not 4;"):
        run_json.compare("run", describe(), describe(deeper))


def test_a_new_version_of_keras_may_add_to_a_configuration_but_not_change_it():
    old, new = describe(), describe()
    new["layers"][0]["a new setting"] = True
    new["optimizer"]["a new setting"] = 3
    del new["layers"][1]["data_format"]
    run_json.compare("run", old, new)
    old["layers"][0]["strides"] = [2, 2]
    with pytest.raises(ScriptError, match="layer 1, Conv2D, strides 1 2, not 1"):
        run_json.compare("run", old, new)


def test_a_record_without_a_value_is_not_taken_for_one_with_it():
    old = describe()
    del old["seed"]
    with pytest.raises(ScriptError, match="seed None, not 0"):
        run_json.compare("run", old, describe())


@pytest.mark.parametrize("content", ["", "{", "[1]", "3", '{"seed": 0}', '"layers script"', "\ud800"])
def test_a_file_that_is_no_record(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ScriptError, match=r"run.json: .*; move its folder away, or take another --out"):
        run_json.read(path)


def test_the_runs_of_today_go_on_tomorrow():
    """Whoever changes how images are hashed keeps every run that is there from going on."""
    train, _ = small_batches()
    assert records.fingerprint(train) == {
        "size": 100,
        "images": "377aebd430c971aa",
        "labels": "04bd7af81cc5f277",
        "prepared": ["a3d4d7f31c72539c", "fa78f0771df298ce"],
        "pixels": [0, 1],
    }


def test_the_range_of_the_pixels_that_a_network_learns_from_is_on_record():
    train, _ = small_batches()
    divided = train.prepare
    assert records.fingerprint(train)["pixels"] == pytest.approx([0, 1], abs=0.05)
    train.prepare = lambda x, y, num_classes: (2 * divided(x, y, num_classes)[0] - 1, y)
    assert records.fingerprint(train)["pixels"] == pytest.approx([-1, 1], abs=0.1)
