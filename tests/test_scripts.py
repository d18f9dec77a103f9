"""The scripts as a reader runs them, in an empty folder and without a network."""

import json
import shutil
import signal

import keras
import numpy as np
import pytest
from conftest import SCRIPTS, epochs_in, one_line
from PIL import Image

import transfer_learning

WEIGHTS = ["filters.png", "weight.png", "weight_before.png"]
ANSWERS = ["filters.png", "responses.png", "responses_2.png", "responses_3.png"]


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_show_samples(script, small, tmp_path):
    done = script("show_samples.py", "--data", small)
    assert "training set (100, 32, 32, 3), test set (20, 32, 32, 3)" in done.stdout
    assert done.stderr == ""
    folder = tmp_path / "results" / "show_samples"
    sizes = [Image.open(folder / f"{n}.png").size for n in ("samples", "classes")]
    assert 2 < sizes[0][0] / sizes[0][1] < 4  # three in a row
    script("show_samples.py", "--data", small, "--count", 13, "--out", "more")
    width, height = Image.open(tmp_path / "more" / "samples.png").size
    assert width > 9 * height


def test_the_same_seed_gives_the_same_files(script, small, tmp_path):
    found = []
    for folder, seed in (("one", 0), ("two", 0), ("other", 1)):
        (tmp_path / folder).mkdir()
        script("cnn.py", "--data", small, "--epochs", 1, "--seed", seed, folder=folder)
        script("visualize_weights.py", folder=folder)
        script("-m", "explore.filters", folder=folder)
        results = tmp_path / folder / "results"
        paths = [results / "visualize_weights" / name for name in WEIGHTS]
        paths += [results / "explore" / "filters" / name for name in ANSWERS]
        found.append([path.read_bytes() for path in (*paths, results / "cnn" / "history.csv")])
    assert found[0] == found[1]
    assert all(one != other for one, other in zip(found[0], found[2], strict=True))


def test_what_is_shown_of_a_trained_network(script, small, tmp_path):
    script("cnn.py", "--data", small, "--epochs", 1)
    assert epochs_in(tmp_path / "results" / "cnn") == 1
    # The article's figures, of the network before and after training.
    done = script("visualize_weights.py")
    assert done.stderr == ""
    folder = tmp_path / "results" / "visualize_weights"
    assert names_in(folder) == WEIGHTS
    assert Image.open(folder / "weight.png").size == (16 * 5 * 5, 16 * 6 * 5)
    assert (folder / "weight.png").read_bytes() != (folder / "weight_before.png").read_bytes()
    # The question that goes further finds the images again, though nobody names them.
    said = script("-m", "explore.filters").stdout
    assert "leading eigenvectors" in said
    assert "20枚のどのテスト画像にも反応しない (answer to none of the test images)" in said
    plain = tmp_path / "results" / "explore" / "filters"
    assert names_in(plain) == ANSWERS
    # Sorted, every figure is another.
    assert "of 30 above" in script("-m", "explore.filters", "--sort", "--out", "sorted").stdout
    changed = [n for n in ANSWERS if (plain / n).read_bytes() != (tmp_path / "sorted" / n).read_bytes()]
    assert changed == ANSWERS
    # A network of these classes has no answer for images of others, and has nothing to pool.
    one_line(script("-m", "explore.filters", "--data", "sample", code=1), "a, b, c, d", "--data")
    one_line(script("-m", "explore.maps", "results/cnn/model.keras", code=1), "no global average pooling")


def test_a_model_alone_is_shown_after_training_only(script, small, tmp_path):
    script("cnn.py", "--data", small, "--epochs", 1)
    (tmp_path / "results" / "cnn" / "model.keras").rename(tmp_path / "alone.keras")
    done = script("visualize_weights.py", "alone.keras", "--out", "alone")
    assert "initial.kerasが見つからないので、学習前の画像は作らない" in done.stdout
    assert "(not found: no filters before training)" in done.stdout
    assert names_in(tmp_path / "alone") == ["filters.png", "weight.png"]
    # Its images are known still.
    assert "(answer to none of the test images)" in script("-m", "explore.filters", "alone.keras").stdout
    one_line(script("visualize_weights.py", "no.keras", code=1), "no.keras", "No such file")
    one_line(script("visualize_weights.py", code=1), "results/cnn/model.keras", "python cnn.py")


