"""out=: written and returned, whatever it overlaps; left as it was where it does not fit."""

import numpy as np
import pytest

import cases
import npconv
import oracle
from npconv import conv, plan

RNG_SHAPES = (2, 4, 7, 8), (3, 4, 3, 3)


def pair(dtype="float32"):
    """x and weight of small integers."""
    rng = np.random.default_rng(0)
    return [oracle.small_integers(rng, shape, dtype) for shape in RNG_SHAPES]


@pytest.mark.parametrize("place", [p for p in cases.PLACES if p != "read-only"])
def test_out_may_lie_anywhere(place):
    x, weight = pair()
    want = oracle.direct(x, weight, padding=1)
    for name in cases.able(x, weight, padding=1):
        out = cases.PLACES[place](np.full((2, 3, 7, 8), 99, np.float32))
        got = conv(x, weight, padding=1, algorithm=name, out=out)
        assert got is out
        cases.same_numbers(name, np.asarray(out, np.float32), want)


def test_nothing_beside_out_is_written():
    x, weight = pair()
    big = np.full((2, 3, 14, 16), 99, np.float32)
    for name in cases.able(x, weight, padding=1):
        big[...] = 99
        conv(x, weight, padding=1, algorithm=name, out=big[:, :, ::2, 1::2])
        assert (big[:, :, 1::2] == 99).all(), name
        assert (big[:, :, ::2, ::2] == 99).all(), name
        assert not (big[:, :, ::2, 1::2] == 99).any(), name


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64", "complex64"])
@pytest.mark.parametrize("shift", [0, 1, 2, -1, -3, "reversed"])
def test_out_may_overlap_x(dtype, shift):
    rng = np.random.default_rng(1)
    weight = oracle.small_integers(rng, (2, 2, 3), dtype)
    start = oracle.small_integers(rng, (1, 2, 40), dtype)
    want = oracle.direct(start[..., 5:25], weight)
    for name in npconv.algorithms():
        buffer = start.copy()
        x = buffer[..., 5:25]
        out = x[..., :1:-1] if shift == "reversed" else buffer[..., 5 + shift : 23 + shift]
        try:
            conv(x, weight, algorithm=name, out=out)
        except npconv.UnsupportedError:
            np.testing.assert_array_equal(buffer, start)
        else:
            cases.same_numbers(name, out, want)


def test_out_may_be_weight_or_bias():
    rng = np.random.default_rng(2)
    x, weight = (oracle.small_integers(rng, (3, 3, 5), "float64") for _ in range(2))
    want = oracle.direct(x, weight, padding=2)
    assert conv(x, weight, padding=2, out=weight) is weight
    np.testing.assert_array_equal(weight, want)
    x, weight = (oracle.small_integers(rng, (1, 1, 5), "float64") for _ in range(2))
    bias = np.array([3.0])
    want = oracle.direct(x, weight, bias)
    conv(x, weight, bias, out=bias.reshape(1, 1, 1))
    np.testing.assert_array_equal(bias, want.ravel())


def test_out_of_a_wider_or_narrower_dtype():
    x, weight = pair("float32")
    want = oracle.direct(x, weight)
    for dtype in ("float16", "float64", ">f4", "complex64", "longdouble"):
        out = np.full(want.shape, 99, dtype)
        conv(x, weight, out=out)
        np.testing.assert_array_equal(out, want)
    x, weight = pair("int8")
    for dtype in ("int64", "float64", ">i8", "int32"):
        out = np.full(want.shape, 99, dtype)
        conv(x, weight, out=out)
        np.testing.assert_array_equal(out, oracle.direct(x, weight))


def test_out_in_other_layouts_and_from_plans():
    x, weight = np.arange(42.0).reshape(6, 7), np.ones((3, 2))
    out = np.zeros((4, 6))
    assert conv(x, weight, layout="HW", out=out) is out
    np.testing.assert_array_equal(out, conv(x, weight, layout="HW"))
    again = np.zeros((4, 6))
    assert plan(x, weight, layout="HW")(x, weight, out=again) is again
    np.testing.assert_array_equal(again, out)


def test_a_chain_of_layers_in_one_buffer():
    x = np.arange(12.0).reshape(1, 1, 12)
    weight = np.array([[[1.0, 2, 1]]])
    want = x
    for _ in range(3):
        want = oracle.direct(want, weight, padding=1)
        conv(x, weight, padding=1, out=x)
    np.testing.assert_array_equal(x, want)


def _read_only():
    out = np.full((2, 3, 5, 6), 7.0, np.float32)
    out.flags.writeable = False
    return out


@pytest.mark.parametrize(
    ("out", "match"),
    [
        (np.full((2, 3, 5, 7), 7.0, np.float32), r"\(2, 3, 5, 7\), the result has \(2, 3, 5, 6\)"),
        (np.full((3, 2, 5, 6), 7.0, np.float32), r"out has shape \(3, 2, 5, 6\)"),
        (np.full((1, 2, 3, 5, 6), 7.0, np.float32), r"out has shape"),
        (np.full((180,), 7.0, np.float32), r"out has shape"),
        (np.full((2, 3, 5, 6), 7, np.int32), r"int32, which cannot hold the result's float32"),
        (np.full((2, 3, 5, 6), True), r"out has dtype bool"),
        (np.full((2, 3, 5, 6), None), r"out has dtype object"),
        (np.full((2, 3, 5, 6), "7"), r"out has dtype <U1"),
        (_read_only(), r"out is read-only"),
        ([[0.0]], r"out is a list, not an ndarray"),
    ],
)  # fmt: skip
def test_an_out_that_does_not_fit_is_left_as_it_was(out, match):
    x, weight = pair()
    before = np.array(out, copy=True)
    with pytest.raises(npconv.ProblemError, match=match):
        conv(x, weight, out=out)
    np.testing.assert_array_equal(out, before)


@pytest.mark.parametrize(
    "keywords",
    [
        {"stride": 0},
        {"padding_mode": "zero"},
        {"bias": np.ones(4, np.float32)},
        {"algorithm": "fftt"},
        {"groups": 3},
        {"precision": "exact"},
    ],
)
def test_out_is_left_as_it_was_by_every_other_mistake(keywords):
    x, weight = pair()
    out = np.full((2, 3, 5, 6), 7.0, np.float32)
    with pytest.raises(npconv.ProblemError, match=r"^conv: "):
        conv(x, weight, out=out, **keywords)
    assert (out == 7).all()


def test_out_is_left_as_it_was_where_the_algorithm_cannot():
    out = np.full((1, 1, 3), 7)
    with pytest.raises(npconv.UnsupportedError, match="fft cannot do this"):
        conv(np.ones((1, 1, 5), int), np.ones((1, 1, 3), int), algorithm="fft", out=out)
    assert (out == 7).all()
