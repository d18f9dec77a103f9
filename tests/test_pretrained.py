import random

import keras
import numpy as np
import pytest
from conftest import options

import transfer_learning
from support import pretrained
from support.ending import ScriptError


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights for MobileNet at alpha 0.25."""
    path = tmp_path_factory.mktemp("weights") / "own.weights.h5"
    keras.applications.MobileNet(include_top=False, alpha=0.25, weights=None).save_weights(path)
    return path


def find(weights, alpha=0.25):
    args = options(weights=weights, alpha=alpha)
    return pretrained.find_weights(args), args.weights


def test_a_file_is_loaded(weights):
    assert find(str(weights)) == (str(weights), str(weights))
    model = transfer_learning.build_model(alpha=0.25, weights=str(weights))
    whole = keras.applications.MobileNet(include_top=False, alpha=0.25, weights=str(weights))
    for one, other in zip(model.layers[1].get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("content", [b"", b"no weights"])
def test_a_file_that_has_no_weights(tmp_path, content):
    path = tmp_path / "x.weights.h5"
    path.write_bytes(content)
    with pytest.raises(ScriptError, match=r"weights .*x.weights.h5: cannot be had: .*--weights none"):
        find(str(path))


def test_weights_of_another_width(weights):
    with pytest.raises(ScriptError, match=r"own.weights.h5: cannot be had"):
        find(str(weights), alpha=0.5)


def test_random_ones_by_name():
    assert find("none") == (None, "none")


def test_the_best_at_hand_are_random_ones_where_imagenet_s_cannot_be_had(capsys):
    assert find(None) == (None, "none")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "no transfer learning" in lines[1]
    assert "--weights FILE" in lines[1]
    with pytest.raises(ScriptError, match="weights imagenet: cannot be had"):
        find("imagenet")


def test_looking_for_weights_leaves_no_trace(weights, capsys):
    """Random weights are the same whether they were wanted or what was left."""
    built = []
    for wanted in ("none", None, str(weights)):
        keras.utils.clear_session()
        args = options(weights=wanted, alpha=0.25)
        keras.utils.set_random_seed(args.seed)
        found = pretrained.find_weights(args)
        draws = random.random(), np.random.random()
        keras.utils.set_random_seed(args.seed)
        model = transfer_learning.build_model(alpha=0.25, weights=None)
        built.append((draws, [layer.name for layer in model.layers], model.get_weights()))
        assert found in (None, str(weights))
    for draws, names, values in built[1:]:
        assert draws == built[0][0]
        assert names == built[0][1]
        for one, other in zip(values, built[0][2], strict=True):
            np.testing.assert_array_equal(one, other)
