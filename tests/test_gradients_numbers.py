"""What gradients' numbers mean: dtypes, rounding bounds, NaN and Inf, nothing where nothing is."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import grad_cases
import oracle_grad
from npconv import conv_grad
from test_exact import DTYPES
from test_threads import script

SPECIAL = (np.nan, np.inf, -np.inf)
LAYERS = [
    ((2, 3, 40, 37), (4, 3, 3, 3), {"padding": 1}),
    ((1, 4, 33, 70), (6, 2, 5, 7), {"groups": 2, "padding": 3, "padding_mode": "reflect"}),
    ((1, 3, 9, 9), (64, 3, 3, 3), {"stride": 2, "dilation": 2}),
    ((1, 2, 3000), (2, 2, 31), {"padding": 15}),
    ((2, 1, 12, 11, 10), (2, 1, 3, 4, 5), {"padding": 2, "padding_mode": "wrap", "stride": 2}),
    ((1, 1, 50, 40), (1, 1, 25, 25), {"padding": 12, "padding_mode": "edge"}),
]


def random_layer(seed, x_shape, weight_shape, dtype, **geometry):
    """grad_out, x and weight of real numbers of many magnitudes."""
    rng = np.random.default_rng(seed)
    plain = {k: v for k, v in geometry.items() if k not in ("groups", "padding_mode")}
    size = oracle_grad.out_size(x_shape[2:], weight_shape[2:], **plain)
    shapes = (x_shape[0], weight_shape[0], *size), x_shape, weight_shape
    return [cases.real(rng, shape, dtype) for shape in shapes]


@cases.examples(80, 4000)
@given(cases.problems(max_size=6), st.sampled_from(DTYPES), st.sampled_from(DTYPES))
def test_dtypes(case, grad_dtype, other_dtype):
    grad_cases.check_exact(*grad_cases.gradient(case, grad_dtype, other_dtype), **case.geometry)


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "geometry"), LAYERS, ids=[str(w) for _, w, _ in LAYERS]
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_real_data_stays_in_the_bound(dtype, x_shape, weight_shape, geometry):
    grad_out, x, weight = random_layer(1, x_shape, weight_shape, dtype, **geometry)
    grad_cases.check_bound(grad_out, x, weight, skip=() if cases.ALL else ("naive",), **geometry)


@cases.examples(40, 3000)
@given(cases.problems(), st.sampled_from(("float32", "complex64")))
def test_random_real_problems_stay_in_the_bound(case, dtype):
    arrays = random_layer(case.seed, case.x_shape, case.weight_shape, dtype, **case.geometry)
    grad_cases.check_bound(*arrays, **case.geometry)


@pytest.mark.parametrize(("x_shape", "weight_shape", "geometry"), LAYERS[:4])
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_transforms_of_single_precision(dtype, x_shape, weight_shape, geometry):
    grad_out, x, weight = random_layer(2, x_shape, weight_shape, dtype, **geometry)
    for direction in grad_cases.DIRECTIONS:
        other, shape = grad_cases.operands(direction, x, weight)
        want = oracle_grad.DIRECT[direction](grad_out, other, shape, **geometry)
        loose = oracle_grad.transform_allowed(
            direction, grad_out, other, shape, dtype=dtype, unit=2.0**-24, **geometry
        )
        for name, grad in grad_cases.each_grad(
            direction, grad_out, other, shape, precision="fast", skip=grad_cases.SLOW, **geometry
        ):
            assert grad.dtype == dtype, name
            assert (np.abs(grad - want) <= loose).all(), (direction, name)


@grad_cases.BOTH
def test_long_sums_of_single_precision(direction):
    """A weight's gradient sums a million products, x's many channels: pairwise, not in a row."""
    rng = np.random.default_rng(2)
    g = rng.uniform(0.5, 1, (4, 1, 250_000) if direction == "weight_grad" else (1, 2000, 50))
    g = g.astype(np.float32)
    x = rng.uniform(0.5, 1, (g.shape[0], 1, g.shape[2] + 1)).astype(np.float32)
    weight = rng.uniform(0.5, 1, (g.shape[1], 1, 2)).astype(np.float32)
    grad_cases.check_bound(g, x, weight, directions=(direction,), skip=grad_cases.SLOW)


@pytest.mark.parametrize(("x_shape", "weight_shape", "geometry"), LAYERS[:3])
def test_half_precision_is_summed_in_single_and_rounded_once(x_shape, weight_shape, geometry):
    arrays = random_layer(3, x_shape, weight_shape, "float64", **geometry)
    half = [(np.sign(a) * np.abs(a) ** 0.1).astype(np.float16) for a in arrays]
    for direction in grad_cases.DIRECTIONS:
        other, shape = grad_cases.operands(direction, half[1], half[2])
        for name, grad in grad_cases.each_grad(
            direction, half[0], other, shape, skip=grad_cases.SLOW, **geometry
        ):
            single = grad_cases.CALLS[direction](
                half[0].astype(np.float32), other.astype(np.float32), shape, algorithm=name,
                **geometry,
            )  # fmt: skip
            assert grad.dtype == np.float16
            np.testing.assert_array_equal(grad, single.astype(np.float16), err_msg=name)


def test_integers_are_exact_beyond_every_float():
    top = 2**31 - 1
    grad_out = np.array([[[top, 1, -top - 1]]], np.int32)
    x = np.array([[[top, -top - 1, top, 3, -1]]], np.int32)
    weight = np.array([[[top, 1, -top]]], np.int32)
    grad_cases.check_exact(grad_out, x, weight)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_64_bit_integers_wrap_as_numpy_does(dtype):
    rng = np.random.default_rng(4)
    info = np.iinfo(dtype)
    grad_out, x, weight = (
        rng.integers(info.min, info.max, shape, dtype, endpoint=True)
        for shape in ((2, 2, 10), (2, 3, 9), (2, 3, 4))
    )
    grad_cases.check_exact(grad_out, x, weight, padding=((2, 2),))


@pytest.mark.parametrize("count", [1, 15, 16, 17, 255, 256, 257])
@pytest.mark.parametrize("largest", [256, 4096, 2**24 - 1, 2**26])
def test_integers_around_the_floats_limits(count, largest):
    g = np.full((1, 1, count), largest, np.int64)
    x, weight = np.full((1, 1, count + 1), largest), np.full((1, 1, 2), largest - 1)
    x[0, 0, ::3] -= 1
    grad_cases.check_exact(g, x, weight)
    g, x = np.full((1, count, 3), largest), np.full((1, 1, 4), largest)
    grad_cases.check_exact(g, x, np.full((count, 1, 2), largest - 1))
    g, x = np.full((count, 1, 1), largest), np.full((count, 1, 2), largest - 1)
    x[-1] -= 1
    grad_cases.check_exact(g, x, np.full((1, 1, 2), largest))
    # An edge stands for all of the padding beside it: more products meet there than taps.
    g, x = np.full((1, 1, count), largest), np.full((1, 1, 2), largest)
    geometry = {"padding": ((count, 0),), "padding_mode": "edge"}
    grad_cases.check_exact(g, x, np.full((1, 1, 3), largest), **geometry)


@cases.examples(40, 3000)
@given(cases.problems(), st.data())
def test_nan_and_inf_stand_where_the_direct_sums_put_them(case, data):
    arrays = [np.abs(a) + 1 for a in grad_cases.gradient(case, "float32")]
    for array in arrays:
        for value in data.draw(st.lists(st.sampled_from(SPECIAL), max_size=2)):
            array.flat[data.draw(st.integers(0, array.size - 1))] = value
    grad_cases.check_bound(*arrays, **case.geometry)


@pytest.mark.parametrize("value", SPECIAL)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_one_in_an_operand(value, dtype):
    rng = np.random.default_rng(5)
    arrays = [rng.uniform(0.5, 1, s) for s in ((2, 2, 21, 20), (2, 3, 40, 41), (2, 3, 5, 3))]
    for which, where in ((0, (1, 0, 9, 19)), (1, (0, 2, 39, 17)), (2, (1, 1, 4, 0))):
        given = [a.astype(dtype) for a in arrays]
        given[which][where] = value
        grad_cases.check_bound(*given, skip=grad_cases.SLOW, stride=2, padding=((3, 2), (0, 1)))
        given[which][...] = 0
        given[which][where] = value
        grad_cases.check_bound(*given, skip=grad_cases.SLOW, stride=2, padding=((3, 2), (0, 1)))


@pytest.mark.parametrize("value", SPECIAL)
def test_padding_is_data_to_the_weight_and_nothing_to_x(value):
    grad_out, x, weight = np.ones((1, 1, 5)), np.ones((1, 1, 3)), np.ones((1, 1, 3))
    grad_out[0, 0, 0] = value  # tap 0 and tap 1 of that window meet zeros, tap 2 the first of x
    for name, grad in grad_cases.each_grad("weight_grad", grad_out, x, (1, 1, 3), padding=2):
        with np.errstate(invalid="ignore"):
            want = [value * 0, value * 0, value]
        np.testing.assert_array_equal(grad[0, 0], want, err_msg=name)
    for name, grad in grad_cases.each_grad("input_grad", grad_out, weight, (1, 1, 3), padding=2):
        np.testing.assert_array_equal(grad[0, 0], [value, 3, 3], err_msg=name)
    grad_out[0, 0, 0], weight[0, 0, 0] = 0, value  # of that tap only windows 2, 3, 4 meet x
    for name, grad in grad_cases.each_grad("input_grad", grad_out, weight, (1, 1, 3), padding=2):
        np.testing.assert_array_equal(grad[0, 0], [value] * 3, err_msg=name)


EMPTY = [
    ((0, 4, 9, 8), (6, 4, 3, 2), {}),
    ((0, 4, 9, 8), (6, 2, 3, 2), {"groups": 2, "padding": 3, "padding_mode": "wrap"}),
    ((2, 4, 9, 8), (0, 4, 3, 2), {}),
    ((2, 4, 9, 8), (0, 2, 3, 2), {"groups": 2, "stride": 3, "padding": 1}),
    ((2, 4, 9, 8), (0, 1, 3, 2), {"groups": 4, "padding": 2, "padding_mode": "edge"}),
    ((2, 0, 9, 8), (6, 0, 3, 2), {"groups": 3, "padding": 1}),
    ((2, 0, 9, 8), (0, 0, 3, 2), {"groups": 3}),
    ((0, 0, 0, 0), (0, 0, 1, 2), {"padding": 2}),
    ((2, 4, 0, 8), (6, 4, 3, 2), {"padding": 2}),
    ((1, 1, 0), (2, 1, 1), {"padding": ((0, 1),)}),
    ((1, 0, 5), (2, 0, 5), {}),
    ((0, 2, 3, 4, 5), (2, 2, 2, 2, 2), {"stride": 2}),
    ((2, 2, 5), (2, 2, 3), {"padding": ((-5, 8),)}),  # every window in the padding
    ((1, 2, 9, 9), (3, 2, 2, 1), {"stride": 4}),
]


@pytest.mark.parametrize(("x_shape", "weight_shape", "geometry"), EMPTY)
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "complex64"])
def test_nothing_is_exact_zeros_never_old_memory(
    x_shape, weight_shape, geometry, dtype, monkeypatch
):
    arrays = [
        np.ones(a.shape, dtype)
        for a in random_layer(0, x_shape, weight_shape, "float32", **geometry)
    ]
    dirty(monkeypatch)
    grad_cases.check_exact(*arrays, **geometry)
    grad_out, x, weight = arrays
    grads = conv_grad(grad_out, x, weight, **geometry)
    for direction, found in (("input_grad", grads.x), ("weight_grad", grads.weight)):
        other, shape = grad_cases.operands(direction, x, weight)
        want = oracle_grad.DIRECT[direction](grad_out, other, shape, **geometry)
        grad_cases.same_numbers("auto", found, want, grad_cases.result_dtype(x))
        out = np.full(shape, 77, found.dtype)
        grad_cases.CALLS[direction](grad_out, other, shape, out=out, **geometry)
        grad_cases.same_numbers("auto", out, want, out.dtype)
    count = grad_out.shape[0] * int(np.prod(grad_out.shape[2:]))
    np.testing.assert_array_equal(grads.bias, np.full(weight_shape[0], count))


@cases.examples(40, 1000)
@given(cases.problems(), st.sampled_from(("float32", "float64", "float16", "int32")))
def test_no_algorithm_reads_memory_that_it_has_not_written(case, dtype):
    arrays = grad_cases.gradient(case, dtype)
    with pytest.MonkeyPatch.context() as patch:
        dirty(patch)
        grad_cases.check_exact(*arrays, **case.geometry)


def dirty(monkeypatch):
    """Let np.empty and np.empty_like return memory full of NaN, or of a large integer."""
    for make in (np.empty, np.empty_like):

        def filled(*args, make=make, **keywords):
            array = make(*args, **keywords)
            if array.dtype.kind in "fciu" and array.flags.writeable:
                array[...] = np.nan if array.dtype.kind in "fc" else np.iinfo(array.dtype).max // 3
            return array

        monkeypatch.setattr(np, make.__name__, filled)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_the_same_bits_from_run_to_run(dtype):
    grad_out, x, weight = random_layer(6, (2, 8, 40, 41), (8, 8, 3, 3), dtype, padding=1)
    for direction in grad_cases.DIRECTIONS:
        other, shape = grad_cases.operands(direction, x, weight)
        runs = [
            [g.tobytes() for _, g in grad_cases.each_grad(
                direction, grad_out, other, shape, padding=1, skip=grad_cases.SLOW
            )]
            for _ in range(3)
        ]  # fmt: skip
        assert runs[0] == runs[1] == runs[2]


HASHES = """
import json, sys
sys.path.insert(0, {tests!r})
import test_gradients_numbers
print(json.dumps(test_gradients_numbers.hashes()))
"""


def hashes():
    """A digest of every algorithm's gradients on problems that are shared out."""
    found = {}
    for x_shape, weight_shape, geometry in (
        ((2, 16, 50, 50), (16, 16, 3, 3), {"padding": 1}),
        ((4, 8, 50, 50), (16, 4, 3, 3), {"stride": 2, "groups": 2, "padding": 1}),
        ((1, 1, 300, 300), (1, 1, 9, 9), {"padding": 2, "padding_mode": "reflect"}),
        ((2, 4, 20000), (4, 4, 9), {"stride": 2}),
    ):
        grad_out, x, weight = random_layer(0, x_shape, weight_shape, "float32", **geometry)
        grads = conv_grad(grad_out, x, weight, **geometry)
        arrays = [(f"auto {i}", a) for i, a in enumerate(grads)]
        for direction in grad_cases.DIRECTIONS:
            other, shape = grad_cases.operands(direction, x, weight)
            arrays += grad_cases.each_grad(
                direction, grad_out, other, shape, skip=grad_cases.SLOW, **geometry
            )
        for number, (name, array) in enumerate(arrays):
            digest = hashlib.sha256(array.tobytes()).hexdigest()
            found[f"{number} {name} {x_shape}"] = digest
    return found


def test_the_same_bits_for_any_number_of_threads():
    one, three = (
        json.loads(script(HASHES, NPCONV_NUM_THREADS=ours, OPENBLAS_NUM_THREADS=blas))
        for ours, blas in (("1", "1"), ("3", "2"))
    )
    assert len(one) > 40
    assert one == three
