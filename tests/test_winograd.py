"""Winograd convolution: any size, stride, padding and channel count, from scratch full of NaN."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import grad_cases
import npconv
import oracle
from npconv import tiling
from npconv.algorithms import winograd
from npconv.kernels import toom
from npconv.problem import ConvProblem

pytest.importorskip("numba")


class Soiled:
    """NumPy, but that new arrays are full of NaN, or of -1 where they hold integers."""

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, shape, dtype=float):
        array = np.empty(shape, dtype)
        array.reshape(-1).view(np.uint8)[...] = 255
        return array


@pytest.fixture(autouse=True)
def scratch_is_soiled(monkeypatch):
    monkeypatch.setattr(winograd, "np", Soiled())


def problem(x_shape, weight_shape, dtype="float32", **geometry):
    """A problem of canonical shapes."""
    kinds = dict.fromkeys(("x_dtype", "weight_dtype", "out_dtype"), np.dtype(dtype))
    return ConvProblem.create(x_shape, weight_shape, **kinds, **geometry)


def run(made, x, weight):
    """Winograd's forward, without the planner."""
    assert winograd.why_not(made) == ""
    out = np.full(made.out_shape, np.nan, made.compute_dtype)
    winograd.forward(made, x, weight, out)
    return out


def want(made, x, weight):
    """The oracle's answer, and what its rounding is measured in, in canonical order."""
    turned = np.moveaxis(x, -1, 1), np.moveaxis(weight, (-1, -2), (0, 1))
    geometry = {
        name: getattr(made, name)
        for name in ("stride", "padding", "dilation", "groups", "padding_mode")
    }
    direct, size = oracle.direct(*turned, **geometry), oracle.magnitude(*turned, **geometry)
    return np.moveaxis(direct, 1, -1), np.moveaxis(size, 1, -1)


@st.composite
def layers(draw):
    """Draw a layer that has a Winograd form: shapes, and the geometry."""
    d = draw(st.integers(1, 2))
    groups = draw(st.sampled_from((1, 1, 2)))
    channels, outputs = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    sizes, kernels, strides, pads = [], [], [], []
    for _ in range(d):
        kernel = draw(st.integers(1, 7))
        pad = draw(st.integers(-3, 6)), draw(st.integers(-3, 6))
        kernels.append(kernel)
        strides.append(draw(st.sampled_from((1, 1, 2, 3))))
        pads.append(pad)
        sizes.append(draw(st.integers(1, 16)) + max(kernel - sum(pad), 0) + 6)
    x_shape = (draw(st.integers(1, 3)), *sizes, groups * channels)
    weight_shape = (*kernels, channels, groups * outputs)
    geometry = {
        "stride": tuple(strides),
        "padding": tuple(pads),
        "groups": groups,
        "padding_mode": draw(st.sampled_from(("zeros", "zeros", "reflect", "wrap", "edge"))),
        "precision": draw(st.sampled_from(("strict", "fast"))),
    }
    return x_shape, weight_shape, geometry


def check(layer, dtype, order, seed=0):
    """Hold a layer to the oracle; channels lie where `order` says."""
    x_shape, weight_shape, geometry = layer
    made = problem(x_shape, weight_shape, dtype, **geometry)
    if winograd.why_not(made):
        return False
    rng = np.random.default_rng(seed)
    x, weight = (rng.standard_normal(s).astype(dtype) for s in (x_shape, weight_shape))
    direct, size = want(made, x, weight)
    if order == "first":
        x = np.moveaxis(np.moveaxis(x, -1, 1).copy(), 1, -1)
        weight = np.moveaxis(np.moveaxis(weight, (-1, -2), (0, 1)).copy(), (0, 1), (-1, -2))
    elif order == "reversed":
        x, weight = np.flip(np.flip(x).copy()), np.flip(np.flip(weight).copy())
    out = run(made, x, weight)
    loose = 16 if geometry["precision"] == "strict" else 150
    unit = oracle.UNIT[np.dtype(dtype).char] * loose
    assert np.abs(out - direct).max(initial=0) <= unit * size.max(initial=0)
    return True


