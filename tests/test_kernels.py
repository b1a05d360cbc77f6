"""The kernels against plain Python, and against memory that may not be touched."""

import contextlib
import ctypes
import math
import mmap
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import npconv
import oracle
from npconv import compiler

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")
PAGE = mmap.PAGESIZE
NO_ACCESS, READ_ONLY = 0, 1


def protect(buffer, start, length, rights):
    """Take rights of whole pages away from this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.addressof(ctypes.c_char.from_buffer(buffer)) + start
    assert libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(length), rights) == 0


class Guarded:
    """An array whose first byte follows, or whose last byte precedes, a page without access."""

    def __init__(self, values, at_end, read_only=False):
        pages = -(-max(values.nbytes, 1) // PAGE)
        self.buffer = mmap.mmap(-1, (pages + 2) * PAGE)
        offset = PAGE + (pages * PAGE - values.nbytes if at_end else 0)
        whole = np.frombuffer(self.buffer, np.uint8)
        inside = whole[offset : offset + values.nbytes]
        self.array = inside.view(values.dtype).reshape(values.shape)
        self.array[...] = values
        protect(self.buffer, 0, PAGE, NO_ACCESS)
        protect(self.buffer, (pages + 1) * PAGE, PAGE, NO_ACCESS)
        if read_only:
            protect(self.buffer, PAGE, pages * PAGE, READ_ONLY)


def scalar_tile(a_rows, b, start, least=-np.inf, most=np.inf):
    """The register tile in plain Python: rows of A, (outer, inner, wide) B, and what is added."""
    outer, rows, inner = a_rows.shape
    out = np.empty((rows, b.shape[-1]), b.dtype)
    for i in range(rows):
        for v in range(b.shape[-1]):
            total = b.dtype.type(0)
            for p in range(outer):
                for j in range(inner):
                    total = b.dtype.type(total + a_rows[p, i, j] * b[p, j, v])
            total = total + start[v]
            out[i, v] = total if np.isnan(total) else min(max(total, least), most)
    return out


def run_tile(a, b, start, limits=(-np.inf, np.inf), before=None, streams=False):
    """What the register tile of b's width stores: start None adds to `before`."""
    from npconv.kernels import tile

    rows, wide = a.shape[1], b.shape[-1]
    out = aligned((rows, wide), b.dtype)
    out[...] = np.nan if before is None else before
    table = a.ctypes.data + np.arange(a.shape[0] * rows) * a.shape[2] * a.itemsize
    outs = out.ctypes.data + np.arange(rows) * wide * out.itemsize
    at = 0 if start is None else start.ctypes.data
    store = tile.Store(at, int(streams), *map(b.dtype.type, limits))
    compiled_tile()(table.ctypes.data, *a.shape[::2], b.ctypes.data, wide, outs.ctypes.data, store)
    return out


@lru_cache
def compiled_tile():
    from npconv.kernels import products
    from npconv.kernels.compile import compiled
    from npconv.kernels.simd import finish_streams

    multiply = products.multiply

    @compiled
    def run(table, outer, inner, b, block, out, store):
        multiply(block, table, outer, inner, 1, b, block, inner * block, out, 0, store)
        finish_streams()

    return run


