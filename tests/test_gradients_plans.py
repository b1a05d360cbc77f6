"""Plans of gradients: printed by direction, called on arrays; and conv_grad, the three at once."""

import pickle
import re

import numpy as np
import pytest

import cases
import grad_cases
import npconv
import oracle
from npconv import conv, conv_grad, conv_input_grad, conv_weight_grad, plan

SHAPES = (2, 8, 20, 21), (6, 4, 3, 3)
GEOMETRY = {"padding": 1, "groups": 2, "stride": (2, 1)}


def arrays(dtype="float32", grad_dtype=None):
    """grad_out, x and weight of small integers for SHAPES."""
    rng = np.random.default_rng(0)
    x, weight = (oracle.small_integers(rng, shape, dtype) for shape in SHAPES)
    return oracle.small_integers(rng, (2, 6, 10, 21), grad_dtype or dtype), x, weight


@grad_cases.BOTH
def test_rows(direction):
    made = plan(*SHAPES, direction=direction, **GEOMETRY)
    assert isinstance(made, npconv.Plan)
    assert tuple(r.algorithm for r in made.rows) == npconv.algorithms()
    assert [r.algorithm for r in made.rows if r.chosen] == [made.algorithm]
    assert {row.algorithm for row in made.rows if row.why_not} == {
        "depthwise", "stencil", *cases.absent(),
    }  # fmt: skip
    able = [row for row in made.rows if not row.why_not]
    for row in able:
        assert row.seconds > 0
        assert row.workspace >= 0
        assert not row.measured
    assert made.problem.direction == direction
    assert made.workspace == next(r.workspace for r in made.rows if r.chosen)
    # Of estimates this near each other the leaner is taken.
    assert made.seconds <= 1.1 * min(r.seconds for r in able)


@pytest.mark.parametrize("direction", ["forward", *grad_cases.DIRECTIONS])
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_printed(direction, dtype):
    made = plan(*SHAPES, dtype, direction=direction, **GEOMETRY)
    lines = str(made).splitlines()
    call = {"forward": "conv"}.get(direction, f"conv_{direction}")
    assert re.match(rf"{call}: x \d.*, weight \d.*, out \d.*, .*(strict).*\(estimated\)", lines[0])
    for part in ("x 2x8x20x21", "weight 6x4x3x3", "out 2x6x10x21", "stride 2x1", "groups 2"):
        assert part in lines[0]
    assert str(made) == repr(made)
    names = [re.match(r"(?:->)?\s*(\w+)", line).group(1) for line in lines[2:]]
    assert tuple(names) == npconv.algorithms()
    marked = [name for name, line in zip(names, lines[2:], strict=True) if line.startswith("->")]
    assert marked == [made.algorithm]
    if dtype == "int16":
        fft = next(line for line in lines if re.match(r"\s+fft ", line))
        assert fft.endswith("integers are exact, and a transform rounds")


def test_directions_are_planned_apart():
    made = {d: plan(*SHAPES, direction=d, **GEOMETRY) for d in ("forward", *grad_cases.DIRECTIONS)}
    assert len({str(p) for p in made.values()}) == 3
    assert len(set(made.values())) == 3
    for direction, one in made.items():
        assert one == plan(*SHAPES, direction=direction, **GEOMETRY)
        again = pickle.loads(pickle.dumps(one))
        assert again == one
        assert again.problem.direction == direction


@grad_cases.BOTH
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "int8", "uint64"])
def test_a_call_equals_the_function(direction, dtype):
    x, weight = arrays(dtype)[1:]
    out_dtype = conv(x, weight, **GEOMETRY).dtype
    grad_out = arrays(dtype, out_dtype)[0]
    other, shape = grad_cases.operands(direction, x, weight)
    want = grad_cases.CALLS[direction](grad_out, other, shape, **GEOMETRY)
    for made in (
        plan(*SHAPES, dtype, direction=direction, **GEOMETRY),
        plan(x, weight, direction=direction, **GEOMETRY),
    ):
        grad = made(grad_out, other)
        assert grad.dtype == want.dtype
        np.testing.assert_array_equal(np.rint(grad), np.rint(want))
        room = np.zeros(shape, want.dtype)
        assert made(grad_out, other, out=room) is room
        np.testing.assert_array_equal(room, grad)


