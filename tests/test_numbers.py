"""What the numbers mean: rounding within the direct sum's bound, each dtype's rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import npconv
import oracle
from npconv import conv, plan

LAYERS = [
    ((2, 3, 40, 37), (4, 3, 3, 3), {"padding": 1}),
    ((1, 4, 33, 70), (6, 2, 5, 7), {"groups": 2, "padding": 3, "padding_mode": "reflect"}),
    ((1, 64, 9, 9), (3, 64, 3, 3), {"stride": 2, "dilation": 2}),
    ((1, 2, 3000), (2, 2, 31), {"padding": "same"}),
    ((1, 1, 12, 11, 10), (2, 1, 3, 4, 5), {"padding": 2, "padding_mode": "wrap"}),
    ((1, 1, 90, 80), (1, 1, 25, 25), {"padding": 12, "padding_mode": "edge"}),
]


def spelled(x_shape, weight_shape, geometry):
    """The oracle's spelling of "same" for an odd kernel at stride 1."""
    if geometry.get("padding") == "same":
        half = tuple((k - 1) // 2 for k in weight_shape[2:])
        return {**geometry, "padding": half}
    return geometry


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize(("x_shape", "weight_shape", "geometry"), LAYERS)
def test_real_data_stays_in_the_bound(dtype, x_shape, weight_shape, geometry):
    rng = np.random.default_rng(1)
    x, weight = cases.real(rng, x_shape, dtype), cases.real(rng, weight_shape, dtype)
    bias = cases.real(rng, weight_shape[:1], dtype)
    slow = ("naive",) if np.prod(x_shape) * np.prod(weight_shape[1:]) > 20000 else ()
    plain = spelled(x_shape, weight_shape, geometry)
    cases.check_bound(x, weight, bias, skip=slow, keywords=geometry, **plain)


@cases.examples(150, 5000)
@given(cases.problems(), st.sampled_from(("float32", "complex64")))
def test_random_real_problems_stay_in_the_bound(case, dtype):
    rng = np.random.default_rng(case.seed)
    x, weight = cases.real(rng, case.x_shape, dtype), cases.real(rng, case.weight_shape, dtype)
    cases.check_bound(x, weight, **case.geometry)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize(("x_shape", "weight_shape", "geometry"), LAYERS)
def test_transforms_of_single_precision(dtype, x_shape, weight_shape, geometry):
    rng = np.random.default_rng(2)
    x, weight = cases.real(rng, x_shape, dtype), cases.real(rng, weight_shape, dtype)
    plain = spelled(x_shape, weight_shape, geometry)
    want = oracle.direct(x, weight, **plain)
    bound = oracle.allowed(x, weight, dtype=dtype, **plain)
    loose = oracle.transform_allowed(x, weight, dtype=dtype, unit=2.0**-24, **plain)
    strict = conv(x, weight, algorithm="fft", **geometry)
    assert (np.abs(strict - want) <= 2 * bound).all()
    for name, fast in cases.each(x, weight, precision="fast", **geometry):
        if name in cases.ROUNDS:
            assert (np.abs(fast - want) <= loose).all(), name


def test_fast_differs_from_strict_where_a_transform_is_taken():
    rng = np.random.default_rng(3)
    x, weight = cases.real(rng, (1, 1, 64, 64), "float32"), cases.real(rng, (1, 1, 9, 9), "float32")
    strict = conv(x, weight, algorithm="fft")
    fast = conv(x, weight, algorithm="fft", precision="fast")
    assert not np.array_equal(strict, fast)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("x_shape", "weight_shape", "geometry"), LAYERS[:3])
def test_half_precision_is_summed_in_single_and_rounded_once(x_shape, weight_shape, geometry, bias):
    rng = np.random.default_rng(4)
    x, weight = (rng.standard_normal(s).astype(np.float16) for s in (x_shape, weight_shape))
    added = rng.standard_normal(weight_shape[0]).astype(np.float16) if bias else None
    x32, w32 = x.astype(np.float32), weight.astype(np.float32)
    b32 = added.astype(np.float32) if bias else None
    for name, out in cases.each(x, weight, added, skip=("naive",), **geometry):
        single = conv(x32, w32, b32, algorithm=name, **geometry)
        assert out.dtype == np.float16
        np.testing.assert_array_equal(out, single.astype(np.float16), err_msg=name)


def test_half_precision_sums_beyond_its_range():
    x = np.full((1, 1, 64), 4000, np.float16)
    weight = np.full((1, 1, 32), 4000, np.float16)
    weight[..., 16:] *= -1
    weight[..., 0] += 4
    for name, out in cases.each(x, weight):
        assert (np.abs(out.astype(float) - 16000) <= 16).all(), name
    with np.errstate(all="raise"):
        for name, out in cases.each(np.abs(x), np.abs(weight)):
            assert np.isinf(out).all(), name


