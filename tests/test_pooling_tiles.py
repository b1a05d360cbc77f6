"""Pooling in tiles: no seams, the same bits for any number of threads, bounded memory."""

import tracemalloc

import numpy as np
import pytest

import cases
import npconv
import pool_cases
from npconv import threads
from npconv.pooling import common, compiled, winners
from pool_cases import every_call


@pytest.fixture(params=["NumPy", "kernels"], autouse=True)
def each_way(request):
    with pool_cases.way(request.param):
        yield


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
            monkeypatch.setattr(compiled, "_ROOM", nbytes)
            monkeypatch.setattr(compiled, "_WORTH", nbytes)
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
    monkeypatch.setattr(compiled, "_ROOM", 5000)
    monkeypatch.setattr(compiled, "_WORTH", 5000)
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
    with pool_cases.way("NumPy"):
        npconv.max_pool_grad(np.ones((2, 3, 8, 8)), np.ones((2, 3, 9, 9)), 2, stride=1)
    assert len(seen) == len(set(seen)) == 6


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
