"""What the layers compute, by formulas written out here; training and use; first weights."""

import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nn_layers import channels_last, spread
from npconv import nn
from npconv.channelwise import channels, compiled, elements, plain
from npconv.nn import lying


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.fixture(params=("small blocks", "small items", "as they are"))
def blocks(request, monkeypatch):
    """Blocks so small that small arrays have several, with seams between; in NumPy, or compiled."""
    caches = (channels._form, compiled._layer, compiled._flat)
    if request.param != "as they are":
        for cache in caches:
            cache.cache_clear()
        monkeypatch.setattr(channels, "_LANES", 6)
        monkeypatch.setattr(lying, "BLOCK", 7)
    if request.param == "small blocks":
        monkeypatch.setattr(plain, "_BLOCK", 24)
        monkeypatch.setattr(elements, "_BLOCK", 7)
    elif request.param == "small items":
        monkeypatch.setattr(compiled, "_LITTLE", 1)
        monkeypatch.setattr(compiled, "_ITEM", 5)
    yield
    for cache in caches:
        cache.cache_clear()


def test_convolution_of_the_worked_example():
    layer = nn.Conv2d(1, 1, 3, bias=False, dtype="float64")
    layer.weight.data = np.arange(9.0).reshape(1, 1, 3, 3)
    x = np.arange(36.0).reshape(1, 1, 6, 6)
    want = [[366, 402, 438, 474], [582, 618, 654, 690], [798, 834, 870, 906],
            [1014, 1050, 1086, 1122]]  # fmt: skip
    y, backprop = layer.forward(x)
    np.testing.assert_allclose(y[0, 0], want, rtol=1e-12)
    grad_x = backprop(np.ones_like(y))
    np.testing.assert_allclose(
        layer.weight.grad[0, 0], [[168, 184, 200], [264, 280, 296], [360, 376, 392]], rtol=1e-12
    )
    np.testing.assert_allclose(grad_x[0, 0, 2], [9, 21, 36, 36, 27, 15], rtol=1e-12)


def test_sizes_of_the_worked_examples():
    layer = nn.Conv2d(3, 96, 11, stride=4)
    assert layer.parameter_count == 34_944
    assert layer(np.zeros((1, 3, 227, 227))).shape == (1, 96, 55, 55)


def test_sizes_of_transposed_convolutions():
    layer = nn.ConvTranspose2d(2, 3, 3, (2, 3), 1, (1, 2))
    assert layer(np.zeros((1, 2, 5, 5))).shape == (1, 3, 10, 15)


def test_linear_sums():
    layer, x = nn.Linear(3, 2, dtype="float64"), normal(2, 4, 3)
    want = np.einsum("nli,oi->nlo", x, layer.weight.data) + layer.bias.data
    np.testing.assert_allclose(layer(x), want, rtol=1e-12)


SIZES = ((7,), (), (3, 5), (13, 1), (2, 2, 3))


@pytest.mark.parametrize("last", (False, True))
@pytest.mark.parametrize("size", SIZES)
def test_batch_norm_in_training_and_use(blocks, size, last):
    layer = getattr(nn, f"BatchNorm{max(len(size), 1)}d")(3, eps=0.01, dtype="float64")
    layer.weight.data, layer.bias.data = np.array([2.0, -1, 0]), np.array([1.0, 0, 5])
    x = 3 * normal(7, 3, *size) + 1
    x = channels_last(x) if last else x
    rows = np.moveaxis(x, 1, -1).reshape(-1, 3)
    mean, variance = rows.mean(0), rows.var(0)

    def want(mean, variance):
        y = (rows - mean) / np.sqrt(variance + 0.01) * layer.weight.data + layer.bias.data
        return np.moveaxis(y.reshape(7, *size, 3), -1, 1)

    np.testing.assert_allclose(layer.forward(x, True)[0], want(mean, variance), rtol=1e-11)
    unbiased = variance * len(rows) / (len(rows) - 1)
    np.testing.assert_allclose(layer.running_mean.data, 0.1 * mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.data, 0.9 + 0.1 * unbiased, rtol=1e-12)
    assert layer.num_batches_tracked.data == 1
    state = {name: value.copy() for name, value in layer.state_dict().items()}
    np.testing.assert_allclose(layer(x), want(0.1 * mean, 0.9 + 0.1 * unbiased), rtol=1e-11)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, state[name])


def test_batch_norm_averages_over_all_batches_without_momentum():
    layer = nn.BatchNorm1d(2, momentum=None, dtype="float64")
    xs = [normal(5, 2, seed=seed) for seed in range(4)]
    for x in xs:
        layer.forward(x, True)
    np.testing.assert_allclose(layer.running_mean.data, np.mean(xs, (0, 1)), rtol=1e-12)
    want = np.mean([x.var(0, ddof=1) for x in xs], 0)
    np.testing.assert_allclose(layer.running_var.data, want, rtol=1e-12)


