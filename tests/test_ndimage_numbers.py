"""ndimage: integers, float32, NaN, arrays in odd places, and calls that SciPy refuses."""

import re

import numpy as np
import pytest

from ndimage_cases import DTYPES, MODES, filled, same, scipy_ndimage
from npconv import ndimage


@pytest.fixture(params=["short way", "conv"])
def way(request, monkeypatch):
    """Small arrays have a short way of their own: also send them through npconv.conv."""
    if request.param == "conv":
        monkeypatch.setattr("npconv.ndimage.sums.SMALL", -1)


def raises_alike(function, *args, **kwargs):
    """Both raise, and the same kind of error."""
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        getattr(scipy_ndimage, function)(*args, **kwargs)
    kinds = (ValueError, TypeError, RuntimeError, ZeroDivisionError)
    kind = next(k for k in kinds if issubclass(theirs.type, k))
    with pytest.raises(kind, match=".") as ours:
        getattr(ndimage, function)(*args, **kwargs)
    return str(ours.value)


@pytest.mark.parametrize("sigma", [0.5, 1, 2.2, 3])
def test_bytes_are_cut_off_where_scipy_cuts_them(sigma):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 50)).astype(np.uint8)
    image[10:40, 5:45] = 200  # a flat region: its sums fall beside an integer
    theirs = scipy_ndimage.gaussian_filter(image, sigma)
    np.testing.assert_array_equal(ndimage.gaussian_filter(image, sigma), theirs)
    weights = rng.random((3, 3))
    weights /= weights.sum()
    theirs = scipy_ndimage.correlate(image, weights)
    np.testing.assert_array_equal(ndimage.correlate(image, weights), theirs)
    large = rng.random((25, 25))
    theirs = scipy_ndimage.correlate(image, large, output=np.int64)
    np.testing.assert_array_equal(ndimage.correlate(image, large, output=np.int64), theirs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2, 256, 257, 300, 70000])
def test_moving_sums_hold_the_largest_integers(dtype, size):
    for value in (np.iinfo(dtype).max, np.iinfo(dtype).min) if dtype != "bool" else (1, 0):
        line = np.full(50, value, dtype)
        line[::7] = 0
        theirs = scipy_ndimage.uniform_filter1d(line, size, output="float64", mode="wrap")
        ours = ndimage.uniform_filter1d(line, size, output="float64", mode="wrap")
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_large_integer_kernels_are_exact():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (150, 160)).astype(np.uint8)
    weights = rng.integers(-20, 20, (45, 45))
    for output in (np.uint8, np.int64):
        theirs = scipy_ndimage.correlate(image, weights, output=output)
        np.testing.assert_array_equal(ndimage.correlate(image, weights, output=output), theirs)


def test_float32_is_summed_in_float32_unless_float64_is_asked_for():
    rng = np.random.default_rng(0)
    x = rng.random((40, 50), np.float32)
    weights = rng.random((7, 7))
    ours = ndimage.correlate(x, weights)
    theirs = scipy_ndimage.correlate(x, weights)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    ours = ndimage.correlate(x, weights, output=np.float64)
    theirs = scipy_ndimage.correlate(x, weights, output=np.float64)
    np.testing.assert_allclose(ours, theirs, rtol=1e-14)


