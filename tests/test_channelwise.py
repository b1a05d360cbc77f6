"""Passes over channels: compiled and in NumPy, against sums in float64 written out here."""

import math

import numpy as np
import pytest

import guarded
import npconv
from npconv import compiler
from npconv.channelwise import OPEN, Channels, Limits, channel_sums, clamp, compiled, pass_between

RELU, RELU6 = Limits(0, math.inf), Limits(0, 6)
SHAPES = ((3, 5, 4, 7), (2, 48, 3, 3), (1, 3, 129), (4, 17), (2, 70, 2, 2, 2))
TOLERANCE = {"f4": 4e-6, "f8": 1e-13}

needs_numba = pytest.mark.skipif(not compiler.usable(), reason="kernels need Numba")


@pytest.fixture(params=("NumPy", pytest.param("compiled", marks=needs_numba)))
def way(request, monkeypatch):
    """Whether small arrays go to kernels, in several items, or to NumPy."""
    for cache in (compiled._layer, compiled._flat):
        cache.cache_clear()
    monkeypatch.setattr(compiled, "_LITTLE", 1 if request.param == "compiled" else 1 << 60)
    monkeypatch.setattr(compiled, "_ITEM", 40)
    yield request.param
    for cache in (compiled._layer, compiled._flat):
        cache.cache_clear()


def draw(shape, dtype, last, seed=0):
    """Numbers round 2, some of them the limits themselves; channels last in memory or first."""
    x = np.random.default_rng(seed).normal(2, 3, shape)
    x.flat[::7], x.flat[3::11] = 0, 6
    x = x.astype(dtype)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) if last else x


def along(numbers, x, apart):
    """Numbers (sets, C) to go with x."""
    return numbers.reshape(numbers.shape[0] if apart else 1, -1, *[1] * (x.ndim - 2))


def counts(x, limits):
    return (x > limits.least) & (x < limits.most)


def over(x, apart):
    return tuple(axis for axis in range(x.ndim) if axis != 1 and not (apart and axis == 0))


@pytest.mark.parametrize("apart", [False, True], ids=("together", "apart"))
@pytest.mark.parametrize("limits", [OPEN, RELU, RELU6])
@pytest.mark.parametrize("last", [True, False], ids=("last", "first"))
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_passes(way, shape, dtype, last, limits, apart):
    x, g, held = (draw(shape, dtype, last, seed) for seed in range(3))
    form = Channels.of(x, apart)
    sets = shape[0] if apart else 1
    a, b, c = np.random.default_rng(9).normal(0, 1, (3, sets, shape[1]))
    wide = [array.astype("f8") for array in (x, g)]
    seen, given, by = form.seen(x), form.seen(g), None if limits == OPEN else form.seen(held)
    near = {"rtol": 0, "atol": 60 * TOLERANCE[dtype]}

    mean, squares = form.moments(seen)
    want = wide[0].mean(over(x, apart)).reshape(sets, -1)
    np.testing.assert_allclose(mean, want, **near)
    far = np.square(wide[0] - along(want, x, apart)).sum(over(x, apart)).reshape(sets, -1)
    np.testing.assert_allclose(squares, far, rtol=20 * TOLERANCE[dtype], atol=1e-12)

    counted = np.where(counts(held, limits), wide[1], 0)
    for got, terms in zip(
        form.products(given, seen, by, limits), (counted, counted * wide[0]), strict=True
    ):
        total = terms.sum(over(x, apart)).reshape(sets, -1)
        size = np.abs(terms).sum(over(x, apart)).max()
        np.testing.assert_allclose(got, total, rtol=0, atol=TOLERANCE[dtype] * size)

    a_x, b_x, c_x = (along(numbers, x, apart) for numbers in (a, b, c))
    scaled = form.scaled(seen, a, b, x.dtype, limits)
    want = np.clip(wide[0] * a_x + b_x, limits.least, limits.most)
    np.testing.assert_allclose(scaled, want, **near)
    assert scaled.strides == x.strides or 1 in shape
    mixed = form.mixed(given, a, seen, b, c, x.dtype, by, limits)
    np.testing.assert_allclose(mixed, counted * a_x + wide[0] * b_x + c_x, **near)
    np.testing.assert_allclose(
        channel_sums(g), wide[1].sum(over(x, False)), rtol=0,
        atol=TOLERANCE[dtype] * np.abs(wide[1]).sum(over(x, False)).max(),
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("limits", [RELU, RELU6, Limits(-1, 2)])
def test_elements(way, limits, dtype):
    x, by = (draw((7, 41), dtype, False, seed) for seed in (1, 2))
    np.testing.assert_array_equal(clamp(x, limits), np.clip(x, limits.least, limits.most))
    want = np.where(counts(by, limits), x, 0)
    np.testing.assert_array_equal(pass_between(x, by, limits), want)
    np.testing.assert_array_equal(clamp(x, limits, x), np.clip(x, limits.least, limits.most))


def test_nan_stays_and_passes_nothing(way):
    x = np.array([np.nan, 1, np.inf, -np.inf] * 9)
    np.testing.assert_array_equal(clamp(x, RELU6), [np.nan, 1, 6, 0] * 9)
    np.testing.assert_array_equal(pass_between(x[::-1].copy(), x, RELU), [0, np.inf, 1, 0] * 9)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_mean_far_from_zero_hides_no_variance(way, dtype):
    x = (np.random.default_rng(3).normal(0, 1, (4, 3, 30)) + 3000).astype(dtype)
    form = Channels.of(x)
    _, squares = form.moments(form.seen(x))
    want = np.square(x.astype("f8") - x.mean((0, 2), "f8")[:, None]).sum((0, 2))
    np.testing.assert_allclose(squares[0], want, rtol=1e-4)


@needs_numba
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(2, 3, 21, 1), (1, 2, 5, 19), (3, 1, 1, 1), (1, 4, 16, 33)])
def test_kernels_touch_nothing_beyond(shape, dtype, monkeypatch):
    monkeypatch.setattr(compiled, "_LITTLE", 1)
    compiler.warmup()  # its own arrays are no concern of the guards
    sets, _, channels, _ = shape
    for at_end in (False, True):
        with guarded.workspaces(at_end):
            made = [np.ones(shape, dtype) for _ in range(4)]
            numbers = [np.full((sets, channels), value, dtype) for value in (2, 3, 4)]
            one, other, held, out = made
            first, second = compiled.sums(shape, one, other, held, RELU)
            assert (first == second).all()
            compiled.scaled(shape, one, numbers[0], numbers[1], out, RELU)
            assert (out == 5).all()
            compiled.mixed(shape, one, *[numbers[0], other, *numbers[1:]], held, out, RELU)
            assert (out == 9).all()
            assert compiled.clamp(one, None, out, Limits(0, 0.5))
            assert (out == 0.5).all()
            assert compiled.clamp(one, held, out, Limits(1, 2))
            assert not out.any()


@needs_numba
def test_threads_give_the_same_bits(monkeypatch):
    x = np.random.default_rng(5).normal(0, 1, (8, 40, 30, 30)).astype("f4")
    form, before = Channels.of(x), npconv.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            npconv.set_num_threads(threads)
            found.append([n.tobytes() for n in form.moments(form.seen(x))])
    finally:
        npconv.set_num_threads(before)
    assert found[0] == found[1] == found[2]
