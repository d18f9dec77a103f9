import keras
import numpy as np

import cnn


def test_the_model_is_the_articles():
    model = cnn.build_model()
    assert [(layer.output.shape, layer.count_params()) for layer in model.layers] == [
        ((None, 28, 28, 30), 2280),
        ((None, 14, 14, 30), 0),
        ((None, 5880), 0),
        ((None, 100), 588100),
        ((None, 10), 1010),
    ]
    assert model.count_params() == 591390
    assert not model.compiled


def test_output_is_a_distribution_over_the_classes():
    probabilities = cnn.build_model(num_classes=7)(np.zeros((3, 32, 32, 3), "float32"))
    assert probabilities.shape == (3, 7)
    np.testing.assert_allclose(keras.ops.sum(probabilities, axis=1), 1, rtol=1e-5)


def test_the_three_tables(capsys):
    cnn.print_tables()
    first, second, third = (part for part in capsys.readouterr().out.split("Model:") if part)
    assert "Total params: 2,280 " in first
    assert "(None, 14, 14, 100)" in second
    assert "Total params: 5,380 " in second
    assert "what Flatten makes" in second
    assert "Total params: 591,390 " in third