@grad_cases.BOTH
@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "CHW", "HW", "WNCH"])
def test_plans_know_their_layouts(direction, layout):
    rng = np.random.default_rng(1)
    sizes = {"N": 2, "C": 4, "H": 6, "W": 7}
    letters = "OIHW" if "C" in layout else "HW"
    x = oracle.small_integers(rng, [sizes[a] for a in layout], "float64")
    weight = oracle.small_integers(rng, (6, 4, 3, 2)[-len(letters) :], "float64")
    keywords = {"layout": layout, "weight_layout": letters, "stride": 2}
    grad_out = oracle.small_integers(rng, conv(x, weight, **keywords).shape, "float64")
    other, shape = grad_cases.operands(direction, x, weight)
    want = grad_cases.CALLS[direction](grad_out, other, shape, **keywords)
    for given in ((x, weight), (x.shape, weight.shape, "float64")):
        grad = plan(*given, direction=direction, **keywords)(grad_out, other)
        np.testing.assert_array_equal(np.rint(grad), np.rint(want))


@grad_cases.BOTH
@pytest.mark.parametrize("dtype", ["float32", "int8", "complex64", "float16"])
@pytest.mark.parametrize("given", ["shapes", "arrays"])
def test_measured(direction, dtype, given):
    rng = np.random.default_rng(2)
    shapes = (1, 2, 9, 8), (2, 2, 3, 3)
    x, weight = (oracle.small_integers(rng, s, dtype) for s in shapes)
    before = x.tobytes(), weight.tobytes()
    keywords = {"direction": direction, "effort": "measure", "padding": 1}
    made = plan(*(shapes if given == "shapes" else (x, weight)), dtype, **keywords)
    assert made.effort == "measure"
    assert "(measured)" in str(made).splitlines()[0]
    measured = [r for r in made.rows if r.measured]
    assert len(measured) > 1
    assert made.seconds == min(r.seconds for r in measured)
    assert (x.tobytes(), weight.tobytes()) == before
    grad_out = oracle.small_integers(rng, (1, 2, 9, 8), made.problem.operand_dtypes[0])
    other, shape = grad_cases.operands(direction, x, weight)
    want = grad_cases.CALLS[direction](grad_out, other, shape, padding=1)
    np.testing.assert_array_equal(np.rint(made(grad_out, other)), np.rint(want))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint64", "complex64", "bool"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "HWC", "HW", "CHW", "WNCH"])
def test_grads_are_the_two_and_the_bias(dtype, layout):
    rng = np.random.default_rng(7)
    sizes = {"N": 2, "C": 4, "H": 6, "W": 7}
    x = oracle.small_integers(rng, [sizes[a] for a in layout], dtype)
    letters = "OIHW" if "C" in layout else "HW"
    weight = oracle.small_integers(rng, (6, 4, 3, 2)[-len(letters) :], dtype)
    if "C" not in layout:
        weight = oracle.small_integers(rng, (3, 2), dtype)
    keywords = {"layout": layout, "weight_layout": letters, "stride": 2, "padding": 1}
    grad_out = oracle.small_integers(rng, conv(x, weight, **keywords).shape, dtype)
    grads = conv_grad(grad_out, x, weight, **keywords)
    assert type(grads) is npconv.ConvGrads
    assert grads._fields == ("x", "weight", "bias")
    np.testing.assert_array_equal(
        np.rint(grads.x), np.rint(conv_input_grad(grad_out, weight, x.shape, **keywords))
    )
    np.testing.assert_array_equal(
        np.rint(grads.weight), np.rint(conv_weight_grad(grad_out, x, weight.shape, **keywords))
    )
    other_axes = tuple(i for i, a in enumerate(layout) if a != "C")
    want = grad_out.astype(oracle.wide(grad_out)).sum(axis=other_axes).reshape(-1)
    assert grads.bias.shape == (6 if "C" in layout else 1,)
    assert {a.dtype for a in grads} == {grad_cases.result_dtype(grad_out)}
    np.testing.assert_array_equal(grads.bias, want)


