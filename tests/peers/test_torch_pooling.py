"""Pooling and its gradients against torch.nn.functional's, over every argument both accept."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import npconv

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
ADAPTIVE_MAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}
ADAPTIVE_AVG = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
CASES = 400


def draw(seed, dilated):
    """One random geometry within torch's limits on padding, and small integers with ties for x."""
    rng = random.Random(seed)
    d = rng.choice((1, 2, 2, 3))
    kernel = [rng.randint(1, 4) for _ in range(d)]
    geometry = {
        "stride": tuple(rng.randint(1, 5) for _ in range(d)),
        "padding": tuple(rng.randint(0, k // 2) for k in kernel),
        "ceil_mode": rng.random() < 0.5,
    }
    if dilated:
        geometry["dilation"] = tuple(rng.randint(1, 3) for _ in range(d))
    size = [rng.randint(k, 4 * k) for k in kernel]
    shape = (rng.randint(1, 3), rng.randint(1, 3), *size)
    x = np.random.default_rng(seed).integers(-3, 4, shape)
    x = torch.from_numpy(x.astype(rng.choice(("float32", "float64"))))
    if d > 1 and rng.random() < 0.4:
        x = x.to(memory_format=CHANNELS_LAST[d])
    return d, x, tuple(kernel), geometry


def special(x, seed):
    """Put NaN into x, or -inf, or both."""
    rng = np.random.default_rng(seed)
    if seed % 3:
        x.numpy()[rng.random(x.shape) < 0.5] = -np.inf
    if seed % 2:
        x.numpy()[rng.random(x.shape) < 0.15] = np.nan


def backward(pool, x, grad_out):
    """torch's gradient for x."""
    x = x.detach().requires_grad_()
    pool(x).backward(torch.from_numpy(grad_out))
    return x.grad.numpy()


@pytest.mark.parametrize("specials", (False, True))
@pytest.mark.parametrize("seed", range(CASES))
def test_max_pool(seed, specials):
    d, x, kernel, geometry = draw(seed, dilated=True)
    if specials:
        special(x, seed)
    try:
        want, want_index = MAX[d](x, kernel, return_indices=True, **geometry)
    except RuntimeError as error:
        assert "Output size is too small" in str(error)
        with pytest.raises(npconv.ProblemError, match=r"padded x only|holds none of x's"):
            npconv.max_pool(x.numpy(), kernel, **geometry)
        return
    want, want_index = want.numpy(), want_index.numpy()
    try:
        out, index = npconv.max_pool(x.numpy(), kernel, return_indices=True, **geometry)
    except npconv.ProblemError as error:
        # Dilated taps may step over a small x: torch answers -inf where there is nothing.
        assert "holds none of x's" in str(error)
        assert (want == -np.inf).any()
        assert max(geometry["dilation"]) > 1
        return
    assert out.dtype == want.dtype
    np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(npconv.max_pool(x.numpy(), kernel, **geometry), want)
    if d == 3 and x.stride(1) == 1:
        # torch's channels_last_3d kernel forgets the depth of a window that holds only -inf.
        index = np.where(want == -np.inf, want_index, index)
        assert specials or (want != -np.inf).all()
    np.testing.assert_array_equal(index, want_index)
    if (want == -np.inf).any():
        return
    grad_out = np.random.default_rng(seed).integers(-9, 10, want.shape).astype(want.dtype)
    want_grad = backward(lambda x: MAX[d](x, kernel, **geometry), x, grad_out)
    for indices in (None, want_index):
        grad = npconv.max_pool_grad(grad_out, x.numpy(), kernel, indices=indices, **geometry)
        assert grad.dtype == want_grad.dtype
        np.testing.assert_array_equal(grad, want_grad)


@pytest.mark.parametrize("count_include_pad", (False, True))
@pytest.mark.parametrize("seed", range(CASES))
def test_avg_pool(seed, count_include_pad):
    d, x, kernel, geometry = draw(seed, dilated=False)
    geometry["count_include_pad"] = count_include_pad

    def pool(x):
        return AVG[d](x, kernel, **geometry)

    want = pool(x).numpy()
    out = npconv.avg_pool(x.numpy(), kernel, **geometry)
    assert out.dtype == want.dtype
    close = {"rtol": 1e-6 if want.dtype == np.float32 else 1e-14, "atol": 1e-6}
    np.testing.assert_allclose(out, want, **close)
    grad_out = np.random.default_rng(seed).integers(-9, 10, want.shape).astype(want.dtype)
    want_grad = backward(pool, x, grad_out)
    for x_shape in (x.numpy(), tuple(x.shape)):
        grad = npconv.avg_pool_grad(grad_out, x_shape, kernel, **geometry)
        assert grad.dtype == want_grad.dtype
        np.testing.assert_allclose(grad, want_grad, **close)


@pytest.mark.parametrize("d", (1, 2, 3))
@pytest.mark.parametrize("memory", ("channels first", "channels last"))
def test_global_forms(d, memory):
    rng = np.random.default_rng(d)
    values = rng.standard_normal((2, 3, *(5, 6, 7)[:d]))
    values[0, 0].flat[::2] = np.nan
    x = torch.from_numpy(values)
    if memory == "channels last" and d > 1:
        x = x.to(memory_format=CHANNELS_LAST[d])
    want, want_index = ADAPTIVE_MAX[d](x, 1, return_indices=True)
    out, index = npconv.global_max_pool(x.numpy(), return_indices=True)
    np.testing.assert_array_equal(out, want.numpy())
    np.testing.assert_array_equal(index, want_index.numpy())
    grad_out = rng.standard_normal(out.shape)
    np.testing.assert_array_equal(
        npconv.global_max_pool_grad(grad_out, x.numpy()),
        backward(lambda x: ADAPTIVE_MAX[d](x, 1), x, grad_out),
    )
    mean = npconv.global_avg_pool(x.numpy())
    np.testing.assert_allclose(mean, ADAPTIVE_AVG[d](x, 1).numpy(), rtol=1e-13)
    np.testing.assert_allclose(
        npconv.global_avg_pool_grad(grad_out, x.numpy()),
        backward(lambda x: ADAPTIVE_AVG[d](x, 1), x, grad_out),
        rtol=1e-13,
    )


@pytest.mark.parametrize("dtype", ("int64", "uint8", "float16"))
def test_other_dtypes(dtype):
    values = np.random.default_rng(0).integers(0, 9, (2, 3, 9, 8)).astype(dtype)
    geometry = {"stride": 2, "padding": 1, "ceil_mode": True}
    want, want_index = F.max_pool2d(torch.from_numpy(values), 3, return_indices=True, **geometry)
    out, index = npconv.max_pool(values, 3, return_indices=True, **geometry)
    assert out.dtype == values.dtype
    np.testing.assert_array_equal(out, want.numpy())
    np.testing.assert_array_equal(index, want_index.numpy())
    if dtype == "float16":
        want = F.avg_pool2d(torch.from_numpy(values), 3, **geometry).numpy()
        np.testing.assert_array_equal(npconv.avg_pool(values, 3, **geometry), want)


def test_the_windows_torch_refuses_hold_elements():
    # torch wants padding of at most half the window; here a window must hold an element.
    x = np.arange(5.0).reshape(1, 1, 5)
    with pytest.raises(RuntimeError, match="padding should be at most half"):
        F.max_pool1d(torch.from_numpy(x), 3, padding=2)
    out, index = npconv.max_pool(x, 3, stride=1, padding=2, return_indices=True)
    assert out.tolist() == [[[0, 1, 2, 3, 4, 4, 4]]]
    assert index.tolist() == [[[0, 1, 2, 3, 4, 4, 4]]]
