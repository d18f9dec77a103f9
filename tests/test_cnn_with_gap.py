import cnn_with_gap


def test_the_model_is_the_articles():
    model = cnn_with_gap.build_model()
    assert [(layer.output.shape, layer.count_params()) for layer in model.layers] == [
        ((None, 28, 28, 30), 2280),
        ((None, 14, 14, 30), 0),
        ((None, 30), 0),
        ((None, 100), 3100),
        ((None, 10), 1010),
    ]
    assert model.count_params() == 6390
    assert cnn_with_gap.build_model(num_classes=3).output_shape == (None, 3)


def test_the_tuned_model_is_small_and_keeps_the_pooling():
    model = cnn_with_gap.build_tuned_model()
    assert model.count_params() == 24314
    assert [type(layer).__name__ for layer in model.layers][-2:] == [
        *("GlobalAveragePooling2D", "Dense")
    ]
    assert cnn_with_gap.build_tuned_model(num_classes=3).output_shape == (None, 3)
