"""The laws of convolution, each on integers that every dtype holds, by every algorithm."""

import re

import numpy as np
import pytest

import cases
import npconv
import oracle

RANKS = [(2, 4, 17), (2, 4, 8, 9), (2, 4, 5, 6, 4)]
KERNELS = [(6, 4, 5), (6, 4, 3, 4), (6, 4, 3, 2, 3)]


# What an algorithm may refuse here, and why.
REFUSALS = {
    "depthwise": "there is one group|of one channel, or of one output|Numba is not installed",
    "indirect": "Numba is not installed",
    "small": "up to 8192 in all|Numba is not installed",
    "stencil": "groups of one channel|a stride leaves some out|Numba is not installed",
    "winograd": "save no products|up to 7 taps|Numba is not installed",
}


def conv(*arrays, algorithm, **keywords):
    """npconv.conv; where the algorithm says why it cannot, one tap after another."""
    try:
        return npconv.conv(*arrays, algorithm=algorithm, **keywords)
    except npconv.UnsupportedError as error:
        if not re.search(REFUSALS.get(algorithm, "$^"), str(error)):
            raise
        return npconv.conv(*arrays, algorithm="taps", **keywords)


SHAPES = pytest.mark.parametrize(
    ("x_shape", "weight_shape"), list(zip(RANKS, KERNELS, strict=True))
)
ALGORITHM = pytest.mark.parametrize("algorithm", npconv.algorithms())


def pair(x_shape, weight_shape, seed=0):
    """x and weight of small integers."""
    rng = np.random.default_rng(seed)
    return (oracle.small_integers(rng, shape, "float64") for shape in (x_shape, weight_shape))


def same(algorithm, a, b):
    """Equal, but for a transform's rounding."""
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 if algorithm in cases.ROUNDS else 0)


@ALGORITHM
@SHAPES
def test_linear_in_both(algorithm, x_shape, weight_shape):
    x, weight = pair(x_shape, weight_shape)
    x2, weight2 = pair(x_shape, weight_shape, seed=1)

    def apply(a, b):
        return conv(a, b, padding=1, algorithm=algorithm)

    same(algorithm, apply(2 * x - 3 * x2, weight), 2 * apply(x, weight) - 3 * apply(x2, weight))
    same(algorithm, apply(x, weight + 5 * weight2), apply(x, weight) + 5 * apply(x, weight2))


@ALGORITHM
@SHAPES
def test_a_shift_in_is_a_shift_out(algorithm, x_shape, weight_shape):
    x, weight = pair(x_shape, weight_shape)
    for axis in range(2, x.ndim):
        out = conv(x, weight, algorithm=algorithm, padding_mode="wrap", padding="same")
        rolled = conv(
            np.roll(x, 3, axis), weight, algorithm=algorithm, padding_mode="wrap", padding="same"
        )
        same(algorithm, rolled, np.roll(out, 3, axis))


@ALGORITHM
@SHAPES
def test_an_impulse_gives_the_flipped_kernel(algorithm, x_shape, weight_shape):
    _, weight = pair(x_shape, weight_shape)
    kernel_size = weight.shape[2:]
    x = np.zeros((1, 4, *(2 * k - 1 for k in kernel_size)))
    x[(0, 2, *(k - 1 for k in kernel_size))] = 1
    out = conv(x, weight, algorithm=algorithm)
    same(algorithm, out[0], np.flip(weight[:, 2], range(1, weight.ndim - 1)))


