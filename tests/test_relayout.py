"""Copies between channels first and last: every element once, a few images at a time."""

import numpy as np
import pytest

import npconv
import oracle
from npconv import relayout


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shape", [(1, 1, 40, 512), (3, 17, 31, 37), (2, 129, 128, 2), (40, 1, 1, 700)]
)
def test_copy_both_ways(dtype, shape):
    dense = laid(shape, (0, 1, 2, 3), dtype)
    planar = np.full_like(laid(shape, (0, 3, 1, 2), dtype), np.nan)
    relayout.copy(dense, planar)
    np.testing.assert_array_equal(planar, dense)
    back = np.full_like(dense, np.nan)
    relayout.copy(planar, back)
    np.testing.assert_array_equal(back, dense)


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
