"""The workspace that a gradient's plan reports is the memory its algorithm takes, measured."""

import gc
import itertools
import tracemalloc

import numpy as np
import pytest

import cases
import grad_cases
import npconv
from npconv import plan
from test_memory import BUFFERS, LAYERS, STEPS, full_range

OTHERS = {
    "strided": ((2, 32, 56, 56), (32, 32, 3, 3), {"stride": 2, "padding": 1}, None),
    "patches": ((2, 64, 64, 16), (4, 4, 16, 32), {"stride": 4}, "NHWC"),
    "reflected": ((2, 16, 60, 60), (16, 16, 5, 5), {"padding": 2, "padding_mode": "reflect"}, None),
    "wrapped, last": ((2, 50, 50, 16), (3, 3, 16, 16),
                      {"padding": 1, "padding_mode": "wrap", "stride": 2}, "NHWC"),
    "cropped": ((2, 16, 64, 64), (16, 16, 3, 3), {"padding": ((-4, 2), (0, -9))}, None),
    "batch": ((64, 8, 16, 16), (16, 8, 3, 3), {"padding": 1}, None),
}  # fmt: skip
SLOW = {"photo", "columns", "few windows", "dilated", "sound"}  # left to `make test-all`
FEW = {"layer", "depthwise, last", "one tap", "strided", "patches", "reflected"}
EVERY = {**LAYERS, **OTHERS}


def layer(name, dtype, direction):
    """The operands of a direction, the shape it gives, and the keywords."""
    x_shape, weight_shape, geometry, layout = EVERY[name]
    x, weight = full_range(x_shape, dtype), full_range(weight_shape, dtype)
    made = plan(x, weight, direction=direction, layout=layout, **geometry)
    # Canonical to the layout: spatial axes keep their order.
    size, batch, outputs = made.problem.out_size, made.problem.batch, made.problem.out_channels
    letters = layout or {3: "NCW", 4: "NCHW", 5: "NCDHW"}[len(x_shape)]
    sizes = iter(size)
    lengths = [{"N": batch, "C": outputs}.get(a) or next(sizes) for a in letters]
    grad_dtype = made.problem.operand_dtypes[0]
    # Of integers so large that products fill the float64 that the plan reckons with.
    value = 2**28 if grad_dtype.kind == "i" else 1
    grad_out = np.full(lengths, value, grad_dtype)
    other, like = (weight, x) if direction == "input_grad" else (x, weight)
    return made, (grad_out, other, like), {"layout": layout, **geometry}


def peak(direction, arrays, **keywords):
    """Bytes that a gradient holds at most, beyond its operands and an out that is there before."""
    call = grad_cases.CALLS[direction]
    out = call(*arrays, **keywords)
    tracemalloc.start()
    try:
        call(*arrays, out=out, **keywords)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def affordable(made):
    """The plan's rows that are quick enough to be measured."""
    share = 1 if cases.ALL else 0.2
    for row in made.rows:
        steps, most = STEPS.get(row.algorithm, (lambda _, row=row: row.seconds, 0.5))
        if not row.why_not and steps(made.problem) <= most * share:
            yield row


@grad_cases.BOTH
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (name, dtype)
        for name, dtype in itertools.product(EVERY, ("float32", "float16", "uint8"))
        if cases.ALL or (name not in SLOW and (dtype == "float32" or name in FEW))
    ],
)
def test_workspace_is_the_measured_peak(name, dtype, direction):
    with grad_cases.threads(1):
        made, arrays, keywords = layer(name, dtype, direction)
        rows = list(affordable(made))
        assert len(rows) >= 3
        wrong = []
        for row in rows:
            used = peak(direction, arrays, algorithm=row.algorithm, **keywords)
            over = used > 1.1 * row.workspace + 3 * BUFFERS
            under = 2 * used + 1e6 < row.workspace
            if over or under:
                wrong.append(f"{row.algorithm}: {used / 1e6:.2f} of {row.workspace / 1e6:.2f} MB")
        assert not wrong, wrong


