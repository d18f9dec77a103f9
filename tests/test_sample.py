import itertools

import numpy as np
import pytest

from support.data import sample


@pytest.fixture(scope="module")
def drawn():
    return sample.draw(0)


def test_it_has_the_documented_form(drawn):
    (x_train, y_train), (x_test, y_test), class_names = drawn
    assert x_train.shape == (5000, 32, 32, 3)
    assert x_test.shape == (1000, 32, 32, 3)
    assert x_train.dtype == x_test.dtype == np.uint8
    assert y_train.dtype == y_test.dtype == np.int64
    assert class_names == sorted(sample.SHAPES)
    assert np.bincount(np.concatenate([y_train, y_test])).tolist() == [600] * 10


def test_it_depends_on_the_seed_alone(drawn):
    sample.draw.cache_clear()
    (x_train, _), (_, y_test), _ = sample.draw(0)
    assert x_train is not drawn[0][0]
    np.testing.assert_array_equal(x_train, drawn[0][0])
    np.testing.assert_array_equal(y_test, drawn[1][1])
    assert (sample.draw(1)[0][0] != x_train).any(axis=(1, 2, 3)).all()


def test_no_test_image_is_in_the_training_set(drawn):
    images = np.concatenate([drawn[0][0], drawn[1][0]]).reshape(6000, -1)
    assert len(np.unique(images, axis=0)) == 6000


def test_every_shape_lies_within_its_image_and_fills_some_of_it():
    for outline, hue in sample.SHAPES.values():
        assert 0.7 < np.abs(np.asarray(outline)).max() < 1.15
        assert 0 <= hue < 1


def shown_and_hidden(name, seed):
    """Two drawings with the same seed, of which one has a shape of no size; and where they differ."""
    outline, hue = sample.SHAPES[name]
    shown, hidden = (
        sample.draw_image(corners, hue, np.random.default_rng(seed)).astype(float)
        for corners in (outline, [(0, 0)] * 3)
    )
    return shown, hidden, (shown != hidden).any(axis=2)


def test_a_shape_stands_out_from_what_is_behind_it():
    for name, seed in itertools.product(sample.SHAPES, range(40)):
        shown, hidden, there = shown_and_hidden(name, seed)
        assert np.abs((shown - hidden)[there].mean(axis=0)).mean() > 25


def test_a_shape_is_turned_a_little_and_not_more():
    """The long axis of an arrow is never far from level."""
    turns = []
    for seed in range(40):
        rows, columns = np.nonzero(shown_and_hidden("arrow", seed)[2])
        along = np.linalg.eigh(np.cov(columns, rows))[1][:, 1]
        turns.append(np.degrees(np.arctan(along[1] / along[0])))
    assert -32 < min(turns) < -15
    assert 15 < max(turns) < 32
