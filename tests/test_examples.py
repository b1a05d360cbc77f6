"""The worked examples that can be checked by hand, by every algorithm that can."""

import numpy as np
import pytest

import cases
from npconv import conv, plan

SIX = np.arange(36).reshape(6, 6)
FILLED = np.arange(144).reshape(3, 6, 8), np.arange(45).reshape(3, 5, 3)


def every(x, weight, want, **keywords):
    """Check in int64, float64 and float32, by every algorithm."""
    for dtype in (np.int64, np.float64, np.float32):
        for name, out in cases.each(np.asarray(x, dtype), np.asarray(weight, dtype), **keywords):
            cases.same_numbers(name, out, np.asarray(want, dtype), dtype)


def test_counting_image():
    weight = np.arange(9).reshape(3, 3)
    want = [
        [366, 402, 438, 474],
        [582, 618, 654, 690],
        [798, 834, 870, 906],
        [1014, 1050, 1086, 1122],
    ]
    every(SIX, weight, want, layout="HW")
    every(SIX, weight, [[366, 438], [798, 870]], layout="HW", stride=2)


def test_two_by_two_kernels():
    x = [[1, 0, 2, 1], [0, 1, 3, 0], [1, 1, 2, 1], [0, 1, 3, 0]]
    every(x, [[0, 1], [2, 0]], [[0, 4, 7], [3, 5, 4], [1, 4, 7]], layout="HW")
    x = [[43, 16, 78], [34, 76, 95], [35, 8, 46]]
    every(x, [[4, 6], [7, 9]], [[1190, 1919], [909, 1344]], layout="HW")


def test_one_channel_of_the_filled_image():
    x, weight = FILLED[0][0], FILLED[1][0]
    for _, out in cases.each(x, weight, layout="HW", padding=(2, 1)):
        assert out.shape == (6, 8)
        assert out[0].tolist() == [633, 960, 1050, 1140, 1230, 1320, 1410, 924]
        assert out[4, 3] == 2414
    strided = [[633, 1050, 1230, 1410], [1720, 2620, 2830, 3040], [1610, 2348, 2480, 2612]]
    every(x, weight, strided, layout="HW", padding=(2, 1), stride=2)


def test_all_channels_of_the_filled_image():
    x, weight = (a.astype(np.float64)[None] for a in FILLED)
    for name, out in cases.each(x, weight, padding=(2, 1)):
        assert out.shape == (1, 1, 6, 8)
        assert np.rint(out[0, 0, 0, 0]) == 34866, name
        assert np.rint(out[0, 0, 4, 3]) == 76686, name


@pytest.mark.parametrize(
    ("x", "weight", "geometry", "out"),
    [
        ((1, 1, 10, 10), (1, 1, 3, 3), {"padding": 1}, (1, 1, 10, 10)),
        ((2, 3, 4, 5), (5, 3, 2, 2), {}, (2, 5, 3, 4)),
        ((1, 12, 32, 48), (24, 12, 3, 3), {"padding": 1}, (1, 24, 32, 48)),
        ((1, 12, 32, 48), (24, 12, 3, 3), {"padding": 1, "stride": 2}, (1, 24, 16, 24)),
        ((1, 3, 227, 227), (96, 3, 11, 11), {"stride": 4}, (1, 96, 55, 55)),
        ((1, 3, 9, 9), (4, 3, 1, 1), {}, (1, 4, 9, 9)),
    ],
)
def test_shapes(x, weight, geometry, out):
    made = conv(np.ones(x, np.float32), np.ones(weight, np.float32), **geometry)
    assert made.shape == out
    problem = plan(x, weight, **geometry).problem
    assert (problem.batch, problem.out_channels, *problem.out_size) == out


def test_alexnet_by_numbers():
    problem = plan((1, 3, 227, 227), (96, 3, 11, 11), stride=4).problem
    assert (problem.pixels, problem.terms) == (3025, 363)
    assert problem.terms * 96 + 96 == 34944
    assert problem.macs == 3025 * 363 * 96
    padded = plan((1, 1, 10, 10), (1, 1, 3, 3), padding=1).problem
    assert padded.padded_size == (12, 12)


@pytest.mark.parametrize(
    ("kernel", "want"),
    [
        ([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], 48),
        ([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], 8),
        ([[-1, -1, -1], [0, 0, 0], [1, 1, 1]], 36),
        ([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]], 6),
        ([[1, 1, 1], [1, -8, 1], [1, 1, 1]], 0),
        ([[0, 1, 0], [1, -4, 1], [0, 1, 0]], 0),
        ([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], 0),
        ([[-1, -1, -1], [-1, 9, -1], [-1, -1, -1]], SIX[1:-1, 1:-1]),
        ([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], SIX[1:-1, 1:-1]),
    ],
)
def test_classic_kernels(kernel, want):
    every(SIX, kernel, np.broadcast_to(want, (4, 4)), layout="HW")


def test_blur():
    for name, out in cases.each(SIX.astype(float), np.ones((3, 3)) / 9, layout="HW"):
        np.testing.assert_allclose(out, SIX[1:-1, 1:-1], rtol=1e-14, err_msg=name)


def test_linspace_with_bias():
    x = np.linspace(-0.1, 0.5, 96).reshape(2, 3, 4, 4)
    weight = np.linspace(-0.2, 0.3, 144).reshape(3, 3, 4, 4)
    bias = np.linspace(-0.1, 0.2, 3)
    want = [[-0.08759809, -0.10987781], [-0.18387192, -0.2109216]]
    for name, out in cases.each(x, weight, bias, stride=2, padding=1):
        np.testing.assert_allclose(out[0, 0], want, atol=5e-9, err_msg=name)
