"""npconv.signal on the shapes that go ways of their own: thin ones, one axis, short and long."""

import warnings

import numpy as np
import pytest

from npconv import signal
from npconv.signal import windows

scipy_signal = pytest.importorskip("scipy.signal")
MODES = ("full", "same", "valid")
# No axis along which both have length.
THIN = [
    ((7, 1), (1, 5)), ((1, 5), (7, 1)), ((6, 1, 3), (1, 4, 1)), ((1, 1), (4, 5)), ((4, 5), (1, 1)),
    ((1,), (9,)), ((9,), (1,)),
]  # fmt: skip
# The kernel has length along one axis.
ONE_AXIS = [
    ((9, 40), (1, 7)), ((40, 9), (7, 1)), ((3, 20, 4), (1, 6, 1)), ((3, 4, 20), (1, 1, 6)),
    ((20, 3, 4), (6, 1, 1)), ((1, 20, 1), (1, 6, 1)), ((1, 30), (1, 8)), ((1, 5), (1, 5)),
    ((1, 7), (3, 50)), ((50, 1), (8, 1)),
]  # fmt: skip


def numbers(shape, dtype, seed=0):
    values = np.random.default_rng(seed).integers(-9, 9, shape)
    return (values + (1j * values[::-1] if np.dtype(dtype).kind == "c" else 0)).astype(dtype)


def tried(function, *given, **more):
    """What a function returns, or the type of the error it raises."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return function(*given, **more)
        except ValueError as error:
            return type(error)


def same_answer(name, *given, tolerance=1e-12, **more):
    """Assert that both libraries give the same, of the same dtype, or refuse alike."""
    ours, theirs = (tried(getattr(room, name), *given, **more) for room in (signal, scipy_signal))
    if isinstance(theirs, type):
        assert ours is theirs
        return
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * 1e3)
    assert not any(np.may_share_memory(ours, a) for a in given if isinstance(a, np.ndarray))


@pytest.mark.parametrize("shapes", THIN + ONE_AXIS, ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float64", "complex128", "int16", "uint8"])
def test_thin_arrays_and_one_axis_give_what_scipy_gives(shapes, mode, dtype):
    a, b = (numbers(shape, dtype, seed) for seed, shape in enumerate(shapes))
    names = ["convolve", "correlate"] + ["fftconvolve"] * (dtype[0] != "i" and dtype[0] != "u")
    if a.ndim == 2:
        names += ["convolve2d", "correlate2d"]
    for name in names:
        same_answer(name, a, b, mode)


@pytest.mark.parametrize("shapes", [s for s in ONE_AXIS if len(s[0]) == 2], ids=str)
@pytest.mark.parametrize("boundary", ["wrap", "symm", "fill"])
def test_one_axis_with_each_boundary(shapes, boundary):
    a, b = (numbers(shape, "float64", seed) for seed, shape in enumerate(shapes))
    for mode in MODES:
        for name in ("convolve2d", "correlate2d"):
            same_answer(name, a, b, mode, boundary, 3 if boundary == "fill" else 0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int64"])
@pytest.mark.parametrize("mode", MODES)
def test_both_sides_of_the_length_where_conv_begins_agree(dtype, mode, monkeypatch):
    a, b = numbers(700, dtype), numbers(23, dtype, 1)
    found = []
    for limit in (-1, 1e12):
        monkeypatch.setattr(windows, "_SMALL", limit)
        found += [signal.convolve(a, b, mode), signal.convolve(b, a, mode)]
    for ours, other in zip(found[:2], found[2:], strict=True):
        assert ours.dtype == other.dtype == dtype
        np.testing.assert_allclose(ours, other, rtol=1e-5, atol=1e-3)


def test_a_product_that_is_not_finite_stays_alone():
    a, b = np.ones((5, 1)), np.ones((1, 4))
    a[2], b[0, 1] = np.inf, 0
    out = signal.convolve2d(a, b)
    assert np.isnan(out[2, 1])
    assert np.isinf(out[2, [0, 2, 3]]).all()
    assert np.isfinite(out[[0, 1, 3, 4]]).all()


def test_thin_bools_are_or_ed_and_objects_multiplied():
    a, b = np.array([[True], [False]]), np.array([[True, False, True]])
    out = signal.convolve2d(a, b)
    assert out.dtype == bool
    np.testing.assert_array_equal(out, a & b)
    out = signal.convolve(np.array([[3], [10**30]], object), np.array([[2, 5]], object))
    assert out.tolist() == [[6, 15], [2 * 10**30, 5 * 10**30]]


@pytest.mark.parametrize("axes", [0, 1, 2, (0, 1), (1, 2), (0, 2)])
@pytest.mark.parametrize("shape", [(1, 6, 1), (5, 6, 4), (5, 1, 4), (1, 1, 4)])
def test_fftconvolve_along_some_axes_broadcasts_as_scipy_does(axes, shape):
    a, b = numbers((5, 6, 4), "float64"), numbers(shape, "float64", 1)
    for mode in MODES:
        for given in ((a, b), (b, a)):
            same_answer("fftconvolve", *given, mode, axes, tolerance=1e-10)


def test_complex_meets_real_without_being_made_complex():
    a, b = numbers((64, 60), "complex128"), numbers((9, 11), "float64", 1)
    for mode in MODES:
        for given in ((a, b), (b, a)):
            for name in ("convolve2d", "fftconvolve", "convolve"):
                same_answer(name, *given, mode, tolerance=1e-9)
    for dtypes, want in (
        (("complex64", "float32"), "complex64"),
        (("complex64", "float64"), "complex128"),
        (("float32", "complex128"), "complex128"),
        (("complex64", "int64"), "complex128"),
    ):
        given = [c.astype(d) for c, d in zip((a.real, b), dtypes, strict=True)]
        assert signal.convolve(*given).dtype == want
