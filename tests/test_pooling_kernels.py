"""Pooling by compiled kernels: where they serve, and the same numbers as NumPy's passes."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import npconv
import oracle_pool
import pool_cases
from npconv import compiler, threads
from npconv.pooling import compiled
from test_pooling import LETTERS, geometries, numbers

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")
RNG = np.random.default_rng(7)
# What CNNs pool, in small: shape, window and the rest.
LAYERS = {
    "3x3, every second": ((2, 64, 13, 15), 3, {"stride": 2, "padding": 1}),
    "2x2": ((2, 64, 12, 14), 2, {}),
    "3x3": ((2, 70, 9, 8), 3, {"stride": 1, "padding": 1}),
    "3x3, ceil": ((1, 40, 12, 12), 3, {"stride": 2, "ceil_mode": True}),
    "whole": ((3, 33, 7, 7), 7, {}),
    "one axis": ((2, 20, 50), 4, {"stride": 3, "padding": 1}),
    "three axes": ((1, 18, 6, 7, 8), (2, 3, 3), {"stride": (1, 2, 2), "padding": 1}),
    "few channels": ((8, 3, 9, 9), 2, {}),
    "cropped, dilated": ((2, 17, 14, 13), 3, {"padding": ((-1, 2), (2, -2)), "dilation": (2, 3)}),
}  # fmt: skip


def laid(shape, last, dtype="float32"):
    """Random numbers with ties, NaN and infinities, channels first or last."""
    x = RNG.integers(-9, 9, shape).astype(dtype)
    x[RNG.random(shape) < 0.02] = np.nan
    x[RNG.random(shape) < 0.2] = -np.inf
    return np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1) if last else x


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_every_result_is_a_kernels(name, last, dtype):
    shape, kernel, geometry = LAYERS[name]
    x = laid(shape, last, dtype)
    letters = LETTERS[len(shape) - 2]
    with pool_cases.way("NumPy"):
        want = pool_cases.every_call(x, kernel, layout=letters, dtype=dtype, **geometry)
    for way in ("kernels", "kernels in bands"):
        with pool_cases.way(way), pool_cases.answered() as answers:
            found = pool_cases.every_call(x, kernel, layout=letters, dtype=dtype, **geometry)
        assert answers == [True] * 6
        for name, result in want.items():
            rounded = 8 * np.finfo(dtype).eps if "avg" in name or "grad" in name else 0
            np.testing.assert_allclose(found[name], result, rtol=rounded, err_msg=f"{way} {name}")
            assert found[name].strides == result.strides


@cases.examples(200, 10_000)
@given(
    geometries(), st.sampled_from(("float32", "float64")), st.sampled_from(sorted(cases.PLACES)),
    st.sampled_from(("kernels", "kernels in bands")),
)  # fmt: skip
def test_the_largest_and_their_places_by_definition(case, dtype, place, way):
    x = numbers(case, dtype)
    try:
        want, index = oracle_pool.max_pool(x, case.kernel, **case.geometry)
    except oracle_pool.Empty:
        return
    keywords = {"layout": LETTERS[len(case.kernel)], **case.geometry}
    grad_out = RNG.integers(-9, 9, want.shape).astype(dtype)
    x = cases.PLACES[place](x)
    with pool_cases.way(way):
        out = npconv.max_pool(x, case.kernel, **keywords)
        again, found = npconv.max_pool(x, case.kernel, return_indices=True, **keywords)
        grad = npconv.max_pool_grad(grad_out, x, case.kernel, **keywords)
    np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(again, want)
    np.testing.assert_array_equal(found, index)
    np.testing.assert_array_equal(grad, oracle_pool.max_pool_grad(grad_out, index, x.shape))


@pytest.mark.parametrize("way", ["kernels", "kernels in bands"])
@pytest.mark.parametrize("last", [False, True])
def test_a_mean_is_near_the_exact_one(last, way):
    x = np.random.default_rng(0).standard_normal((2, 48, 40, 36)).astype("float32")
    x = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1) if last else x
    wide = x.astype(float)
    eps = np.finfo("float32").eps
    with pool_cases.way(way):
        pooled = npconv.avg_pool(x, (40, 36), padding=(3, 2), stride=1)
        exact = npconv.avg_pool(wide, (40, 36), padding=(3, 2), stride=1)
        whole = npconv.global_avg_pool(x)
    mean = npconv.avg_pool(np.abs(wide), (40, 36), padding=(3, 2), stride=1)
    assert (np.abs(pooled - exact) <= 80 * eps * mean).all()
    exact, mean = (a.mean((2, 3), keepdims=True) for a in (wide, np.abs(wide)))
    assert (np.abs(whole - exact) <= 80 * eps * mean).all()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_the_same_bits_for_any_number_of_threads(name, last, monkeypatch):
    shape, kernel, geometry = LAYERS[name]
    x = RNG.standard_normal(shape).astype("float32")
    x = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1) if last else x
    results = []
    try:
        for number in ("1", "2", "5"):
            monkeypatch.setenv("NPCONV_NUM_THREADS", number)
            threads.num_threads.cache_clear()
            with pool_cases.way("kernels in bands"):
                letters = LETTERS[len(shape) - 2]
                results.append(pool_cases.every_call(x, kernel, layout=letters, **geometry))
    finally:
        monkeypatch.undo()
        threads.num_threads.cache_clear()
    for name, first in results[0].items():
        for other in results[1:]:
            assert first.tobytes() == other[name].tobytes(), name


def test_a_gradient_that_lies_otherwise_is_laid_as_x():
    x = laid((2, 20, 8, 9), True)
    grad = RNG.integers(-9, 9, (2, 20, 4, 4)).astype("float32")
    flipped = np.flip(np.flip(grad).copy())
    for g in (grad, np.asfortranarray(grad), flipped):
        with pool_cases.way("NumPy"):
            want = npconv.max_pool_grad(g, x, 2), npconv.avg_pool_grad(g, x, 2)
        with pool_cases.way("kernels"), pool_cases.answered() as answers:
            found = npconv.max_pool_grad(g, x, 2), npconv.avg_pool_grad(g, x, 2)
        assert answers == [True, True]
        np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("wrong", [-1, 72, 1 << 40])
def test_an_index_that_is_none_is_refused_and_nothing_is_written_there(wrong, last):
    x = laid((2, 20, 8, 9), last)
    index = np.zeros((2, 20, 4, 4), np.int64)
    index[1, 13, 2, 1] = wrong
    refused = pytest.raises(npconv.ProblemError, match=rf"indices holds {wrong}, and an image")
    with pool_cases.way("kernels"), pool_cases.answered() as answers, refused:
        npconv.max_pool_grad(np.ones(index.shape, "float32"), x, 2, indices=index)
    assert answers == [False]


def test_what_is_left_to_numpy():
    x = RNG.standard_normal((2, 16, 12, 12)).astype("float32")
    wide, often = np.ones((1, 16, 300), "float32"), np.ones((1, 14, 14, 16), "float32")
    often = np.moveaxis(often, -1, 1)
    gray = np.ones((1, 1, 12, 12), "float32")
    swapped = x.astype(x.dtype.newbyteorder())
    apart = np.zeros((2, 16, 12, 24), "float32")[..., ::2]
    with pool_cases.answered() as answers:
        for array, size, keywords in (
            (x.astype("float16"), 2, {}), (x.astype("int32"), 2, {}), (swapped, 2, {}),
            (x[:, :0], 2, {}), (apart, 2, {}), (often, 13, {"stride": 1, "padding": 6}),
            (x[0, 0], 2, {"layout": "HW"}), (gray, 2, {}), (x[:1, :9], 2, {}),
            (np.ones((3, 2, 2, 2, 2, 8)), 2, {"layout": "NABDFC"}),
            (np.broadcast_to(x[:, :1], x.shape), 2, {}),
        ):  # fmt: skip
            npconv.max_pool(array, size, **keywords)
        npconv.avg_pool(wide, 290)
        npconv.avg_pool(x, 2, padding=1 << 33, stride=1 << 33)
        with pool_cases.way("kernels"):
            npconv.max_pool(gray, 2)
    assert answers == [False] * 13 + [True]


def test_little_waits_for_no_compiler(monkeypatch):
    asked = []
    monkeypatch.setattr(compiler, "ready", lambda *names: asked.append(names))
    x = np.ones((2, 16, 12, 12), "float32")
    with pool_cases.answered() as answers:
        pool_cases.every_call(x, 2, layout="NCHW")
        npconv.fold(npconv.unfold(x, 2, stride=2), (12, 12), 2, stride=2)
        large = np.ones((1, 64, 128, 128), "float32")
        npconv.max_pool(large, 2)
    assert answers == [False] * 8 + [True]
    assert asked


def test_what_a_call_holds_beside_its_result():
    x = np.ones((1, 64, 160, 160), "float32")
    npconv.max_pool_grad(npconv.max_pool(x, 3, stride=2), x, 3, stride=2)
    for last in (False, True):
        lying = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1) if last else x
        grad = npconv.max_pool(lying, 3, stride=2)
        threads.num_threads.cache_clear()
        for call in (
            lambda x: npconv.max_pool(x, 3, stride=2),
            lambda x, grad=grad: npconv.max_pool_grad(grad, x, 3, stride=2),
        ):
            tracemalloc.start()
            try:
                result = call(lying)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            scratch = threads.num_threads() * 4 * compiled._ROOM
            assert peak - result.nbytes < scratch + (1 << 16)
