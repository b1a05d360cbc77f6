"""npconv.ndimage beside scipy.ndimage: random geometries, and numbers worked by hand."""

import numpy as np
import pytest

from ndimage_cases import DTYPES, MODES, filled, same, scipy_ndimage
from npconv import ndimage

FLOATS = ["float32", "float64", "complex64", "complex128"]


@pytest.fixture(params=["short way", "conv"])
def way(request, monkeypatch):
    """Small arrays have a short way of their own: also send them through npconv.conv."""
    if request.param == "conv":
        monkeypatch.setattr("npconv.ndimage.sums.SMALL", -1)


def origin_for(rng, length):
    return int(rng.integers(-(length // 2), (length - 1) // 2 + 1))


@pytest.mark.parametrize("seed", range(160))
def test_correlate_and_convolve_on_random_geometries(seed, way):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 8, rng.integers(1, 4)))
    kernel = tuple(rng.integers(1, 7, len(shape)))
    dtype = rng.choice(DTYPES + FLOATS)
    x = filled(rng, shape, dtype)
    weights = filled(rng, kernel, rng.choice(["int64", "float64", "float32", "complex64"]))
    weights = np.where(rng.random(kernel) < 0.2, 0, weights)
    name = rng.choice(["correlate", "convolve"])
    arguments = {
        "mode": str(rng.choice(MODES)),
        "cval": float(rng.choice([0, 3, -1.5])),
        "origin": [origin_for(rng, k) for k in kernel],
    }
    theirs = getattr(scipy_ndimage, name)(x, weights, **arguments)
    ours = getattr(ndimage, name)(x, weights, **arguments)
    same(ours, theirs, sums=np.abs(weights).sum() * max(np.abs(x.astype(complex)).max(), 3))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(12))
def test_lines_on_random_geometries(mode, seed, way):
    rng = np.random.default_rng([seed, len(mode)])
    shape = tuple(rng.integers(1, 9, rng.integers(1, 4)))
    length = int(rng.integers(1, 20))
    x = filled(rng, shape, rng.choice(DTYPES + FLOATS))
    taps = filled(rng, length, rng.choice(["int64", "float64", "complex128"]))
    if rng.random() < 0.4:
        taps = taps + rng.choice([-1, 1]) * taps[::-1]
    for name in ("correlate1d", "convolve1d"):
        arguments = {
            "axis": int(rng.integers(-len(shape), len(shape))),
            "mode": mode,
            "cval": float(rng.choice([0, 2.5])),
            "origin": origin_for(rng, length),
        }
        theirs = getattr(scipy_ndimage, name)(x, taps, **arguments)
        ours = getattr(ndimage, name)(x, taps, **arguments)
        same(ours, theirs, sums=np.abs(taps).sum() * max(np.abs(x.astype(complex)).max(), 3))


OUTPUTS = [None, "uint8", "int32", "float32", "float64", "complex64"]


# SciPy wants a complex output for complex input and for nothing else.
DTYPES_TO_OUTPUTS = [
    (dtype, output)
    for dtype in DTYPES + FLOATS
    for output in OUTPUTS
    if (np.dtype(output or dtype).kind == "c") == (np.dtype(dtype).kind == "c")
]


@pytest.mark.parametrize(("dtype", "output"), DTYPES_TO_OUTPUTS)
def test_filters_keep_scipys_dtypes(dtype, output, way):
    x = filled(np.random.default_rng(3), (9, 7), dtype)
    calls = [
        ("gaussian_filter", (1.3,), {"mode": ["nearest", "mirror"]}),
        ("gaussian_filter", (1.3,), {"order": [1, 0], "truncate": 2.0}),
        ("gaussian_filter1d", (2.0,), {"order": 2, "axis": 0}),
        ("uniform_filter", ((3, 4),), {"origin": (1, -2), "mode": "wrap"}),
        ("uniform_filter1d", (5,), {"axis": 0, "mode": "constant", "cval": 2.5}),
        ("sobel", (), {"axis": 0, "mode": ["reflect", "wrap"]}),
        ("prewitt", (), {"mode": "constant", "cval": 1.0}),
        ("laplace", (), {"mode": ["mirror", "nearest"]}),
    ]
    for name, args, keywords in calls:
        with np.errstate(all="ignore"):
            theirs = getattr(scipy_ndimage, name)(x, *args, output=output, **keywords)
        ours = getattr(ndimage, name)(x, *args, output=output, **keywords)
        same(ours, theirs, sums=8 * float(np.abs(x.astype(complex)).max()) + 8)


@pytest.mark.parametrize("seed", range(20))
def test_separable_filters_on_random_axes(seed, way):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(tuple(rng.integers(1, 8, 3)))
    axes = tuple(int(a) for a in rng.permutation(3)[: rng.integers(0, 4)])
    modes = [str(m) for m in rng.choice(MODES, len(axes))]
    sigma = [float(s) for s in rng.choice([0, 0.4, 1, 2.5], len(axes))]
    size = [int(n) for n in rng.integers(1, 6, len(axes))]
    common = {"axes": axes, "mode": modes, "cval": 1.5}
    for name, value in (
        ("gaussian_filter", sigma), ("gaussian_laplace", sigma), ("uniform_filter", size),
    ):  # fmt: skip
        theirs = getattr(scipy_ndimage, name)(x, value, **common)
        same(getattr(ndimage, name)(x, value, **common), theirs, sums=4)
    same(ndimage.laplace(x, **common), scipy_ndimage.laplace(x, **common), sums=8)


@pytest.mark.parametrize("name", ["correlate", "convolve"])
@pytest.mark.parametrize("axes", [(1, 0), (2, 0), (0,), 1, (2, 1, 0), ()])
def test_axes_of_an_n_d_kernel(name, axes):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((5, 6, 7))
    count = len(axes) if isinstance(axes, tuple) else 1
    weights = rng.standard_normal((2, 3, 4)[:count])
    origin = [0, 1, -2][:count] if count != 2 else [0, -1]
    theirs = getattr(scipy_ndimage, name)(x, weights, axes=axes, origin=origin)
    same(getattr(ndimage, name)(x, weights, axes=axes, origin=origin), theirs, sums=20)


def test_numbers_worked_by_hand():
    x = [[1, 2, 3], [4, 5, 6]]
    kernel = [[1, 0], [0, 1]]
    assert ndimage.correlate(x, kernel).tolist() == [[2, 3, 5], [5, 6, 8]]
    assert ndimage.convolve(x, kernel).tolist() == [[6, 8, 9], [9, 11, 12]]
    assert ndimage.correlate1d([1, 2, 3], [1, 2, 3]).tolist() == [9, 14, 17]
    assert ndimage.correlate1d([1, 2, 3], [1, 2, 3], origin=-1).tolist() == [14, 17, 15]
    assert ndimage.uniform_filter1d([0, 0, 9, 0, 0], 3).tolist() == [0, 3, 3, 3, 0]
    step = [[0, 0, 5]] * 3
    assert ndimage.sobel(step).tolist() == [[0, 20, 20]] * 3
    assert ndimage.prewitt(step).tolist() == [[0, 15, 15]] * 3
    assert ndimage.laplace([0, 0, 1, 0, 0]).tolist() == [0, 1, -2, 1, 0]
    ramp = np.arange(36.0).reshape(6, 6)
    assert np.all(ndimage.sobel(ramp, axis=0)[1:-1, 1:-1] == 48)
    assert np.all(ndimage.sobel(ramp, axis=1)[1:-1, 1:-1] == 8)