@grad_cases.BOTH
@pytest.mark.parametrize("name", ["layer", "sound", "strided", "batch"])
def test_threads_take_no_more_than_the_plan_says(name, direction):
    with grad_cases.threads(3):
        made, arrays, keywords = layer(name, "float32", direction)
        for row in affordable(made):
            if row.algorithm not in STEPS:
                used = peak(direction, arrays, algorithm=row.algorithm, **keywords)
                most = 1.1 * row.workspace + 3 * BUFFERS
                assert used <= most, (row.algorithm, used, row.workspace)


@grad_cases.BOTH
def test_memory_limit_steers(direction):
    shapes = (2, 8, 20, 21), (6, 8, 3, 3)
    rng = np.random.default_rng(0)
    x, weight = (cases.real(rng, s, "float32") for s in shapes)
    grad_out = cases.real(rng, (2, 6, 20, 21), "float32")
    other, like = (weight, x) if direction == "input_grad" else (x, weight)
    free = plan(*shapes, padding=1, direction=direction)
    assert [r.algorithm for r in free.rows if r.chosen] == [free.algorithm]
    needs = sorted({r.workspace for r in free.rows if not r.why_not})
    want = grad_cases.CALLS[direction](grad_out, other, like, padding=1)
    for limit in needs:
        made = plan(*shapes, padding=1, direction=direction, memory_limit=limit)
        assert made.workspace <= limit
        for row in made.rows:
            if row.workspace is not None:
                assert (row.why_not == "") == (row.workspace <= limit)
        np.testing.assert_allclose(made(grad_out, other), want, rtol=2e-3, atol=2e-3)
    assert made.algorithm == free.algorithm
    if needs[0] > 0:
        with pytest.raises(MemoryError, match=r"^plan: the leanest algorithm, \w+, needs .*B"):
            plan(*shapes, padding=1, direction=direction, memory_limit=needs[0] - 1)


@grad_cases.BOTH
def test_what_fits_in_no_memory_says_how_much_it_needs(direction):
    grad_out, x, weight = (np.ones((1, 1, n)) for n in (4, 4, 2))
    other, like = (weight, x) if direction == "input_grad" else (x, weight)
    with pytest.raises((MemoryError, npconv.ProblemError), match=rf"^conv_{direction}: "):
        grad_cases.CALLS[direction](grad_out, other, like.shape, padding=2**45)
    if direction == "input_grad":
        # No window but one, and that on an image that fits nowhere.
        with pytest.raises(MemoryError, match=r"^conv_input_grad: .*B"):
            npconv.conv_input_grad(grad_out[..., :1], weight, (1, 1, 2**50), stride=2**50)
    wide = ((1, 1, 2**50), (1, 1, 2))
    if direction == "input_grad":
        with pytest.raises(MemoryError, match=r"^plan: .*the result alone takes .*iB"):
            plan(*wide, direction=direction)


@grad_cases.BOTH
def test_nothing_is_kept(direction):
    made, arrays, keywords = layer("layer", "float32", direction)
    for row in affordable(made):
        if row.algorithm in STEPS:
            continue
        grad_cases.CALLS[direction](*arrays, algorithm=row.algorithm, **keywords)
        tracemalloc.start()
        for _ in range(3):
            grad_cases.CALLS[direction](*arrays, algorithm=row.algorithm, **keywords)
        gc.collect()  # Numba's types of arguments are in cycles; its cache of them grows to 0.1 MB
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert kept < 6e4, row.algorithm


@pytest.mark.parametrize("number", [2**31, 2**40, 2**55])
@pytest.mark.parametrize("name", ["auto", "im2col_tiled"])
def test_tiles_reach_over_padding_that_fills_no_memory(number, name):
    grad_out, x, weight = (
        np.array([[[1.0, 2, 3]]]),
        np.full((1, 1, 1), 5.0),
        np.full((1, 1, 1), 3.0),
    )
    keywords = {"padding": number, "stride": number, "algorithm": name}
    assert npconv.conv_input_grad(grad_out, weight, x, **keywords).tolist() == [[[6]]]
    assert npconv.conv_weight_grad(grad_out, x, weight, **keywords).tolist() == [[[10]]]
    grad = npconv.conv_weight_grad(grad_out, x, weight, padding_mode="edge", **keywords)
    assert grad.tolist() == [[[30]]]