@pytest.mark.parametrize(("sigma", "order"), [(1, 0), (2, 0), (3, 0), (7, 0), (2, 1), (2, 2)])
def test_float32_taps_keep_their_sum(sigma, order, monkeypatch):
    monkeypatch.setattr("npconv.ndimage.sums.SMALL", -1)
    spot = np.zeros(101, np.float32)
    spot[50] = 1  # its response is the taps as they were rounded
    taps = ndimage.gaussian_filter1d(spot, sigma, order=order)
    exact = scipy_ndimage.gaussian_filter1d(spot.astype(np.float64), sigma, order=order)
    assert abs(taps.sum(dtype=np.float64) - exact.sum()) < 1e-9
    np.testing.assert_allclose(taps, exact, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_inf_reach_what_scipy_lets_them_reach(value, way):
    x = np.ones((7, 8))
    x[3, 4] = value
    for weights in ([[1, 0, 2], [0, 1, 0]], [[1, 1, 1], [1, -1, 1]]):
        with np.errstate(invalid="ignore"):
            theirs = scipy_ndimage.correlate(x, weights)
        np.testing.assert_array_equal(ndimage.correlate(x, weights), theirs)
    with np.errstate(invalid="ignore"):
        theirs = scipy_ndimage.correlate1d(x, [1, 0, 2])
    np.testing.assert_array_equal(ndimage.correlate1d(x, [1, 0, 2]), theirs)
    reached = ~np.isfinite(ndimage.uniform_filter1d(x, 3))
    assert np.argwhere(reached).tolist() == [[3, 3], [3, 4], [3, 5]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "complex64", ">f4", ">i4"])
def test_output_may_be_the_input_or_part_of_it(dtype):
    start = filled(np.random.default_rng(1), (12, 12), dtype)
    calls = [
        ("correlate", ([[1, 2], [3, 4]],)), ("convolve1d", ([1, 2, 3],)), ("uniform_filter", (3,)),
        ("gaussian_filter", (1,)), ("sobel", ()), ("laplace", ()), ("gaussian_laplace", (1,)),
    ]  # fmt: skip
    for name, args in calls:
        function = getattr(ndimage, name)
        expected = function(start.copy(), *args, output=start.dtype)
        array = start.copy()
        assert function(array, *args, output=array) is array
        same(array, expected, sums=100)
        wide = np.empty((24, 12), start.dtype)
        wide[:12] = wide[12:] = start
        rolled = np.empty_like(start)
        rolled[:10], rolled[10:] = start[2:], start[:2]
        shifted = function(wide[2:14], *args, output=wide[:12])
        same(shifted, function(rolled, *args, output=start.dtype), 100)


@pytest.mark.parametrize("layout", ["F", "reversed", "strided", "broadcast", "read-only"])
def test_any_strides(layout):
    base = np.random.default_rng(0).standard_normal((12, 14))
    x = {
        "F": np.asfortranarray(base),
        "reversed": base[::-1, ::-1],
        "strided": base[::2, ::3],
        "broadcast": np.broadcast_to(base[0], (5, 14)),
        "read-only": base.copy(),
    }[layout]
    if layout == "read-only":
        x.flags.writeable = False
    same(ndimage.gaussian_filter(x, 1.0), scipy_ndimage.gaussian_filter(x, 1.0), 4)
    weights = np.arange(6.0).reshape(2, 3)[:, ::-1]
    same(ndimage.correlate(x, weights), scipy_ndimage.correlate(x, weights), 40)


def test_no_axes_and_nothing_to_filter():
    point = np.array(3.0)
    assert ndimage.gaussian_filter(point, 1) == 3.0
    assert ndimage.correlate(point, np.array(2.0)) == 6.0
    assert ndimage.laplace(point) == 3.0
    x = np.arange(6.0).reshape(2, 3)
    for function in (ndimage.gaussian_filter, ndimage.uniform_filter):
        copy = function(x, 0)
        assert not np.may_share_memory(copy, x)
        np.testing.assert_array_equal(copy, x)
    for shape in ((0, 3), (3, 0), (0,)):
        empty = np.zeros(shape, np.float32)
        for mode in MODES:
            assert ndimage.gaussian_filter(empty, 1, mode=mode).shape == shape
            assert ndimage.uniform_filter(empty, 3, mode=mode).dtype == np.float32
            assert ndimage.correlate(empty, np.ones((2,) * len(shape)), mode=mode).shape == shape


def test_many_axes():
    x = np.random.default_rng(0).standard_normal((2,) * 12)
    same(ndimage.gaussian_filter(x, 0.5), scipy_ndimage.gaussian_filter(x, 0.5), 4)


