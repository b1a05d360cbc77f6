"""npconv.signal beside scipy.signal: random geometries, and numbers worked by hand."""

import re
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from npconv import signal

scipy_signal = pytest.importorskip("scipy.signal")

MODES = ["full", "same", "valid"]
DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
FLOATS = ["float32", "float64", "complex64", "complex128", "longdouble", "clongdouble"]


@pytest.fixture(params=["short way", "conv"])
def way(request, monkeypatch):
    """Small arrays have a short way of their own: also send them through npconv.conv."""
    if request.param == "conv":
        monkeypatch.setattr("npconv.signal.windows._SMALL", -1)


def filled(rng, shape, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind in "biu":
        low = -100 if dtype.kind == "i" else 0
        return rng.integers(low, 2 if dtype.kind == "b" else 100, shape).astype(dtype)
    values = rng.standard_normal(shape)
    if dtype.kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def same(ours, theirs, terms=1, eps=None):
    """Equal, and of one dtype and shape; floats to the rounding of sums of `terms` products."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    if ours.dtype.kind in "biu":
        np.testing.assert_array_equal(ours, theirs)
    elif ours.dtype.kind == "O":
        assert ours.tolist() == theirs.tolist()
    else:
        eps = eps or np.finfo(ours.dtype).eps
        np.testing.assert_allclose(ours, theirs, rtol=16 * eps, atol=64 * eps * (terms + 1))


def shapes_for(rng, mode, ndim):
    shape1, shape2 = rng.integers(1, 8, ndim), rng.integers(1, 8, ndim)
    if mode == "valid":
        shape1, shape2 = np.maximum(shape1, shape2), np.minimum(shape1, shape2)
        if rng.random() < 0.5:
            shape1, shape2 = shape2, shape1
    return tuple(shape1), tuple(shape2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(60))
def test_convolve_and_correlate_on_random_geometries(seed, mode, way):
    rng = np.random.default_rng([seed, len(mode)])
    shape1, shape2 = shapes_for(rng, mode, rng.integers(1, 5))
    a = filled(rng, shape1, rng.choice(DTYPES + FLOATS))
    b = filled(rng, shape2, rng.choice(DTYPES + FLOATS))
    method = str(rng.choice(["auto", "direct", "fft"]))
    for name in ("convolve", "correlate"):
        with warnings.catch_warnings():  # SciPy casts an array it has not filled yet
            warnings.simplefilter("ignore")
            theirs = getattr(scipy_signal, name)(a, b, mode, "direct")
        ours = getattr(signal, name)(a, b, mode, method)
        largest = np.abs(a.astype("clongdouble")).max() * np.abs(b.astype("clongdouble")).max()
        same(ours, theirs, terms=float(largest) * min(a.size, b.size))


@pytest.mark.parametrize("boundary", ["fill", "pad", "wrap", "circular", "symm", "symmetric"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(10))
def test_planar_on_random_geometries(seed, mode, boundary):
    rng = np.random.default_rng([seed, len(mode), len(boundary)])
    shape1, shape2 = shapes_for(rng, mode, 2)
    a = filled(rng, shape1, rng.choice(DTYPES + FLOATS))
    b = filled(rng, shape2, rng.choice(DTYPES + FLOATS))
    fill = rng.choice([0, 1, 3])
    for name in ("convolve2d", "correlate2d"):
        theirs = getattr(scipy_signal, name)(a, b, mode, boundary, fill)
        ours = getattr(signal, name)(a, b, mode, boundary, fill)
        largest = max(np.abs(a.astype("clongdouble")).max(), 3)
        largest = largest * np.abs(b.astype("clongdouble")).max()
        same(ours, theirs, terms=float(largest) * b.size)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["fftconvolve", "oaconvolve"])
@pytest.mark.parametrize("seed", range(40))
def test_axes_and_broadcasting_on_random_geometries(seed, name, mode, way):
    rng = np.random.default_rng([seed, len(mode), len(name)])
    ndim = int(rng.integers(1, 5))
    axes = [int(a) for a in rng.permutation(ndim)[: rng.integers(1, ndim + 1)]]
    shape1, shape2 = (list(s) for s in shapes_for(rng, mode, ndim))
    for axis in set(range(ndim)) - set(axes):
        shape1[axis] = shape2[axis] = int(rng.integers(1, 5))
        if rng.random() < 0.6:
            (shape1 if rng.random() < 0.5 else shape2)[axis] = 1
    a = filled(rng, shape1, rng.choice(["bool", "uint8", "float16", *FLOATS]))
    b = filled(rng, shape2, rng.choice(["int16", "float16", *FLOATS]))
    signed = [axis - ndim * int(rng.integers(2)) for axis in axes]
    theirs = getattr(scipy_signal, name)(a, b, mode, signed)
    ours = getattr(signal, name)(a, b, mode, signed)
    largest = np.abs(a.astype("clongdouble")).max() * np.abs(b.astype("clongdouble")).max()
    terms = 8 * float(largest) * min(a.size, b.size)
    # SciPy transforms each array in its own precision.
    coarsest = max(np.finfo(np.result_type(array, np.float32)).eps for array in (a, b))
    same(ours, theirs, terms, eps=coarsest)


def test_numbers_worked_by_hand():
    assert signal.convolve([3, 4, 5, 6, 5, 4], [1, 2, 3]).tolist() == [
        3,
        10,
        22,
        28,
        32,
        32,
        23,
        12,
    ]
    assert signal.convolve([3, 4, 5], [1, 2, 3, 4], "same").tolist() == [10, 22, 34]
    assert signal.convolve([1, 2], [1, 2, 3], "valid").tolist() == [4, 7]
    assert signal.correlate([1, 2, 3], [0, 1, 0.5]).tolist() == [0.5, 2.0, 3.5, 3.0, 0.0]
    assert signal.correlate([1j, 2], [1j]).tolist() == [1, -2j]
    assert signal.correlate2d([[1, 2, 4]], [[1, -1]], "valid").tolist() == [[-1, -2]]
    ramp = np.arange(36).reshape(6, 6)
    kernel = np.arange(9).reshape(3, 3)
    valid = signal.correlate2d(ramp, kernel, "valid")
    assert valid[::3].tolist() == [[366, 402, 438, 474], [1014, 1050, 1086, 1122]]
    flipped = signal.convolve2d(ramp, kernel[::-1, ::-1], "valid")
    np.testing.assert_array_equal(valid, flipped)
    three = signal.convolve2d([[43, 16, 78], [34, 76, 95], [35, 8, 46]], [[9, 7], [6, 4]], "valid")
    assert three.tolist() == [[1190, 1919], [909, 1344]]


def test_integers_are_exact_and_wrap_into_their_dtype(way):
    rng = np.random.default_rng(0)
    for dtype in DTYPES:
        bounds = np.iinfo(dtype)
        a = rng.integers(bounds.min, bounds.max, (9, 8), dtype=dtype, endpoint=True)
        b = rng.integers(bounds.min, bounds.max, (3, 4), dtype=dtype, endpoint=True)
        for method in ("auto", "direct", "fft"):
            same(signal.convolve(a, b, method=method), scipy_signal.convolve2d(a, b))


@pytest.mark.parametrize(("high", "length"), [(2, 5000), (2**15, 5000), (2**31, 3000)])
def test_long_integer_kernels_are_exact(high, length):
    rng = np.random.default_rng(1)
    a = rng.integers(-high, high, 9000)
    b = rng.integers(-high, high, length)
    np.testing.assert_array_equal(signal.convolve(a, b), np.convolve(a, b))


def test_bools_are_ored(way):
    a, b = np.array([1, 0, 0, 1], bool), np.array([1, 1], bool)
    same(signal.convolve(a, b), scipy_signal.convolve(a, b))
    assert signal.convolve(a, b).tolist() == [True, True, False, True, True]
    assert signal.convolve(a[None], b[None]).dtype == bool
    assert signal.convolve(np.ones(300, bool), np.ones(300, bool)).all()


def test_float16_is_rounded_once():
    rng = np.random.default_rng(0)
    a, b = rng.random((6, 7)).astype("float16"), rng.random((3, 2)).astype("float16")
    exact = scipy_signal.convolve(a.astype(float), b.astype(float))
    ours = signal.convolve(a, b)
    assert ours.dtype == np.float16
    np.testing.assert_allclose(ours, exact, rtol=2**-10.9)


def test_python_numbers():
    halves = np.array([Decimal(1), Decimal("2.5")])
    out = signal.convolve(halves, np.array([Decimal(1), Decimal(3)]))
    assert out.tolist() == [Decimal(1), Decimal("5.5"), Decimal("7.5")]
    thirds = np.array([[Fraction(1, 3), Fraction(1, 2)]], object)
    assert signal.convolve2d(thirds, thirds).tolist() == [
        [Fraction(1, 9), Fraction(1, 3), Fraction(1, 4)]
    ]
    wrapped = signal.convolve2d(thirds, thirds, mode="same", boundary="wrap")
    assert wrapped.tolist() == [[Fraction(13, 36), Fraction(1, 3)]]


def test_one_dimension_follows_numpy(way):
    rng = np.random.default_rng(2)
    for n, k in ((1, 1), (5, 2), (2, 5), (30, 30), (100, 7)):
        a, b = rng.standard_normal(n), rng.standard_normal(k)
        for mode in MODES:
            expected = np.convolve(a, b, mode)
            if mode != "same" or n >= k:
                np.testing.assert_allclose(signal.convolve(a, b, mode), expected, atol=1e-13)
        for mode in MODES:
            lags = signal.correlation_lags(n, k, mode)
            np.testing.assert_array_equal(lags, scipy_signal.correlation_lags(n, k, mode))
            assert lags.shape == signal.correlate(a, b, mode).shape


def test_large_kernels_agree_with_the_direct_sum():
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal(20000), rng.standard_normal(3001)
    expected = np.convolve(a, b)
    for method in ("auto", "fft", "direct"):
        np.testing.assert_allclose(signal.convolve(a, b, method=method), expected, atol=1e-10)
    image, kernel = rng.random((200, 230), np.float32), rng.random((41, 35), np.float32)
    expected = scipy_signal.fftconvolve(image.astype(float), kernel.astype(float), "same")
    np.testing.assert_allclose(signal.convolve2d(image, kernel, "same"), expected, rtol=1e-6)
    lines = signal.oaconvolve(image, kernel[:1], axes=1)
    expected = [np.convolve(row, kernel[0].astype(float)) for row in image]
    np.testing.assert_allclose(lines, expected, rtol=1e-5)


def test_direct_is_never_a_transform():
    a = np.concatenate([np.full(4000, 1e12), np.full(4000, 1e-3)])
    b = np.ones(1000)
    direct = signal.convolve(a, b, "valid", method="direct")
    np.testing.assert_allclose(direct[-2000:], 1.0, rtol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_inf_stay_where_the_sums_hold_them(value):
    a = np.ones(1000)
    a[100] = value
    b = np.ones(200)
    with pytest.warns(RuntimeWarning, match="NAN or inf"):
        out = signal.convolve(a, b, "same", method="fft")
    assert np.flatnonzero(~np.isfinite(out)).tolist() == list(range(1, 201))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(
            np.isfinite(signal.fftconvolve(a, b, "same")), np.isfinite(out)
        )


def test_scalars_and_empty_arrays():
    assert signal.convolve(3, 4) == 12
    assert signal.correlate(2j, 3j) == 6
    assert signal.fftconvolve(np.array(3), np.array(4)) == 12
    for a, b in (([], []), ([1.0], []), ([], [1.0]), ([[1.0]], [[]])):
        same(signal.fftconvolve(a, b), scipy_signal.fftconvolve(a, b))
        same(signal.oaconvolve(a, b, "same"), scipy_signal.oaconvolve(a, b, "same"))
        for mode in MODES:
            if len(np.shape(a)) == 1 and (len(b) == 0 or mode != "same"):
                with pytest.raises(ValueError, match="empty"):
                    scipy_signal.convolve(a, b, mode, "direct")
                with pytest.raises(ValueError, match="empty"):
                    signal.convolve(a, b, mode)
    same(signal.convolve([], [1.0], "same"), np.zeros(0))
    for shape1, shape2 in (((2, 3), (0, 3)), ((2, 3), (2, 0)), ((0, 3), (1, 1))):
        for mode in ("full", "same"):
            a, b = np.ones(shape1), np.ones(shape2)
            same(signal.convolve2d(a, b, mode), scipy_signal.convolve2d(a, b, mode))


@pytest.mark.parametrize("fill", [0, 2.5, -3, True, [1], [[4.0]], np.float32(2)])
@pytest.mark.parametrize("dtype", ["int64", "float32", "complex64"])
def test_fillvalue_is_cast_as_scipy_casts_it(fill, dtype):
    a, b = np.arange(6).reshape(2, 3).astype(dtype), np.arange(4).reshape(2, 2).astype(dtype)
    same(signal.convolve2d(a, b, fillvalue=fill), scipy_signal.convolve2d(a, b, fillvalue=fill), 60)


def test_choosing_a_method():
    rng = np.random.default_rng(0)
    assert signal.choose_conv_method(rng.random(30), rng.random(5)) == "direct"
    assert signal.choose_conv_method(rng.random(200000), rng.random(100000)) == "fft"
    assert signal.choose_conv_method(np.array([2**51]), np.array([2**51])) == "direct"
    assert signal.choose_conv_method(np.ones(5000, "g"), np.ones(5000, "g")) == "direct"
    method, seconds = signal.choose_conv_method(rng.random(8), rng.random(6), measure=True)
    assert method == min(seconds, key=seconds.get)
    assert sorted(seconds) == ["direct", "fft"]


def test_any_strides_and_byte_order():
    rng = np.random.default_rng(0)
    base = rng.standard_normal((12, 14))
    kernel = rng.standard_normal((3, 4))
    for x in (
        np.asfortranarray(base), base[::-1, ::-2], np.broadcast_to(base[0], (5, 14)),
        base.astype(">f8"), base.astype(">f4"),
    ):  # fmt: skip
        native = x.astype(x.dtype.newbyteorder("="))
        same(signal.convolve(x, kernel), scipy_signal.convolve(native, kernel), 12)
        same(signal.convolve2d(x, kernel.T, "same", "symm"),
             scipy_signal.convolve2d(native, kernel.T, "same", "symm"), 12)  # fmt: skip


A, B = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2)
BAD_CALLS = [
    ("convolve", ([1], [[2]]), {}, "same dimensionality"),
    ("convolve", ([1], 2), {}, "same dimensionality"),
    ("convolve", ([1], [2]), {"mode": "spam"}, "acceptable mode flags"),
    ("convolve", ([1], [2]), {"mode": None}, "acceptable mode flags"),
    ("convolve", ([1], [2]), {"method": "bacon"}, "Acceptable method flags"),
    ("convolve", (A, B), {"mode": "valid"}, "For 'valid' mode"),
    ("convolve", (["a"], ["b"]), {}, "."),
    ("correlate", (A, B), {"mode": "valid"}, "For 'valid' mode"),
    ("correlate", ([1], 2), {}, "same dimensionality"),
    ("correlate", ([1], [2]), {"method": "bacon"}, "Acceptable method flags"),
    ("convolve2d", ([3], [4]), {}, "2-D arrays"),
    ("convolve2d", (A, B), {"mode": "valid"}, "For 'valid' mode"),
    ("convolve2d", (A, B), {"mode": 1}, "acceptable mode flags"),
    ("convolve2d", (A, B), {"boundary": "reflect"}, "."),
    ("convolve2d", (A, B), {"boundary": 0}, "Acceptable boundary flags"),
    ("convolve2d", (A, B), {"fillvalue": []}, "cannot be an empty array"),
    ("convolve2d", (A, B), {"fillvalue": [1, 2]}, "must be scalar or an array with one"),
    ("convolve2d", (A, B), {"fillvalue": 1j}, "could not cast `fillvalue` directly"),
    ("convolve2d", ([[1]], [[2]]), {"fillvalue": np.nan}, "could not cast `fillvalue` directly"),
    ("convolve2d", (A.astype("u1"), B.astype("u1")), {"fillvalue": -3}, "could not cast"),
    ("correlate2d", ([[[3]]], [[[4]]]), {}, "2-D arrays"),
    ("fftconvolve", (A, B), {"mode": "valid"}, "For 'valid' mode"),
    ("fftconvolve", (A, B), {"axes": 0}, "incompatible shapes"),
    ("fftconvolve", ([1], [2]), {"axes": []}, "axes cannot be empty"),
    ("fftconvolve", ([1], [2]), {"axes": 1.5}, "scalar or iterable of integers"),
    ("oaconvolve", ([1], [2]), {"axes": [[0], [0]]}, "scalar or iterable of integers"),
    ("oaconvolve", ([1], [2]), {"axes": -2}, "axes exceeds dimensionality"),
    ("oaconvolve", ([1], [2]), {"axes": [0, 0]}, "all axes must be unique"),
    ("oaconvolve", ([1], [2]), {"mode": "chips"}, "acceptable mode flags"),
    ("correlation_lags", (3, 2), {"mode": "x"}, "Mode x is invalid"),
]


@pytest.mark.parametrize(("name", "args", "keywords", "match"), BAD_CALLS)
def test_bad_calls_raise_scipys_kind_of_error(name, args, keywords, match):
    with warnings.catch_warnings(), pytest.raises(ValueError, match="."):
        warnings.simplefilter("ignore")
        getattr(scipy_signal, name)(*args, **keywords)
    with pytest.raises(ValueError, match=".") as error:
        getattr(signal, name)(*args, **keywords)
    assert re.search(match, str(error.value)), error.value