def aligned(shape, dtype, off=0):
    """An array that begins at a multiple of any vector's bytes, or `off` elements after it."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    whole = np.empty(size + 128, np.uint8)
    first = -whole.ctypes.data % 64 + off * np.dtype(dtype).itemsize
    return whole[first : first + size].view(dtype).reshape(shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("outer", "inner"), [(1, 1), (3, 2), (2, 7)])
@pytest.mark.parametrize("tall", [False, True])
def test_the_tile_is_its_scalar_twin(dtype, outer, inner, tall):
    from npconv.kernels import products, simd

    wide = simd.lanes(dtype) * (1 if tall else products.VECTORS)
    rows = products.TALL if tall else products.ROWS
    rng = np.random.default_rng(outer * inner)
    a = oracle.small_integers(rng, (outer, rows, inner), dtype)
    b = oracle.small_integers(rng, (outer, inner, wide), dtype)
    start = oracle.small_integers(rng, wide, dtype)
    for limits in ((-np.inf, np.inf), (0, np.inf), (-np.inf, -1), (-3, 5)):
        for streams in (False, True):
            out = run_tile(a, b, start, limits, streams=streams)
            np.testing.assert_array_equal(out, scalar_tile(a, b, start, *limits))
    before = oracle.small_integers(rng, out.shape, dtype)
    sums = scalar_tile(a, b, np.zeros(wide, dtype))
    np.testing.assert_array_equal(run_tile(a, b, None, (0, 0), before), before + sums)


def test_the_tile_clamps_infinities_and_keeps_nan():
    from npconv.kernels import products, simd

    wide = products.VECTORS * simd.lanes("float32")
    a, b = np.ones((1, products.ROWS, 1), "float32"), np.ones((1, 1, wide), "float32")
    a[0, :4, 0] = np.nan, np.inf, -np.inf, 0
    b[0, 0, 0] = np.inf
    start = np.zeros(wide, "float32")
    with np.errstate(invalid="ignore"):
        want = scalar_tile(a, b, start, 0, 6)
    assert {0, 1, 6} <= set(want.flat)
    assert np.isnan(want).any()
    np.testing.assert_array_equal(run_tile(a, b, start, (0, 6)), want)


@lru_cache
def compiled_transpose():
    from npconv.kernels import planes
    from npconv.kernels.compile import compiled

    transpose = planes.transpose
    return compiled(lambda *given: transpose(*given))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (16, 16), (17, 33), (64, 50), (100, 7)])
def test_a_transpose_moves_every_element(dtype, shape):
    source = np.arange(shape[0] * shape[1], dtype=dtype).reshape(shape)
    target = np.full(shape[::-1], np.nan, dtype)
    compiled_transpose()(
        source.ctypes.data, source.strides[0], *shape, target.ctypes.data, target.strides[0],
        source.dtype.type(0),
    )  # fmt: skip
    np.testing.assert_array_equal(target, source.T)


@cases.examples(60, 20000)
@given(cases.problems(), st.booleans())
def test_arrays_flush_against_pages_without_access(case, tiny):
    with cases.small_tiles() if tiny else contextlib.nullcontext():
        every_direction_between_guards(case)


def every_direction_between_guards(case):
    """Run all three directions on arrays that begin or end where memory does."""
    x, weight, _ = case.arrays("float32")
    want = oracle.direct(x, weight, **case.geometry)
    first = tuple(range(2, x.ndim))
    for at_end in (False, True):
        for last in (False, True):
            if last:
                letters = "N" + "".join("ABD"[: x.ndim - 2]) + "C"
                arrays = x.transpose(0, *first, 1), weight.transpose(*first, 1, 0)
                layout = {"layout": letters, "weight_layout": letters[1:-1] + "IO"}
                result = want.transpose(0, *first, 1)
            else:
                arrays, layout, result = (x, weight), case.letters, want
            a, b = (Guarded(np.ascontiguousarray(v), at_end, read_only=True) for v in arrays)
            out = Guarded(np.full(result.shape, np.nan, "float32"), at_end)
            npconv.conv(
                a.array, b.array, algorithm="indirect", out=out.array, **layout, **case.geometry
            )
            np.testing.assert_array_equal(out.array, result)
            g = Guarded(np.ascontiguousarray(result.astype("float32")), at_end, read_only=True)
            for call, other, like in (
                (npconv.conv_input_grad, b, a),
                (npconv.conv_weight_grad, a, b),
            ):
                keywords = {**layout, **case.geometry}
                room = Guarded(np.full(like.array.shape, np.nan, "float32"), at_end)
                call(
                    g.array, other.array, like.array, algorithm="indirect", out=room.array,
                    **keywords,
                )  # fmt: skip
                known = call(g.array, other.array, like.array, algorithm="taps", **keywords)
                np.testing.assert_array_equal(room.array, known)


@pytest.mark.parametrize(("channels", "outputs"), [(70, 3), (33, 65), (1, 40), (5, 1)])
def test_channels_that_fill_no_vector(channels, outputs):
    case = cases.Case(
        (2, channels, 7, 6),
        (outputs, channels, 3, 2),
        {"stride": (1, 2), "padding": ((2, 1), (0, 3)), "dilation": (2, 1), "groups": 1,
         "padding_mode": "zeros"},
        0,
    )  # fmt: skip
    every_direction_between_guards(case)
    with cases.small_tiles():
        every_direction_between_guards(case)


@cases.examples(60, 2000)
@given(cases.problems())
def test_old_memory_is_never_read(case):
    x, weight, _ = case.arrays("float64")
    want = oracle.direct(x, weight, **case.geometry)
    full = np.empty

    def poisoned(shape, dtype=float, *args, **keywords):
        array = full(shape, dtype, *args, **keywords)
        if array.dtype.kind == "f":
            array[...] = np.nan
        return array

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "empty", poisoned)
        out = npconv.conv(x, weight, algorithm="indirect", **case.letters, **case.geometry)
    np.testing.assert_array_equal(out, want)