def test_integers_are_exact_beyond_every_float():
    top = 2**31 - 1
    x = np.array([[[top, -top - 1, top, 3, -1]]], np.int32)
    weight = np.array([[[top, 1, top]]], np.int32)
    want = [[[2 * top * top - top - 1, 3 * top + top * (-top - 1) + top, top * top + 3 - top]]]
    for name, out in cases.each(x, weight):
        assert out.dtype == np.int64
        assert out.tolist() == want, name


@pytest.mark.parametrize("terms", [1, 2, 3, 15, 16, 17, 127, 128, 129, 255, 256, 257, 300])
@pytest.mark.parametrize("largest", [255, 256, 4096, 2**24 - 1, 2**24, 2**26 - 1, 2**26])
def test_integers_around_the_floats_limits(terms, largest):
    x = np.full((1, 1, terms + 1), largest, np.int64)
    x[0, 0, 1] -= 1
    weight = np.full((1, 1, terms), largest, np.int64)
    want = oracle.direct(x, weight)
    for name, out in cases.each(x, weight):
        np.testing.assert_array_equal(out, want, err_msg=name)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_64_bit_integers_wrap_as_numpy_does(dtype):
    rng = np.random.default_rng(5)
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, (2, 3, 9), dtype, endpoint=True)
    weight = rng.integers(info.min, info.max, (2, 3, 4), dtype, endpoint=True)
    x[0, 0, :3], weight[0, 0, :2] = info.min, info.min
    cases.check_exact(x, weight, x[0, :2, 0].copy(), dtype=dtype, padding=2)


def test_extreme_small_integers():
    for dtype in ("int8", "int16", "uint8", "uint16", "uint32", "bool"):
        low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        x = np.full((1, 2, 6, 7), low).astype(dtype)
        x[:, :, ::2, ::3] = high
        weight = np.full((3, 2, 3, 3), low).astype(dtype)
        weight[:, :, 1] = high
        cases.check_exact(x, weight, padding=1, dtype=np.int64)


def test_integers_never_go_through_a_transform():
    x, weight = np.ones((1, 1, 200, 200), np.uint8), np.ones((1, 1, 61, 61), np.uint8)
    chosen = npconv.plan(x, weight)
    assert chosen.algorithm not in cases.ROUNDS
    row = next(row for row in chosen.rows if row.algorithm == "fft")
    assert row.why_not == "integers are exact, and a transform rounds"


@pytest.mark.parametrize("x_dtype", ["int8", "int32", "uint64", "float16", "float64", "complex64"])
@pytest.mark.parametrize("weight_dtype", ["bool", "int64", "uint8", "float32", "complex128"])
@pytest.mark.parametrize("bias_dtype", [None, "int16", "float64", "complex64"])
def test_mixed_dtypes_follow_numpy(x_dtype, weight_dtype, bias_dtype):
    x, weight = np.ones((1, 2, 5), x_dtype), np.ones((3, 2, 2), weight_dtype)
    bias = None if bias_dtype is None else np.ones(3, bias_dtype)
    dtype = np.result_type(*(a for a in (x, weight, bias) if a is not None))
    cases.check_exact(x, weight, bias, dtype=np.int64 if dtype.kind in "ib" else dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_the_same_bits_from_run_to_run(dtype):
    rng = np.random.default_rng(6)
    x, weight = cases.real(rng, (2, 8, 40, 41), dtype), cases.real(rng, (8, 8, 3, 3), dtype)
    for name in (row.algorithm for row in plan(x, weight, padding=1).rows if not row.why_not):
        if name != "naive":
            runs = {conv(x, weight, padding=1, algorithm=name).tobytes() for _ in range(3)}
            assert len(runs) == 1, name


@pytest.mark.parametrize(
    ("dtype", "bias", "result"),
    [
        ("float32", 0.5, "float32"),
        ("float32", 3, "float32"),
        ("float32", 1j, "complex64"),
        ("float32", [0.5], "float64"),
        ("float16", 0.5, "float16"),
        ("int8", 300, "int64"),
        ("int8", 0.5, "float64"),
        ("bool", True, "int64"),
    ],
)
def test_a_python_number_as_bias_does_not_widen_the_result(dtype, bias, result):
    x = np.ones((1, 1, 5), dtype)
    out = conv(x, x[..., :3], bias)
    assert out.dtype == result
    np.testing.assert_array_equal(out, np.full((1, 1, 3), 3 + np.asarray(bias)))
