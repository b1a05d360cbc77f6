"""Pooling: NaN, ties, infinities, rounding, nothing at all, and every dtype of numbers."""

import numpy as np
import pytest

import npconv
import oracle
import pool_cases
from pool_cases import every_call


@pytest.fixture(params=list(pool_cases.WAYS), autouse=True)
def each_way(request):
    with pool_cases.way(request.param):
        yield


@pytest.mark.parametrize(
    ("padding", "x", "want"),
    [
        ("same", [1, 2, 3, 4, 5], [2, 4, 5]),
        ("same_lower", [1, 2, 3, 4, 5], [1, 3, 5]),
        ("valid", [1, 2, 3, 4, 5], [2, 4]),
        ("full", [1, 2, 3, 4, 5], [1, 3, 5]),
        (-1, [1, 2, 3, 4, 5], [3]),
        (((-1, 1),), [1, 2, 3, 4, 5], [3, 5]),
    ],
)
def test_padding_as_it_is_spelt(padding, x, want):
    assert npconv.max_pool(x, 2, padding=padding, layout="W").tolist() == want


def test_ceil_mode_leaves_out_a_window_that_starts_past_x():
    x = np.arange(1.0, 7.0)
    assert npconv.max_pool(x, 1, stride=4, ceil_mode=True, layout="W").tolist() == [1, 5]
    out = npconv.avg_pool(x[:5], 2, stride=3, padding=1, ceil_mode=True, layout="W")
    assert out.tolist() == [0.5, 3.5]  # a third would start in the padding after x
    out = npconv.avg_pool(x[:5], 3, stride=2, ceil_mode=True, layout="W")
    assert out.tolist() == [2, 4]
    out = npconv.avg_pool(x, 3, stride=2, ceil_mode=True, layout="W")
    assert out.tolist() == [2, 4, 5.5]  # what ceil_mode reaches does not count


def test_nan_and_ties():
    x = np.array([[2.0, 5.0, 5.0], [5.0, np.nan, 1.0], [np.nan, 0.0, -np.inf]])
    out, index = npconv.max_pool(x, 2, stride=1, layout="HW", return_indices=True)
    np.testing.assert_array_equal(out, np.full((2, 2), np.nan))
    assert index.tolist() == [[4, 4], [6, 4]]
    out, index = npconv.max_pool(x[:1], (1, 2), stride=1, layout="HW", return_indices=True)
    assert (out.tolist(), index.tolist()) == ([[5, 5]], [[1, 1]])
    lowest = np.full((1, 1, 4), -np.inf)
    out, index = npconv.max_pool(lowest, 3, stride=1, padding=1, return_indices=True)
    assert (out == -np.inf).all()
    assert index.tolist() == [[[0, 0, 1, 2]]]


def test_float16_means_are_rounded_once():
    x = np.full((1, 1, 4096), 1.0, "float16")
    x[..., 0] = 2048.0
    assert npconv.avg_pool(x, 4096)[0, 0, 0] == np.float16((2048 + 4095) / 4096)
    grad = npconv.max_pool_grad(
        np.array([[[2048.0, 1, 1, 1]]], "float16"), np.array([[[0, 0, 0, 9, 0, 0, 0]]]), 4, stride=1
    )
    assert grad[0, 0, 3] == np.float16(2051)
    values = np.array([2048, 1, 1, 1, 2048], "float16")
    assert npconv.avg_pool(values, 4, stride=1, layout="W").tolist() == [np.float16(2051 / 4)] * 2
    grad = npconv.avg_pool_grad(values[:4] * 4, (7,), 4, stride=1, layout="W")
    assert grad[3] == np.float16(2051)


def test_indices_of_ones_own_are_added_up():
    x, grad_out = np.zeros((1, 1, 6)), np.array([[[1, 2, 4]]])
    grad = npconv.max_pool_grad(grad_out, x, 2, indices=np.array([[[5, 5, 0]]], "uint8"))
    assert grad.tolist() == [[[4, 0, 0, 0, 0, 3]]]