def test_grads_of_mixed_dtypes():
    grad_out, x, weight = np.ones((1, 3, 4)), np.ones((1, 2, 5), "int8"), np.ones((3, 2, 2), "f4")
    assert [a.dtype.char for a in conv_grad(grad_out, x, weight)] == ["d", "d", "d"]
    grads = conv_grad(grad_out.astype("f2"), x, weight)
    assert [a.dtype.char for a in grads] == ["f", "e", "e"]


@pytest.mark.parametrize("name", npconv.algorithms())
def test_grads_by_the_algorithm_named(name):
    grad_out, x, weight = arrays("float64")
    if name in {"depthwise", "stencil", *cases.absent()}:
        return
    grads = conv_grad(grad_out, x, weight, algorithm=name, **GEOMETRY)
    np.testing.assert_array_equal(
        grads.x, conv_input_grad(grad_out, weight, x.shape, algorithm=name, **GEOMETRY)
    )
    np.testing.assert_array_equal(
        grads.weight, conv_weight_grad(grad_out, x, weight.shape, algorithm=name, **GEOMETRY)
    )


@pytest.mark.parametrize("layout", ["NCL", "NLC", "LCN"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_biass_gradient_is_accurate_over_a_million_terms(layout, dtype):
    rng = np.random.default_rng(8)
    shape = {"N": 4, "C": 3, "L": 250_000}
    grad_out = rng.uniform(0.01, 0.03, [shape[a] for a in layout]).astype(dtype)
    x = np.ones([{**shape, "C": 1}[a] for a in layout], dtype)
    weight = np.ones((3, 1, 1), dtype)
    grads = conv_grad(grad_out, x, weight, layout=layout, weight_layout="OIL")
    others = tuple(i for i, a in enumerate(layout) if a != "C")
    want = grad_out.sum(axis=others, dtype=float)
    assert grads.bias.dtype == dtype
    unit = 2.0**-11 if dtype == "float16" else 0
    np.testing.assert_allclose(grads.bias, want, rtol=unit + 1e-6)


def test_the_biass_gradient_in_half_precision_sums_beyond_its_range():
    grad_out = np.full((2, 1, 8), 60000, np.float16)
    grad_out[1] = -59968
    grads = conv_grad(grad_out, np.ones((2, 1, 8), np.float16), np.ones((1, 1, 1), np.float16))
    assert grads.bias.tolist() == [8 * 32.0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_biass_gradient_keeps_nan_and_inf(value):
    grad_out = np.ones((2, 3, 5), np.float32)
    grad_out[1, 2, 3] = value
    grads = conv_grad(grad_out, np.ones((2, 1, 5), np.float32), np.ones((3, 1, 1), np.float32))
    np.testing.assert_array_equal(grads.bias, [10, 10, value])


def test_a_training_step_makes_the_loss_fall():
    """The three gradients together, on real numbers: half the squared error of a layer."""
    rng = np.random.default_rng(9)
    x, weight = cases.real(rng, (4, 2, 8, 8), "float64"), cases.real(rng, (3, 2, 3, 3), "float64")
    bias, target = rng.standard_normal(3), cases.real(rng, (4, 3, 4, 4), "float64")
    keywords = {"stride": 2, "padding": 1, "padding_mode": "reflect"}
    error = conv(x, weight, bias, **keywords) - target
    grads = conv_grad(error, x, weight, **keywords)
    step = 1e-7
    moved = [a - step * g for a, g in zip((x, weight, bias), grads, strict=True)]
    after = conv(*moved, **keywords) - target
    fall = (np.square(error).sum() - np.square(after).sum()) / 2
    np.testing.assert_allclose(fall, step * sum(np.square(g).sum() for g in grads), rtol=1e-2)
