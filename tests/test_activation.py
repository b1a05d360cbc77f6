"""activation=: the same as doing it afterwards, whoever does it."""

import numpy as np
import pytest

import npconv
import oracle
from npconv import conv, conv_transpose

ACTIVATIONS = {"relu": (0, np.inf), "relu6": (0, 6)}


def clipped(array, name):
    return np.clip(array, *ACTIVATIONS[name]).astype(array.dtype)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize("bias", [None, 2, [1, -2, 3, 0]])
def test_of_every_algorithm(activation, dtype, bias):
    rng = np.random.default_rng(0)
    x = oracle.small_integers(rng, (2, 4, 7, 9), dtype)
    weight = oracle.small_integers(rng, (4, 4, 3, 3), dtype)
    bias = bias if bias is None or np.ndim(bias) == 0 else np.array(bias).astype(dtype)
    for name in npconv.algorithms():
        try:
            want = conv(x, weight, bias, padding=1, algorithm=name)
        except npconv.UnsupportedError:
            continue
        got = conv(x, weight, bias, padding=1, algorithm=name, activation=activation)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, clipped(want, activation), err_msg=name)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_nan_stays_and_nothing_else_changes(activation, value):
    rng = np.random.default_rng(1)
    x = oracle.small_integers(rng, (1, 2, 20, 20), "float32")
    weight = oracle.small_integers(rng, (3, 2, 3, 3), "float32")
    x[0, 1, 7, 9] = value
    with np.errstate(all="ignore"):
        want = clipped(oracle.direct(x, weight, padding=1).astype("f4"), activation)
    for name in npconv.algorithms():
        try:
            got = conv(x, weight, padding=1, algorithm=name, activation=activation)
        except npconv.UnsupportedError:
            continue
        np.testing.assert_allclose(got, want, atol=1e-3, err_msg=name)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want), err_msg=name)


def test_of_a_plan_a_transposed_convolution_and_an_out():
    rng = np.random.default_rng(2)
    x = oracle.small_integers(rng, (2, 4, 7, 9), "float32")
    weight = oracle.small_integers(rng, (4, 4, 3, 3), "float32")
    want = clipped(conv(x, weight, padding=1), "relu")
    plan = npconv.plan(x, weight, padding=1)
    np.testing.assert_array_equal(plan(x, weight, activation="relu"), want)
    np.testing.assert_array_equal(plan(x, plan.pack(weight), activation="relu"), want)
    out = np.empty(want.shape)
    assert conv(x, weight, padding=1, activation="relu", out=out) is out
    np.testing.assert_array_equal(out, want)
    want = clipped(conv_transpose(x, weight, 1, stride=2), "relu6")
    got = conv_transpose(x, weight, 1, stride=2, activation="relu6")
    np.testing.assert_array_equal(got, want)


def test_of_no_channels():
    got = conv(np.ones((1, 0, 3)), np.ones((2, 0, 3)), [-1.0, 7.0], activation="relu6")
    np.testing.assert_array_equal(got, [[[0], [6]]])


def test_messages():
    x, weight = np.ones((1, 1, 3)), np.ones((1, 1, 3))
    with pytest.raises(npconv.ProblemError, match=r"activation 'gelu' is not known"):
        conv(x, weight, activation="gelu")
    with pytest.raises(npconv.ProblemError, match=r"activation \['relu'\] is not known"):
        conv(x, weight, activation=["relu"])
    with pytest.raises(npconv.ProblemError, match="complex128 has no order"):
        conv(x, weight * 1j, activation="relu")
