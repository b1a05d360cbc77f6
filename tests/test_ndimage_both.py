"""Gaussians of images whose two passes are one: SciPy's numbers, and when it is done."""

import numpy as np
import pytest

from ndimage_cases import scipy_ndimage
from npconv import ndimage

pytest.importorskip("numba")

MODES = ("reflect", "mirror", "nearest", "wrap", "constant")


@pytest.fixture
def at_once(monkeypatch):
    """Count the images that were filtered at once, whatever their size."""
    monkeypatch.setattr("npconv.ndimage.both.SMALL", -1)
    monkeypatch.setattr("npconv.lines.waiting", lambda problem: 0)
    done = []
    from npconv.ndimage import both

    def filtered(*args):
        done.append(args)
        return real(*args)

    real = both.filtered
    monkeypatch.setattr(both, "filtered", filtered)
    return done


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", [0, (1, 0), (0, 2)])
def test_it_is_scipys(dtype, mode, order, at_once):
    x = np.random.default_rng(1).random((45, 130)).astype(dtype)
    ours = ndimage.gaussian_filter(x, (1.5, 3), order, mode=mode)
    theirs = scipy_ndimage.gaussian_filter(x, (1.5, 3), order, mode=mode)
    assert ours.dtype == dtype
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)
    assert len(at_once) == 1


def test_colours_keep_apart(at_once):
    x = np.random.default_rng(2).random((30, 41, 3), np.float32)
    ours = ndimage.gaussian_filter(x, 2, axes=(0, 1))
    theirs = scipy_ndimage.gaussian_filter(x, (2, 2, 0))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(ndimage.gaussian_filter(x, (2, 2, 0)), ours)
    assert len(at_once) == 2


def test_the_input_may_be_the_output_and_lie_anyhow(at_once):
    x = np.random.default_rng(3).random((40, 50), np.float32)
    want = ndimage.gaussian_filter(x, 1)
    for view in (np.asfortranarray(x), x[::-1, ::-1].copy()[::-1, ::-1], x.copy()):
        np.testing.assert_array_equal(ndimage.gaussian_filter(view, 1, output=view), want)
        np.testing.assert_array_equal(view, want)
    assert len(at_once) == 4


def test_what_goes_the_other_way(at_once):
    x = np.random.default_rng(4).random((40, 50), np.float32)
    for keywords in (
        {"output": "float64"}, {"mode": ("reflect", "wrap")}, {"mode": "constant", "cval": 2.0},
        {"axes": 1},
    ):  # fmt: skip
        ours = ndimage.gaussian_filter(x, 1.2, **keywords)
        theirs = scipy_ndimage.gaussian_filter(x, 1.2, **keywords)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)
    ndimage.gaussian_filter((x * 255).astype(np.uint8), 1)
    assert at_once == []


def test_nan_and_infinity_reach_their_windows(at_once):
    x = np.ones((40, 50), np.float32)
    x[3, 4], x[30, 49] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        theirs = scipy_ndimage.gaussian_filter(x, 1)
    ours = ndimage.gaussian_filter(x, 1)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_array_equal(np.isinf(ours), np.isinf(theirs))
    assert len(at_once) == 1