@cases.examples(250, 10000)
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
@pytest.mark.parametrize("shape", [(2, 9, 14, 17), (1, 30, 7, 64), (5, 8, 8, 1)])
def test_small_integers_come_out_exact(shape, whole, monkeypatch):
    rng = np.random.default_rng(0)
    if whole:
        monkeypatch.setattr(winograd, "_WORKSPACE", 1)
    made = problem(shape, (3, 3, shape[-1], 300), padding=1)
    assert tiling.cut(made, winograd._WORKSPACE).whole == whole
    x = oracle.small_integers(rng, shape, "float32")
    weight = oracle.small_integers(rng, made.weight_shape, "float32")
    np.testing.assert_array_equal(run(made, x, weight), want(made, x, weight)[0])


def test_strict_is_as_exact_as_the_direct_sum():
    rng = np.random.default_rng(1)
    for kernel, stride in (((3, 3), 1), ((5, 5), 1), ((3, 3), 2), ((1, 3), 1), ((5, 5), 2)):
        x = rng.standard_normal((1, 20, 21, 64)).astype(np.float32)
        weight = rng.standard_normal((*kernel, 64, 32)).astype(np.float32)
        errors = {}
        for precision in ("strict", "fast"):
            made = problem(x.shape, weight.shape, stride=stride, precision=precision)
            direct, size = want(made, x, weight)
            errors[precision] = np.abs(run(made, x, weight) - direct) / size
        # The direct sum's own bound is max(8, 1.5 sqrt(n)) units.
        assert errors["strict"].max() < 8 * 2.0**-24, (kernel, stride)
        assert errors["fast"].max() < 32 * 2.0**-24, (kernel, stride)


def test_fast_takes_larger_tiles():
    def outputs(precision, kernel, stride=1):
        made = problem((1, 57, 57, 64), (*kernel, 64, 64), precision=precision, stride=stride)
        return [toom.ROWS[i].outputs for i in tiling.rows(made)]

    assert outputs("strict", (3, 3)) == [2, 2]
    assert outputs("fast", (3, 3)) == [4, 4]
    assert outputs("strict", (5, 5)) == [2, 2]
    assert outputs("fast", (5, 5)) == [4, 4]
    assert outputs("strict", (3, 3), 2) == [2, 2]
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
        ((3, 3, 4, 4), {"dilation": 2}, "dilated"),
        ((3, 3, 4, 4), {"dtype": "complex64"}, "not complex64"),
        ((3, 3, 4, 4), {"dtype": "longdouble"}, "not (long|float)"),
        ((3, 3, 4, 4), {"dtype": "int64"}, "integers are exact"),
    ],
)
def test_what_it_cannot(weight_shape, changes, reason):
    made = problem((1, 20, 20, 4), weight_shape, **changes)
    assert np.any([pattern in winograd.why_not(made) for pattern in reason.split("(")[:1]])


def test_volumes_are_refused():
    assert "two axes, not 3" in winograd.why_not(problem((1, 6, 6, 6, 2), (3, 3, 3, 2, 2)))


@pytest.mark.parametrize("whole", [False, True])
def test_the_same_bits_for_any_number_of_threads(whole, monkeypatch):
    rng = np.random.default_rng(2)
    if whole:
        monkeypatch.setattr(winograd, "_WORKSPACE", 1 << 12)
    made = problem((4, 30, 31, 20), (3, 3, 20, 150), padding=1, precision="fast")
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
    work = tiling.cut(made, winograd._WORKSPACE)
    assert work.whole
    assert winograd.cost(made).workspace < 36 * 512 * 512 * 4 / 2
    assert not tiling.cut(replace(made, batch=512), winograd._WORKSPACE).whole


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
