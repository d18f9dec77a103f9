import keras
from PIL import Image

import cnn
import drawing
import transfer_learning


def test_blocks_of_the_book_s_network():
    assert drawing.blocks_of(cnn.build_model()) == [
        ["input", "", (32, 32, 3), 0],
        ["Conv2D", "5 × 5", (28, 28, 30), 2280],
        ["MaxPooling2D", "2 × 2", (14, 14, 30), 0],
        ["Flatten", "", (5880,), 0],
        ["Dense", "", (100,), 588100],
        ["Dense", "", (10,), 1010],
    ]


def test_a_model_inside_the_model_is_opened_and_no_parameter_is_lost():
    model = transfer_learning.build_model(weights=None)
    blocks = drawing.blocks_of(model)
    assert sum(parameters for *_, parameters in blocks) == model.count_params()
    assert [name for name, *_ in blocks].count("DepthwiseConv2D") == 13
    assert blocks[1] == ["Conv2D", "3 × 3, stride 2\n+ BatchNorm, ReLU", (16, 16, 32), 992]
    assert blocks[-1] == ["Dense", "", (10,), 10250]


def test_one_to_many_rows_are_drawn(tmp_path):
    small = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    drawing.draw_model(small, "small", tmp_path / "small")
    drawing.draw_model(transfer_learning.build_model(weights=None), "large", tmp_path / "large")
    sizes = [Image.open(tmp_path / name / "model.png").size for name in ("small", "large")]
    assert sizes[0][0] < sizes[1][0]
    assert sizes[0][1] < sizes[1][1] / 3
