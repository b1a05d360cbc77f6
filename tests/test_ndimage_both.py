"""Images whose two passes are one, and means of windows: SciPy's numbers, and when it is done."""

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

    def filtered(*args, **keywords):
        done.append(args)
        return real(*args, **keywords)

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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("size", "origin"), [(3, 0), ((4, 7), (1, -3)), ((1, 6), (0, -3))])
def test_boxes_of_floats_are_scipys(dtype, mode, size, origin, at_once):
    x = np.random.default_rng(5).random((45, 130)).astype(dtype)
    ours = ndimage.uniform_filter(x, size, mode=mode, origin=origin)
    theirs = scipy_ndimage.uniform_filter(x, size, mode=mode, origin=origin)
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)
    assert len(at_once) == 1


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("size", [2, 3, 4, 7, 10, 16, 33, 64, 65, 99, 100])
def test_means_of_whole_numbers_are_cut_off_as_scipys(dtype, size, at_once):
    most = np.iinfo(dtype).max
    x = np.random.default_rng(size).integers(0, most, (60, 90), dtype, endpoint=True)
    # Whole means beside those that are just less.
    x[:, :30], x[0, 10], x[20:40, 5:25] = most, most - 1, size
    for axis, mode in ((0, "reflect"), (1, "constant"), (1, "wrap")):
        ours = ndimage.uniform_filter1d(x, size, axis, mode=mode, origin=-(size // 2))
        theirs = scipy_ndimage.uniform_filter1d(x, size, axis, mode=mode, origin=-(size // 2))
        np.testing.assert_array_equal(ours, theirs)
    assert len(at_once) == 3


def test_windows_that_go_the_other_way(at_once):
    x = np.random.default_rng(6).integers(0, 255, (30, 40, 5), np.uint8)
    for image, keywords in (
        (x, {}), (x[:, :, 0].astype(np.int16), {}), (x[:, :, 0], {"output": "int32"}),
        (x[:, :, 0], {"mode": "constant", "cval": 9}),
    ):  # fmt: skip
        ours = ndimage.uniform_filter(image, 3, **keywords)
        np.testing.assert_array_equal(ours, scipy_ndimage.uniform_filter(image, 3, **keywords))
    ndimage.uniform_filter(x[:, :, 0].astype(float), 101)
    assert at_once == []


@pytest.mark.parametrize("name", ["sobel", "prewitt"])
@pytest.mark.parametrize("axis", [0, 1])
def test_gradients_are_scipys(name, axis, at_once):
    x = np.random.default_rng(7).standard_normal((40, 50))
    x[20, 30] = np.inf
    with np.errstate(invalid="ignore"):
        theirs = getattr(scipy_ndimage, name)(x, axis)
    np.testing.assert_allclose(getattr(ndimage, name)(x, axis), theirs, rtol=0, atol=1e-14)
    assert len(at_once) == 1


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "float32", "float64"])
@pytest.mark.parametrize("output", [None, "int16", "float64"])
def test_laplacians_of_two_axes_are_scipys(dtype, output):
    x = np.random.default_rng(8).integers(0, 127, (2, 60, 70)).astype(dtype)
    for mode in ("reflect", "wrap", "constant"):
        ours = ndimage.laplace(x, output, mode, axes=(2, 1))
        theirs = scipy_ndimage.laplace(x, output, mode, axes=(2, 1))
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_a_laplacian_spreads_nothing_to_corners():
    x = np.zeros((30, 30))
    x[9, 9], x[20, 20] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(ndimage.laplace(x), scipy_ndimage.laplace(x))
