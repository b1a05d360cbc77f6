"""Winograd's weight gradient: any geometry and cut, from scratch that is full of NaN."""

import contextlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import grad_cases
import guarded
import npconv
import oracle
import oracle_grad
from npconv import arrays, compiler, spare, templates
from npconv.algorithms import winograd
from npconv.algorithms.winograd import gradient_cut, weight_gradient
from npconv.kernels import toom
from winograd_layers import Soiled, layers
from winograd_layers import problem as forward_problem

pytest.importorskip("numba")

ORDERS = ("last", "first", "reversed")
# Bytes of (a block of tiles, all the tiles, sums over shares), and multiply-adds of a part.
CUTS = {
    "whole": (1 << 20, 1 << 40, 1 << 20, 1 << 40),
    "whole, shared out": (1 << 20, 1 << 40, 1 << 20, 64),
    "one part": (1 << 20, 0, 0, 1 << 40),
    "shares of tiles": (1, 0, 1 << 40, 64),
    "shares of channels": (1 << 16, 0, 0, 64),
}


@pytest.fixture(autouse=True)
def scratch_is_soiled(monkeypatch):
    for module in (spare, templates):
        monkeypatch.setattr(module, "np", Soiled())


@contextlib.contextmanager
def cut_as(name):
    """Cut every problem up in one of the ways of CUTS."""
    limits = zip(
        (gradient_cut, gradient_cut, gradient_cut, arrays),
        ("_WORKSPACE", "_SHARED", "_PARTIAL", "WORTH_SHARING"),
        CUTS[name],
        strict=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        for owner, limit, value in limits:
            patch.setattr(owner, limit, value)
        gradient_cut._cut.cache_clear()  # or what depended on the number of threads would stay
        yield


def problem(*shapes, **keywords):
    """A weight gradient's problem of canonical shapes."""
    return forward_problem(*shapes, direction="weight_grad", **keywords)


def run(made, grad_out, x):
    """The gradient, without the planner."""
    assert winograd.why_not(made) == ""
    out = np.full(made.weight_shape, np.nan, made.compute_dtype)
    winograd.weight_grad(made, grad_out, x, out)
    return out


def want(made, grad_out, x):
    """The oracle's answer, in canonical order."""
    geometry = {
        name: getattr(made, name)
        for name in ("stride", "padding", "dilation", "groups", "padding_mode")
    }
    *taps, channels, outputs = made.weight_shape
    turned = np.moveaxis(grad_out, -1, 1), np.moveaxis(x, -1, 1)
    grad = oracle_grad.weight_grad(*turned, (outputs, channels, *taps), **geometry)
    return np.moveaxis(grad, (0, 1), (-1, -2))


def numbers(made, seed, make=np.random.Generator.standard_normal):
    """Random grad_out and x."""
    rng = np.random.default_rng(seed)
    return [make(rng, shape).astype(made.compute_dtype) for shape in made.operand_shapes]


def whole_numbers(made, seed):
    """The same, of small integers: m = 2 of three taps is exact for them."""
    return numbers(made, seed, lambda rng, shape: oracle.small_integers(rng, shape, "float64"))


def laid(array, order):
    """The same values, channels first in memory, or every axis backwards."""
    if order == "first":
        return np.moveaxis(np.moveaxis(array, -1, 1).copy(), 1, -1)
    return np.flip(np.flip(array).copy()) if order == "reversed" else array


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


# Rounding units by which gradients may be off, root mean square over that of the gradient: the
# direct sum is off by 4 to 5 (PyTorch's by 3 to 11).
@pytest.mark.parametrize("name", ["whole", "one part"])
@pytest.mark.parametrize(
    ("kernel", "stride", "strict", "fast"),
    [((3, 3), 1, 8, 20), ((3, 3), 2, 8, 8), ((1, 3), 1, 8, 20), ((5, 5), 1, 20, 90)],
)
def test_strict_is_about_as_exact_as_the_direct_sum(kernel, stride, strict, fast, name):
    made = problem((4, 40, 41, 16), (*kernel, 16, 24), stride=stride, padding=1)
    grad_out, x = numbers(made, 3)
    direct = want(made, grad_out, x)
    for precision, most in (("strict", strict), ("fast", fast)):
        with cut_as(name):
            error = run(replace(made, precision=precision), grad_out, x) - direct
        assert np.sqrt((error**2).mean() / (direct**2).mean()) < most * 2.0**-24


@pytest.mark.parametrize("name", CUTS)
def test_the_same_bits_for_any_number_of_threads(name):
    made = problem((4, 30, 31, 70), (3, 3, 70, 150), padding=1, precision="fast")
    grad_out, x = numbers(made, 4)
    results = set()
    for number in (1, 3):
        with grad_cases.threads(number), cut_as(name):
            results.add(run(made, grad_out, x).tobytes())
    assert len(results) == 1


def test_an_out_of_any_strides():
    made = problem((2, 9, 10, 6), (3, 3, 6, 7))
    grad_out, x = whole_numbers(made, 5)
    correct = want(made, grad_out, x)
    for place in cases.PLACES.values():
        out = place(np.full(made.weight_shape, np.nan, np.float32))
        if out.flags.writeable:
            winograd.weight_grad(made, grad_out, x, out)
            np.testing.assert_array_equal(out, correct)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize(("channels", "outputs"), [(3, 5), (16, 33), (17, 31), (40, 64)])
def test_it_touches_nothing_beside_its_arrays(channels, outputs, name, at_end):
    made = problem((1, 9, 10, channels), (3, 2, channels, outputs), padding=1, precision="fast")
    operands = numbers(made, 6)
    with cut_as(name):
        result = run(made, *operands)
        owners = [guarded.Guarded(a, at_end, read_only=True) for a in operands]
        owners.append(guarded.Guarded(np.full_like(result, np.nan), at_end))
        with grad_cases.threads(1), guarded.workspaces(at_end) as spaces:
            winograd.weight_grad(made, *(owner.array for owner in owners))
        np.testing.assert_array_equal(owners[-1].array, result)
        assert spaces.taken
        assert spaces.beside == []
        for owner in owners:
            owner.close()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_where_the_direct_sum_has_it(value):
    rng = np.random.default_rng(7)
    x = rng.standard_normal((1, 3, 20, 20)).astype(np.float32)
    grad_out = rng.standard_normal((1, 4, 18, 18)).astype(np.float32)
    x[0, 1, 0, 0] = value  # only the first tap of one channel meets it
    grads = [
        npconv.conv_weight_grad(grad_out, x, (4, 3, 3, 3), algorithm=name, precision="fast")
        for name in ("winograd", "naive")
    ]
    assert np.isfinite(grads[1]).sum() == 4 * 27 - 4
    cases.same_kinds("winograd", *grads)


def test_small_work_does_not_wait_for_the_compiler(monkeypatch):
    monkeypatch.setattr(compiler, "ready", lambda *names: False)
    little, much = (problem((1, n, n, 16), (3, 3, 16, 16)) for n in (10, 200))
    assert winograd.weight_grad_cost(little).calls > 1e6
    assert winograd.weight_grad_cost(much).calls < 1e4


def test_workspaces_are_modest():
    for batch, size, channels in ((1, 224, 64), (8, 56, 64), (8, 28, 128), (8, 14, 256)):
        made = problem((batch, size, size, channels), (3, 3, channels, channels), padding=1)
        for precision in ("strict", "fast"):
            cost = winograd.weight_grad_cost(replace(made, precision=precision))
            assert cost.workspace < 16 << 20
            assert cost.each < 6 << 20


def test_a_nan_that_meets_only_the_padding_of_the_depth_is_in_the_sums():
    rng = np.random.default_rng(0)
    x, grad_out = (rng.standard_normal(s) for s in ((1, 2, 4, 6, 6), (1, 3, 8, 6, 6)))
    grad_out[0, 1, 0, 2, 3] = np.nan  # its windows begin in the padding
    for name in ("naive", "winograd"):
        grad = npconv.conv_weight_grad(
            grad_out, x, (3, 2, 1, 3, 3), padding=(2, 1, 1), algorithm=name
        )
        assert np.isnan(grad[1]).all(), name
        assert np.isfinite(grad[[0, 2]]).all(), name


@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("outputs", [5, 64])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_of_a_corner_is_not_in_every_tap(value, outputs, name):
    made = problem((2, 9, 11, 20), (3, 3, 20, outputs), padding=1)
    grad_out, x = numbers(made, 3)
    x[1, 0, 0, 7] = value
    with cut_as(name):
        assert winograd.weight_grad(made, grad_out, x, np.empty(made.weight_shape, "f4")) is False
        grad = npconv.conv_weight_grad(
            grad_out, x, made.weight_shape, padding=1, layout="NHWC", algorithm="winograd"
        )
    wrong = ~np.isfinite(grad)
    assert wrong[:2, :2, 7].all()
    assert wrong.sum() == 4 * outputs


@pytest.mark.parametrize("name", CUTS)
def test_taps_of_the_depth_that_meet_fewer_tiles_than_there_are_shares(name):
    made = problem((1, 2, 4, 4, 3), (3, 3, 3, 3, 5), padding=(1, 0, 0))
    grad_out, x = whole_numbers(made, 8)
    with cut_as(name):
        np.testing.assert_array_equal(run(made, grad_out, x), want(made, grad_out, x))


@pytest.mark.parametrize("name", CUTS)
def test_many_groups_and_what_is_remembered_of_them(name):
    made = problem((2, 9, 10, 12), (3, 3, 2, 66), groups=6, padding=1)
    with cut_as(name):
        weight_gradient._kept_steps.cache_clear()
        for seed in range(3):
            grad_out, x = whole_numbers(made, seed)
            np.testing.assert_array_equal(run(made, grad_out, x), want(made, grad_out, x))
    assert weight_gradient._kept_steps.cache_info().hits == 2
