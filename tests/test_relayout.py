"""Copies between channels first and last: every element once, a few images at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import grad_cases
import guarded
import npconv
import oracle
from npconv import compiler, relayout


def problem_of(x, out, weight_shape=(3, 4, 1, 1)):
    return npconv.plan(x, weight_shape, x.dtype).problem


def laid(shape, order, dtype="float32"):
    """Return a canonical view (N, H, W, C) of numbers that lies in memory in some order of axes."""
    values = np.arange(np.prod(shape), dtype=dtype).reshape([shape[a] for a in order])
    return values.transpose(np.argsort(order))


@pytest.mark.parametrize("nbytes", [1, 900, 1 << 30])
@pytest.mark.parametrize("batch", [1, 5, 8])
@pytest.mark.parametrize("x_order", [(0, 3, 1, 2), (0, 1, 2, 3), (3, 1, 2, 0)])
@pytest.mark.parametrize("out_order", [(0, 3, 1, 2), (0, 1, 2, 3)])
def test_pieces_hold_every_image_once(monkeypatch, nbytes, batch, x_order, out_order):
    monkeypatch.setattr(relayout, "_PIECE_NBYTES", nbytes)
    x = laid((batch, 4, 6, 4), x_order)
    out = laid((batch, 4, 6, 3), out_order) * np.nan
    problem = problem_of(x.transpose(0, 3, 1, 2), out)
    held = 0
    for piece, source, goal in relayout.pieces(problem, x, out):
        assert source.shape == piece.x_shape
        assert goal.shape == piece.out_shape
        assert source.strides[-1] == goal.strides[-1] == 4
        goal[...] = source[..., :3] + 1
        held = max(held, sum(a.nbytes for a in (source, goal) if not np.may_share_memory(a, x)))
    np.testing.assert_array_equal(out, x[..., :3] + 1)
    if x_order == out_order == (0, 3, 1, 2):
        assert held == sum(relayout.copied_nbytes(relayout.planned_piece(problem)))


SHAPES = {
    "one line": (1, 1, 40, 512),
    "squares that reach back": (3, 17, 31, 37),
    "two channels": (2, 129, 128, 2),
    "three channels": (1, 37, 41, 3),
    "four channels": (5, 9, 55, 4),
    "five channels": (2, 33, 35, 5),
    "planes that share sets of the cache": (2, 64, 64, 48),
    "few pixels": (40, 1, 3, 700),
    "one pixel": (40, 1, 1, 700),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHAPES)
def test_copy_both_ways(dtype, name):
    dense = laid(SHAPES[name], (0, 1, 2, 3), dtype)
    for streams in (False, True):
        planar = np.full_like(laid(SHAPES[name], (0, 3, 1, 2), dtype), np.nan)
        relayout.copy(dense, planar, streams)
        np.testing.assert_array_equal(planar, dense)
        back = np.full_like(dense, np.nan)
        relayout.copy(planar, back, streams)
        np.testing.assert_array_equal(back, dense)


def planted(shape, planar, low, high, dtype):
    """A view of NaN, (low, high) elements from the edges of an array: the view, and the array."""
    grown = [n + a + z for n, a, z in zip(shape, low, high, strict=True)]
    whole = laid(grown, (0, 3, 1, 2) if planar else (0, 1, 2, 3), dtype)
    whole[...] = np.nan
    inner = tuple(slice(a, a + n) for a, n in zip(low, shape, strict=True))
    return whole[inner], whole


_EDGES = st.tuples(*[st.integers(0, 3)] * 4)


@cases.examples(150, 20000)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 70), st.integers(1, 70)),
    st.tuples(_EDGES, _EDGES, _EDGES, _EDGES),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from([1, 300, 5000]),
)
def test_copies_of_parts_of_arrays(shape, edges, planar, streams, dtype, worth):
    source, _ = planted(shape, planar, *edges[:2], dtype)
    target, whole = planted(shape, not planar, *edges[2:], dtype)
    source[...] = np.arange(source.size).reshape(shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relayout, "_WORTH", worth)
        relayout.copy(source, target, streams)
    np.testing.assert_array_equal(target, source)
    assert np.isnan(whole).sum() == whole.size - target.size


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("channels", [2, 3, 4, 7, 16, 41])
def test_copies_touch_nothing_beside_their_arrays(channels, at_end):
    for planar in (False, True):
        shapes = [(3, channels, 150), (3, 150, channels)]
        first, second = (
            guarded.Guarded(np.full(shape, np.nan, np.float32), at_end) for shape in shapes
        )
        planes, rows = first.array.transpose(0, 2, 1), second.array
        source, target = (planes, rows) if planar else (rows, planes)
        source[...] = np.arange(source.size).reshape(source.shape)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(relayout, "_WORTH", 1)
            relayout.copy(source[:, None], target[:, None], streams=True)
        np.testing.assert_array_equal(target, source)
        del planes, rows, source, target
        first.close()
        second.close()


@pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")
def test_a_copy_is_told_the_same_again_and_shared_out_alike_for_any_number_of_threads():
    dense = laid((8, 30, 40, 20), (0, 1, 2, 3))
    planar = laid((8, 30, 40, 20), (0, 3, 1, 2))
    told = []
    for number in (1, 3):
        with grad_cases.threads(number):
            relayout._record.cache_clear()
            for _ in range(3):
                relayout.copy(dense, planar)
            assert relayout._record.cache_info().misses == 1
            keys = dense.shape, dense.strides, planar.strides, dense.dtype, planar.dtype
            told.append(relayout._record(*keys, relayout._WORTH))
            assert relayout._record.cache_info().hits == 3
    np.testing.assert_array_equal(*told)
    units, items = told[0][8:10]
    assert units == items == 8


def test_what_is_not_aligned_is_copied_all_the_same():
    dense = laid((2, 90, 40, 20), (0, 1, 2, 3))
    memory = np.zeros(dense.nbytes + 1, np.uint8)
    planar = memory[1:].view(np.float32).reshape(2, 20, 90, 40).transpose(0, 2, 3, 1)
    relayout.copy(dense, planar)
    np.testing.assert_array_equal(planar, dense)
    back = np.zeros_like(dense)
    relayout.copy(planar, back)
    np.testing.assert_array_equal(back, dense)


def test_copies_begin_at_cache_lines():
    x = laid((1, 5, 7, 4), (0, 3, 1, 2))
    out = laid((1, 5, 7, 3), (0, 3, 1, 2))
    for _, source, goal in relayout.pieces(problem_of(x.transpose(0, 3, 1, 2), out), x, out):
        assert source.ctypes.data % 64 == goal.ctypes.data % 64 == 0


def test_a_convolution_in_pieces(monkeypatch):
    rng = np.random.default_rng(0)
    x = oracle.small_integers(rng, (7, 3, 9, 8), "float32")
    weight = oracle.small_integers(rng, (5, 3, 3, 3), "float32")
    want = oracle.direct(x, weight, padding=1)
    for nbytes in (1, 4000, 1 << 24):
        monkeypatch.setattr(relayout, "_PIECE_NBYTES", nbytes)
        npconv.set_num_threads(None)  # forgets plans
        for name in npconv.algorithms():
            try:
                got = npconv.conv(x, weight, padding=1, algorithm=name)
            except npconv.UnsupportedError:
                continue
            np.testing.assert_allclose(got, want, atol=1e-4, err_msg=name)
