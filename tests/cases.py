"""What the core's tests share: every algorithm in turn, random problems, arrays in odd places."""

import contextlib
import re
import sys
from dataclasses import dataclass

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

import npconv
import oracle
from npconv import arrays, compiler, packing, relayout, threads, tiling

# Not sums of products: small integers come back rounded, not exact.
ROUNDS = {"fft", "winograd"}
ALL = settings.get_current_profile_name() == "all"


def examples(quick, full):
    """Number of random examples in the quick suite and in the long one."""
    return settings(max_examples=full if ALL else quick)


def each(x, weight, bias=None, *, skip=(), **keywords):
    """Yield (name, result) of every algorithm; one that cannot must say why."""
    ran = []
    for name in npconv.algorithms():
        if name in skip:
            continue
        try:
            out = npconv.conv(x, weight, bias, algorithm=name, **keywords)
        except npconv.UnsupportedError as error:
            assert re.match(rf"conv: {name} cannot do this: .{{10,}}\.", str(error))
            assert "take one of" in str(error)
        else:
            ran.append(name)
            yield name, out
    assert ran, "no algorithm ran"


def able(x, weight, **keywords):
    """Names of the algorithms that can compute this, by what they say to a plan."""
    names = [r.algorithm for r in npconv.plan(x, weight, **keywords).rows if not r.why_not]
    assert len(names) > 4
    return names


def absent():
    """Names of the algorithms whose kernels cannot be compiled here, for want of Numba."""
    rows = npconv.plan((1, 4, 9), (2, 4, 3)).rows
    return {r.algorithm for r in rows if r.why_not and r.why_not == compiler.missing()}


def check_exact(x, weight, bias=None, *, skip=(), want=None, dtype=None, **keywords):
    """Hold every algorithm to the direct sum, number for number."""
    if want is None:
        want = oracle.direct(x, weight, bias, **keywords)
    for name, out in each(x, weight, bias, skip=skip, **keywords):
        same_numbers(name, out, want, dtype)


def same_numbers(name, out, want, dtype=None):
    """Compare one result with the oracle's; a transform may be off by less than a half."""
    assert out.shape == want.shape, name
    assert dtype is None or out.dtype == dtype, name
    out = out.astype(want.dtype)
    if name in ROUNDS and out.size:
        assert np.abs(out - want).max() < 0.1, name
    else:
        np.testing.assert_array_equal(out, want, err_msg=name)


def check_bound(x, weight, bias=None, *, skip=(), keywords=None, **geometry):
    """Hold every algorithm to the direct sum's rounding bound, element by element."""
    with np.errstate(all="ignore"):
        want = oracle.direct(x, weight, bias, **geometry)
    clean = [None if a is None else np.where(np.isfinite(a), a, 0) for a in (x, weight, bias)]
    fine = np.isfinite(want)
    for name, out in each(x, weight, bias, skip=skip, **(keywords or geometry)):
        assert out.dtype == x.dtype, name
        allowed = limit(name, *clean, dtype=x.dtype, **geometry)[fine]
        error = np.abs(out[fine] - want[fine])
        assert (error <= allowed).all(), (name, float((error / allowed).max()))
        same_kinds(name, out, want)


def limit(name, *operands, dtype, **geometry):
    """How far from the direct sum an algorithm's elements may be.

    A transform's error is measured in the largest products of its tile, not of the one window: the
    numbers here differ by 2**12, and the few channels leave no others to hide that.  Where the tile
    is of like numbers, strict Winograd is held to the direct sum's own bound, channel by channel of
    16 to 512, in test_winograd.py.
    """
    if name not in ROUNDS:
        return oracle.allowed(*operands, dtype=dtype, **geometry)
    return oracle.transform_allowed(*operands, dtype=dtype, unit=tile_unit(name, dtype), **geometry)


def tile_unit(name, dtype):
    """What a tile is rounded in: fft's in float64, winograd's in the numbers' own."""
    return 2.0**-53 if name == "fft" else oracle.UNIT[np.dtype(dtype).char]


def same_kinds(name, out, want):
    """Assert that NaN and both infinities stand where the direct sum has them."""
    np.testing.assert_array_equal(np.isnan(out), np.isnan(want), err_msg=name)
    if out.dtype.kind == "f":
        for value in (np.inf, -np.inf):
            np.testing.assert_array_equal(out == value, want == value, err_msg=name)


# What cuts work up, wherever it is named so: limits in bytes, and counts.
IN_BYTES = (
    "TILE_NBYTES", "_TILE_NBYTES", "_LINES_NBYTES", "_PIECE_NBYTES", "_SUMS_NBYTES",
    "_PANEL_NBYTES", "_PANELS_NBYTES", "_WORKSPACE", "_SHARED", "_PARTIAL", "_PANEL",
    "_ADDED_NBYTES", "_LATE_NBYTES",
)  # fmt: skip
SMALL = {
    "_BLOCK": 3, "_HELD": 2, "WORTH_SHARING": 64, "WORTH_POOLING": 64, "_WORTH": 64,
    "_STREAMED": 1,
    "best_length": lambda need, span, dims: span + 1,
}  # fmt: skip


