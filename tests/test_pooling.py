"""Pooling and its gradients against the definition: windows, ties, NaN, divisors, any array."""

import itertools
import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import npconv
import oracle
import oracle_pool
from npconv import threads
from npconv.pooling import common, winners

DTYPES = ("float64", "float32", "float16", "int8", "uint8", "int64", "uint64", "bool", "longdouble")
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


@cases.examples(400, 10_000)
@given(geometries(), st.sampled_from(DTYPES), places)
def test_max_pool(case, dtype, place):
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
@given(geometries(), st.sampled_from(("int64", "float64", "float16", "complex64", "bool")), places)
def test_max_pool_grad(case, dtype, place):
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
@given(geometries(), st.sampled_from((*DTYPES, "complex64", "complex128")), places, st.booleans())
def test_avg_pool(case, dtype, place, count_include_pad):
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
@given(geometries(), st.sampled_from(("float64", "int64", "complex128")), places, st.booleans())
def test_avg_pool_grad_is_the_exact_adjoint(case, dtype, place, count_include_pad):
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
@given(geometries(max_ndim=2), st.booleans())
def test_gradients_by_differences(case, count_include_pad):
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


def every_call(x, kernel, *, layout, **geometry):
    """The results of all four calls for one geometry."""
    out, index = npconv.max_pool(x, kernel, layout=layout, return_indices=True, **geometry)
    grad_out = np.arange(1.0, out.size + 1, dtype="float32").reshape(out.shape)
    return {
        "max": npconv.max_pool(x, kernel, layout=layout, **geometry),
        "with indices": out,
        "indices": index,
        "max grad": npconv.max_pool_grad(grad_out, x, kernel, layout=layout, **geometry),
        "max grad by indices": npconv.max_pool_grad(
            grad_out, x, kernel, layout=layout, indices=index, **geometry
        ),
        "avg": npconv.avg_pool(x, kernel, layout=layout, **geometry),
        "avg grad": npconv.avg_pool_grad(grad_out, x, kernel, layout=layout, **geometry),
    }


SEAMS = [
    ((2, 3, 9, 11), (3, 2), {"stride": 1}),
    ((2, 3, 9, 11), (2, 2), {}),
    ((1, 1, 12, 13), (3, 5), {"stride": (2, 1), "padding": ((1, 1), (2, 0)), "ceil_mode": True}),
    ((3, 2, 10, 9), (2, 3), {"stride": (3, 2), "padding": ((-1, 1), (1, -2)), "dilation": (3, 2)}),
    ((2, 2, 6, 7), (6, 7), {}),
    ((2, 2, 6, 7), (6, 2), {"padding": (2, 1), "stride": 2}),
    ((1, 40, 5, 5), (2, 2), {"stride": (1, 2)}),
]


