"""Calls with nothing left to look up: the same numbers as the call that they repeat."""

from dataclasses import replace

import numpy as np
import pytest

import npconv
import oracle
from npconv import execution
from npconv.algorithms import ALGORITHMS
from shortcut_cases import last

pytest.importorskip("numba")

BINDING = [name for name, module in ALGORITHMS.items() if hasattr(module, "bind")]
CASES = {
    "3x3": ((2, 20, 12, 13), (40, 20, 3, 3), {"padding": 1}),
    "wide": ((1, 34, 30, 31), (70, 34, 3, 3), {"padding": 1}),
    "stride 2": ((2, 20, 12, 13), (33, 20, 3, 3), {"stride": 2, "padding": 1}),
    "1x1": ((2, 17, 9, 7), (70, 17, 1, 1), {}),
    "1x1 stride 2": ((1, 40, 9, 8), (34, 40, 1, 1), {"stride": 2}),
    "1x1 many outputs": ((1, 40, 4, 5), (300, 40, 1, 1), {}),
    "some windows": ((1, 16, 12, 9), (32, 16, 2, 3), {"stride": (3, 2), "padding": (0, 1)}),
    "dilation": ((1, 20, 13, 14), (24, 20, 3, 3), {"dilation": 2, "padding": 2}),
    "groups": ((1, 24, 9, 10), (48, 8, 3, 3), {"groups": 3, "padding": 1}),
    "depthwise": ((2, 32, 11, 12), (32, 1, 3, 3), {"groups": 32, "padding": 1}),
    "depthwise stride 2": (
        (1, 48, 11, 12), (48, 1, 3, 3), {"groups": 48, "padding": 1, "stride": 2},
    ),
    "depthwise 5x5": ((1, 20, 11, 12), (20, 1, 5, 5), {"groups": 20, "padding": 2}),
    "reflected": ((1, 16, 9, 9), (16, 16, 3, 3), {"padding": 1, "padding_mode": "reflect"}),
    "cropped": ((1, 16, 9, 9), (16, 16, 3, 3), {"padding": -1}),
    "line": ((2, 24, 50), (40, 24, 5), {"padding": 2}),
    "volume": ((1, 16, 5, 6, 7), (16, 16, 3, 3, 3), {"padding": 1}),
}  # fmt: skip
DIRECTIONS = ("forward", "input_grad", "weight_grad")


@pytest.fixture
def bound(monkeypatch):
    """Which directions were done by a bound call."""
    done = []
    bind = execution.directions.bind

    def counted(problem, name, *given):
        made = bind(problem, name, *given)
        if made is None:
            return None

        def run(*addresses):
            done.append((name, problem.direction))
            return made(*addresses)

        return run

    monkeypatch.setattr(execution.directions, "bind", counted)
    npconv.set_num_threads(2)  # forgets what other tests came to
    yield done
    npconv.set_num_threads(None)


def calls(case, order, dtype, algorithm):
    """The three directions of a case as functions, and what each should give."""
    x_shape, weight_shape, geometry = CASES[case]
    rng = np.random.default_rng(3)
    x, weight = (oracle.small_integers(rng, shape, dtype) for shape in (x_shape, weight_shape))
    y = oracle.direct(x, weight, **geometry)
    grad = oracle.small_integers(rng, y.shape, dtype)
    if order == "channels last":
        x, grad = last(x), last(grad)
    kw = {**geometry, "algorithm": algorithm, "precision": "fast"}
    return x, weight, grad, {
        "forward": lambda x, weight, grad: npconv.conv(x, weight, **kw),
        "input_grad": lambda x, weight, grad: npconv.conv_input_grad(grad, weight, x, **kw),
        "weight_grad": lambda x, weight, grad: npconv.conv_weight_grad(grad, x, weight, **kw),
    }  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("order", ["channels last", "planes"])
@pytest.mark.parametrize("algorithm", BINDING)
def test_the_same_bits_as_the_call_repeated(bound, algorithm, order, direction, case):
    for dtype in ("float32", "float64"):
        x, weight, grad, functions = calls(case, order, dtype, algorithm)
        call = functions[direction]
        try:
            first = call(x, weight, grad)
        except npconv.UnsupportedError:
            return
        for other in (1, -2):  # the numbers are read anew, not kept
            a, b, c = other * x, other * weight, other * grad
            for again in (call(a, b, c), call(a, b, c)):
                assert np.array_equal(again, other * other * first)
                assert again.strides == first.strides


