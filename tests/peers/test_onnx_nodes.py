"""The node cases of ONNX (onnx.backend.test) for every operator that npconv has a call for.

No case is left out or given other outputs: none of these 65 meets an error of onnx's reference
implementation.  Beyond them its word is not taken, for it leaves the dilation out of a pool's
auto_pad and raises on a grouped ConvTranspose: auto_pad over every argument is held to loops
written here.
"""

import itertools
import math
import random
from collections import Counter

import numpy as np
import onnx_nodes
import pytest
from onnx_nodes import NodeCase

import npconv
import oracle

CASES = onnx_nodes.node_cases()
# How many onnx 1.23.2 makes: a case that is no longer collected must not pass unseen.
COUNTS = {
    "Conv": 6,
    "ConvTranspose": 11,
    "MaxPool": 19,
    "AveragePool": 20,
    "GlobalMaxPool": 2,
    "GlobalAveragePool": 2,
    "Col2Im": 5,
}
# Expected outputs typed in with four decimals, one of them 0.2841 for 2.5564 / 9: as far as those
# go.  All others are held to float32's rounding.
TYPED = {"test_averagepool_2d_ceil_last_window_starts_on_pad": 1e-4}
# Nothing for an algorithm to do: no Conv case has groups.
NO_CASE = {("Conv", "depthwise")}

BY_NAME = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
SPELT = pytest.mark.parametrize("named", (True, False), ids=("auto_pad by name", "pads counted"))


def check(case, results):
    """Hold the results to what ONNX expects: integers exactly, floats to float32's rounding."""
    assert len(results) == len(case.expected)
    for result, expected in zip(results, case.expected, strict=True):
        assert result.dtype == expected.dtype
        assert result.shape == expected.shape
        if expected.dtype.kind in "iu":
            np.testing.assert_array_equal(result, expected)
        else:
            atol = TYPED.get(case.name, 1e-6)
            np.testing.assert_allclose(result, expected, rtol=1e-5, atol=atol)


def test_every_case_is_collected_once():
    assert Counter(case.op for case in CASES) == COUNTS
    assert len({case.name for case in CASES}) == sum(COUNTS.values())
    assert set(TYPED) <= {case.name for case in CASES}


@SPELT
@BY_NAME
def test_node_case(case, named):
    results = onnx_nodes.RUN[case.op](case, named=named)
    check(case, results)


@pytest.mark.parametrize("name", npconv.algorithms())
@pytest.mark.parametrize("op", ("Conv", "ConvTranspose"))
def test_node_cases_by_each_algorithm(op, name):
    ran = 0
    for case in CASES:
        if case.op != op:
            continue
        try:
            results = onnx_nodes.RUN[op](case, algorithm=name)
        except npconv.UnsupportedError as error:
            assert f"{name} cannot do this" in str(error)
        else:
            ran += 1
            check(case, results)
    assert bool(ran) is ((op, name) not in NO_CASE)


