import os
import random
import socket
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import one_line

import transfer_learning
from support.ending import ScriptError
from support.run.pretrained import find_weights

IN_CACHE = "mobilenet_2_5_224_tf_no_top.h5"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights for MobileNet at alpha 0.25."""
    path = tmp_path_factory.mktemp("weights") / "own.weights.h5"
    keras.applications.MobileNet(include_top=False, alpha=0.25, weights=None).save_weights(path)
    return path


@pytest.fixture
def cache():
    """Where Keras keeps ImageNet's weights at alpha 0.25."""
    path = Path(os.environ["KERAS_HOME"], "models", IN_CACHE)
    path.parent.mkdir(exist_ok=True)
    yield path
    path.unlink(missing_ok=True)


def test_a_file_is_loaded(weights):
    assert find_weights(str(weights), 0.25) == str(weights)
    model = transfer_learning.build_model(alpha=0.25, weights=str(weights))
    whole = keras.applications.MobileNet(include_top=False, alpha=0.25, weights=str(weights))
    for one, other in zip(model.layers[1].get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("content", [b"", b"no weights"])
def test_a_file_that_has_no_weights(tmp_path, content):
    path = tmp_path / "x.weights.h5"
    path.write_bytes(content)
    with pytest.raises(ScriptError, match=r"x.weights.h5: damaged, or no weights: .*; give .*--weights none"):
        find_weights(str(path), 0.25)


@pytest.mark.parametrize(
    ("whole", "damaged"),
    [
        (b"\x17\x7f\x00\x00", b"\x17\x7f\x00\x6e"),  # the form of the numbers: noticed where they are read
        (b"batch_norm", b"\xdbatch_norm"),  # a name that is no text
        (b"SNOD", b"SNOT"),  # a list of names
    ],
)
def test_a_byte_that_has_changed(weights, tmp_path, whole, damaged):
    content, path = weights.read_bytes(), tmp_path / "x.weights.h5"
    assert whole in content
    path.write_bytes(content.replace(whole, damaged[: len(whole)], 1))
    with pytest.raises(ScriptError, match=r"x.weights.h5: damaged, or no weights: .*; give .*--weights none"):
        find_weights(str(path), 0.25)


@pytest.mark.parametrize("alpha", [0.5, 0.75, 1.0])
def test_weights_of_another_width(weights, alpha):
    parameters = keras.applications.MobileNet(include_top=False, alpha=alpha, weights=None).count_params()
    said = (
        rf"own.weights.h5: has 218,544 weights, .* {parameters:,} with --alpha {alpha}; give .*--weights none"
    )
    with pytest.raises(ScriptError, match=said):
        find_weights(str(weights), alpha)


def test_random_ones_by_name():
    assert find_weights("none", 0.25) is None


@pytest.mark.parametrize("wanted", [None, "imagenet"])
def test_imagenet_s_are_taken_from_keras_cache(weights, cache, wanted, capsys):
    cache.write_bytes(weights.read_bytes())
    assert find_weights(wanted, 0.25) == "imagenet"
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "MobileNet: 学習前のテストと最初のステップの準備に時間がかかる (the first test and step take a while)"
    ]
    assert err == ""


def test_the_best_at_hand_are_random_ones_where_imagenet_s_cannot_be_had(capsys):
    assert find_weights(None, 0.25) is None
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "no transfer learning" in lines[1]
    assert "--weights FILE" in lines[1]
    with pytest.raises(ScriptError, match="weights imagenet: cannot be fetched: .*--weights none"):
        find_weights("imagenet", 0.25)


@pytest.mark.parametrize("named", [(), ("--weights", "imagenet")])
def test_damaged_ones_in_keras_cache_are_an_error_that_says_to_remove_them(
    weights, cache, script, small, tmp_path, named
):
    """And no reason for random ones: only the reader can know that the file is damaged."""
    whole = weights.read_bytes()
    cache.write_bytes(whole[: len(whole) // 2])
    done = script("transfer_learning.py", "--data", small, "--alpha", "0.25", *named, code=1)
    one_line(done, f"{cache}: damaged", "remove it")
    assert cache.exists()
    assert not (tmp_path / "results").exists()


def test_a_file_of_another_width_ends_in_one_line(weights, script, small):
    command = ["transfer_learning.py", "--data", small, "--alpha", "0.5", "--weights", weights]
    one_line(script(*command, code=1), weights, "218,544", "829,536", "--alpha 0.5")


def test_looking_for_weights_leaves_no_trace(weights):
    """Random weights are the same whether they were wanted or what was left, and other downloads wait as before."""
    built = []
    for wanted in ("none", None, str(weights)):
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        find_weights(wanted, 0.25)
        model = transfer_learning.build_model(alpha=0.25, weights=None)
        draws = random.random(), np.random.random()
        assert socket.getdefaulttimeout() is None
        built.append((draws, [layer.name for layer in model.layers], model.get_weights()))
    for draws, names, values in built[1:]:
        assert draws == built[0][0]
        assert names == built[0][1]
        for one, other in zip(values, built[0][2], strict=True):
            np.testing.assert_array_equal(one, other)