def test_without_cifar10_a_script_goes_on_with_the_sample_and_says_so(script):
    done = script("cnn.py", "--limit", 50, "--epochs", 1)
    assert "not in Keras' cache" in done.stderr
    assert "taking the built-in sample instead" in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert "(not CIFAR-10 itself: the built-in sample)" in done.stdout


def test_cifar10_by_name_is_cifar10_or_an_error(script, tmp_path):
    done = script("cnn.py", "--data", "cifar10", code=1)
    one_line(done, "CIFAR-10: not in Keras' cache", "--data")
    for origin in ("zenodo.org", "air-example-data", "www.cs.toronto.edu"):
        assert f"skipped https://{origin}" in done.stdout
    assert not (tmp_path / "results").exists()


def test_weights_left_out_are_the_best_to_be_had_and_weights_named_are_those(start, script, small, tmp_path):
    command = ["transfer_learning.py", "--data", small, "--alpha", "0.25"]
    # The untrained model is evaluated, and then the training is stopped before it begins.
    stop = ("support.run.training:resume", int(signal.SIGINT), 1)
    left_out = start(*command, interrupt=stop).wait()
    assert "no transfer learning" in left_out.stderr
    none = start(*command, "--weights", "none", interrupt=stop).wait()
    assert none.stderr == "transfer_learning.py: interrupted\n"
    # Random weights are the same ones, whether they were wanted or what was left.
    printed = [done.stdout.splitlines()[-1] for done in (left_out, none)]
    assert printed[0].startswith("[")
    assert printed[0] == printed[1]
    # Which they were is on record, so that another command does not go on with the run.
    start(*command, "--weights", "none", interrupt=("keras:Model.fit", int(signal.SIGINT), 1)).wait()
    assert json.loads((tmp_path / "results/transfer_learning/run.json").read_text())["weights"] == "none"
    one_line(script(*command, "--weights", "imagenet", code=1), "holds a run with weights none, not imagenet")
    shutil.rmtree(tmp_path / "results")
    one_line(script(*command, "--weights", "imagenet", code=1), "weights imagenet")
    one_line(script(*command, "--weights", "no.h5", code=1), "no.h5: No such file")


def test_a_bug_in_the_network_is_no_matter_of_the_weights(tmp_path, small, monkeypatch):
    def build_model(*args):
        raise OSError("a bug of the reader's")

    monkeypatch.setattr(transfer_learning, "build_model", build_model)
    with pytest.raises(OSError, match="a bug of the reader's"):
        transfer_learning.main(["--data", small, "--alpha", "0.25", "--out", str(tmp_path / "out")])


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_folder_that_cannot_be_written_is_found_before_the_training(script, small, tmp_path, name):
    (tmp_path / "file").write_text("in the way")
    command = {
        "visualize_weights.py": ["m.keras"],
        "transfer_learning.py": ["--data", small, "--alpha", 0.25, "--weights", "none"],
    }.get(name, ["--data", small])
    if name == "visualize_weights.py":
        keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)]).save(tmp_path / "m.keras")
    done = script(name, *command, "--out", "file/below", code=1)
    one_line(done, "file", "Not a directory", "--out")
    assert "accuracy:" not in done.stdout
    assert (tmp_path / "file").read_text() == "in the way"


def test_one_s_own_images_with_names_in_japanese(script, tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 10), ("test", 2)):
        for name in ("猫", "犬"):
            folder = tmp_path / "写真" / part / name
            folder.mkdir(parents=True)
            for n in range(count):
                pixels = rng.integers(0, 256, (20, 30, 3), "uint8")
                Image.fromarray(pixels).save(folder / f"{n}.png")
    done = script("cnn_with_gap.py", "--data", "写真", "--epochs", 1)
    assert done.stderr == ""
    assert "the images in 写真" in done.stdout
    assert script("show_samples.py", "--data", "写真").stderr == ""
    assert script("-m", "explore.maps").stderr == ""
