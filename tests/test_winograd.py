"""Winograd convolution: any size, stride, padding and channel count, from scratch full of NaN."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import grad_cases
import npconv
import oracle
from npconv import relayout, spare, templates, threads, tiling
from npconv.algorithms import winograd
from npconv.algorithms.winograd import sums
from npconv.kernels import toom
from winograd_layers import Soiled, check, layers, problem, run, want

pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def scratch_is_soiled(monkeypatch):
    for module in (sums, relayout, spare, templates):
        monkeypatch.setattr(module, "np", Soiled())


@cases.examples(150, 10000)
@given(
    layers(),
    st.sampled_from(("float32", "float64")),
    st.sampled_from(("last", "first", "reversed")),
)
def test_random_layers(layer, dtype, order):
    check(layer, dtype, order)


@cases.examples(100, 5000)
@given(layers(), st.sampled_from(("last", "first")), st.integers(6, 16))
def test_random_layers_across_the_seams_of_blocks(layer, order, bits):
    with cases.small_tiles(1 << bits):
        check(layer, "float32", order)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", [r for r in toom.ROWS if r.outputs > 1], ids=str)
def test_every_row_in_every_remainder(row, dtype):
    precision = "strict" if row.strict else "fast"
    for out in range(1, 2 * row.outputs + 2):
        size = (out - 1) * row.stride + row.taps
        layer = (1, size, 5), (row.taps, 5, 3), {"stride": row.stride, "precision": precision}
        check(layer, dtype, "last", seed=out)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("shape", [(2, 9, 14, 17), (1, 30, 7, 64), (3, 8, 8, 1)])
def test_small_integers_come_out_exact(shape, whole, monkeypatch):
    rng = np.random.default_rng(0)
    if whole:
        monkeypatch.setattr(tiling, "_WORKSPACE", 1)
    made = problem(shape, (3, 3, shape[-1], 300), padding=1)
    assert tiling.cut(made).whole == whole
    x = oracle.small_integers(rng, shape, "float32")
    weight = oracle.small_integers(rng, made.weight_shape, "float32")
    np.testing.assert_array_equal(run(made, x, weight), want(made, x, weight)[0])


@pytest.mark.parametrize("taps", [1, 2])
@pytest.mark.parametrize("padding", [(0, 1), (2, 1)])
def test_depths_of_which_some_columns_read_padding(padding, taps):
    rng = np.random.default_rng(1)
    shape = 3, 4, 9, 10, 6
    made = problem(shape, (taps, 3, 3, 6, 20), padding=(padding, (1, 1), (1, 1)))
    x = oracle.small_integers(rng, shape, "float32")
    weight = oracle.small_integers(rng, made.weight_shape, "float32")
    for bits in range(8, 18):
        with cases.small_tiles(1 << bits):
            np.testing.assert_array_equal(run(made, x, weight), want(made, x, weight)[0])


@pytest.mark.parametrize("off", [0, 1])
@pytest.mark.parametrize("outputs", [32, 41, 64, 80])
def test_what_is_streamed_is_what_is_stored(outputs, off, monkeypatch):
    monkeypatch.setattr(sums, "_STREAMED", 0)
    rng = np.random.default_rng(outputs)
    made = problem((2, 9, 10, 20), (3, 3, 20, outputs), padding=1)
    x = oracle.small_integers(rng, made.x_shape, "float32")
    weight = oracle.small_integers(rng, made.weight_shape, "float32")
    count = math.prod(made.out_shape)
    buffer = np.full(count + 65, -77, "float32")
    first = -buffer.ctypes.data // 4 % 16 + off
    out = buffer[first : first + count].reshape(made.out_shape)
    from npconv.kernels.winograd_layer import FINITE  # behind it: streams

    steps = sums._steps(made, made, x, out)
    assert steps.convolve._words[FINITE + 1] == (off == 0 and outputs % 16 == 0)
    assert winograd.forward(made, x, weight, out)
    np.testing.assert_array_equal(out, want(made, x, weight)[0])
    assert (buffer[:first] == -77).all()
    assert (buffer[first + count :] == -77).all()


@pytest.mark.parametrize("channels", [16, 64, 512])
@pytest.mark.parametrize("row", [r for r in toom.ROWS if r.outputs > 1], ids=str)
def test_strict_is_as_exact_as_the_direct_sum(row, channels, monkeypatch):
    number = toom.ROWS.index(row)
    monkeypatch.setattr(tiling, "rows", lambda problem: (number, number))
    threads.forget_plans()
    rng = np.random.default_rng(channels)
    size = row.taps + 11
    x = rng.standard_normal((1, size, size, channels)).astype(np.float32)
    weight = rng.standard_normal((row.taps, row.taps, channels, 8)).astype(np.float32)
    made = problem(x.shape, weight.shape, stride=row.stride)
    direct, size = want(made, x, weight)
    errors = np.abs(run(made, x, weight) - direct) / size
    threads.forget_plans()
    # The direct sum's own bound is max(8, 1.5 sqrt(n)) units, and it comes to 3 to 5.
    assert errors.max() < (5 if row.strict else 35) * 2.0**-24


def test_fast_takes_larger_tiles():
    def outputs(precision, kernel, stride=1):
        made = problem((1, 57, 57, 64), (*kernel, 64, 64), precision=precision, stride=stride)
        return [toom.ROWS[i].outputs for i in tiling.rows(made)]

    assert outputs("strict", (3, 3)) == [2, 2]
    assert outputs("fast", (3, 3)) == [4, 4]
    assert outputs("strict", (5, 5)) == [2, 2]
    assert outputs("fast", (5, 5)) == [4, 4]
    assert outputs("strict", (3, 3), 2) == [2, 4]
    assert outputs("fast", (1, 7)) == [1, 3]
    assert outputs("strict", (1, 7)) == []


@pytest.mark.parametrize(
    ("weight_shape", "changes", "reason"),
    [
        ((1, 1, 4, 4), {}, "save no products"),
        ((2, 2, 4, 4), {"stride": 2}, "save no products"),
        ((3, 3, 4, 4), {"stride": 3}, "save no products"),
        ((7, 1, 4, 4), {}, "save no products"),
        ((8, 3, 4, 4), {}, "up to 7 taps"),
        ((3, 3, 4, 4), {"dilation": 2, "stride": 6}, "save no products"),
        ((3, 3, 4, 4), {"dtype": "complex64"}, "not complex64"),
        ((3, 3, 4, 4), {"dtype": "longdouble"}, "not (longdouble|float)"),
        ((3, 3, 4, 4), {"dtype": "int64"}, "integers are exact"),
    ],
)
def test_what_it_cannot(weight_shape, changes, reason):
    made = problem((1, 20, 20, 4), weight_shape, **changes)
    assert re.search(reason, winograd.why_not(made))


def test_four_axes_are_refused():
    made = problem((1, 6, 6, 6, 6, 2), (3, 3, 3, 3, 2, 2))
    assert "two axes and a depth, not 4 axes" in winograd.why_not(made)


@pytest.mark.parametrize("depth", [1, 2, 5, 40])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_depths_longer_than_a_block(depth, stride, dilation):
    rng = np.random.default_rng(depth)
    geometry = {"stride": (stride, 1, 1), "dilation": (dilation, 1, 1), "padding": (2, 1, 1)}
    made = problem((2, depth, 9, 6, 3), (3, 3, 3, 3, 5), **geometry)
    x = oracle.small_integers(rng, made.x_shape, "float32")
    weight = oracle.small_integers(rng, made.weight_shape, "float32")
    for nbytes in (1, 1 << 14, 1 << 20):
        with cases.small_tiles(nbytes):
            np.testing.assert_array_equal(run(made, x, weight), want(made, x, weight)[0])


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("dilation", [1, 2, 3, 4])
@pytest.mark.parametrize("taps", [2, 3, 5])
def test_strides_and_holes_share_their_factors(stride, dilation, taps):
    rng = np.random.default_rng(taps)
    for size in (2, 9, 30):
        geometry = {"stride": (1, stride), "dilation": (1, dilation), "padding": (0, 2 * taps)}
        made = problem((1, 8, size, 4), (3, taps, 4, 3), **geometry)
        x = oracle.small_integers(rng, made.x_shape, "float32")
        weight = oracle.small_integers(rng, made.weight_shape, "float32")
        np.testing.assert_array_equal(run(made, x, weight), want(made, x, weight)[0])


@pytest.mark.parametrize("whole", [False, True])
def test_the_same_bits_for_any_number_of_threads(whole, monkeypatch):
    rng = np.random.default_rng(2)
    monkeypatch.setattr(tiling, "_WORKSPACE", 1 << 12)
    made = problem((1 if whole else 4, 30, 31, 20), (3, 3, 20, 150), padding=1, precision="fast")
    assert tiling.cut(made).whole == whole
    x = rng.standard_normal(made.x_shape).astype(np.float32)
    weight = rng.standard_normal(made.weight_shape).astype(np.float32)
    results = set()
    for number in (1, 2, 5):
        with grad_cases.threads(number):
            results.add(run(made, x, weight).tobytes())
    assert len(results) == 1


def test_an_out_of_any_strides():
    rng = np.random.default_rng(3)
    made = problem((2, 9, 10, 6), (3, 3, 6, 7))
    x = oracle.small_integers(rng, made.x_shape, "float32")
    weight = oracle.small_integers(rng, made.weight_shape, "float32")
    correct = want(made, x, weight)[0]
    for place in cases.PLACES.values():
        out = place(np.full(made.out_shape, np.nan, np.float32))
        if out.flags.writeable and out.dtype == np.float32:
            winograd.forward(made, x, weight, out)
            np.testing.assert_array_equal(out, correct)


def test_it_writes_nothing_beside_out():
    rng = np.random.default_rng(4)
    for channels, outputs in ((3, 5), (16, 33), (17, 31)):
        made = problem((2, 9, 10, channels), (3, 3, channels, outputs), padding=1)
        frame = np.full((4, 11, 12, outputs + 2), 77, np.float32)
        x, weight = (
            rng.standard_normal(s).astype(np.float32) for s in (made.x_shape, made.weight_shape)
        )
        out = frame[1:-1, 1:-1, 1:-1, 1:-1]
        winograd.forward(made, x, weight, out)
        np.testing.assert_array_equal(out, run(made, x, weight))
        out[...] = 77
        assert (frame == 77).all()


def test_one_large_weight_is_never_whole():
    made = problem((1, 7, 7, 512), (3, 3, 512, 512), padding=1, precision="fast")
    work = tiling.cut(made)
    assert work.whole
    assert winograd.cost(made).workspace < 36 * 512 * 512 * 4 / 2
    assert not tiling.cut(replace(made, batch=512)).whole


@pytest.mark.parametrize("algorithm", ["winograd"])
def test_through_the_front_door(algorithm):
    rng = np.random.default_rng(5)
    x = oracle.small_integers(rng, (2, 5, 12, 11), "float32")
    weight = oracle.small_integers(rng, (6, 5, 3, 3), "float32")
    out = npconv.conv(x, weight, padding=1, algorithm=algorithm)
    np.testing.assert_array_equal(out, oracle.direct(x, weight, padding=1))
    grad = npconv.conv_input_grad(out, weight, x.shape, padding=1, algorithm=algorithm)
    np.testing.assert_array_equal(
        grad, npconv.conv_input_grad(out, weight, x.shape, padding=1, algorithm="taps")
    )
