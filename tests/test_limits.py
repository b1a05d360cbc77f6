"""Numbers at and beyond every integer's limit, and arrays that hold nothing."""

import re

import numpy as np
import pytest

import cases
import npconv
import oracle
from npconv import conv, plan
from npconv.memory import physical_memory

HUGE = (2**31 - 1, 2**31, 2**62, 2**63 - 1, 2**63, 2**64, 2**100, 10**400)
NAMES = [f"2^{n.bit_length() - 1}{'' if n & (n - 1) == 0 else '+'}" for n in HUGE]
huge = pytest.mark.parametrize("number", HUGE, ids=NAMES)
X = np.arange(60.0).reshape(1, 2, 5, 6)
WEIGHT = np.arange(36.0).reshape(3, 2, 2, 3)


def answer_or_reason(want, x, weight, dtype=float, **keywords):
    """Either the right answer, or an error that explains itself, from every algorithm."""
    for name in ("auto", *npconv.algorithms()):
        try:
            out = conv(x, weight, algorithm=name, **keywords)
        except npconv.ProblemError as error:
            assert want is None, (name, error)
        except npconv.UnsupportedError as error:
            assert name != "auto"
            assert re.search(r"cannot do this: ", str(error))
        except MemoryError as error:
            assert re.search(r"\d.* ([KMGTPE]i)?B\b", str(error))
            assert want is None, (name, error)
        else:
            assert want is not None, name
            cases.same_numbers(name, out, want)


@huge
@pytest.mark.parametrize("ints", [False, True])
def test_stride(number, ints):
    x, weight = (a.astype(int) if ints else a for a in (X, WEIGHT))
    for stride, small in ((number, 60), ((1, number), (1, 60)), ((number, 2), (60, 2))):
        answer_or_reason(oracle.direct(x, weight, stride=small), x, weight, stride=stride)
        want = oracle.direct(x, weight, stride=small, padding=((1, 3), (2, 0)), padding_mode="wrap")
        answer_or_reason(
            want, x, weight, stride=stride, padding=((1, 3), (2, 0)), padding_mode="wrap"
        )
    with pytest.raises(npconv.ProblemError, match="stride is -"):
        conv(x, weight, stride=-number)


@huge
def test_dilation(number):
    answer_or_reason(None, X, WEIGHT, dilation=number)
    answer_or_reason(None, X, WEIGHT, dilation=number, padding="same")
    answer_or_reason(None, X, WEIGHT, dilation=number, padding="full")
    answer_or_reason(None, X, WEIGHT, dilation=number, padding=number)
    column = WEIGHT[..., :1]
    want = oracle.direct(X, column)
    answer_or_reason(want, X, column, dilation=(1, number))
    answer_or_reason(oracle.direct(X, column), X, column, dilation=(1, number), padding="valid")
    with pytest.raises(npconv.ProblemError, match="dilation is -"):
        conv(X, WEIGHT, dilation=-number)


@huge
def test_groups(number):
    with pytest.raises(npconv.ProblemError, match=rf"x has 2 channels, weight wants .*{number}\)"):
        conv(X, WEIGHT, groups=number)
    with pytest.raises(npconv.ProblemError, match=f"groups is -{number}, and must be at least 1"):
        conv(X, WEIGHT, groups=-number)


@huge
@pytest.mark.parametrize("mode", oracle.PAD_MODES)
def test_padding(number, mode):
    answer_or_reason(None, X, WEIGHT, padding=number, padding_mode=mode)
    answer_or_reason(None, X, WEIGHT, padding=((0, number), (0, 0)), padding_mode=mode)
    with pytest.raises(npconv.ProblemError, match=r"kernel spans 2 and padded x only -"):
        conv(X, WEIGHT, padding=-number, padding_mode=mode)


@huge
@pytest.mark.parametrize("mode", oracle.PAD_MODES)
def test_a_window_far_out_in_the_padding(number, mode):
    period = {"zeros": 40, "edge": 40, "wrap": 5, "symmetric": 10, "reflect": 8}[mode]
    near = number % period if mode not in ("zeros", "edge") else 40
    for sign in (1, -1):
        far, small = ((sign * n, -sign * n) for n in (number, near))
        want = oracle.direct(X, WEIGHT, padding=(small, (0, 0)), padding_mode=mode)
        answer_or_reason(want, X, WEIGHT, padding=(far, (0, 0)), padding_mode=mode)


