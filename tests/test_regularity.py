import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from explore import regularity


def slow_regularity(kernel):
    height, width, channels = kernel.shape
    products = squares = 0
    for y, x, c in np.ndindex(height, width, channels):
        for v, u in ((y + 1, x), (y, x + 1)):
            if v < height and u < width:
                products += kernel[y, x, c] * kernel[v, u, c]
                squares += (kernel[y, x, c] ** 2 + kernel[v, u, c] ** 2) / 2
    return products / squares if squares else 0


@given(
    arrays.arrays(
        "float64",
        st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.integers(1, 4)),
        elements=st.floats(-5, 5, width=16),
    )
)
def test_regularity(kernels):
    values = regularity.regularity(kernels)
    expected = [slow_regularity(kernels[..., n]) for n in range(kernels.shape[3])]
    np.testing.assert_allclose(values, expected, atol=1e-9)
    assert (abs(values) <= 1 + 1e-9).all()


def test_regularity_of_what_everybody_knows():
    y, x = np.mgrid[:5, :5]
    patterns = [np.ones((5, 5)), x - 2, (x + y) % 2 * 2 - 1]
    kernels = np.stack([np.dstack([p] * 3) for p in patterns], axis=3).astype("float32")
    same, edge, chessboard = regularity.regularity(kernels)
    assert same == pytest.approx(1)
    assert 0.5 < edge < 1
    assert chessboard == pytest.approx(-1)
    noise = np.random.default_rng(0).normal(size=(5, 5, 3, 2000))
    assert abs(regularity.regularity(noise).mean()) < 0.01


def waves(count=200):
    """Images of which all patches lie on two directions: a level, and a level that alternates."""
    rng = np.random.default_rng(0)
    level, wave = rng.normal(size=(2, count, 1, 1, 1)) * [[[[[9]]]], [[[[3]]]]]
    return level + wave * np.where(np.arange(12) % 2, 1, -1)[:, None] * np.ones((12, 12, 3))


def test_eigenvectors_are_what_the_patches_vary_along():
    found = regularity.eigenvectors(waves(), (3, 2, 3), 2)
    assert found.shape == (3, 2, 3, 2)
    level, wave = np.moveaxis(found, 3, 0)
    np.testing.assert_allclose(level / level[0, 0, 0], np.ones((3, 2, 3)), rtol=0.1)
    np.testing.assert_allclose(wave[:, 1] / wave[0, 0, 0], -np.ones((3, 3)), rtol=0.1)
    np.testing.assert_allclose((level**2).sum(), 1)


def test_there_are_no_more_eigenvectors_than_values_in_a_patch():
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype="uint8")
    assert regularity.eigenvectors(images, (1, 1, 3), 30).shape == (1, 1, 3, 3)


def test_the_report_sets_the_filters_beside_what_nobody_trained(capsys):
    rng = np.random.default_rng(0)
    kernels = {"before training": rng.normal(size=(5, 5, 3, 6)), "after training": np.ones((5, 5, 3, 6))}
    images = rng.integers(0, 256, (20, 9, 9, 3), dtype="uint8")
    regularity.report(kernels, images)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 4
    values = regularity.regularity(regularity.eigenvectors(images, (5, 5, 3), 6))
    assert said[1].endswith(
        f"(6 leading eigenvectors of the images' patches): 平均 (mean) {values.mean():z.2f}"
    )
    assert "学習後 (after training): 平均 (mean) 1.00, 1.00 ~ 1.00" in said[3]
    assert said[3].endswith("6個中6個が0.21より上 (6 of 6 above 0.21)")
    # A share of something that is about 0 says nothing: 1867 % was printed.
    assert not any("%" in line for line in said[1:])


@pytest.mark.parametrize("count", [1, 3])
def test_kernels_of_one_pixel_have_no_neighbours(count):
    assert regularity.regularity(np.ones((1, 1, 3, count))).tolist() == [0] * count
