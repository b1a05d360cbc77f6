"""Pooling and its gradients against the definition: windows, ties, NaN, divisors, any array."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import npconv
import oracle
import oracle_pool
import pool_cases

DTYPES = (
    "float64",
    "float32",
    "float32",
    "float16",
    "int8",
    "uint8",
    "int64",
    "uint64",
    "bool",
    "longdouble",
)


LETTERS = {1: "NCW", 2: "NCHW", 3: "NCDHW"}


REFUSED = r"padded x only|holds none of x's"


@dataclass
class Case:
    """A random geometry, which may well be impossible."""

    shape: tuple
    kernel: tuple
    geometry: dict
    seed: int

    def along(self, empty_ok=False):
        return oracle_pool.axes(self.shape, self.kernel, **self.geometry, empty_ok=empty_ok)


@st.composite
def geometries(draw, max_ndim=3):
    d = draw(st.integers(1, max_ndim))
    top = {1: 15, 2: 8, 3: 5}[d]
    per_axis = []
    for _ in range(d):
        kernel, dilation = draw(st.integers(1, 4)), draw(st.sampled_from((1, 1, 2, 3)))
        most = dilation * (kernel - 1)
        pads = st.integers(-2, max(most, 1))
        size, stride = draw(st.integers(1, top)), draw(st.integers(1, 5))
        per_axis.append((size, kernel, stride, dilation, (draw(pads), draw(pads))))
    size, kernel, stride, dilation, padding = zip(*per_axis, strict=True)
    return Case(
        (draw(st.integers(1, 2)), draw(st.integers(1, 3)), *size),
        kernel,
        {
            "stride": draw(st.sampled_from((stride, stride, None))),
            "padding": padding,
            "dilation": dilation,
            "ceil_mode": draw(st.booleans()),
        },
        draw(st.integers(0, 2**32 - 1)),
    )


def numbers(case, dtype, special=True):
    """Few different numbers, so that ties are many; some floats with NaN and infinities."""
    rng = np.random.default_rng(case.seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(case.shape) < 0.5
    if dtype.kind in "iu" and case.seed % 2:
        ends = [np.iinfo(dtype).min, np.iinfo(dtype).max, np.iinfo(dtype).max // 2]
        return rng.choice(np.array(ends, dtype), case.shape)
    x = oracle.small_integers(rng, case.shape, dtype)
    if dtype.kind == "f" and special:
        for value, share in ((np.nan, case.seed % 3 * 0.1), (-np.inf, 0.4), (np.inf, 0.02)):
            if case.seed // 3 % 2:
                x[rng.random(case.shape) < share] = value
    return x


def refused(case, empty_ok, call):
    """Whether the oracle finds no window or an empty one; then the call must say so."""
    try:
        case.along(empty_ok)
    except oracle_pool.Empty:
        with pytest.raises(npconv.ProblemError, match=REFUSED):
            call()
        return True
    return False


places = st.sampled_from(sorted(cases.PLACES))
ways = st.sampled_from(sorted(pool_cases.WAYS))


@cases.examples(400, 10_000)
@given(geometries(), st.sampled_from(DTYPES), places, ways)
def test_max_pool(case, dtype, place, way):
    with pool_cases.way(way):
        check_max_pool(case, dtype, place)


def check_max_pool(case, dtype, place):
    x = cases.PLACES[place](numbers(case, dtype))
    keywords = {"layout": LETTERS[len(case.kernel)], **case.geometry}
    if refused(case, False, lambda: npconv.max_pool(x, case.kernel, **keywords)):
        return
    before = x.copy()
    want, index = oracle_pool.max_pool(x, case.kernel, **case.geometry)
    out = npconv.max_pool(x, case.kernel, **keywords)
    again, found = npconv.max_pool(x, case.kernel, return_indices=True, **keywords)
    for result in (out, again):
        assert type(result) is np.ndarray
        assert result.dtype == np.dtype(dtype)
        assert result.dtype.isnative
        np.testing.assert_array_equal(result, want)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, index)
    np.testing.assert_array_equal(x, before)


@cases.examples(300, 10_000)
@given(
    geometries(),
    st.sampled_from(("int64", "float64", "float32", "float16", "complex64", "bool")),
    places,
    ways,
)
def test_max_pool_grad(case, dtype, place, way):
    with pool_cases.way(way):
        check_max_pool_grad(case, dtype, place)


def check_max_pool_grad(case, dtype, place):
    rng = np.random.default_rng(case.seed)
    x = cases.PLACES[place](numbers(case, "float32"))
    keywords = {"layout": LETTERS[len(case.kernel)], **case.geometry}
    try:
        _, index = oracle_pool.max_pool(x, case.kernel, **case.geometry)
    except oracle_pool.Empty:
        return
    grad_out = cases.PLACES[place](oracle.small_integers(rng, index.shape, dtype))
    want = oracle_pool.max_pool_grad(grad_out, index, case.shape)
    for given_indices in (None, cases.PLACES[place](index)):
        grad = npconv.max_pool_grad(grad_out, x, case.kernel, indices=given_indices, **keywords)
        assert grad.dtype == (np.int64 if dtype == "bool" else np.dtype(dtype))
        np.testing.assert_array_equal(grad, want)


@cases.examples(400, 10_000)
@given(
    geometries(), st.sampled_from((*DTYPES, "complex64", "complex128")), places, st.booleans(), ways
)
def test_avg_pool(case, dtype, place, count_include_pad, way):
    with pool_cases.way(way):
        check_avg_pool(case, dtype, place, count_include_pad)


def check_avg_pool(case, dtype, place, count_include_pad):
    x = cases.PLACES[place](numbers(case, dtype, special=False))
    keywords = {
        "layout": LETTERS[len(case.kernel)], "count_include_pad": count_include_pad,
        **case.geometry,
    }  # fmt: skip
    if refused(case, count_include_pad, lambda: npconv.avg_pool(x, case.kernel, **keywords)):
        return
    before = x.copy()
    out = npconv.avg_pool(x, case.kernel, **keywords)
    along = case.along(count_include_pad)
    sums = oracle_pool.window_sums(x.astype(out.dtype), along)
    counts = oracle_pool.divisors(along, count_include_pad)
    # The sum is exact in the dtype it is kept in, and rounded once by the division.
    exact = np.float32 if dtype == "float16" else out.real.dtype
    want = sums.real.astype(exact) / counts.astype(exact)
    if out.dtype.kind == "c":
        want = want + 1j * (sums.imag.astype(exact) / counts.astype(exact))
    assert type(out) is np.ndarray
    assert out.dtype == (dtype if np.dtype(dtype).kind in "fc" else np.float64)
    assert out.dtype.isnative
    if dtype in ("int64", "uint64"):  # sums that float64 rounds
        np.testing.assert_allclose(out, want, rtol=1e-14, atol=1e-14 * np.abs(x).max(initial=0.0))
    else:
        np.testing.assert_array_equal(out, want.astype(out.dtype))
    np.testing.assert_array_equal(x, before)


@cases.examples(300, 10_000)
@given(
    geometries(),
    st.sampled_from(("float32", "float64", "int64", "complex128")),
    places,
    st.booleans(),
    ways,
)
def test_avg_pool_grad_is_the_exact_adjoint(case, dtype, place, count_include_pad, way):
    with pool_cases.way(way):
        check_avg_pool_grad(case, dtype, place, count_include_pad)


def check_avg_pool_grad(case, dtype, place, count_include_pad):
    keywords = {
        "layout": LETTERS[len(case.kernel)], "count_include_pad": count_include_pad,
        **case.geometry,
    }  # fmt: skip
    try:
        along = case.along(count_include_pad)
    except oracle_pool.Empty:
        return
    rng = np.random.default_rng(case.seed)
    counts = oracle_pool.divisors(along, count_include_pad)
    shape = (*case.shape[:2], *counts.shape)
    # Multiples of the divisors: every share is an integer.
    grad_out = oracle.small_integers(rng, shape, dtype) * counts.astype(dtype)
    want = oracle_pool.spread(grad_out / counts, along, case.shape)
    x = cases.PLACES[place](oracle.small_integers(rng, case.shape, "float64"))
    for x_shape in (x, case.shape):
        grad = npconv.avg_pool_grad(cases.PLACES[place](grad_out), x_shape, case.kernel, **keywords)
        assert grad.dtype == (np.float64 if dtype == "int64" else dtype)
        np.testing.assert_array_equal(grad, want)
    # <g, avg_pool(x)> = <avg_pool_grad(g), x>, where the means of multiples are exact.
    every = np.lcm.reduce(counts.ravel())
    mean = npconv.avg_pool(x * every, case.kernel, **keywords)
    assert (grad_out * mean).sum() == (grad * (x * every)).sum()


@cases.examples(100, 2000)
@given(geometries(max_ndim=2), st.booleans(), ways)
def test_gradients_by_differences(case, count_include_pad, way):
    with pool_cases.way(way):
        check_gradients_by_differences(case, count_include_pad)


def check_gradients_by_differences(case, count_include_pad):
    keywords = {"layout": LETTERS[len(case.kernel)], **case.geometry}
    rng = np.random.default_rng(case.seed)
    x = rng.permutation(int(np.prod(case.shape))).reshape(case.shape) * 1.0  # no ties
    direction, step = rng.standard_normal(case.shape), 2.0**-10
    mean = {"count_include_pad": count_include_pad}
    for pool, grad_of, more in (
        (npconv.max_pool, npconv.max_pool_grad, {}),
        (npconv.avg_pool, npconv.avg_pool_grad, mean),
    ):
        try:
            out = pool(x, case.kernel, **keywords, **more)
        except npconv.ProblemError:
            continue
        grad_out = rng.standard_normal(out.shape)
        change = pool(x + step * direction, case.kernel, **keywords, **more)
        change -= pool(x - step * direction, case.kernel, **keywords, **more)
        want = (grad_out * change).sum() / (2 * step)
        found = (grad_of(grad_out, x, case.kernel, **keywords, **more) * direction).sum()
        np.testing.assert_allclose(found, want, rtol=1e-8, atol=1e-8)
