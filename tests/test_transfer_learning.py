import pytest

import transfer_learning
import runs


def test_the_model_is_the_articles():
    model = transfer_learning.build_model(weights=None)
    assert model.count_params() == 3239114
    assert sum(int(v.numpy().size) for v in model.non_trainable_weights) == 21888
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 10)


def test_width_and_number_of_classes_follow():
    model = transfer_learning.build_model(num_classes=4, alpha=0.25, weights=None)
    assert model.layers[0].output.shape == (None, 256)
    assert model.output_shape == (None, 4)


def test_the_tuned_model_has_finer_maps_and_the_same_weights(tmp_path):
    whole = transfer_learning.build_model(alpha=0.25, weights=None).layers[0]
    whole.save_weights(tmp_path / "own.weights.h5")
    model = transfer_learning.build_tuned_model(
        alpha=0.25, weights=str(tmp_path / "own.weights.h5")
    )
    _, scaling, body, _, dense = model.layers
    assert float(scaling(0.0)) == -1
    assert float(scaling(1.0)) == 1
    assert body.output_shape == (None, 4, 4, 128)
    assert dense.count_params() == 1290
    for layer in body.layers[1:]:
        for one, other in zip(layer.weights, whole.get_layer(layer.name).weights, strict=True):
            assert (one.numpy() == other.numpy()).all()
        assert getattr(layer, "momentum", 0.9) == 0.9
    assert transfer_learning.build_tuned_model(weights=None).count_params() == 549578


def test_a_file_of_weights_is_loaded(tmp_path):
    first = transfer_learning.build_model(alpha=0.25, weights=None)
    first.layers[0].save_weights(tmp_path / "own.weights.h5")
    second, name = transfer_learning.build_with_weights(10, 0.25, str(tmp_path / "own.weights.h5"))
    for one, other in zip(first.layers[0].weights, second.layers[0].weights, strict=True):
        assert (one.numpy() == other.numpy()).all()
    assert name == str(tmp_path / "own.weights.h5")


@pytest.mark.parametrize("content", [b"", b"no weights"])
def test_a_file_that_has_no_weights(tmp_path, content):
    (tmp_path / "x.weights.h5").write_bytes(content)
    with pytest.raises(
        runs.RunError, match=r"weights .*x.weights.h5: cannot be had: .*--weights none"
    ):
        transfer_learning.build_with_weights(10, 0.25, str(tmp_path / "x.weights.h5"))


def test_weights_of_another_width(tmp_path):
    other = transfer_learning.build_model(alpha=0.5, weights=None)
    other.layers[0].save_weights(tmp_path / "half.weights.h5")
    with pytest.raises(runs.RunError, match=r"half.weights.h5: cannot be had"):
        transfer_learning.build_with_weights(10, 0.25, str(tmp_path / "half.weights.h5"))
