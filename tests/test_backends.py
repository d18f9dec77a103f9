"""The three sections and the recipes that train: on each backend, through a kill, to their files.

All on JAX and PyTorch: python -m pytest -q -m matrix
"""

import csv
import importlib.util
import json
import re
import signal

import keras
import numpy as np
import pytest
from conftest import options
from PIL import Image

import cnn
from support.data import images

RECIPES = {  # command, parameters for the four classes of the small data set
    "cnn": (["cnn.py"], 590_784),
    "cnn_with_gap": (["cnn_with_gap.py"], 5_784),
    "beyond/cnn": (["-m", "beyond.cnn"], 591_184),
    "beyond/cnn_with_gap": (["-m", "beyond.cnn_with_gap"], 29_284),
    "transfer_learning": (
        ["transfer_learning.py", "--alpha", "0.25", "--weights", "none"],
        219_572,
    ),
    "beyond/transfer_learning": (
        ["-m", "beyond.transfer_learning", "--alpha", "0.25", "--weights", "none"],
        76_596,
    ),
}
CASES = [
    pytest.param(
        backend,
        name,
        id=f"{backend}-{name}",
        marks=[
            pytest.mark.skipif(not importlib.util.find_spec(backend), reason=f"no {backend} here"),
            *([] if backend == "tensorflow" else [pytest.mark.xdist_group(backend)]),
            # The one with random layers, batch normalization and a schedule stands for the others.
            *([] if backend == "tensorflow" or name == "beyond/cnn_with_gap" else [pytest.mark.matrix]),
        ],
    )
    for backend in ("tensorflow", "jax", "torch")
    for name in RECIPES
]


def read_history(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("backend", "name"), CASES)
def test_it_trains_and_goes_on_after_a_kill(start, script, small, tmp_path, backend, name):
    command, parameters = RECIPES[name]
    command = [*command, "--data", small, "--epochs", 2, "--batch-size", 50]
    # The third model that is saved is that of the second epoch.
    kill = ("keras:Model.save", int(signal.SIGKILL), 3)
    killed = start(*command, backend=backend, interrupt=kill, eager=backend == "tensorflow").wait()
    assert killed.returncode == -signal.SIGKILL
    folder = tmp_path / "results" / name
    assert len(read_history(folder)) == 1
    done = script(*command, backend=backend)
    assert done.stderr == ""
    assert f"results/{name}: 2エポック目から (continuing at epoch 2 of 2)" in done.stdout

    rows = read_history(folder)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    names = {"accuracy.png", "history.csv", "initial.keras", "model.keras", "run.json"}
    assert {p.name for p in folder.iterdir() if not p.name.startswith(".")} == names
    assert Image.open(folder / "accuracy.png").format == "PNG"
    before, after = (
        keras.saving.load_model(folder / f"{n}.keras", compile=False) for n in ("initial", "model")
    )
    assert before.count_params() == after.count_params() == parameters
    assert all(
        (one.numpy() != other.numpy()).any()
        for one, other in zip(before.trainable_weights, after.trainable_weights, strict=True)
    )
    x, y = images_and_labels(small)
    accuracy = (after.predict(x, verbose=0).argmax(axis=1) == y).mean()
    assert float(rows[-1]["val_accuracy"]) == pytest.approx(accuracy)
    assert "(not CIFAR-10 itself: the images in small)" in done.stdout
    if "transfer" in name:
        loss, accuracy = json.loads(re.search(r"^\[.*\]$", done.stdout, re.MULTILINE)[0])
        predicted = before.predict(x, verbose=0)
        assert accuracy == pytest.approx((predicted.argmax(axis=1) == y).mean())
        smoothing = 0.1 if "beyond" in name else 0
        wanted = (1 - smoothing) * np.eye(4)[y] + smoothing / 4
        assert loss == pytest.approx(-(wanted * np.log(predicted)).sum(axis=1).mean(), rel=1e-4)


def images_and_labels(small):
    _, test = images.batches(options(data=small), cnn.prepare)
    x, _ = test[0]
    return x, test.labels
