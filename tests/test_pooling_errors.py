"""Mistakes in pooling calls get one message with the numbers; no number is too large to answer."""

import re

import numpy as np
import pytest

import npconv
import oracle_pool
from npconv import ProblemError, memory
from test_limits import HUGE, NAMES

X = np.arange(2 * 3 * 9 * 8.0).reshape(2, 3, 9, 8)
huge = pytest.mark.parametrize("number", HUGE, ids=NAMES)
POOLS = (npconv.max_pool, npconv.avg_pool)


def everywhere(match, x=X, size=2, out=(2, 3, 4, 4), **keywords):
    """All four calls raise this, each by its own name and with its arguments' rows."""
    grad_out = np.ones(out)
    for name, arguments in (
        ("max_pool", (x, size)),
        ("avg_pool", (x, size)),
        ("max_pool_grad", (grad_out, x, size)),
        ("avg_pool_grad", (grad_out, x, size)),
        ("avg_pool_grad", (grad_out, np.shape(x), size)),
    ):
        with pytest.raises(ProblemError, match=match) as caught:
            getattr(npconv, name)(*arguments, **keywords)
        head, *rows = str(caught.value).split("\n")
        assert head.startswith(f"{name}: ")
        assert f"size {size!r}" in {" ".join(row.split(maxsplit=1)) for row in rows}


def test_the_layout_of_a_message():
    with pytest.raises(ProblemError, match=r"^max_pool: ") as caught:
        npconv.max_pool(X, 12, padding=1)
    assert str(caught.value).split("\n") == [
        "max_pool: the window spans 12 and padded x only 11 on spatial axis 0 (9 + 1 + 1).",
        "  x     (2, 3, 9, 8)      NCHW",
        "  size  12",
        "  rule  dilation * (size - 1) + 1 <= x's size + before + after",
        "  fix   pad more, dilate less, or take a smaller window",
    ]


@pytest.mark.parametrize(
    ("size", "match"),
    [
        (0, r"size is 0, and must be at least 1"),
        (-3, r"size is -3, and must be at least 1"),
        ((2, 0), r"size is 0, and must be at least 1"),
        (2.0, r"size is 2\.0, not an integer"),
        ("2", r"size is '2', not an integer"),
        (None, r"size is None, not an integer"),
        ((2, 2, 2), r"(?s)size \(2, 2, 2\) has 3 entries, there are 2 spatial axes.*rule"),
        ((), r"size \(\) has 0 entries"),
        (10, r"window spans 10 and padded x only 9 on spatial axis 0 \(9 \+ 0 \+ 0\)"),
        ((2, 9), r"window spans 9 and padded x only 8 on spatial axis 1"),
    ],
)
def test_sizes(size, match):
    everywhere(match, size=size)


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"stride": 0}, r"stride is 0, and must be at least 1"),
        ({"stride": 1.5}, r"stride is 1\.5, not an integer"),
        ({"stride": (1, 2, 3)}, r"stride \(1, 2, 3\) has 3 entries"),
        ({"dilation": 0}, r"dilation is 0, and must be at least 1"),
        ({"dilation": "x"}, r"dilation is 'x', not an integer"),
        ({"dilation": 9}, r"window spans 10 and padded x only 9"),
        ({"padding": 1.5}, r"padding is 1\.5, not an integer"),
        ({"padding": None}, r"padding is None, not an integer"),
        ({"padding": (1, 2, 3)}, r"padding \(1, 2, 3\) has 3 entries"),
        ({"padding": ((1, 2),)}, r"padding has 1 entries, there are 2 spatial axes"),
        ({"padding": "smae"}, r"(?s)padding 'smae' is not known.*valid, same, same_lower, full"),
        ({"padding": -4}, r"window spans 2 and padded x only 1 .* \(9 \+ -4 \+ -4\)"),
        ({"layout": "NCH"}, r"layout 'NCH' names 3 axes, (x|grad_out) has 4"),
        ({"layout": "nchw"}, r"layout 'nchw' is not made of capital letters"),
        ({"layout": 3}, r"layout is 3, not a string"),
        ({"layout": ["N"]}, r"layout is \['N'\], not a string"),
    ],
)
def test_geometry(keywords, match):
    everywhere(match, **keywords)


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        (
            {"padding": 2},
            r"window 0 on spatial axis 0 spans positions -2 to -1, and holds none of x's 9",
        ),
        ({"padding": ((0, 2), (0, 0)), "stride": 1}, r"window 9 on spatial axis 0 .* 9 to 10, and"),
        ({"padding": (0, 2)}, r"window 0 on spatial axis 1 spans positions -2 to -1"),
        ({"padding": ((-5, 3), (0, 0))}, r"window 2 on spatial axis 0 spans positions 9 to 10"),
        ({"padding": ((-12, 9), (0, 0))}, r"window 0 on spatial axis 0 spans positions 12 to 13"),
    ],
)
def test_windows_that_hold_nothing(keywords, match):
    keywords = dict(keywords)
    with pytest.raises(ProblemError, match=match):
        npconv.max_pool(X, 2, **keywords)
    with pytest.raises(ProblemError, match=match):
        npconv.avg_pool(X, 2, count_include_pad=False, **keywords)
    assert npconv.avg_pool(X, 2, **keywords).shape[:2] == (2, 3)


