"""No call holds more than its operands, its result and the workspace that its plan reports."""

import tracemalloc

import numpy as np
import pytest

import cases
import npconv
import random_calls
from grad_cases import threads
from npconv import compiler
from test_memory import BUFFERS

# VGG-16: (channels, outputs, size) of its 3x3 layers.
VGG = [
    (3, 64, 224), (64, 64, 224), (64, 128, 112), (128, 128, 112), (128, 256, 56), (256, 256, 56),
    (256, 512, 28), (512, 512, 28), (512, 512, 14),
]  # fmt: skip
OTHERS = {
    "5x5": ((2, 48, 27, 27), (64, 48, 5, 5), {"padding": 2}),
    "strided": ((2, 64, 56, 56), (96, 64, 3, 3), {"padding": 1, "stride": 2}),
    "first, 7x7": ((1, 3, 224, 224), (64, 3, 7, 7), {"padding": 3, "stride": 2}),
    "1x7": ((2, 80, 17, 17), (80, 80, 1, 7), {"padding": (0, 3)}),
    "1x1": ((2, 64, 56, 56), (256, 64, 1, 1), {}),
    "grouped": ((1, 64, 40, 40), (96, 32, 3, 3), {"padding": 1, "groups": 2}),
    "depthwise": ((1, 96, 56, 56), (96, 1, 3, 3), {"padding": 1, "groups": 96}),
    "dilated": ((1, 40, 60, 60), (40, 40, 3, 3), {"padding": 2, "dilation": 2}),
    "volume": ((1, 16, 16, 28, 28), (32, 16, 3, 3, 3), {"padding": 1}),
    "sound": ((4, 32, 4000), (48, 32, 3), {"padding": 1}),
    "wrapped": ((1, 20, 64, 64), (24, 20, 3, 3), {"padding": 1, "padding_mode": "wrap"}),
}
LAYERS = {
    **{f"VGG {c}-{o}, {n} px": ((1, c, n, n), (o, c, 3, 3), {"padding": 1}) for c, o, n in VGG},
    **OTHERS,
}
WHOLE_PATCHES = {"im2col_view", "im2col_index", "toeplitz"}
QUICK = {"VGG 3-64, 224 px", "VGG 128-256, 56 px", "VGG 512-512, 14 px", "strided", "volume"}


def peak(call):
    """The result, and the bytes held at most that were not there before, the result included."""
    call()
    tracemalloc.start()
    try:
        out = call()
        return out, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def calls(name, order, direction, dtype):
    """Yield (what, its plan, a call without arguments) of every algorithm that is compiled."""
    x_shape, weight_shape, geometry = LAYERS[name]

    def lay(*shape):
        return random_calls.lay(np.ones(shape, dtype), order)

    x, weight = lay(*x_shape), lay(*weight_shape)
    for algorithm in random_calls.COMPILED:
        for precision in ("strict", "fast"):
            planned = {**geometry, "direction": direction, "precision": precision}
            try:
                plan = random_calls.plan_of(algorithm, x, weight, **planned)
            except npconv.UnsupportedError:
                continue
            what = f"{direction} by {algorithm}, {plan.algorithm}, {precision}"
            batch, *size, outputs = plan.problem.out_shape
            grad_out = lay(batch, outputs, *size)
            if direction == "forward":
                yield what, plan, lambda p=plan: p(x, weight)
                packed = plan.pack(weight)
                bias = np.ones(outputs, dtype)
                yield f"{what}, packed", plan, lambda p=plan, w=packed, b=bias: p(x, w, b)
            else:
                other = weight if direction == "input_grad" else x
                yield what, plan, lambda p=plan, g=grad_out, o=other: p(g, o)


@pytest.mark.parametrize("direction", ["forward", "input_grad", "weight_grad"])
@pytest.mark.parametrize("order", ["first", "last"])
@pytest.mark.parametrize("number", [1, 3] if cases.ALL else [2])
@pytest.mark.parametrize("name", LAYERS if cases.ALL else sorted(QUICK))
def test_the_peak_is_the_result_and_the_workspace(name, number, order, direction):
    wrong = []
    with threads(number):
        for dtype in ("float32", "float64", "float16") if cases.ALL else ("float32",):
            for what, plan, call in calls(name, order, direction, dtype):
                out, held = peak(call)
                if held > out.nbytes + 1.1 * plan.workspace + BUFFERS * (1 + number):
                    wrong.append(
                        f"{what} {dtype}: {held / 1e6:.2f} MB, {out.nbytes / 1e6:.2f} MB of result "
                        f"and {plan.workspace / 1e6:.2f} MB of workspace"
                    )
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(bool(compiler.missing()), reason="without kernels im2col may be the quickest")
@pytest.mark.parametrize("precision", ["strict", "fast"])
@pytest.mark.parametrize("direction", ["forward", "input_grad", "weight_grad"])
def test_vgg_needs_no_im2col(direction, precision):
    """What is chosen makes no patch matrix, and holds a few times its arrays at most."""
    for channels, outputs, size in VGG:
        for layout, shape in (
            ("NCHW", (4, channels, size, size)), ("NHWC", (4, size, size, channels)),
        ):  # fmt: skip
            plan = npconv.plan(
                shape, (outputs, channels, 3, 3), layout=layout, weight_layout="OIHW", padding=1,
                direction=direction, precision=precision,
            )  # fmt: skip
            given = 4 * (4 * (channels + outputs) * size**2 + 9 * channels * outputs)
            assert plan.algorithm not in WHOLE_PATCHES, plan
            assert plan.workspace < 3 * given, plan