def test_infinities_in_means():
    x = np.array([np.inf, 1, 2, -np.inf, 3, 4])
    with np.errstate(all="raise"):
        out = npconv.avg_pool(x, 2, stride=1, layout="W")
        both = npconv.avg_pool(x, 6, layout="W")
    np.testing.assert_array_equal(out, [np.inf, 1.5, -np.inf, -np.inf, 3.5])
    assert np.isnan(both[0])
    mixed = npconv.avg_pool(np.array([complex(np.inf, 2), complex(1, 4)]), 2, layout="W")
    assert mixed[0] == complex(np.inf, 3)


@pytest.mark.parametrize("layout", [None, "NHWC", "HWNC"])
@pytest.mark.parametrize("dtype", ["float32", "int16", "float16"])
def test_global_pooling(layout, dtype):
    rng = np.random.default_rng(4)
    x = oracle.small_integers(rng, (2, 3, 5, 4), dtype)
    spatial = tuple((layout or "NCHW").index(a) for a in "HW")
    out, index = npconv.global_max_pool(x, layout=layout, return_indices=True)
    np.testing.assert_array_equal(out, x.max(spatial, keepdims=True))
    assert out.dtype == x.dtype
    np.testing.assert_array_equal(npconv.global_max_pool(x, layout=layout), out)
    flat = np.moveaxis(x, spatial, (-2, -1)).reshape(*out.squeeze(spatial).shape, -1)
    np.testing.assert_array_equal(index.squeeze(spatial), flat.argmax(-1))
    mean = npconv.global_avg_pool(x, layout=layout)
    exact = x.astype(float).mean(spatial, keepdims=True)
    np.testing.assert_allclose(mean, exact, rtol=1e-3 if dtype == "float16" else 1e-6)
    assert mean.dtype == (np.float64 if dtype == "int16" else dtype)
    grad_out = oracle.small_integers(rng, out.shape, "float64")
    grad = npconv.global_max_pool_grad(grad_out, x, layout=layout)
    want = np.zeros_like(flat, float)
    np.put_along_axis(want, flat.argmax(-1)[..., None], grad_out.squeeze(spatial)[..., None], -1)
    inside = want.reshape(np.moveaxis(x, spatial, (-2, -1)).shape)
    np.testing.assert_array_equal(grad, np.moveaxis(inside, (-2, -1), spatial))
    area = x.shape[spatial[0]] * x.shape[spatial[1]]
    for x_shape in (x, x.shape):
        grad = npconv.global_avg_pool_grad(grad_out, x_shape, layout=layout)
        np.testing.assert_array_equal(grad, np.broadcast_to(grad_out / area, x.shape))


def test_global_pooling_of_nan_and_long_sounds():
    x = np.zeros((1, 2, 50_000))
    x[0, 0, 7], x[0, 0, 40_000], x[0, 1, 9] = np.nan, np.nan, 3
    out, index = npconv.global_max_pool(x, return_indices=True)
    np.testing.assert_array_equal(out, [[[np.nan], [3]]])
    assert index.tolist() == [[[40_000], [9]]]


@pytest.mark.parametrize("shape", [(0, 3, 5, 6), (2, 0, 5, 6), (0, 0, 5, 6)])
@pytest.mark.parametrize("dtype", ["float32", "int8", "float16"])
def test_empty_batches_and_channels(shape, dtype):
    x = np.ones(shape, dtype)
    results = every_call(x, 2, stride=1, padding=1, layout="NCHW")
    for name, result in results.items():
        want = shape if "grad" in name else (*shape[:2], 6, 7)
        assert result.shape == want, name
    assert npconv.global_avg_pool(x).shape == (*shape[:2], 1, 1)
    assert npconv.global_max_pool_grad(np.ones((*shape[:2], 1, 1)), x).shape == shape


def test_means_of_nothing_but_counted_padding():
    out = npconv.avg_pool(np.ones((2, 0, 3)), 2, padding=((1, 1), (3, 1)), layout="CHW")
    np.testing.assert_array_equal(out, np.zeros((2, 1, 3)))
    grad = npconv.avg_pool_grad(out, (2, 0, 3), 2, padding=((1, 1), (3, 1)), layout="CHW")
    assert grad.shape == (2, 0, 3)
    cropped = {"padding": ((-3, 5),), "layout": "W"}
    assert npconv.avg_pool([1.0, 2.0], 2, **cropped).tolist() == [0, 0]
    assert npconv.avg_pool_grad([1.0, 2.0], (2,), 2, **cropped).tolist() == [0, 0]
