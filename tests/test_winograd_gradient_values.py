"""Winograd's weight gradient: its errors, its edges, what is not finite, and what it holds."""

from dataclasses import replace

import numpy as np
import pytest

import cases
import grad_cases
import guarded
import npconv
from npconv import compiler, spare, templates
from npconv.algorithms import winograd
from npconv.algorithms.winograd import weight_gradient
from winograd_gradients import CUTS, cut_as, numbers, problem, run, want, whole_numbers
from winograd_layers import Soiled

pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def scratch_is_soiled(monkeypatch):
    for module in (spare, templates):
        monkeypatch.setattr(module, "np", Soiled())


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
    # Once for a result that begins at a cache line, and once for another.
    found = weight_gradient._kept_steps.cache_info()
    assert found.misses <= 2
    assert found.hits + found.misses == 3
