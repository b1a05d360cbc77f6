"""Direct convolution's own ways: endings, streams, merged taps, planes, phases as channels."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import npconv
import oracle
from npconv import adjoints, arrays, compiler, directions, templates
from npconv.algorithms import ALGORITHMS
from npconv.algorithms.contract import Ending
from npconv.problem import best_span, merge_phases

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")
INDIRECT = ALGORITHMS["indirect"]


def problem_of(x_shape, weight_shape, last, direction="forward", dtype="float32", **geometry):
    """The problem of canonical NC + spatial shapes, with arrays that lie one way or the other."""
    order = (0, *range(2, len(x_shape)), 1)
    axes = "ABDEF"[: len(x_shape) - 2]
    layout = {"layout": "NC" + axes, "weight_layout": "OI" + axes}
    if last:
        x_shape = tuple(x_shape[a] for a in order)
        weight_shape = (*weight_shape[2:], weight_shape[1], weight_shape[0])
        layout = {"layout": f"N{axes}C", "weight_layout": axes + "IO"}
    made = npconv.plan(x_shape, weight_shape, dtype, direction=direction, **layout, **geometry)
    return made.problem


def canonical(array, last):
    """An array (N, C, *size) as a canonical view of memory that lies channels last, or first."""
    view = np.moveaxis(array, 1, -1)
    return np.ascontiguousarray(view) if last else view


def canonical_weight(array):
    return array.transpose(*range(2, array.ndim), 1, 0)


def run(case, last, bias, limits, dtype="float32", packs=False):
    """What the algorithm writes, (N, C, *size), with its ending."""
    x, weight, added = case.arrays(dtype, bias=bias)
    problem = problem_of(x.shape, weight.shape, last, dtype=dtype, **case.geometry)
    want = oracle.direct(x, weight, added, **case.geometry)
    out = canonical(np.full(want.shape, np.nan, dtype), last)
    operand, ending = canonical_weight(weight), Ending(added, *limits)
    if packs:
        packed = INDIRECT.pack_weight(problem, operand)
        INDIRECT.forward_packed(problem, canonical(x, last), packed, out, ending)
    else:
        INDIRECT.forward(problem, canonical(x, last), operand, out, ending)
    return np.moveaxis(out, -1, 1), np.clip(want, *limits)


@cases.examples(60, 4000)
@given(
    cases.problems(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(-np.inf, np.inf), (0, np.inf), (-3, 5), (-np.inf, -1)]),
)
def test_endings(case, last, bias, tiny, limits):
    with cases.small_tiles() if tiny else contextlib.nullcontext():
        for packs in (False, True):
            got, want = run(case, last, bias, limits, packs=packs)
            np.testing.assert_array_equal(got, want)


SHAPES = {
    "first layer": ((2, 3, 15, 17), (40, 3, 7, 7), {"stride": 2, "padding": 3}),
    "few outputs": ((2, 20, 9, 8), (11, 20, 3, 3), {"padding": 1}),
    "one channel": ((1, 1, 12, 31), (33, 1, 5, 4), {"padding": 2, "padding_mode": "reflect"}),
    "wide strides": ((1, 3, 30, 31), (48, 3, 11, 11), {"stride": 4}),
    "groups of few": ((2, 6, 9, 9), (34, 3, 3, 3), {"padding": 1, "groups": 2}),
    "one tap": ((2, 37, 7, 9), (41, 37, 1, 1), {}),
    "one tap, groups": ((3, 6, 5, 13), (28, 3, 1, 1), {"groups": 2}),
    "one tap, cropped": ((2, 7, 8, 9), (19, 7, 1, 1), {"padding": -1}),
    "one tap, strided": ((2, 7, 8, 9), (19, 7, 1, 1), {"stride": 2}),
    "one dimension": ((2, 5, 70), (17, 5, 1), {}),
    "three": ((1, 2, 6, 7, 8), (35, 2, 3, 2, 3), {"padding": 1, "padding_mode": "wrap"}),
    "holes": ((1, 3, 20, 21), (20, 3, 3, 3), {"dilation": 2, "padding": 2}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHAPES)
def test_shapes_with_a_way_of_their_own(name, dtype):
    x_shape, weight_shape, geometry = SHAPES[name]
    d = len(x_shape) - 2
    geometry = {"padding": 0, "stride": 1, "dilation": 1, **geometry}
    pads = oracle.pairs(geometry["padding"], d)
    case = cases.Case(x_shape, weight_shape, {**geometry, "padding": pads}, 5)
    for last in (False, True):
        got, want = run(case, last, True, (-20, 30), dtype)
        np.testing.assert_array_equal(got, want)
        with cases.small_tiles():
            got, want = run(case, last, True, (-20, 30), dtype)
        np.testing.assert_array_equal(got, want)
        gradients(case, last, dtype)


def gradients(case, last, dtype):
    """Hold both gradients to those of another algorithm, exactly."""
    x, weight, _ = case.arrays(dtype)
    grad = oracle.direct(x, weight, **case.geometry).astype(dtype) % 5
    for direction, other, like in (("input_grad", weight, x), ("weight_grad", x, weight)):
        problem = problem_of(x.shape, weight.shape, last, direction, dtype, **case.geometry)
        turn = canonical_weight if other is weight else lambda a: canonical(a, last)
        found = []
        for name in ("indirect", "taps"):
            out = (canonical_weight if like is weight else np.array)(np.full_like(like, np.nan))
            out = out if like is weight else canonical(out, last)
            directions.run(problem, name, (canonical(grad, last), turn(other)), out)
            found.append(out)
        np.testing.assert_array_equal(*found, err_msg=direction)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", ["one tap", "few outputs", "first layer"])
def test_nan_and_infinities_are_ended_as_numbers_are(name, last):
    x_shape, weight_shape, geometry = SHAPES[name]
    rng = np.random.default_rng(3)
    x, weight = (oracle.small_integers(rng, s, "float32") for s in (x_shape, weight_shape))
    x[0, 0, 0, 0], x[0, 1, 3, 3], x[0, 2, 5, 5] = np.nan, np.inf, -np.inf
    bias = oracle.small_integers(rng, weight_shape[0], "float32")
    with np.errstate(invalid="ignore"):
        want = np.clip(oracle.direct(x, weight, bias, **geometry), 0, 6)
    assert np.isnan(want).any()
    problem = problem_of(x_shape, weight_shape, last, **geometry)
    out = canonical(np.zeros(want.shape, "float32"), last)
    INDIRECT.forward(
        problem, canonical(x, last), canonical_weight(weight), out, Ending(bias, 0.0, 6.0)
    )
    np.testing.assert_array_equal(np.moveaxis(out, -1, 1), want)


@pytest.mark.parametrize("off", [0, 1])
@pytest.mark.parametrize(
    ("groups", "outputs"), [(1, 32), (1, 64), (1, 80), (1, 41), (2, 64), (2, 80)]
)
def test_what_is_streamed_is_what_is_stored(groups, outputs, off, monkeypatch):
    told, share = [], templates.share

    def heard(work, record, *counts):
        told.append(record[Call._fields.index("streams")])
        share(work, record, *counts)

    from npconv.kernels.direct_layer import Call

    monkeypatch.setattr(templates, "share", heard)
    rng = np.random.default_rng(outputs)
    x = oracle.small_integers(rng, (2, 9, 11, 20), "float32")
    weight = oracle.small_integers(rng, (1, 1, 20 // groups, outputs), "float32")
    made = npconv.plan(x, weight, layout="NHWC", groups=groups)
    buffer = np.full(2 * 9 * 11 * outputs + 65, -77, "float32")
    first = -buffer.ctypes.data // 4 % 16 + off
    out = buffer[first : first + 2 * 9 * 11 * outputs].reshape(2, 9, 11, outputs)
    with cases.small_tiles():
        aligned = off == 0 and outputs // groups % 16 == 0
        INDIRECT.forward(made.problem, x, weight, out)
    assert told[-1] == aligned
    want = oracle.direct(np.moveaxis(x, -1, 1), weight.transpose(3, 2, 0, 1), groups=groups)
    np.testing.assert_array_equal(np.moveaxis(out, -1, 1), want)
    assert (buffer[:first] == -77).all()
    assert (buffer[first + out.size :] == -77).all()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_the_same_bits_on_one_thread_and_on_three(name, last):
    x_shape, weight_shape, geometry = SHAPES[name]
    rng = np.random.default_rng(0)
    x, weight = (cases.real(rng, s, "float32") for s in (x_shape, weight_shape))
    found = []
    try:
        for threads in (1, 3):
            npconv.set_num_threads(threads)
            with cases.small_tiles():
                out = bits(x, weight, last, geometry)
            found.append(out)
    finally:
        npconv.set_num_threads(None)
    for one, three in zip(*found, strict=True):
        np.testing.assert_array_equal(one, three)


def bits(x, weight, last, geometry):
    """All three directions."""
    operands = {"x": canonical(x, last), "weight": canonical_weight(weight)}
    problem = problem_of(x.shape, weight.shape, last, **geometry)
    grad = canonical(cases.real(np.random.default_rng(1), (*x.shape,), "float32"), last)
    grad = np.resize(grad, problem.out_shape).astype("float32")
    found = []
    for direction, first, second in (
        ("forward", operands["x"], operands["weight"]),
        ("input_grad", grad, operands["weight"]),
        ("weight_grad", grad, operands["x"]),
    ):
        asked = problem_of(x.shape, weight.shape, last, direction, **geometry)
        out = np.empty(asked.result_shape, "float32")
        directions.run(asked, "indirect", (first, second), out)
        found.append(out)
    return found


@cases.examples(60, 3000)
@given(cases.problems(), st.lists(st.integers(1, 3), min_size=3, max_size=3))
def test_phases_merge_for_any_span(case, times):
    """An input gradient as one convolution is the gradient, whatever is taken together."""
    x_shape, weight_shape = case.x_shape, (case.weight_shape[0], case.x_shape[1])
    weight_shape += case.weight_shape[2:]
    geometry = {**case.geometry, "groups": 1}
    problem = problem_of(x_shape, weight_shape, True, "input_grad", "float64", **geometry)
    rng = np.random.default_rng(case.seed)
    grad = oracle.small_integers(rng, problem.out_shape, "float64")
    weight = oracle.small_integers(rng, problem.weight_shape, "float64")
    span = tuple(s * n for s, n in zip(problem.stride, times, strict=False))
    merged = merge_phases(problem, span)
    result = np.full(merged.problem.out_shape, np.nan)
    kernel = adjoints.merged_weight(merged, weight)
    ALGORITHMS["taps"].forward(merged.problem, grad, kernel, result)
    sizes = problem.size
    if directions.spans_padding(problem):
        sizes = problem.padded_size
    out = np.full((problem.batch, *sizes, problem.in_channels), np.nan)
    adjoints.spread_channels(merged, result, out)
    if directions.spans_padding(problem):
        whole, out = out, np.full(problem.x_shape, np.nan)
        adjoints.unpad(problem, whole, out)
    want = np.full(problem.x_shape, np.nan)
    directions.run(problem, "taps", (grad, weight), want)
    np.testing.assert_array_equal(out, want)


def test_few_channels_are_merged_and_many_are_not():
    made = {"stride": 2, "padding": 3}
    few = problem_of((8, 3, 224, 224), (64, 3, 7, 7), True, "input_grad", **made)
    assert best_span(few, 16) == (2, 2)
    one = problem_of((1, 1, 64, 64), (8, 1, 3, 3), True, "input_grad", padding=1)
    assert min(best_span(one, 16)) > 1
    many = problem_of((8, 64, 56, 56), (64, 64, 3, 3), True, "input_grad", padding=1)
    assert best_span(many, 16) is None
    assert best_span(few, 0) is None


@pytest.mark.parametrize("outputs", [1, 16, 45])
@pytest.mark.parametrize("panel", [1, 4096])
def test_shares_of_pixels_have_sums_of_their_own(monkeypatch, outputs, panel):
    from npconv.algorithms.indirect import weights

    monkeypatch.setattr(arrays, "WORTH_SHARING", 64)
    monkeypatch.setattr(weights, "_PANEL_NBYTES", panel)
    shapes = (3, 4, 11, 9), (outputs, 4, 3, 2)
    problem = problem_of(*shapes, True, "weight_grad", padding=1)
    cut = weights._cut(problem, 32, 13, weights._limits())
    assert cut.gathers
    assert cut.sums > 2
    geometry = {"stride": 1, "padding": ((1, 1), (1, 1)), "dilation": 1}
    case = cases.Case(*shapes, {**geometry, "groups": 1, "padding_mode": "zeros"}, 2)
    for last in (False, True):
        gradients(case, last, "float32")