def test_a_generator_is_training_too():
    layer = nn.BatchNorm1d(2)
    layer.forward(normal(5, 2), np.random.default_rng(0))
    assert layer.num_batches_tracked.data == 1


@pytest.mark.parametrize("memory", (lambda x: x, channels_last))
@pytest.mark.parametrize("mean, close", ((0, 1e-6), (30, 1e-5), (1000, 1e-3)))
def test_float32_variance_of_numbers_far_from_0(mean, close, memory):
    layer = nn.BatchNorm2d(2, momentum=1.0)
    x = memory((0.5 * normal(8, 2, 64, 64) + mean).astype(np.float32))
    rows = np.moveaxis(x, 1, -1).reshape(-1, 2).astype(np.float64)
    y = layer.forward(x, True)[0]
    np.testing.assert_allclose(layer.running_var.data, rows.var(0, ddof=1), rtol=2e-5)
    np.testing.assert_allclose(layer.running_mean.data, rows.mean(0), rtol=1e-6, atol=1e-6)
    want = (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5)
    np.testing.assert_allclose(np.moveaxis(y, 1, -1).reshape(-1, 2), want, rtol=0, atol=5 * close)


def test_a_channel_that_does_not_vary():
    x = np.full((4, 2, 3, 3), 7.3, np.float32)
    y, backprop = nn.BatchNorm2d(2).forward(x, True)
    np.testing.assert_allclose(y, 0, atol=1e-3)
    assert np.isfinite(backprop(np.ones_like(y))).all()


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("groups", (1, 2, 6))
@pytest.mark.parametrize("last", (False, True))
def test_group_norm(blocks, groups, size, last):
    layer = nn.GroupNorm(groups, 6, dtype="float64")
    layer.weight.data = normal(6)
    x = normal(5, 6, *size) * 4 + 2
    flat = x.reshape(5, groups, -1)
    want = (flat - flat.mean(2, keepdims=True)) / np.sqrt(flat.var(2, keepdims=True) + 1e-5)
    want = want.reshape(x.shape) * layer.weight.data.reshape(6, *(1,) * len(size))
    x = channels_last(x) if last else x
    for training in (False, True):
        np.testing.assert_allclose(layer.forward(x, training)[0], want, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(layer(x[2:3]), want[2:3], rtol=1e-10, atol=1e-12)


def test_nan_and_infinity_give_no_warning():
    x = normal(2, 4, 3, 3)
    x[0, 0, 0, 0], x[1, 1, 0, 0] = np.nan, np.inf
    layers = (nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.ReLU(), nn.SiLU(), nn.GELU(), nn.Sigmoid(),
              nn.Softmax(), nn.LeakyReLU())  # fmt: skip
    for layer in layers:
        y, backprop = layer.forward(x, True)
        assert np.isnan(y[0, 0, 0, 0])
        assert np.isfinite(y[1, 3, 1:]).all()
        backprop(np.full_like(y, np.inf))


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("out", range(1, 9))
def test_windows_of_adaptive_pooling(size, out):
    x = normal(2, 3, size)
    y = nn.AdaptiveAvgPool1d(out)(x)
    for i in range(out):
        begin, end = math.floor(i * size / out), math.ceil((i + 1) * size / out)
        np.testing.assert_allclose(y[:, :, i], x[:, :, begin:end].mean(2), rtol=1e-13)


@pytest.mark.parametrize("corners", (False, True))
def test_upsampling_a_slope_gives_a_slope(corners):
    rows, columns = np.mgrid[:5, :4].astype(float)
    x = (3 * rows + columns)[None, None]
    y = nn.Upsample(size=(13, 10), mode="bilinear", align_corners=corners)(x)[0, 0]
    if corners:
        want = 3 * np.linspace(0, 4, 13)[:, None] + np.linspace(0, 3, 10)
    else:
        at = (np.arange(13)[:, None] + 0.5) * 5 / 13 - 0.5, (np.arange(10) + 0.5) * 0.4 - 0.5
        want = 3 * at[0].clip(0, 4) + at[1].clip(0, 3)
    np.testing.assert_allclose(y, want, atol=1e-12)


@pytest.mark.parametrize("memory", (lambda x: x, channels_last, lambda x: x[:, :, ::2, 1:]))
def test_elements_repeated(memory):
    x = memory(normal(2, 3, 4, 5))
    y = nn.Upsample(scale_factor=(2, 3))(x)
    np.testing.assert_array_equal(y, x.repeat(2, 2).repeat(3, 3))


@pytest.mark.parametrize("size, factor, repeats", ((2, 1.3, 1), (3, 1.3, 1), (7, 2.1, 2)))
def test_factors_that_come_to_whole_repeats(size, factor, repeats):
    x = normal(1, 2, size)
    y, backprop = nn.Upsample(scale_factor=factor).forward(x)
    np.testing.assert_array_equal(y, x.repeat(repeats, 2))
    np.testing.assert_array_equal(backprop(np.ones_like(y)), np.full_like(x, repeats))


def test_flatten_takes_the_order_of_the_axes():
    x = spread(2, 3, 4, 5)
    y, backprop = nn.Flatten().forward(channels_last(x))
    np.testing.assert_array_equal(y, x.reshape(2, 60))
    grad = backprop(y)
    np.testing.assert_array_equal(grad, x)
    assert np.moveaxis(grad, 1, -1).flags.c_contiguous
    assert nn.Flatten(0, 1)(x).shape == (6, 4, 5)


@pytest.mark.parametrize("dtype, close", (("float64", 1e-15), ("float32", 3e-7)))
def test_normal_distribution_of_gelu(dtype, close):
    x = np.concatenate([np.linspace(-12, 12, 20_001), [-1e30, 1e30, 0]]).astype(dtype)
    below = np.array([math.erfc(-float(a) / math.sqrt(2)) / 2 for a in x])
    y = nn.GELU().forward(x[None])[0][0]
    np.testing.assert_allclose(y, x * below, rtol=close, atol=close / 5)


def test_relu_in_place(blocks):
    x = spread(2, 3, 4, 5)
    for given in (x.copy(), channels_last(x)):
        y, backprop = nn.ReLU(inplace=True).forward(given)
        assert np.shares_memory(y, given)
        np.testing.assert_array_equal(given, np.maximum(x, 0))
        np.testing.assert_array_equal(backprop(x), x * (x > 0))
    kept = x.copy()
    kept.flags.writeable = False
    np.testing.assert_array_equal(nn.ReLU(inplace=True)(kept), np.maximum(x, 0))
    gaps = np.zeros((2, 3, 4, 10))
    gaps[..., ::2] = x
    np.testing.assert_array_equal(nn.ReLU6(inplace=True)(gaps[..., ::2]), np.clip(x, 0, 6))


@pytest.mark.parametrize("p", (0.1, 0.5, 0.9))
def test_dropout(p):
    layer, x = nn.Dropout(p), spread(20, 10, 8, 8)
    assert layer(x) is x
    y, backprop = layer.forward(x, np.random.default_rng(0))
    dropped = y == 0
    assert abs(dropped.mean() - p) < 5 * math.sqrt(p * (1 - p) / x.size)
    np.testing.assert_allclose(y[~dropped], x[~dropped] / (1 - p), rtol=1e-12)
    np.testing.assert_allclose(backprop(np.ones_like(y)), ~dropped / (1 - p), rtol=1e-12)
    np.testing.assert_array_equal(layer.forward(x, np.random.default_rng(0))[0], y)
    assert (layer.forward(x, np.random.default_rng(1))[0] != y).any()
    assert (layer.forward(x, True)[0] != layer.forward(x, True)[0]).any()
    last = layer.forward(channels_last(x), np.random.default_rng(0))[0]
    assert np.moveaxis(last, 1, -1).flags.c_contiguous
    assert abs((last == 0).mean() - p) < 5 * math.sqrt(p * (1 - p) / x.size)


def test_dropout_of_whole_channels():
    x = np.ones((30, 20, 3, 2))
    for given in (x, channels_last(x)):
        y = nn.Dropout2d(0.5).forward(given, np.random.default_rng(0))[0]
        assert (y == y[:, :, :1, :1]).all()
        assert set(np.unique(y)) == {0, 2}
        assert abs((y[:, :, 0, 0] == 0).mean() - 0.5) < 0.1


class Slow(nn.Buffer):
    """A buffer that other threads overtake while it is read."""

    @property
    def data(self):
        found = self.held
        time.sleep(1e-4)
        return found

    @data.setter
    def data(self, value):
        self.held = value


def test_running_statistics_miss_no_batch():
    layer, x = nn.BatchNorm1d(1, momentum=0.5, dtype="float64"), np.array([[2.0], [4.0]])
    layer.num_batches_tracked = Slow(layer.num_batches_tracked.data)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: layer.forward(x, True), range(40)))
    assert layer.num_batches_tracked.data == 40
    np.testing.assert_allclose(layer.running_mean.data, 3)


STARTS = (
    (nn.Linear, (50, 40), 50),
    (nn.Conv1d, (6, 40, 5), 30),
    (nn.Conv2d, (8, 30, 3, 1, 0, 1, 2), 36),
    (nn.ConvTranspose2d, (8, 30, 3, 1, 0, 0, 2), 135),
    (nn.Conv3d, (2, 40, 3), 54),
)


@pytest.mark.parametrize("kind, arguments, terms", STARTS)
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_first_weights(kind, arguments, terms, dtype):
    layer = kind(*arguments, rng=0, dtype=dtype)
    bound = 1 / math.sqrt(terms)
    for parameter in layer.parameters():
        values = parameter.data
        assert values.dtype == dtype
        assert bound * (1 - 20 / values.size) < np.abs(values).max() <= bound
        assert abs(values.mean()) < 4 * bound / math.sqrt(3 * values.size)
        counts = np.histogram(values, 4, (-bound, bound))[0] / values.size
        np.testing.assert_allclose(counts, 0.25, atol=5 * math.sqrt(0.19 / values.size))