def test_taps_that_step_over_x():
    match = r"window 0 on .* spans positions -1 to 2 in steps of 3, and holds none of x's 2"
    with pytest.raises(ProblemError, match=match):
        npconv.max_pool([1.0, 2.0], 2, padding=1, dilation=3, stride=5, layout="W")
    # Every geometry of this kind: refused where the definition finds a window that is empty.
    for size in range(1, 4):
        for dilation in range(2, 7):
            for stride in range(1, 7):
                for before in range(dilation * 2 + 1):
                    geometry = {"stride": stride, "padding": ((before, 3),), "dilation": dilation}
                    x = np.arange(float(size)).reshape(1, 1, size)
                    try:
                        want, _ = oracle_pool.max_pool(x, 3, **geometry)
                    except oracle_pool.Empty:
                        with pytest.raises(ProblemError, match=r"holds none|padded x only"):
                            npconv.max_pool(x, 3, **geometry)
                    else:
                        np.testing.assert_array_equal(npconv.max_pool(x, 3, **geometry), want)


@pytest.mark.parametrize("call", ["max_pool_grad", "avg_pool_grad"])
@pytest.mark.parametrize(
    ("shape", "match"),
    [
        (
            (2, 3, 4, 3),
            r"grad_out has shape \(2, 3, 4, 3\), the result .* has \(2, 3, 4, 4\) \(NCHW",
        ),
        ((2, 3, 9, 8), r"grad_out has shape \(2, 3, 9, 8\), the result of the pooling has"),
        ((2, 4, 4, 3), r"grad_out has shape \(2, 4, 4, 3\)"),
        ((2, 3, 4), r"grad_out has 3 axes, x has 4"),
        ((), r"grad_out has 0 axes, x has 4"),
    ],
)
def test_grad_out_of_the_wrong_shape(call, shape, match):
    with pytest.raises(ProblemError, match=rf"^{call}: {match}"):
        getattr(npconv, call)(np.ones(shape), X, 2)


def test_grad_out_of_the_wrong_shape_for_the_global_forms():
    match = r"global_max_pool_grad: grad_out has shape \(2, 3, 1, 2\), .* has \(2, 3, 1, 1\)"
    with pytest.raises(ProblemError, match=match):
        npconv.global_max_pool_grad(np.ones((2, 3, 1, 2)), X)
    with pytest.raises(ProblemError, match=r"global_avg_pool_grad: grad_out has 2 axes, x has 4"):
        npconv.global_avg_pool_grad(np.ones((2, 3)), X.shape)