def draw(op, seed):
    """Return a random node with auto_pad, of sizes, strides and dilations that cases leave out."""
    rng = random.Random(f"{op} {seed}")
    ndim = rng.choice((1, 2, 2, 3))
    size, kernel_size, strides, dilations = (
        [rng.randint(1, top) for _ in range(ndim)] for top in (9 if ndim < 3 else 5, 4, 4, 3)
    )
    dilated = onnx_nodes.dilated_size(kernel_size, dilations)
    if op.endswith("Pool"):
        # A window of nothing but padding has no largest element and no average.
        size = [n + e - 1 for n, e in zip(size, dilated, strict=True)]
    attributes = {
        "auto_pad": rng.choice(("SAME_UPPER", "SAME_LOWER")),
        "kernel_shape": kernel_size,
        "strides": strides,
        "dilations": dilations,
    }
    numbers = np.random.default_rng(seed)
    x = numbers.integers(-9, 10, (2, 4, *size)).astype("float64")
    inputs = [x]
    if op in ("Conv", "ConvTranspose"):
        attributes["group"] = rng.choice((1, 2))
        channels = (6, 4 // attributes["group"]) if op == "Conv" else (4, 3)
        inputs.append(numbers.integers(-9, 10, (*channels, *kernel_size)).astype("float64"))
        outputs = 6 if op == "Conv" else 3 * attributes["group"]
        inputs.append(numbers.integers(-9, 10, outputs).astype("float64"))
    if op == "AveragePool":
        attributes["count_include_pad"] = rng.choice((0, 1))
    if op == "ConvTranspose" and rng.random() < 0.5:
        # Around the sizes that the strides give, as far as there may be output padding.
        attributes["output_shape"] = [
            min(max(n * s + rng.randint(-2, 2), 1), (n - 1) * s + e + max(s, d) - 1)
            for n, s, d, e in zip(size, strides, dilations, dilated, strict=True)
        ]
    return NodeCase(f"{op} {seed}", op, attributes, inputs, [])


def direct(case):
    """The node's first output by loops over every window and tap, padding by the specification."""
    x, *rest = case.inputs
    attributes, size = case.attributes, x.shape[2:]
    kernel_size = attributes["kernel_shape"]
    strides, dilations = attributes["strides"], attributes["dilations"]
    dilated = onnx_nodes.dilated_size(kernel_size, dilations)
    if case.op == "ConvTranspose":
        return transposed(case, x, *rest, onnx_nodes.transposed_padding(attributes, size, dilated))
    pairs = onnx_nodes.same_padding(case.auto_pad, size, dilated, strides)
    if case.op == "Conv":
        keywords = {"stride": strides, "dilation": dilations, "groups": attributes["group"]}
        return oracle.direct(x, *rest, padding=pairs, **keywords).astype(x.dtype)
    out = np.empty((*x.shape[:2], *(math.ceil(n / s) for n, s in zip(size, strides, strict=True))))
    for i in np.ndindex(*out.shape[2:]):
        taps = [
            [p * s + t * d - begin for t in range(k)]
            for p, s, d, k, (begin, _) in zip(
                i, strides, dilations, kernel_size, pairs, strict=True
            )
        ]
        inside = [[at for at in axis if 0 <= at < n] for axis, n in zip(taps, size, strict=True)]
        values = np.array([x[(..., *at)] for at in itertools.product(*inside)])
        if case.op == "MaxPool":
            out[(..., *i)] = values.max(axis=0, initial=-np.inf)
        else:
            count = math.prod(kernel_size) if attributes["count_include_pad"] else len(values)
            out[(..., *i)] = values.sum(axis=0) / count
    return out


def transposed(case, x, weight, bias, pairs):
    """Add every window's product where it lands, in an array with room on both sides."""
    attributes, size = case.attributes, x.shape[2:]
    strides, dilations = attributes["strides"], attributes["dilations"]
    groups, per_group = attributes["group"], weight.shape[1]
    wanted = attributes.get("output_shape", [n * s for n, s in zip(size, strides, strict=True)])
    out = np.zeros((x.shape[0], groups * per_group, *wanted))
    for i in np.ndindex(*size):
        for tap in np.ndindex(*weight.shape[2:]):
            at = [
                p * s + t * d - begin
                for p, s, t, d, (begin, _) in zip(i, strides, tap, dilations, pairs, strict=True)
            ]
            if not all(0 <= a < n for a, n in zip(at, wanted, strict=True)):
                continue
            given = x[(..., *i)].reshape(x.shape[0], groups, -1)
            kernel = weight[(..., *tap)].reshape(groups, -1, per_group)
            out[(..., *at)] += np.einsum("ngc,gco->ngo", given, kernel).reshape(x.shape[0], -1)
    return out + bias.reshape(-1, *[1] * len(size))


@pytest.mark.parametrize("op", ("Conv", "ConvTranspose", "MaxPool", "AveragePool"))
def test_auto_pad_over_every_argument(op):
    for seed in range(120):
        case = draw(op, seed)
        expected = direct(case)
        for named in (True, False):
            (result,) = onnx_nodes.RUN[op](case, named=named)
            np.testing.assert_allclose(
                result, expected, 1e-13, 1e-13, err_msg=f"{case.name} {case.attributes}"
            )
