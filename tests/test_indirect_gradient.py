"""The direct gradient of the weight: any cut, many groups at once, from scratch full of NaN."""

import numpy as np
import pytest

import cases
import grad_cases
import guarded
import oracle
from npconv import arrays, compiler, templates
from npconv.algorithms import ALGORITHMS
from npconv.algorithms.indirect import weights
from winograd_gradients import problem, want
from winograd_layers import Soiled

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")
# Bytes of sums so small that each share has its own, of a panel, of sums that a thread adds up, and
# multiply-adds of a share.
CUTS = {
    "shares of lines": (1 << 30, 1 << 15, 1 << 10, 64),
    "shares of lines, one by one": (1 << 30, 1, 1 << 30, 64),
    "one share": (1 << 30, 1 << 15, 1 << 10, 1 << 40),
    "whole blocks": (0, 1 << 15, 1 << 10, 64),
    "whole blocks, one share": (0, 1 << 15, 1 << 10, 1 << 40),
}
LAYERS = {
    "many taps": ((2, 11, 13, 3), (5, 4, 3, 20), {"padding": 2}),
    "strides and holes": ((3, 14, 15, 6), (3, 2, 6, 45), {"stride": (1, 2), "dilation": (2, 1)}),
    "two groups": ((2, 9, 8, 10), (3, 3, 5, 32), {"groups": 2, "padding": 1}),
    "many groups": ((2, 9, 8, 22), (3, 3, 2, 33), {"groups": 11, "padding": 1}),
    "groups of few": ((2, 9, 8, 8), (3, 3, 2, 16), {"groups": 4}),
    "one tap": ((2, 9, 8, 40), (1, 1, 40, 70), {}),
    "one dimension": ((3, 50, 7), (5, 7, 33), {"padding": 2}),
    "three": ((2, 5, 6, 7, 4), (2, 3, 2, 4, 17), {"stride": (2, 1, 1)}),
    "one channel": ((4, 12, 12, 1), (3, 3, 1, 1), {}),
}


@pytest.fixture(autouse=True)
def scratch_is_soiled(monkeypatch):
    for module in (weights, templates):
        monkeypatch.setattr(module, "np", Soiled())


@pytest.fixture(params=CUTS)
def cut_as(request, monkeypatch):
    limits = zip(
        (weights, weights, weights, arrays),
        ("_SUMS_NBYTES", "_PANEL_NBYTES", "_ADDED_NBYTES", "WORTH_SHARING"),
        CUTS[request.param],
        strict=True,
    )
    for owner, name, value in limits:
        monkeypatch.setattr(owner, name, value)
    return request.param


def operands(made, seed=0):
    rng = np.random.default_rng(seed)
    return [oracle.small_integers(rng, s, made.compute_dtype) for s in made.operand_shapes]


def run(made, grad_out, x):
    """The gradient, without the planner."""
    out = np.full(made.weight_shape, np.nan, made.compute_dtype)
    ALGORITHMS["indirect"].weight_grad(made, grad_out, x, out)
    return out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_small_integers_come_out_exact(cut_as, name, dtype):
    x_shape, weight_shape, geometry = LAYERS[name]
    made = problem(x_shape, weight_shape, dtype=dtype, **geometry)
    for seed in range(2):
        grad_out, x = operands(made, seed)
        np.testing.assert_array_equal(run(made, grad_out, x), want(made, grad_out, x))


@pytest.mark.parametrize("name", LAYERS)
def test_the_same_bits_for_any_number_of_threads(cut_as, name):
    x_shape, weight_shape, geometry = LAYERS[name]
    made = problem(x_shape, weight_shape, **geometry)
    rng = np.random.default_rng(1)
    grad_out, x = (rng.standard_normal(s).astype(np.float32) for s in made.operand_shapes)
    results = set()
    for number in (1, 3):
        with grad_cases.threads(number):
            results.add(run(made, grad_out, x).tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_it_touches_nothing_beside_its_arrays(cut_as, name, at_end):
    x_shape, weight_shape, geometry = LAYERS[name]
    made = problem(x_shape, weight_shape, **geometry)
    given = operands(made)
    result = run(made, *given)
    owners = [guarded.Guarded(a, at_end, read_only=True) for a in given]
    owners.append(guarded.Guarded(np.full_like(result, np.nan), at_end))
    with grad_cases.threads(1), guarded.workspaces(at_end) as spaces:
        ALGORITHMS["indirect"].weight_grad(made, *(owner.array for owner in owners))
    np.testing.assert_array_equal(owners[-1].array, result)
    assert spaces.taken
    assert spaces.beside == []
    for owner in owners:
        owner.close()


def test_an_out_of_any_strides():
    made = problem((2, 9, 10, 6), (1, 1, 6, 7))
    grad_out, x = operands(made)
    for place in cases.PLACES.values():
        out = place(np.full(made.weight_shape, np.nan, np.float32))
        if out.flags.writeable:
            ALGORITHMS["indirect"].weight_grad(made, grad_out, x, out)
            np.testing.assert_array_equal(out, want(made, grad_out, x))


def test_shares_and_groups():
    """Many groups are shared out whole, few of them each in parts."""
    limits = weights._Limits(1 << 30, 1 << 15, 1 << 18, 1 << 17, 1 << 16, 64)
    sums = [
        weights._cut(problem((2, 9, 8, n), (3, 3, 1, n), groups=n), 32, 13, limits).sums
        for n in (1, 2, 8, 11)
    ]
    assert sums == [7, 4, 1, 1]


def test_what_was_found_is_remembered_but_not_of_many_taps():
    for taps, hits in ((3, 2), (1500, 0)):
        made = problem((1, 1600, 3), (taps, 3, 5))
        weights._work.cache_clear()
        for _ in range(3):
            run(made, *operands(made))
        assert weights._work.cache_info().hits == hits
