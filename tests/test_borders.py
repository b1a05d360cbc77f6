"""Padding: every spelling, "same" by TensorFlow's rule, and every mode against numpy.pad."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import npconv
import oracle
from npconv import adjoints, borders, conv, plan

MODES = tuple(oracle.PAD_MODES)


def pads(**geometry):
    """The (before, after) that a plan settles on for a row of pixels, or for an image."""
    return plan(**geometry).problem.padding


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", range(1, 8))
def test_positions_are_numpys(mode, size):
    x = np.arange(1, size + 1)
    for before in (*range(8), 20):
        for after in (*range(8), 20):
            index = borders.source(mode, size, -before, size + after)
            values = np.where(index < 0, 0, x[index])
            np.testing.assert_array_equal(
                values, np.pad(x, (before, after), oracle.PAD_MODES[mode])
            )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("far", [10**9, -(10**9), 2**62, -(2**62), 10**400, -(10**400)])
def test_positions_far_away(mode, far):
    start = far * 30
    near = start % 30 if mode not in ("zeros", "edge") else int(math.copysign(600, far > 0 or -1))
    index = borders.source(mode, 6, start, start + 40)
    np.testing.assert_array_equal(index, borders.source(mode, 6, near, near + 40))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", [((7, 0), (0, 7)), ((13, 20), (1, 2)), ((0, 0), (25, 31))])
def test_pads_longer_than_the_array(mode, padding):
    x = np.arange(1.0, 13).reshape(1, 1, 3, 4)
    cases.check_exact(x, np.ones((1, 1, 2, 3)), padding=padding, padding_mode=mode)
    with cases.small_tiles(128):
        cases.check_exact(x, np.ones((1, 1, 2, 3)), padding=padding, padding_mode=mode)


@cases.examples(300, 5000)
@given(
    st.integers(1, 7), st.integers(-9, 30), st.integers(-9, 30), st.sampled_from(MODES), st.data()
)
def test_crops_drop_what_padding_made(size, before, after, mode, data):
    if size + before + after < 1:
        before, after = after, 1 - size - after
    x = np.arange(1.0, size + 1)[None, None]
    stride = data.draw(st.integers(1, 9))
    want = oracle.pad(x, [(before, after)], mode)[..., ::stride]
    for name, out in cases.each(
        x, np.ones((1, 1, 1)), padding=((before, after),), padding_mode=mode, stride=stride
    ):
        cases.same_numbers(name, out, want)


@pytest.mark.parametrize("mode", MODES)
def test_a_crop_that_leaves_one_pixel(mode):
    x = np.arange(1.0, 31).reshape(1, 1, 5, 6)
    for name, out in cases.each(
        x, np.full((1, 1, 1, 1), 2.0), padding=((-3, -1), (-5, 0)), padding_mode=mode
    ):
        assert out.tolist() == [[[[2 * x[0, 0, 3, 5]]]]], name


@pytest.mark.parametrize("mode", MODES)
def test_a_crop_that_leaves_nothing_but_padding(mode):
    x = np.arange(1.0, 5).reshape(1, 1, 4)
    for padding in (((-6, 9),), ((9, -6),), ((-4, 3),), ((3, -4),), ((-40, 41),)):
        cases.check_exact(x, np.ones((1, 1, 2)), padding=padding, padding_mode=mode, stride=2)


def test_a_kernel_larger_than_the_image_wraps_round_it():
    x = np.arange(1.0, 7).reshape(1, 1, 2, 3)
    weight = np.ones((1, 1, 5, 7))
    for mode in MODES:
        cases.check_exact(x, weight, padding=((2, 2), (3, 3)), padding_mode=mode)


@pytest.mark.parametrize(
    ("alias", "mode"), [("constant", "zeros"), ("replicate", "edge"), ("circular", "wrap")]
)
def test_other_names(alias, mode):
    x, weight = np.arange(1.0, 9).reshape(1, 1, 8), np.array([[[1.0, 2, 3]]])
    np.testing.assert_array_equal(
        conv(x, weight, padding=2, padding_mode=alias),
        conv(x, weight, padding=2, padding_mode=mode),
    )


def tensorflow(size, span, stride):
    """The rule as TensorFlow's documentation states it."""
    total = max(span - (size % stride or stride), 0)
    return total // 2, total - total // 2


def test_same_is_tensorflows():
    for size in range(1, 14):
        for kernel in range(1, 8):
            for stride in range(1, 6):
                for dilation in range(1, 4):
                    geometry = {"stride": stride, "dilation": dilation}
                    shapes = {"x_shape": (1, 1, size), "weight_shape": (1, 1, kernel)}
                    span = dilation * (kernel - 1) + 1
                    low, high = tensorflow(size, span, stride)
                    same = plan(**shapes, padding="same", **geometry).problem
                    assert same.padding == ((low, high),)
                    assert same.out_size == (-(-size // stride),)
                    lower = plan(**shapes, padding="same_lower", **geometry).problem
                    assert lower.padding == ((high, low),)


def test_named_paddings():
    shapes = {"x_shape": (1, 1, 9, 10), "weight_shape": (1, 1, 4, 3), "dilation": (1, 2)}
    assert pads(**shapes, padding="valid") == ((0, 0), (0, 0))
    assert pads(**shapes, padding="full") == ((3, 3), (4, 4))
    assert plan(**shapes, padding="full").problem.out_size == (12, 14)
    assert pads(**shapes, padding="same") == ((1, 2), (2, 2))
    assert pads(**shapes, padding="same_lower") == ((2, 1), (2, 2))


@pytest.mark.parametrize(
    ("padding", "want"),
    [
        (2, ((2, 2), (2, 2))),
        (np.int8(2), ((2, 2), (2, 2))),
        (np.array(2), ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        ([1, -2], ((1, 1), (-2, -2))),
        (np.array([1, 2]), ((1, 1), (2, 2))),
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ([[1, 2], (3, 4)], ((1, 2), (3, 4))),
        (np.array([[1, 2], [-3, 4]]), ((1, 2), (-3, 4))),
        (((1, 2), 3), ((1, 2), (3, 3))),
    ],
)
def test_spellings_of_padding(padding, want):
    shapes = {"x_shape": (1, 1, 9, 9), "weight_shape": (1, 1, 2, 2)}
    assert pads(**shapes, padding=padding) == want


@pytest.mark.parametrize("stride", [2, (2, 2), [2, 2], np.array([2, 2]), np.int16(2)])
def test_spellings_of_stride_and_dilation(stride):
    shapes = {"x_shape": (1, 1, 9, 9), "weight_shape": (1, 1, 2, 2)}
    assert plan(**shapes, stride=stride).problem.stride == (2, 2)
    assert plan(**shapes, dilation=stride).problem.dilation == (2, 2)


def test_an_empty_axis_can_be_padded_with_zeros_only():
    x, weight = np.ones((1, 1, 0)), np.ones((1, 1, 2))
    for name, out in cases.each(x, weight, padding=2):
        assert out.tolist() == [[[0, 0, 0]]], name
    for mode in MODES[1:]:
        with pytest.raises(npconv.ProblemError, match="has nothing to repeat"):
            conv(x, weight, padding=2, padding_mode=mode)


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_an_index_falls_into_runs(mode):
    for size, start, stop in itertools.product(range(1, 6), range(-12, 12), range(-11, 14)):
        if start >= stop:
            continue
        read = borders.source(mode, size, start, stop)
        runs = list(adjoints._runs(read))
        said = [int(read[a]) + step * i for a, z, step in runs for i in range(z - a)]
        assert said == read.tolist()