@pytest.mark.parametrize("number", [2**31, 2**40, 2**55])
def test_tiles_reach_over_padding_that_fills_no_memory(number):
    x, weight = np.full((1, 1, 1), 5.0), np.full((1, 1, 1), 3.0)
    for name in ("im2col_tiled",):
        out = conv(x, weight, padding=number, stride=number, algorithm=name)
        assert out.tolist() == [[[0, 15, 0]]]
        out = conv(x, weight, padding=number, stride=number, padding_mode="edge", algorithm=name)
        assert out.tolist() == [[[15, 15, 15]]]


@huge
def test_shapes_in_plan(number):
    for x_shape in ((1, 2, 5, number), (number, 2, 5, 6), (1, number, 5, 6), (0, 2, 5, number)):
        for weight_shape in ((3, 2, 2, 3), (number, 2, 2, 3), (3, number, 2, 3), (3, 2, 2, number)):
            # Measuring would truly fill arrays that are only large.
            for effort in ("estimate", "measure") if number >= 2**62 else ("estimate",):
                try:
                    made = plan(x_shape, weight_shape, effort=effort)
                except (npconv.ProblemError, MemoryError) as error:
                    assert re.match(r"plan: .*\d", str(error))
                else:
                    assert made.problem.result_nbytes <= physical_memory()


@huge
def test_memory_limits(number):
    assert plan(X, WEIGHT, memory_limit=number).algorithm in npconv.algorithms()
    with pytest.raises(npconv.ProblemError, match=rf"memory_limit is -{number} bytes, and must"):
        plan(X, WEIGHT, memory_limit=-number)


EMPTY = [
    ((0, 4, 9, 8), (6, 4, 3, 2), {}),
    ((0, 4, 9, 8), (6, 2, 3, 2), {"groups": 2, "padding": 3, "padding_mode": "wrap"}),
    ((2, 4, 9, 8), (0, 4, 3, 2), {}),
    ((2, 4, 9, 8), (0, 1, 3, 2), {"groups": 4}),
    ((2, 4, 9, 8), (0, 2, 3, 2), {"groups": 2, "stride": 3}),
    ((2, 0, 9, 8), (6, 0, 3, 2), {}),
    ((2, 0, 9, 8), (6, 0, 3, 2), {"groups": 3, "padding": 1}),
    ((2, 0, 9, 8), (0, 0, 3, 2), {"groups": 3}),
    ((0, 0, 9, 8), (0, 0, 3, 2), {}),
    ((0, 0, 0, 0), (0, 0, 1, 2), {"padding": 2}),
    ((2, 4, 0, 8), (6, 4, 3, 2), {"padding": 2}),
    ((0, 1, 5), (2, 1, 1), {}),
    ((1, 1, 0), (2, 1, 1), {"padding": ((0, 1),)}),
    ((1, 0, 5), (2, 0, 5), {}),
    ((0, 2, 3, 4, 5), (2, 2, 2, 2, 2), {}),
]


@pytest.mark.parametrize(("x_shape", "weight_shape", "geometry"), EMPTY)
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "complex64"])
def test_empty_arrays(x_shape, weight_shape, geometry, dtype):
    x, weight = np.ones(x_shape, dtype), np.ones(weight_shape, dtype)
    bias = np.arange(weight_shape[0]).astype(dtype)
    for added in (None, bias):
        cases.check_exact(x, weight, added, **geometry)
        want = oracle.direct(x, weight, added, **geometry)
        cases.same_numbers("auto", conv(x, weight, added, **geometry), want)
    out = np.full(want.shape, 77, conv(x, weight, **geometry).dtype)
    conv(x, weight, bias, out=out, **geometry)
    cases.same_numbers("auto", out, want)
    made = plan(x_shape, weight_shape, dtype, **geometry)
    cases.same_numbers("plan", made(x, weight, bias), want)
    assert made.algorithm in str(made)


def test_empty_without_channels_or_batch():
    assert conv(np.ones((0, 5)), np.ones((1, 1)), layout="NW", weight_layout="WI").shape == (0, 5)
    assert conv(np.ones((5, 0)), np.ones((2, 0, 3)), layout="WC").tolist() == [[0] * 3] * 4


def test_empty_batches_of_impossible_images():
    for padding in (2**31, 2**62, 2**100):
        try:
            out = conv(np.ones((0, 2, 5, 6)), WEIGHT, padding=padding)
        except MemoryError as error:
            assert re.search(r"\d B or more|B or more", str(error))
        else:
            assert out.shape == (0, 3, 2 * padding + 4, 2 * padding + 4)
