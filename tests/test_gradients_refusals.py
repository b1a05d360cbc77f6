"""Algorithms, results and plans that gradients refuse, and numbers beyond every integer."""

import re

import numpy as np
import pytest

import grad_cases
import npconv
from npconv import conv, conv_grad, conv_input_grad, conv_weight_grad, plan
from test_gradients_errors import GRAD, WEIGHT, X, calls


@pytest.mark.parametrize("name", ["fftt", "xyz", None, 3, ["fft"]])
def test_unknown_algorithms(name):
    for where, call in calls(algorithm=name):
        with pytest.raises(npconv.ProblemError, match=rf"^{where}: algorithm .* is not known"):
            call()
    with pytest.raises(npconv.ProblemError, match=r"^conv_grad: algorithm .* is not known"):
        conv_grad(GRAD, X, WEIGHT, algorithm=name)


def test_an_algorithm_that_cannot():
    whole = [a.astype(int) for a in (GRAD, X, WEIGHT)]
    arrays = dict(zip(("grad_out", "x", "weight"), whole, strict=True))
    for name, call in calls(**arrays, algorithm="fft"):
        with pytest.raises(
            npconv.UnsupportedError, match=rf"^{name}: fft cannot do this: .*rounds"
        ) as caught:
            call()
        assert re.match(r"  fix +take one of naive, taps", str(caught.value).splitlines()[-1])
        assert not isinstance(caught.value, npconv.ProblemError)
    with pytest.raises(npconv.UnsupportedError, match=r"^conv_grad: fft cannot do this"):
        conv_grad(*whole, algorithm="fft")


def test_an_out_that_does_not_fit_is_left_as_it_was():
    read_only = np.full(X.shape, 7, np.float32)
    read_only.flags.writeable = False
    for out, match in (
        (np.full((2, 4, 9, 9), 7, np.float32), r"out has shape \(2, 4, 9, 9\), the result has"),
        (np.full((6, 4, 3, 3), 7, np.float32), r"out has shape \(6, 4, 3, 3\)"),
        (np.full(GRAD.shape, 7, np.float32), r"out has shape \(2, 6, 7, 7\)"),
        (np.full(X.shape, 7, np.int32), r"int32, which cannot hold|out has shape"),
        (np.full(WEIGHT.shape, 7, np.int32), r"int32, which cannot hold|out has shape"),
        (np.full(X.shape, None), r"out has dtype object|out has shape"),
        (read_only, r"out is read-only|out has shape"),
        ([[7.0]], r"out is a list, not an ndarray"),
    ):
        before = np.array(out, copy=True)
        for name, call in calls(out=out):
            with pytest.raises(npconv.ProblemError, match=rf"^{name}: .*({match})"):
                call()
        np.testing.assert_array_equal(out, before)


@pytest.mark.parametrize("direction", ["backward", "", None, 3, ["forward"], "Forward", "grad"])
def test_an_unknown_direction(direction):
    with pytest.raises(npconv.ProblemError, match=r"^plan: direction .* is not .*input_grad"):
        plan(X, WEIGHT, direction=direction)


@grad_cases.BOTH
def test_a_plan_refuses_other_arrays(direction):
    made = plan(X.shape, WEIGHT.shape, direction=direction)
    fit = (GRAD, WEIGHT if direction == "input_grad" else X)
    made(*fit)
    for wrong in (
        (fit[0].astype(float), fit[1]), (fit[0], fit[1].astype(float)), (fit[0][:1], fit[1]),
        (fit[0], fit[1][:1]), (fit[0][:, :5], fit[1]), (fit[0], fit[1][..., :1]),
        (fit[0][..., :6], fit[1]), (fit[1], fit[0]), (X, WEIGHT),
    ):  # fmt: skip
        with pytest.raises(npconv.ProblemError, match=r"^plan: "):
            made(*wrong)
    with pytest.raises(npconv.ProblemError, match=r"^plan: grad_out has dtype <U32"):
        made(fit[0].astype(str), fit[1])
    with pytest.raises(npconv.ProblemError, match=r"^plan: .*(3 axes|has 4 axes)"):
        made(fit[0][0], fit[1])


HUGE = (2**31 - 1, 2**31, 2**62, 2**63 - 1, 2**63, 2**64, 2**100, 10**400)


@pytest.mark.parametrize("number", HUGE, ids=[f"2^{n.bit_length() - 1}" for n in HUGE])
def test_numbers_beyond_every_integer(number):
    x, weight = np.arange(60.0).reshape(1, 2, 5, 6), np.arange(36.0).reshape(3, 2, 2, 3)
    # A stride that leaves one window, whatever it is.
    grad_out = np.arange(3.0).reshape(1, 3, 1, 1)
    for small, keywords in (
        ({"stride": 60}, {"stride": number}),
        ({"stride": (60, 7)}, {"stride": (number, 7)}),
    ):
        for direction in grad_cases.DIRECTIONS:
            other, shape = grad_cases.operands(direction, x, weight)
            for name, grad in grad_cases.each_grad(direction, grad_out, other, shape, **keywords):
                want = grad_cases.CALLS[direction](grad_out, other, shape, **small)
                np.testing.assert_allclose(grad, want, atol=1e-9, err_msg=name)
    # One tap may be dilated by anything.
    column = weight[..., :1]
    grad_out = np.arange(72.0).reshape(1, 3, 4, 6)
    for direction in grad_cases.DIRECTIONS:
        other, shape = grad_cases.operands(direction, x, column)
        want = grad_cases.CALLS[direction](grad_out, other, shape)
        for name, grad in grad_cases.each_grad(
            direction, grad_out, other, shape, dilation=(1, number)
        ):
            np.testing.assert_allclose(grad, want, atol=1e-9, err_msg=name)
    for name, call in calls(dilation=number):
        with pytest.raises(npconv.ProblemError, match=rf"^{name}: the kernel spans"):
            call()
    for name, call in calls(padding=number):
        with pytest.raises((npconv.ProblemError, MemoryError), match=rf"^{name}: "):
            call()
    with pytest.raises((npconv.ProblemError, MemoryError), match=r"^conv_input_grad: "):
        conv_input_grad(GRAD, WEIGHT, (2, 4, 9, number))
    with pytest.raises((npconv.ProblemError, MemoryError), match=r"^conv_weight_grad: "):
        conv_weight_grad(GRAD, X, (6, 4, 3, number))
    for direction in grad_cases.DIRECTIONS if number >= 2**62 else ():
        with pytest.raises((npconv.ProblemError, MemoryError), match=r"^plan: "):
            plan((2, 4, 9, number), WEIGHT.shape, direction=direction)


def test_errors_survive_a_process_boundary():
    import pickle

    with pytest.raises(npconv.ProblemError, match="grad_out has shape") as caught:
        conv_input_grad(GRAD[:1], WEIGHT, X.shape)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is npconv.ProblemError
    assert str(again) == str(caught.value)
    assert conv(X, WEIGHT).shape == GRAD.shape