@ALGORITHM
@SHAPES
def test_an_impulse_for_a_kernel_copies_x(algorithm, x_shape, weight_shape):
    x, _ = pair(x_shape, weight_shape)
    weight = np.zeros((4, 4, *weight_shape[2:]))
    weight[(np.arange(4), np.arange(4), *((k - 1) // 2 for k in weight_shape[2:]))] = 1
    same(algorithm, conv(x, weight, padding="same", algorithm=algorithm), x)


@ALGORITHM
@SHAPES
def test_groups_are_a_concatenation(algorithm, x_shape, weight_shape):
    x, weight = pair(x_shape, (6, 2, *weight_shape[2:]))
    parts = [
        conv(x[:, 2 * g : 2 * g + 2], weight[3 * g : 3 * g + 3], padding=1, algorithm=algorithm)
        for g in range(2)
    ]
    grouped = conv(x, weight, padding=1, groups=2, algorithm=algorithm)
    same(algorithm, grouped, np.concatenate(parts, axis=1))


@ALGORITHM
@SHAPES
def test_depthwise(algorithm, x_shape, weight_shape):
    x, weight = pair(x_shape, (8, 1, *weight_shape[2:]))
    out = conv(x, weight, groups=4, algorithm=algorithm)
    for o in range(8):
        one = conv(x[:, o // 2 : o // 2 + 1], weight[o : o + 1], algorithm=algorithm)
        same(algorithm, out[:, o : o + 1], one)


@SHAPES
def test_one_tap_is_a_matmul(x_shape, weight_shape):
    x, weight = pair(x_shape, (6, 4, *(1 for _ in weight_shape[2:])))
    want = np.einsum("oc,nc...->no...", weight.reshape(6, 4), x)
    for name, out in cases.each(x, weight):
        cases.same_numbers(name, out, want)


@ALGORITHM
@SHAPES
def test_a_batch_is_a_stack(algorithm, x_shape, weight_shape):
    x, weight = pair(x_shape, weight_shape)
    out = conv(x, weight, padding=2, algorithm=algorithm)
    for i in range(2):
        one = conv(x[i : i + 1], weight, padding=2, algorithm=algorithm)
        same(algorithm, out[i : i + 1], one)


@ALGORITHM
@SHAPES
def test_a_bias_is_added_to_each_channel(algorithm, x_shape, weight_shape):
    x, weight = pair(x_shape, weight_shape)
    bias = np.arange(6.0) - 2
    plain = conv(x, weight, algorithm=algorithm)
    out = conv(x, weight, bias, algorithm=algorithm)
    same(algorithm, out, plain + bias.reshape(-1, *(1,) * (x.ndim - 2)))
    same(algorithm, conv(x, weight, 3.0, algorithm=algorithm), plain + 3)
    same(algorithm, conv(x, weight, [3.0], algorithm=algorithm), plain + 3)


@ALGORITHM
@SHAPES
@pytest.mark.parametrize("stride", [2, 3, 7])
def test_a_stride_drops_outputs(algorithm, x_shape, weight_shape, stride):
    x, weight = pair(x_shape, weight_shape)
    every = (slice(None, None, stride),) * (x.ndim - 2)
    dense = conv(x, weight, padding=2, algorithm=algorithm)
    strided = conv(x, weight, padding=2, stride=stride, algorithm=algorithm)
    same(algorithm, strided, dense[:, :, *every])


@ALGORITHM
@SHAPES
def test_a_dilated_kernel_is_one_with_holes(algorithm, x_shape, weight_shape):
    x, weight = pair(x_shape, weight_shape)
    holed = np.zeros((6, 4, *(2 * k - 1 for k in weight.shape[2:])))
    holed[:, :, *(slice(None, None, 2),) * (x.ndim - 2)] = weight
    dilated = conv(x, weight, padding=4, dilation=2, algorithm=algorithm)
    same(algorithm, dilated, conv(x, holed, padding=4, algorithm=algorithm))


@ALGORITHM
@SHAPES
@pytest.mark.parametrize("mode", oracle.PAD_MODES)
def test_padding_is_numpys(algorithm, x_shape, weight_shape, mode):
    x, weight = pair(x_shape, weight_shape)
    padded = np.pad(x, ((0, 0), (0, 0), *((3, 2),) * (x.ndim - 2)), oracle.PAD_MODES[mode])
    pads = ((3, 2),) * (x.ndim - 2)
    out = conv(x, weight, padding=pads, padding_mode=mode, algorithm=algorithm)
    same(algorithm, out, conv(padded, weight, algorithm=algorithm))


@ALGORITHM
def test_separable_kernels_are_two_passes(algorithm):
    x, _ = pair((12, 13), (1,))
    column, row = np.array([[1.0], [4], [-2]]), np.array([[3.0, -1, 2, 5]])
    once = conv(x, column * row, layout="HW", padding=3, algorithm=algorithm)
    first = conv(x, column, layout="HW", padding=3, algorithm=algorithm)
    twice = conv(first, row, layout="HW", algorithm=algorithm)
    same(algorithm, twice, once)