def cutting_rooms():
    """The modules that cut work up."""
    inside = "npconv.algorithms."
    found = [module for name, module in sys.modules.items() if name.startswith(inside)]
    return [arrays, tiling, packing, relayout, *found]


@contextlib.contextmanager
def small_tiles(nbytes=256):
    """Let tiles and blocks be so small that small problems have several, with seams between."""
    now = dict.fromkeys(IN_BYTES, nbytes) | SMALL | {"_LINES_NBYTES": 8 * nbytes}
    before = [
        (owner, name, getattr(owner, name))
        for owner in cutting_rooms()
        for name in now
        if hasattr(owner, name)
    ]
    forget_plans()
    for owner, name, _ in before:
        setattr(owner, name, now[name])
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
        forget_plans()


def forget_plans():
    """Empty the caches of plans."""
    threads.forget_plans()


@dataclass
class Case:
    """A random problem: canonical NC + spatial shapes, and the geometry as keywords."""

    x_shape: tuple
    weight_shape: tuple
    geometry: dict
    seed: int

    @property
    def letters(self):
        """Layouts for ranks that have no default."""
        axes = "ABDEF"[: len(self.x_shape) - 2]
        return {"layout": "NC" + axes, "weight_layout": "OI" + axes}

    def arrays(self, x_dtype="float64", weight_dtype=None, bias=False):
        """Small integers in these dtypes: x, weight, and a bias or None."""
        rng = np.random.default_rng(self.seed)
        x = oracle.small_integers(rng, self.x_shape, x_dtype)
        weight = oracle.small_integers(rng, self.weight_shape, weight_dtype or x_dtype)
        added = oracle.small_integers(rng, self.weight_shape[:1], x_dtype) if bias else None
        return x, weight, added


@st.composite
def problems(draw, max_ndim=3, modes=tuple(oracle.PAD_MODES), max_size=None):
    """Draw a problem that has at least one output along every axis."""
    d = draw(st.integers(1, max_ndim))
    top = max_size or {1: 24, 2: 9, 3: 5, 4: 4}[d]
    groups = draw(st.sampled_from((1, 1, 2, 3)))
    per_group, outputs, batch = (draw(st.integers(1, 3)) for _ in range(3))
    sizes, kernels, strides, dilations, pads = [], [], [], [], []
    for _ in range(d):
        size, kernel = draw(st.integers(1, top)), draw(st.integers(1, 5))
        stride, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 4))
        before, after = draw(st.integers(-6, 9)), draw(st.integers(-6, 9))
        short = dilation * (kernel - 1) + 1 - (size + before + after)
        if short > 0:
            share = draw(st.integers(0, short))
            before, after = before + share, after + short - share
        for values, value in zip(
            (sizes, kernels, strides, dilations, pads),
            (size, kernel, stride, dilation, (before, after)),
            strict=True,
        ):
            values.append(value)
    return Case(
        (batch, groups * per_group, *sizes),
        (groups * outputs, per_group, *kernels),
        {
            "stride": tuple(strides),
            "padding": tuple(pads),
            "dilation": tuple(dilations),
            "groups": groups,
            "padding_mode": draw(st.sampled_from(modes)),
        },
        draw(st.integers(0, 2**32 - 1)),
    )


def _misaligned(array):
    buffer = np.zeros(array.nbytes + 1, np.uint8)
    view = buffer[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def _strided(array):
    big = np.full([2 * n + 1 for n in array.shape], 99, array.dtype)
    view = big[tuple(slice(1, 2 * n + 1, 2) for n in array.shape)]
    view[...] = array
    return view


def _odd_strides(array):
    """Give axes of length 1 strides that lead nowhere."""
    strides = [10**15 + 1 if n == 1 else s for n, s in zip(array.shape, array.strides, strict=True)]
    return np.lib.stride_tricks.as_strided(array, array.shape, strides)


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def _rotated(array):
    turn = np.roll(np.arange(array.ndim), 1)
    return np.ascontiguousarray(array.transpose(turn)).transpose(np.argsort(turn))


class Subclass(np.ndarray):
    """An ndarray that is not one."""


PLACES = {
    "plain": lambda a: a,
    "Fortran": np.asfortranarray,
    "channels last": lambda a: np.moveaxis(np.moveaxis(a, 1, -1).copy(), -1, 1),
    "rotated": _rotated,
    "reversed": lambda a: np.flip(np.flip(a).copy()),
    "strided": _strided,
    "read-only": _read_only,
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder("S")),
    "misaligned": _misaligned,
    "odd strides": _odd_strides,
    "subclass": lambda a: a.view(Subclass),
}


def real(rng, shape, dtype):
    """Normal numbers of many magnitudes, complex where the dtype is."""
    values = rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 7, shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)