@pytest.mark.parametrize(("shape", "kernel", "geometry"), SEAMS)
@pytest.mark.parametrize("place", ["plain", "channels last", "rotated", "reversed"])
@pytest.mark.parametrize("number", ["1", "3"])
def test_tiles_have_no_seams(shape, kernel, geometry, place, number, monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.integers(-9, 9, shape).astype("float32")
    values[rng.random(shape) < 0.05] = np.nan
    x = cases.PLACES[place](values)
    want = every_call(x, kernel, layout="NCHW", **geometry)
    monkeypatch.setenv("NPCONV_NUM_THREADS", number)
    threads.num_threads.cache_clear()
    try:
        for nbytes in (1, 200, 3000):
            monkeypatch.setattr(common, "TILE_NBYTES", nbytes)
            for name, result in every_call(x, kernel, layout="NCHW", **geometry).items():
                if "grad" in name:  # sums of other order, and one is of NaN's neighbours
                    np.testing.assert_allclose(result, want[name], rtol=1e-5, err_msg=name)
                else:
                    np.testing.assert_array_equal(result, want[name], err_msg=name)
    finally:
        monkeypatch.undo()
        threads.num_threads.cache_clear()


def test_the_same_bits_for_any_number_of_threads(monkeypatch):
    x = np.random.default_rng(0).standard_normal((5, 4, 40, 30)).astype("float32")
    monkeypatch.setattr(common, "TILE_NBYTES", 5000)
    results = []
    try:
        for number in ("1", "2", "5"):
            monkeypatch.setenv("NPCONV_NUM_THREADS", number)
            threads.num_threads.cache_clear()
            results.append(every_call(x, 3, stride=2, padding=1, layout="NCHW"))
    finally:
        monkeypatch.undo()
        threads.num_threads.cache_clear()
    for name, first in results[0].items():
        for other in results[1:]:
            assert first.tobytes() == other[name].tobytes(), name


@pytest.mark.parametrize("letters", ["".join(p) for p in itertools.permutations("NCHW")])
def test_every_order_of_axes(letters):
    rng = np.random.default_rng(1)
    x = rng.integers(-4, 5, (2, 3, 7, 6)).astype("float32")
    geometry = {"stride": (2, 1), "padding": ((1, 0), (0, 1))}
    turn = ["NCHW".index(a) for a in letters]
    # kernel, stride and padding are given in the layout's order of axes, and so are positions.
    spatial = [a for a in letters if a in "HW"]
    flip = spatial != ["H", "W"]
    mine = {k: v[::-1] if flip else v for k, v in geometry.items()}
    kernel = (2, 3) if flip else (3, 2)
    canonical = x.transpose(0, 1, 3, 2) if flip else x
    want, index = oracle_pool.max_pool(canonical, kernel, **mine)
    back = ["".join(["N", "C", *spatial]).index(a) for a in letters]
    for given_x in (x.transpose(turn), np.ascontiguousarray(x.transpose(turn))):
        results = every_call(given_x, kernel, layout=letters, **mine)
        np.testing.assert_array_equal(results["max"], want.transpose(back))
        np.testing.assert_array_equal(results["indices"], index.transpose(back))
        grad_out = np.arange(1.0, want.size + 1).reshape(results["max"].shape)
        grad = oracle_pool.max_pool_grad(
            grad_out.transpose(np.argsort(back)), index, canonical.shape
        ).transpose(back)
        np.testing.assert_array_equal(results["max grad"], grad)
        np.testing.assert_array_equal(results["max grad by indices"], grad)
        along = oracle_pool.axes(canonical.shape, kernel, **mine)
        mean = oracle_pool.window_sums(canonical, along) / oracle_pool.divisors(along, True)
        np.testing.assert_allclose(results["avg"], mean.transpose(back).astype(float), rtol=1e-6)


@pytest.mark.parametrize(
    "layout", ["W", "HW", "NW", "CW", "HWC", "CHW", "NHW", "WHC", "HNW", "DHW"]
)
def test_missing_letters_are_axes_of_length_one(layout):
    sizes = {"N": 2, "C": 3, "D": 4, "H": 5, "W": 6}
    x = np.random.default_rng(2).integers(-9, 9, [sizes[a] for a in layout]).astype(float)
    spatial = [a for a in layout if a not in "NC"]
    inside = [a for a in "NC" if a in layout]
    full = x.transpose([layout.index(a) for a in [*inside, *spatial]])
    full = full.reshape(*(sizes[a] if a in layout else 1 for a in "NC"), *full.shape[len(inside) :])
    want, index = oracle_pool.max_pool(full, 2, stride=1)
    back = [[*inside, *spatial].index(a) for a in layout]

    def named(array):
        return array.reshape([n for a, n in zip(["N", "C", *spatial], array.shape, strict=True)
                              if a in layout]).transpose(back)  # fmt: skip

    results = every_call(x, 2, stride=1, layout=layout)
    np.testing.assert_array_equal(results["max"], named(want))
    np.testing.assert_array_equal(results["indices"], named(index))
    assert results["avg grad"].shape == results["max grad"].shape == x.shape
    total = np.arange(1.0, want.size + 1).sum()
    assert results["max grad"].sum() == total
    np.testing.assert_allclose(results["avg grad"].sum(), total, rtol=1e-6)


def test_any_number_of_spatial_axes():
    x = np.random.default_rng(3).integers(-9, 9, (4, 3, 5, 4)).astype(float)
    want, index = oracle_pool.max_pool(x[None, None], (2, 1, 3, 2), stride=(1, 2, 1, 2))
    out, found = npconv.max_pool(
        x, (2, 1, 3, 2), stride=(1, 2, 1, 2), layout="TDHW", return_indices=True
    )
    np.testing.assert_array_equal(out, want[0, 0])
    np.testing.assert_array_equal(found, index[0, 0])


@pytest.mark.parametrize("order", ["NCHW", "NHWC", "HWNC", "CWNH"])
def test_results_lie_in_memory_as_x_does(order):
    sizes = {"N": 2, "C": 3, "H": 8, "W": 6}
    x = np.ones([sizes[a] for a in order], "float32").transpose([order.index(a) for a in "NCHW"])
    results = every_call(x, 2, layout="NCHW")
    results["avg grad of a shape"] = npconv.avg_pool_grad(results["avg"], x.shape, 2)
    results["global avg"] = npconv.global_avg_pool(x)
    for name, result in results.items():
        assert result.transpose(["NCHW".index(a) for a in order]).flags.c_contiguous, name


def test_a_broadcast_x_and_a_list():
    x = np.broadcast_to(np.arange(6.0), (2, 3, 4, 6))
    np.testing.assert_array_equal(npconv.max_pool(x, 2)[1, 2], [[1, 3, 5]] * 2)
    np.testing.assert_array_equal(npconv.avg_pool(x, 2)[1, 2], [[0.5, 2.5, 4.5]] * 2)
    assert npconv.max_pool([1, 5, 2, 4], 2, layout="W").tolist() == [5, 4]
    assert npconv.avg_pool([1, 5, 2, 4], 2, layout="W").tolist() == [3, 3]
    assert npconv.max_pool_grad([7, 8], [1, 5, 2, 4], 2, layout="W").tolist() == [0, 7, 0, 8]
    assert npconv.avg_pool_grad([7, 8], (4,), 2, layout="W").tolist() == [3.5, 3.5, 4, 4]
    grad_out = np.broadcast_to(np.float32(3), (2, 3, 2, 3))
    assert npconv.avg_pool_grad(grad_out, x.shape, 2).sum() == 3 * 36
    assert npconv.max_pool_grad(grad_out, x, 2).sum() == 3 * 36


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


def test_no_two_threads_add_to_one_image_and_channel(monkeypatch):
    monkeypatch.setattr(common, "TILE_NBYTES", 100)
    seen = []

    def for_each(blocks, step):
        for block in blocks:
            assert len({(spans[0], spans[-1]) for spans in block}) == 1
            assert len(block) > 1
            seen.append((block[0][0], block[0][-1]))
            step(block)

    monkeypatch.setattr(winners, "for_each", for_each)
    npconv.max_pool_grad(np.ones((2, 3, 8, 8)), np.ones((2, 3, 9, 9)), 2, stride=1)
    assert len(seen) == len(set(seen)) == 6


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


@pytest.mark.parametrize(("shape", "kernel", "geometry"), SEAMS)
def test_nothing_is_left_uninitialised(shape, kernel, geometry, monkeypatch):
    x = np.random.default_rng(5).standard_normal(shape).astype("float32")
    want = every_call(x, kernel, layout="NCHW", **geometry)

    def filled(function):
        def call(*arguments, **keywords):
            array = function(*arguments, **keywords)
            array[...] = np.nan if array.dtype.kind == "f" else 99
            return array

        return call

    monkeypatch.setattr(npconv.layout, "empty", filled(npconv.layout.empty))
    monkeypatch.setattr(np, "empty_like", filled(np.empty_like))
    for name, result in every_call(x, kernel, layout="NCHW", **geometry).items():
        np.testing.assert_array_equal(result, want[name], err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("shape", [(8, 16, 128, 128), (1, 1, 1500, 1500)])
def test_what_is_held_beside_the_result_is_bounded(shape, dtype, monkeypatch):
    monkeypatch.setenv("NPCONV_NUM_THREADS", "1")
    threads.num_threads.cache_clear()
    x = np.ones(shape, dtype)
    grad_out = np.ones(npconv.max_pool(x, 3, stride=1, padding=1).shape, "float32")
    index = npconv.max_pool(x, 3, stride=1, padding=1, return_indices=True)[1]
    keywords = {"stride": 1, "padding": 1}
    try:
        for call in (
            lambda: npconv.max_pool(x, 3, **keywords),
            lambda: npconv.max_pool(x, 3, return_indices=True, **keywords),
            lambda: npconv.avg_pool(x, 3, **keywords),
            lambda: npconv.max_pool_grad(grad_out, x, 3, **keywords),
            lambda: npconv.max_pool_grad(grad_out, x, 3, indices=index, **keywords),
            lambda: npconv.avg_pool_grad(grad_out, x, 3, **keywords),
        ):
            tracemalloc.start()
            result = call()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            results = result if isinstance(result, tuple) else (result,)
            assert peak - sum(r.nbytes for r in results) < 3.5 * common.TILE_NBYTES
    finally:
        tracemalloc.stop()
        monkeypatch.undo()
        threads.num_threads.cache_clear()
