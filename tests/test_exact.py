"""Every algorithm equals the direct sum bit for bit on small integers, over every geometry."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import npconv
import oracle
from npconv import conv

DTYPES = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float16", "float32", "float64", "longdouble", "complex64", "complex128",
)  # fmt: skip
REAL = tuple(d for d in DTYPES if np.dtype(d).kind in "biuf")


def result_dtype(*arrays):
    """What design.md says comes out."""
    dtype = np.result_type(*(a.dtype for a in arrays if a is not None))
    small = dtype.kind in "bi" or (dtype.kind == "u" and dtype.itemsize < 8)
    return np.dtype(np.int64) if small else dtype.newbyteorder("=")


@pytest.mark.parametrize("kernel", range(7))
def test_every_small_1d_geometry(kernel):
    rng = np.random.default_rng(kernel)
    weight = oracle.small_integers(rng, (2, 2, kernel), "float64")
    for size, stride, dilation, padding in itertools.product(range(7), repeat=4):
        x = oracle.small_integers(rng, (1, 2, size), "float64")
        geometry = {"stride": stride, "padding": padding, "dilation": dilation}
        span = dilation * (kernel - 1) + 1
        if 0 in (kernel, stride, dilation):
            with pytest.raises(npconv.ProblemError, match="must be at least 1|axis of length 0"):
                conv(x, weight, **geometry)
        elif span > size + 2 * padding:
            with pytest.raises(npconv.ProblemError, match=f"kernel spans {span} and padded x only"):
                conv(x, weight, **geometry)
        else:
            cases.check_exact(x, weight, **geometry)


@cases.examples(750, 20000)
@given(cases.problems(), st.booleans(), st.booleans())
def test_random_geometry(case, bias, single):
    x, weight, added = case.arrays("float32" if single else "float64", bias=bias)
    cases.check_exact(x, weight, added, dtype=x.dtype, **case.geometry)


@cases.examples(350, 10000)
@given(cases.problems(), st.integers(6, 11))
def test_random_geometry_across_the_seams_of_tiles(case, bits):
    x, weight, _ = case.arrays()
    with cases.small_tiles(1 << bits):
        cases.check_exact(x, weight, **case.geometry)


@cases.examples(60, 1000)
@given(cases.problems(max_ndim=4, max_size=4))
def test_up_to_rank_six(case):
    x, weight, _ = case.arrays()
    want = oracle.direct(x, weight, **case.geometry)
    for name, out in cases.each(x, weight, **case.geometry, **case.letters):
        cases.same_numbers(name, out, want)


@cases.examples(350, 10000)
@given(
    cases.problems(max_size=6),
    st.sampled_from(DTYPES),
    st.sampled_from(DTYPES),
    st.booleans(),
)
def test_dtypes(case, x_dtype, weight_dtype, bias):
    x, weight, added = case.arrays(x_dtype, weight_dtype, bias)
    dtype = result_dtype(x, weight, added)
    cases.check_exact(x, weight, added, dtype=dtype, **case.geometry)


@cases.examples(350, 10000)
@given(
    cases.problems(max_size=6),
    st.sampled_from(tuple(cases.PLACES)),
    st.sampled_from(tuple(cases.PLACES)),
    st.sampled_from(("float32", "int16", "complex64", "float16")),
)
def test_wherever_the_arrays_lie(case, x_place, weight_place, dtype):
    x, weight, _ = case.arrays(dtype)
    want = oracle.direct(x, weight, **case.geometry)
    x, weight = cases.PLACES[x_place](x), cases.PLACES[weight_place](weight)
    for name, out in cases.each(x, weight, **case.geometry):
        assert type(out) is np.ndarray
        cases.same_numbers(name, out, want, result_dtype(x, weight))


@pytest.mark.parametrize("axis", range(4))
def test_broadcast_arrays(axis):
    rng = np.random.default_rng(axis)
    thin = [1 if a == axis else n for a, n in enumerate((2, 4, 5, 6))]
    x = np.broadcast_to(oracle.small_integers(rng, thin, "float32"), (2, 4, 5, 6))
    thin = [1 if a == axis else n for a, n in enumerate((4, 2, 3, 2))]
    weight = np.broadcast_to(oracle.small_integers(rng, thin, "float32"), (4, 2, 3, 2))
    cases.check_exact(x, weight, padding=1, groups=2)
    cases.check_exact(x, weight, groups=2, stride=2)


def test_lists_and_scalars_in_lists():
    for name, out in cases.each([1, 2, 3, 4], [1, 0, -1], layout="W"):
        assert out.tolist() == [-2, -2], name
    for name, out in cases.each([[1.5, 2.5]], [[2.0]], [1.0], layout="HW"):
        assert out.tolist() == [[4.0, 6.0]], name


@pytest.mark.parametrize("place", cases.PLACES)
def test_inputs_are_never_written(place):
    rng = np.random.default_rng(0)
    x = cases.PLACES[place](oracle.small_integers(rng, (2, 4, 7, 6), "float32"))
    weight = cases.PLACES[place](oracle.small_integers(rng, (4, 2, 3, 3), "float32"))
    bias = oracle.small_integers(rng, (4,), "float32")
    before = [a.tobytes() for a in (x, weight, bias)]
    for mode in oracle.PAD_MODES:
        for name, _ in cases.each(x, weight, bias, groups=2, padding=2, padding_mode=mode):
            assert [a.tobytes() for a in (x, weight, bias)] == before, name