def test_which_calls_are_bound(bound):
    """What the tests above would not see: that nothing is bound any more."""
    wanted = {
        ("indirect", "channels last"): {
            "3x3": "forward input_grad", "wide": "forward input_grad",
            "stride 2": "forward input_grad", "1x1": "forward input_grad weight_grad",
            "1x1 stride 2": "forward input_grad weight_grad", "groups": "forward",
            "1x1 many outputs": "forward input_grad weight_grad",
        },
        ("indirect", "planes"): {
            "1x1": "forward input_grad weight_grad", "3x3": "forward input_grad",
            "stride 2": "forward input_grad",
        },
        ("depthwise", "channels last"): {
            "depthwise": "forward input_grad weight_grad",
            "depthwise stride 2": "forward input_grad weight_grad",
        },
        ("depthwise", "planes"): {"depthwise": "forward input_grad weight_grad"},
        ("winograd", "planes"): {"3x3": "forward input_grad weight_grad"},
        ("winograd", "channels last"): {
            "3x3": "forward input_grad weight_grad", "stride 2": "forward input_grad weight_grad",
            "groups": "forward weight_grad", "volume": "forward input_grad",
        },
    }  # fmt: skip
    for (algorithm, order), cases in wanted.items():
        for case, directions in cases.items():
            x, weight, grad, functions = calls(case, order, "float32", algorithm)
            bound.clear()
            for call in functions.values():
                call(x, weight, grad)
                call(x, weight, grad)
            assert [d for n, d in bound if n == algorithm] == directions.split(), (algorithm, case)


@pytest.mark.parametrize("algorithm", BINDING)
@pytest.mark.parametrize("case", ["3x3", "1x1 many outputs", "depthwise", "groups"])
def test_bias_activation_and_out(bound, algorithm, case):
    x, weight, _, _ = calls(case, "channels last", "float32", algorithm)
    geometry = CASES[case][2]
    kw = {**geometry, "algorithm": algorithm, "activation": "relu6", "precision": "fast"}
    bias = np.arange(len(weight), dtype="f4") - 5
    wanted = np.clip(oracle.direct(x, weight, bias, **geometry), 0, 6)
    try:
        first = npconv.conv(x, weight, bias, **kw)
    except npconv.UnsupportedError:
        return
    out = np.full_like(first, np.nan)
    for result in (npconv.conv(x, weight, bias, **kw), npconv.conv(x, weight, bias, out=out, **kw)):
        assert np.allclose(result, wanted, atol=1e-3)
        assert np.array_equal(result, first)
    turned = np.full(first.shape, np.nan, "f4")  # of other strides
    assert npconv.conv(x, weight, bias, out=turned, **kw) is turned
    assert np.array_equal(turned, first)


@pytest.mark.parametrize("algorithm", BINDING)
@pytest.mark.parametrize("case", ["3x3", "wide", "1x1 many outputs", "depthwise"])
def test_a_packed_weight(bound, algorithm, case):
    x, weight, _, functions = calls(case, "channels last", "float32", algorithm)
    plan = npconv.plan(x, weight, precision="fast", **CASES[case][2])
    rows = tuple(row._replace(chosen=row.algorithm == algorithm) for row in plan.rows)
    if any(row.chosen and row.why_not for row in rows):
        return
    plan = replace(plan, rows=rows)
    packed, wanted = plan.pack(weight), functions["forward"](x, weight, None)
    for _ in range(3):
        assert np.array_equal(plan(x, packed), wanted)


@pytest.mark.parametrize("algorithm", BINDING)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", ["3x3", "stride 2", "1x1", "depthwise", "depthwise stride 2"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_where_it_belongs(bound, algorithm, direction, case, value):
    x, weight, grad, functions = calls(case, "channels last", "float32", algorithm)
    call = functions[direction]
    try:
        call(x, weight, grad)
    except npconv.UnsupportedError:
        return
    for name in ("x", "weight", "grad"):
        given = {"x": x.copy("K"), "weight": weight.copy("K"), "grad": grad.copy("K")}
        given[name][(0,) * given[name].ndim] = value
        wide = functions_by_taps(case)[direction](*given.values())
        for result in (call(*given.values()), call(*given.values())):
            assert np.array_equal(np.isnan(result), np.isnan(wide))
            assert np.allclose(result, wide, equal_nan=True, rtol=1e-4, atol=1e-3)


def functions_by_taps(case):
    """The three directions by an algorithm that is never bound, in float64."""
    kw = {**CASES[case][2], "algorithm": "taps"}

    def wide(*arrays):
        return [a.astype("f8") for a in arrays]

    return {
        "forward": lambda x, weight, grad: npconv.conv(*wide(x, weight), **kw),
        "input_grad": lambda x, weight, grad: npconv.conv_input_grad(
            *wide(grad, weight), x.shape, **kw
        ),
        "weight_grad": lambda x, weight, grad: npconv.conv_weight_grad(
            *wide(grad, x), weight.shape, **kw
        ),
    }