@pytest.mark.parametrize(
    ("indices", "match"),
    [
        (np.zeros((2, 3, 4, 4)), r"indices has dtype float64, and must be integers"),
        (np.zeros((2, 3, 4, 4), bool), r"indices has dtype bool, and must be integers"),
        (np.zeros((2, 3, 4, 3), int), r"indices has shape \(2, 3, 4, 3\), .* \(2, 3, 4, 4\)"),
        (np.zeros((2, 3, 4), int), r"indices has shape \(2, 3, 4\)"),
        (np.full((2, 3, 4, 4), -1), r"indices holds -1, and an image and channel of x has 72"),
        (np.full((2, 3, 4, 4), 72), r"(?s)indices holds 72, .* 72 elements.*as max_pool returns"),
        (np.full((2, 3, 4, 4), 2**64 - 1, "uint64"), rf"indices holds {2**64 - 1}, and"),
        ("abc", r"indices has dtype <U3"),
    ],
)  # fmt: skip
def test_indices_that_are_none(indices, match):
    with pytest.raises(ProblemError, match=match) as caught:
        npconv.max_pool_grad(np.ones((2, 3, 4, 4)), X, 2, indices=indices)
    assert str(caught.value).startswith("max_pool_grad: ")


def test_what_is_no_array_of_numbers():
    for call in (npconv.max_pool, npconv.avg_pool):
        with pytest.raises(ProblemError, match=rf"^{call.__name__}: x has dtype object"):
            call(np.array([[[1, None]]]), 1)
        with pytest.raises(ProblemError, match="x is a masked array"):
            call(np.ma.masked_array(X, X > 3), 2)
        with pytest.raises(ProblemError, match="x has 0 axes, and without a layout"):
            call(3.0, 2)
    with pytest.raises(ProblemError, match="grad_out has dtype object"):
        npconv.avg_pool_grad(None, X, 2)
    for x_shape in ((2, 3, 9.5, 8), "abcd", 3, (2, 3, -9, 8)):
        with pytest.raises(ProblemError, match="x_shape"):
            npconv.avg_pool_grad(np.ones((2, 3, 4, 4)), x_shape, 2)


def test_of_complex_numbers_none_is_the_largest():
    for call in (
        lambda: npconv.max_pool(X + 1j, 2),
        lambda: npconv.global_max_pool(X + 1j),
        lambda: npconv.max_pool_grad(np.ones((2, 3, 4, 4)), X + 1j, 2),
        lambda: npconv.global_max_pool_grad(np.ones((2, 3, 1, 1)), X + 1j),
    ):
        with pytest.raises(
            ProblemError, match=r"(?s)complex128, and .* none is the largest.*np.abs"
        ):
            call()


@pytest.mark.parametrize("shape", [(2, 3, 0, 8), (2, 3, 9, 0), (0, 0, 0, 0)])
def test_empty_images(shape):
    x = np.ones(shape)
    for call in (npconv.global_max_pool, npconv.global_avg_pool):
        with pytest.raises(ProblemError, match=rf"^{call.__name__}: spatial axis . of x is empty"):
            call(x)
    with pytest.raises(ProblemError, match="padded x only 0"):
        npconv.max_pool(x, 1)
    padding = [(int(n == 0), 0) for n in shape[2:]]
    with pytest.raises(ProblemError, match="holds none of x's 0 elements"):
        npconv.max_pool(x, 1, padding=padding)


def answers(x, size, small, pools=POOLS, **keywords):
    """Each call gives what it gives with small numbers, or says what does not fit."""
    for pool in pools:
        try:
            out = pool(x, size, **keywords)
        except (ProblemError, MemoryError) as error:
            assert re.match(r"(max|avg)_pool: .*\d", str(error))
            assert small is None, (pool.__name__, error)
        else:
            assert small is not None, pool.__name__
            np.testing.assert_array_equal(out, pool(x, small[0], **small[1]))


@huge
def test_huge_numbers(number):
    answers(X, 2, (2, {"stride": 60}), stride=number)
    answers(X, 2, (2, {"stride": (60, 1)}), stride=(number, 1))
    answers(X, (1, 2), ((1, 2), {"dilation": (1, 3), "stride": 1}), dilation=(number, 3), stride=1)
    answers(X, 2, None, dilation=number)
    answers(X, number, None)
    answers(X, 2, None, padding=-number)
    answers(X, 2, None, padding=number, pools=(npconv.max_pool,))
    with pytest.raises((MemoryError, ProblemError), match=r"avg_pool: .*\d ([KMGTPE]i)?B"):
        npconv.avg_pool(X, 2, padding=number, stride=1)
    for name in ("stride", "dilation"):
        with pytest.raises(ProblemError, match=f"{name} is -{number}, and must be at least 1"):
            npconv.max_pool(X, 2, **{name: -number})


