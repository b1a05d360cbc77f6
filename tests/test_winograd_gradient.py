"""Winograd's weight gradient: any geometry and cut, from scratch that is full of NaN."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import guarded
import oracle
from npconv import spare, templates
from npconv.algorithms import winograd
from npconv.algorithms.winograd import gradient_cut
from npconv.kernels import toom
from winograd_gradients import CUTS, cut_as, laid, numbers, problem, run, want, whole_numbers
from winograd_layers import Soiled, layers

pytest.importorskip("numba")

ORDERS = ("last", "first", "reversed")


@pytest.fixture(autouse=True)
def scratch_is_soiled(monkeypatch):
    for module in (spare, templates):
        monkeypatch.setattr(module, "np", Soiled())


def check(layer, dtype, order="last", seed=0):
    """Hold a layer to the oracle."""
    x_shape, weight_shape, geometry = layer
    made = problem(x_shape, weight_shape, dtype, **geometry)
    if winograd.why_not(made):
        return
    grad_out, x = numbers(made, seed)
    direct, size = want(made, grad_out, x), want(made, np.abs(grad_out), np.abs(x))
    out = run(made, laid(grad_out, order), laid(x, order))
    loose = 16 if made.precision == "strict" else 150
    unit = oracle.UNIT[np.dtype(dtype).char] * loose
    assert np.abs(out - direct).max(initial=0) <= unit * size.max(initial=0)


@cases.examples(60, 10000)
@given(layers(), st.sampled_from(("float32", "float64")), st.sampled_from(ORDERS))
def test_random_layers(layer, dtype, order):
    check(layer, dtype, order)


@cases.examples(60, 10000)
@given(layers(), st.sampled_from(sorted(CUTS)))
def test_random_layers_cut_in_every_way(layer, name):
    with cut_as(name):
        check(layer, "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", [r for r in toom.ROWS if r.outputs > 1], ids=str)
def test_every_row_in_every_remainder(row, dtype):
    precision = "strict" if row.strict else "fast"
    for out in range(1, 2 * row.outputs + 2):
        size = (out - 1) * row.stride + row.taps
        layer = (3, size, 5), (row.taps, 5, 3), {"stride": row.stride, "precision": precision}
        check(layer, dtype, seed=out)


@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("shape", [(2, 9, 14, 77), (1, 30, 7, 64), (3, 8, 8, 1), (2, 40, 13)])
def test_small_integers_come_out_exact(shape, name):
    made = problem(shape, (*[3] * (len(shape) - 2), shape[-1], 90), padding=1)
    grad_out, x = whole_numbers(made, 0)
    with cut_as(name):
        assert gradient_cut.cut(made).whole == name.startswith("whole")
        np.testing.assert_array_equal(run(made, grad_out, x), want(made, grad_out, x))


@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [15, 16, 17, 45])
def test_taps_side_by_side_in_the_result(channels, dtype, name):
    made = problem((2, 9, 8, channels), (3, 3, channels, 70), dtype, padding=1)
    grad_out, x = whole_numbers(made, channels)
    direct = want(made, grad_out, x)
    for at_end in (False, True):
        for axes in ((3, 2, 0, 1), (3, 2, 1, 0), (2, 3, 0, 1)):
            shape = tuple(made.weight_shape[a] for a in axes)
            lies = guarded.Guarded(np.full(shape, np.nan, dtype), at_end)
            with cut_as(name):
                winograd.weight_grad(made, grad_out, x, lies.array.transpose(np.argsort(axes)))
            np.testing.assert_array_equal(lies.array, direct.transpose(axes))


@pytest.mark.parametrize("name", CUTS)
def test_the_ways_of_cutting_are_what_they_are_called(name):
    made = problem((4, 20, 20, 100), (3, 3, 100, 130), padding=1)
    with cut_as(name):
        work = gradient_cut.cut(made)
    assert work.whole == name.startswith("whole")
    assert (work.shares > 1) == (name in ("whole, shared out", "shares of tiles"))
    if name == "shares of channels":
        assert work.channels < 100
        assert work.outputs < 130
    if name == "one part":
        assert (work.channels, work.outputs) >= (100, 130)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padding", [0, 4])
def test_depths(stride, dilation, padding):
    geometry = {"stride": (stride, 1, 1), "padding": (padding, 1, 1), "dilation": (dilation, 1, 1)}
    made = problem((2, 7, 9, 6, 3), (4, 3, 3, 3, 5), **geometry)
    grad_out, x = whole_numbers(made, stride)
    for name in CUTS:
        with cut_as(name):
            np.testing.assert_array_equal(run(made, grad_out, x), want(made, grad_out, x))


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("dilation", [2, 3, 4])
def test_strides_and_holes_share_their_factors(stride, dilation):
    for size in (9, 30):
        geometry = {"stride": (1, stride), "padding": (0, 6), "dilation": (1, dilation)}
        made = problem((1, 8, size, 4), (3, 3, 4, 3), **geometry)
        grad_out, x = whole_numbers(made, size)
        np.testing.assert_allclose(run(made, grad_out, x), want(made, grad_out, x), atol=1e-3)


def test_a_tap_of_the_depth_that_meets_only_padding_is_zero():
    made = problem((1, 1, 9, 6, 3), (3, 3, 3, 3, 5), padding=(1, 0, 0))
    grad_out, x = whole_numbers(made, 0)
    grad = run(made, grad_out, x)
    np.testing.assert_array_equal(grad, want(made, grad_out, x))
    assert not grad[0].any()
    assert not grad[2].any()
    assert grad[1].any()


def test_it_is_the_adjoint_of_forward():
    for stride in (1, 2):
        keywords = {"stride": stride, "padding": 1, "dtype": "float64"}
        made = problem((2, 13, 11, 20), (3, 3, 20, 24), **keywords)
        grad_out, x = numbers(made, 1)
        weight = np.random.default_rng(2).standard_normal(made.weight_shape)
        y = np.empty(made.out_shape)
        winograd.forward(replace(made, direction="forward"), x, weight, y)
        whole = math.fsum((y * grad_out).ravel())
        assert math.isclose(
            whole, math.fsum((run(made, grad_out, x) * weight).ravel()), rel_tol=1e-12
        )
