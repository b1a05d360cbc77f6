"""The workspace a plan reports is the memory its algorithm takes, measured."""

import tracemalloc

import numpy as np
import pytest

import cases
from npconv import arrays, conv, plan
from npconv import threads as pool

LAYERS = {
    "image": ((1, 3, 115, 115), (32, 3, 7, 7), {"stride": 2}, None),
    "layer": ((2, 32, 28, 28), (32, 32, 3, 3), {"padding": 1}, None),
    "layer, last": ((2, 28, 28, 32), (3, 3, 32, 32), {"padding": 1}, "NHWC"),
    "deep": ((1, 128, 14, 14), (128, 128, 3, 3), {"padding": 1}, None),
    "depthwise": ((1, 96, 56, 56), (96, 1, 3, 3), {"padding": 1, "groups": 96}, None),
    "depthwise, last": ((1, 56, 56, 96), (3, 3, 1, 96), {"padding": 1, "groups": 96}, "NHWC"),
    "photo": ((540, 960), (7, 7), {"padding": 3, "padding_mode": "reflect"}, "HW"),
    "columns": ((1080, 960), (31, 1), {"padding": "same"}, "HW"),
    "volume": ((1, 4, 24, 24, 24), (8, 4, 3, 3, 3), {"padding": 1}, None),
    "one tap": ((1, 64, 56, 56), (128, 64, 1, 1), {}, None),
    "sound": ((4, 8, 25000), (8, 8, 9), {"padding": 4}, None),
    "dilated": ((4, 40, 40, 32), (3, 3, 16, 64), {"groups": 2, "dilation": 2}, "NHWC"),
    "few windows": ((1, 1, 220, 1300), (1, 1, 20, 20), {"stride": 15, "padding": 10}, None),
    "very few": ((1, 2, 300, 600), (1, 2, 5, 5), {"stride": 90, "padding": 2}, None),
}
# What NumPy's loops may hold while they work, 8192 elements an operand; and Numba's own objects for
# the types of a hundred calls' arguments.
BUFFERS = 2e5
# The slow ones are measured where they take so many steps at most.
STEPS = {
    "naive": (lambda problem: problem.macs, 20_000),
    "im2col_loop": (lambda problem: problem.batch * problem.pixels, 10_000),
}


@pytest.fixture
def threads(monkeypatch):
    """Set how many threads share the tiles, and plan anew for them."""

    def use(number):
        monkeypatch.setenv("NPCONV_NUM_THREADS", str(number))
        pool.num_threads.cache_clear()
        cases.forget_plans()

    yield use
    monkeypatch.undo()
    pool.num_threads.cache_clear()
    cases.forget_plans()


def peak(x, weight, **keywords):
    """Bytes that conv holds at most, beyond x, weight and an out that is there before."""
    out = conv(x, weight, **keywords)
    tracemalloc.start()
    try:
        conv(x, weight, out=out, **keywords)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def full_range(shape, dtype):
    """Numbers that keep the integers' dtype from narrowing."""
    dtype = np.dtype(dtype)
    return np.full(shape, np.iinfo(dtype).max if dtype.kind in "iu" else 1, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "complex64"])
@pytest.mark.parametrize("layer", LAYERS)
def test_workspace_is_the_measured_peak(layer, dtype, threads):
    threads(1)
    x_shape, weight_shape, geometry, layout = LAYERS[layer]
    x, weight = full_range(x_shape, dtype), full_range(weight_shape, dtype)
    made = plan(x, weight, layout=layout, **geometry)
    ran = []
    for row in made.rows:
        steps, most = STEPS.get(row.algorithm, (lambda _, row=row: row.seconds, 0.5))
        if row.why_not or steps(made.problem) > most:
            continue
        ran.append(row.algorithm)
        keywords = {"layout": layout, "algorithm": row.algorithm, **geometry}
        used = peak(x, weight, **keywords)
        if used > 1e6:
            most = 1.1 * row.workspace + BUFFERS
            assert 0.9 * row.workspace <= used <= most, (row.algorithm, used, row.workspace)
        else:
            assert used <= 1.1 * row.workspace + 3 * BUFFERS, (row.algorithm, used, row.workspace)
    assert len(ran) >= 4
    assert layer != "few windows" or "im2col_loop" in ran
    assert layer != "very few" or "naive" in ran


@pytest.mark.parametrize("layer", ["layer", "photo", "columns", "sound"])
def test_threads_take_no_more_than_the_plan_says(layer, threads):
    threads(3)
    x_shape, weight_shape, geometry, layout = LAYERS[layer]
    x, weight = full_range(x_shape, "float32"), full_range(weight_shape, "float32")
    for row in plan(x, weight, layout=layout, **geometry).rows:
        if row.algorithm not in STEPS and not row.why_not:
            keywords = {"layout": layout, "algorithm": row.algorithm, **geometry}
            used = peak(x, weight, **keywords)
            assert used <= 1.1 * row.workspace + 3 * BUFFERS, (row.algorithm, used, row.workspace)


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "keywords"),
    [
        ((1, 3, 227, 227), (96, 3, 11, 11), {"stride": 4}),
        ((2160, 3840), (7, 7), {"layout": "HW", "padding": "same", "padding_mode": "reflect"}),
        ((2160, 3840, 3), (3, 3, 3, 3), {"layout": "HWC", "padding": 1}),
    ],
    ids=["AlexNet's first layer", "grey 4K", "colour 4K"],
)
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("number", [1, 2])
def test_im2col_tiled_stays_under_its_limit(
    x_shape, weight_shape, keywords, dtype, number, threads
):
    threads(number)
    x, weight = full_range(x_shape, dtype), full_range(weight_shape, dtype)
    used = peak(x, weight, algorithm="im2col_tiled", **keywords)
    row = next(r for r in plan(x, weight, **keywords).rows if r.algorithm == "im2col_tiled")
    assert used <= number * arrays.TILE_NBYTES + 8 * weight.size + number * BUFFERS
    assert used <= 1.1 * row.workspace + number * BUFFERS
    if number == 1:  # of more, the last may come too late to help
        assert used >= 0.9 * row.workspace


def test_nothing_is_kept():
    x, weight = full_range((1, 8, 64, 64), "float32"), full_range((8, 8, 3, 3), "float32")
    for name in cases.able(x, weight):
        if name not in STEPS:
            conv(x, weight, algorithm=name)
            tracemalloc.start()
            for _ in range(3):
                conv(x, weight, algorithm=name)
            kept = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            assert kept < 5e4, name  # x alone is 131 kB