@huge
def test_huge_numbers_with_ceil_mode(number):
    # One window, of which only the first tap meets x.
    answers(X, 2, (1, {"stride": 60}), stride=2 * number, dilation=number, ceil_mode=True)
    answers(X, number, ((9, 8), {}), stride=number, ceil_mode=True)
    out, index = npconv.max_pool(X, number, stride=number, ceil_mode=True, return_indices=True)
    assert (index == 71).all()
    np.testing.assert_array_equal(out, npconv.global_max_pool(X))
    grad = npconv.max_pool_grad(out, X, number, stride=number, ceil_mode=True)
    np.testing.assert_array_equal(grad, npconv.global_max_pool_grad(out, X))
    grad = npconv.avg_pool_grad(out, X, number, stride=number, ceil_mode=True)
    np.testing.assert_array_equal(grad, npconv.global_avg_pool_grad(out, X))


@pytest.mark.parametrize("number", [2**31, 2**40, 2**60])
def test_few_windows_of_huge_padding(number):
    x = np.array([[[3.0, 5.0, 4.0, 1.0, 2.0]]])
    geometry = {"padding": ((number, number),), "stride": number // 2}
    out, index = npconv.max_pool(x, number + 5, return_indices=True, **geometry)
    np.testing.assert_array_equal(out, [[[5.0, 5.0, 5.0]]])
    np.testing.assert_array_equal(index, [[[1, 1, 1]]])
    grad = npconv.max_pool_grad(out, x, number + 5, **geometry)
    np.testing.assert_array_equal(grad, [[[0, 15.0, 0, 0, 0]]])
    mean = npconv.avg_pool(x, number + 5, **geometry)
    np.testing.assert_array_equal(mean, np.full((1, 1, 3), 15 / (number + 5)))
    mean = npconv.avg_pool(x, number + 5, count_include_pad=False, **geometry)
    np.testing.assert_array_equal(mean, np.full((1, 1, 3), 3.0))


def test_positions_beyond_64_bits():
    x = np.ones((1, 1, 5, 2**12))
    keywords = {"padding": ((2**60, 2**60), (0, 0)), "stride": (2**62, 1)}
    assert npconv.max_pool(x, (2**61 + 5, 1), **keywords).shape == (1, 1, 1, 2**12)
    with pytest.raises(MemoryError, match=r"max_pool: positions in padded x go up to \d+, beyond"):
        npconv.max_pool(x, (2**61 + 5, 1), return_indices=True, **keywords)


def test_what_does_not_fit_in_memory(monkeypatch):
    monkeypatch.setattr(npconv.pooling.common, "physical_memory", lambda: 5000)
    x = np.broadcast_to(1.0, (1, 1, 100, 100))
    for call, shape in (
        (lambda: npconv.max_pool(x, 2), r"\(1, 1, 50, 50\)"),
        (lambda: npconv.avg_pool(x, 2), r"\(1, 1, 50, 50\)"),
        (lambda: npconv.avg_pool_grad(np.ones((1, 1, 1, 1)), x, 100), r"\(1, 1, 100, 100\)"),
        (lambda: npconv.max_pool_grad(np.ones((1, 1, 1, 1)), x, 100), r"\(1, 1, 100, 100\)"),
        (lambda: npconv.max_pool(x, 5, return_indices=True), r"\(1, 1, 20, 20\)"),
    ):
        match = rf"pool.*: a result of shape {shape} takes .* KiB, this machine has 4\.88 KiB"
        with pytest.raises(MemoryError, match=match):
            call()
    assert npconv.max_pool(x, 5).shape == (1, 1, 20, 20)
    assert memory.physical_memory() > 5000
    with pytest.raises(MemoryError, match=r"avg_pool: a result of shape .* takes .*B or more"):
        npconv.avg_pool(np.ones((0, 1, 4, 4)), 2, padding=2**40, stride=1)