X = np.arange(7.0)


BAD_CALLS = [
    ("correlate", (X, [[1.0]]), {}, "weights.ndim"),
    ("correlate", (X, []), {}, "weights.ndim"),
    ("correlate", (X, [1.0]), {"mode": "reflec"}, "mode not supported"),
    ("correlate", (X, [1.0]), {"mode": ["reflect"]}, "sequence of modes"),
    ("correlate", (X, [1.0, 2, 3]), {"origin": 2}, "Invalid origin 2"),
    ("correlate", (X, [1.0, 2, 3]), {"origin": 0.5}, "interpreted as an integer"),
    ("correlate", (X, [1.0, 2, 3]), {"origin": [0, 0]}, "length equal to input rank"),
    ("correlate", (X, [1.0]), {"axes": (0, 0)}, "unique"),
    ("correlate", (X, [1.0]), {"axes": (1,)}, "out of range"),
    ("correlate", (X, [1.0]), {"output": np.zeros(3)}, "shape not correct"),
    ("correlate", (X, [1.0]), {"output": np.broadcast_to(0.0, 7)}, "read-only"),
    ("correlate", (X, [1.0]), {"output": "complex64"}, "not supported"),
    ("correlate", (X, [1.0]), {"output": "S3"}, "numeric dtype"),
    ("correlate", (X, [1j]), {"output": "float64"}, "complex dtype"),
    ("correlate", (X, [1.0]), {"mode": "constant", "cval": 1j}, "real number"),
    ("correlate", (X, [1j]), {"mode": "constant", "cval": 1j}, "complex-valued cval"),
    ("correlate", (X.astype("float16"), [1.0]), {}, "float16.* not supported"),
    ("correlate", (X.astype("longdouble"), [1.0]), {}, "not supported"),
    ("correlate", (X.astype(object), [1.0]), {}, "not supported"),
    ("correlate1d", (X, []), {}, "no filter weights"),
    ("correlate1d", (X, [[1.0]]), {}, "no filter weights"),
    ("correlate1d", (X, [1.0]), {"axis": 1}, "out of bounds"),
    ("convolve1d", (X, [1.0, 2.0]), {"origin": -2}, "Invalid origin"),
    ("uniform_filter1d", (X, 0), {}, "incorrect filter size"),
    ("uniform_filter1d", (X, 2.5), {}, "interpreted as an integer"),
    ("uniform_filter1d", (X, 3), {"origin": 2}, "invalid origin"),
    ("uniform_filter", (X, 3), {"mode": "foo"}, "mode not supported"),
    ("uniform_filter", (X, [3, 3]), {}, "length equal to input rank"),
    ("gaussian_filter1d", (X, 0), {}, "division by zero"),
    ("gaussian_filter1d", (X, 1, 0, -1), {}, "non-negative"),
    ("gaussian_filter1d", (X, 1), {"order": 1.5}, "integer"),
    ("gaussian_filter1d", (X, 1), {"radius": 1.5}, "nonnegative integer"),
    ("gaussian_filter", (X, [1, 2]), {}, "length equal to input rank"),
    ("gaussian_filter", (X, 1), {"radius": -1}, "nonnegative integer"),
    ("gaussian_filter", (X, 1), {"axes": 1.5}, "interpreted as an integer"),
    ("gaussian_laplace", (X, [1, 2]), {}, "length equal to input rank"),
    ("sobel", (X, 3), {}, "out of bounds"),
    ("sobel", (X,), {"mode": ["reflect"] * 2}, "length equal to input rank"),
    ("laplace", (X,), {"axes": (0, 0)}, "unique"),
]


@pytest.mark.parametrize(("name", "args", "keywords", "match"), BAD_CALLS)
def test_bad_calls_raise_scipys_kind_of_error(name, args, keywords, match):
    message = raises_alike(name, *args, **keywords)
    assert re.search(match, message), message
