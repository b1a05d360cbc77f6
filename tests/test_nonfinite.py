"""NaN and Inf appear exactly where the direct sum puts them, whatever the algorithm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import npconv
import oracle

SPECIAL = (np.nan, np.inf, -np.inf)


check = cases.check_bound


@pytest.mark.parametrize("value", SPECIAL)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("where", [(0, 0, 0, 0), (1, 2, 19, 30), (0, 1, 39, 40), (1, 0, 5, 39)])
def test_one_in_x(value, dtype, where):
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 1, (2, 3, 40, 41)).astype(dtype)
    weight = rng.uniform(0.5, 1, (2, 3, 5, 3)).astype(dtype)
    x[where] = value
    check(x, weight, skip=("naive",))
    check(x, weight, skip=("naive",), stride=(7, 4), padding=3, padding_mode="reflect")


@pytest.mark.parametrize("value", SPECIAL)
def test_one_in_weight(value):
    rng = np.random.default_rng(1)
    x = rng.uniform(0.5, 1, (1, 4, 20, 21)).astype(np.float32)
    weight = rng.uniform(0.5, 1, (4, 2, 3, 3)).astype(np.float32)
    weight[2, 1, 0, 2] = value
    check(x, weight, groups=2)
    check(x, weight, groups=2, padding=2)
    x[0, 3, ::5, ::7] = 0
    check(x, weight, groups=2)


@pytest.mark.parametrize("value", SPECIAL)
def test_zeros_do_not_hide_them(value):
    x = np.zeros((1, 1, 90), np.float32)
    weight = np.zeros((1, 1, 5), np.float32)
    x[0, 0, 40] = value
    check(x, weight)
    check(x, weight, dilation=7)


@pytest.mark.parametrize("value", SPECIAL)
def test_one_that_no_window_holds(value):
    x = np.ones((1, 1, 100), np.float32)
    x[0, 0, [3, 13, 98, 99]] = value
    weight = np.ones((1, 1, 3), np.float32)
    geometry = {"stride": 5, "padding": (0, -2)}
    for name, out in cases.each(x, weight, stride=5, padding=((0, -2),)):
        assert np.isfinite(out).all(), name
    check(x, weight, stride=geometry["stride"], padding=((0, -2),))


@pytest.mark.parametrize("value", SPECIAL)
def test_one_in_bias(value):
    x, weight = np.ones((1, 2, 9), np.float32), np.ones((3, 2, 2), np.float32)
    check(x, weight, np.array([1, value, 2], np.float32))


@pytest.mark.parametrize("precision", ["strict", "fast"])
def test_sums_near_the_largest_number(precision):
    x = np.full((1, 1, 64), 3e38, np.float32)
    weight = np.zeros((1, 1, 8), np.float32)
    weight[..., 3] = 1
    for name, out in cases.each(x, weight, precision=precision):
        np.testing.assert_allclose(out, 3e38, rtol=1e-6, err_msg=name)
    for name, out in cases.each(x, weight + 1, precision=precision):
        assert np.isposinf(out).all(), name


def test_double_sums_near_the_largest_number():
    x = np.full((1, 1, 64), 1e308)
    weight = np.zeros((1, 1, 8))
    weight[..., 3] = 1
    for name, out in cases.each(x, weight):
        np.testing.assert_allclose(out, 1e308, rtol=1e-12, err_msg=name)


def test_complex_numbers():
    rng = np.random.default_rng(2)
    x = cases.real(rng, (1, 2, 60), "complex64")
    weight = cases.real(rng, (2, 2, 5), "complex64")
    clean = oracle.direct(x, weight)
    x[0, 1, 31] = complex(np.nan, np.nan)
    for name, out in cases.each(x, weight):
        bad = np.zeros(56, bool)
        bad[27:32] = True
        assert np.isnan(out[:, :, bad]).all(), name
        np.testing.assert_allclose(out[:, :, ~bad], clean[:, :, ~bad], rtol=1e-4, err_msg=name)


@cases.examples(150, 5000)
@given(cases.problems(), st.data())
def test_random_problems(case, data):
    x, weight, _ = case.arrays("float32")
    x, weight = np.abs(x) + 1, np.abs(weight) + 1
    for array in (x, weight):
        for value in data.draw(st.lists(st.sampled_from(SPECIAL), max_size=2)):
            array.flat[data.draw(st.integers(0, array.size - 1))] = value
    check(x, weight, **case.geometry)


def test_the_table_says_who_spreads():
    from npconv.algorithms import ALGORITHMS

    assert {name for name in npconv.algorithms() if ALGORITHMS[name].SPREADS} == {
        "toeplitz",
        "winograd",
        "fft",
    }
