"""The convolution as a direct sum, written apart from the package: what its answers are held to.

x is (N, C, *size), weight is (O, C // groups, *kernel_size); the result is in the widest dtype of
its kind: int64 or uint64 (which wrap), longdouble, or clongdouble.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

PAD_MODES = {
    "zeros": "constant",
    "edge": "edge",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "wrap": "wrap",
}
UNIT = {"f": 2.0**-24, "d": 2.0**-53, "F": 2.0**-24, "D": 2.0**-53, "e": 2.0**-24}
STORED = {"e": 2.0**-11}  # what rounding the result once more costs


def per_axis(value, ndim):
    """One number an axis."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * ndim


def pairs(padding, ndim):
    """One (before, after) an axis."""
    return tuple(
        tuple(p) if isinstance(p, (tuple, list)) else (p, p) for p in per_axis(padding, ndim)
    )


def pad(x, padding, padding_mode="zeros", first=2):
    """Pad the axes from `first` on with np.pad, then drop what negative numbers crop."""
    none = ((0, 0),) * first
    grow = none + tuple((max(b, 0), max(a, 0)) for b, a in padding)
    x = np.pad(x, grow, mode=PAD_MODES[padding_mode])
    crop = tuple(
        slice(max(-b, 0), n - max(-a, 0))
        for n, (b, a) in zip(x.shape[first:], padding, strict=True)
    )
    return x[(slice(None),) * first + crop]


def wide(*arrays):
    """The widest dtype of the arrays' common kind."""
    kind = np.result_type(*arrays)
    if kind.kind == "u" and kind.itemsize == 8:
        return np.uint64
    return {"b": np.int64, "i": np.int64, "u": np.int64, "f": np.longdouble, "c": np.clongdouble}[
        kind.kind
    ]


def direct(
    x, weight, bias=None, *, stride=1, padding=0, dilation=1, groups=1, padding_mode="zeros"
):
    """The definition: pad, take every window, multiply, add."""
    x, weight = np.asarray(x), np.asarray(weight)
    dtype = wide(x, weight, *(() if bias is None else (bias,)))
    d = x.ndim - 2
    stride, dilation, padding = per_axis(stride, d), per_axis(dilation, d), pairs(padding, d)
    padded = pad(x.astype(dtype), padding, padding_mode)
    weight = weight.astype(dtype)
    spans = tuple(e * (k - 1) + 1 for e, k in zip(dilation, weight.shape[2:], strict=True))
    windows = sliding_window_view(padded, spans, axis=tuple(range(2, 2 + d)))
    steps = tuple(slice(None, None, s) for s in stride)
    holes = tuple(slice(None, None, e) for e in dilation)
    windows = windows[(slice(None), slice(None), *steps, *holes)]
    n, c, o = 0, 1, 2
    where, tap = list(range(3, 3 + d)), list(range(3 + d, 3 + 2 * d))
    parts = [
        np.einsum(part, [n, c, *where, *tap], kernel, [o, c, *tap], [n, o, *where])
        for part, kernel in zip(np.split(windows, groups, 1), np.split(weight, groups), strict=True)
    ]
    out = np.concatenate(parts, axis=1)
    if bias is not None:
        out = out + np.asarray(bias).astype(dtype).reshape(-1, *(1,) * d)
    return out


def magnitude(x, weight, bias=None, **geometry):
    """conv(|x|, |weight|) + |bias|: what rounding errors are measured in."""
    x, weight = np.abs(x), np.abs(weight)
    return direct(x, weight, None if bias is None else np.abs(bias), **geometry)


def allowed(x, weight, bias=None, *, dtype, **geometry):
    """How far from the direct sum each element may be: max(8, 1.5 sqrt(n)) u conv(|x|, |w|)."""
    dtype = np.dtype(dtype)
    terms = int(np.prod(np.asarray(weight).shape[1:])) + (bias is not None)
    # A complex product rounds four real products and two sums.
    unit = UNIT[dtype.char] * (2 if dtype.kind == "c" else 1)
    size = magnitude(x, weight, bias, **geometry)
    return (max(8.0, 1.5 * terms**0.5) * unit + STORED.get(dtype.char, 0.0)) * size


def transform_allowed(x, weight, bias=None, *, dtype, unit=2.0**-53, **geometry):
    """Twice that for a strict transform, and its own floor: float64 rounding of whole tiles.

    A transform mixes all of a tile, so an output whose window holds nothing but zeros is off by
    the rounding of its neighbours: some `unit` times the norms of x and weight.
    """
    floor = 4 * unit * np.linalg.norm(np.ravel(x)) * np.linalg.norm(np.ravel(weight))
    return 2 * allowed(x, weight, bias, dtype=dtype, **geometry) + floor


def small_integers(rng, shape, dtype, low=-4, high=5):
    """Numbers whose products and sums every dtype holds exactly."""
    dtype = np.dtype(dtype)
    low = 0 if dtype.kind in "ub" else low
    values = rng.integers(low, high, shape)
    if dtype.kind == "c":
        return (values + 1j * rng.integers(low, high, shape)).astype(dtype)
    return values.astype(dtype)
