"""Plans: a row for every algorithm, limits that steer, and calls that equal conv."""

import re

import numpy as np
import pytest

import cases
import npconv
import oracle
from npconv import Plan, conv, plan

SHAPES = (2, 8, 20, 21), (6, 8, 3, 3)


def arrays(dtype="float32", bias_dtype=None):
    """x, weight and bias for SHAPES."""
    rng = np.random.default_rng(0)
    x, weight = (oracle.small_integers(rng, shape, dtype) for shape in SHAPES)
    return x, weight, oracle.small_integers(rng, (6,), bias_dtype or dtype)


def row(made, name):
    """The plan's row for an algorithm."""
    return next(r for r in made.rows if r.algorithm == name)


def test_rows():
    made = plan(*SHAPES, padding=1)
    assert isinstance(made, Plan)
    assert tuple(r.algorithm for r in made.rows) == npconv.algorithms()
    assert [r.algorithm for r in made.rows if r.chosen] == [made.algorithm]
    able = [r for r in made.rows if r.algorithm not in {*cases.absent(), "depthwise", "stencil"}]
    for r in able:
        assert r.why_not == ""
        assert r.seconds > 0
        assert r.workspace >= 0
        assert not r.measured
    assert made.seconds == min(r.seconds for r in able)
    assert made.workspace == row(made, made.algorithm).workspace
    assert made.effort == "estimate"
    assert made.problem.out_size == (20, 21)
    assert made.problem.macs == 2 * 20 * 21 * 6 * 8 * 9


@pytest.mark.parametrize(
    ("shapes", "dtype", "refused"),
    [
        (SHAPES, "float32", ()),
        (SHAPES, "int16", ("small", "indirect", "winograd", "fft")),
        (SHAPES, "longdouble", ("small", "indirect", "winograd", "fft")),
        (((1, 4, 9), (2, 4, 1)), "float64", ("toeplitz", "winograd", "fft")),
        (((0, 4, 9), (2, 4, 3)), "float64", ()),
    ],
)
def test_printed(shapes, dtype, refused):
    made = plan(*shapes, dtype)
    lines = str(made).splitlines()
    assert re.match(r"conv: x \d.*, weight \d.*, out \d.*, .*(strict).*\(estimated\)", lines[0])
    assert str(made) == repr(made)
    table = {}
    for line in lines[2:]:
        name = re.match(r"(?:->)?\s*(\w+)", line).group(1)
        table[name] = line
    assert tuple(table) == npconv.algorithms()
    for name, line in table.items():
        assert line.startswith("->") == (name == made.algorithm)
        reason = row(made, name).why_not
        assert bool(reason) == (
            name in (*refused, "depthwise", "stencil") or name in cases.absent()
        )
        assert len(reason) > 10 or not reason
        assert line.endswith(reason)
        if not reason:
            assert re.search(r"\d(\.\d+)?(e[-+]\d+)? (s|ms|us) +.*B$", line), line


def test_the_description_names_the_geometry():
    text = str(plan(
        (1, 4, 20, 20), (4, 2, 3, 3), stride=(1, 2), padding=((1, 2), (0, 1)), dilation=2,
        groups=2, padding_mode="edge", precision="fast",
    )).splitlines()[0]  # fmt: skip
    for part in (
        "x 1x4x20x20", "weight 4x2x3x3", "out 1x4x19x9", "stride 1x2", "dilation 2x2",
        "padding 1+2, 0+1 edge", "groups 2", "float32", "fast",
    ):  # fmt: skip
        assert part in text, part


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "int8", "uint64"])
def test_a_call_equals_conv(dtype):
    x, weight, bias = arrays(dtype)
    for made in (plan(*SHAPES, dtype, padding=1), plan(x, weight, padding=1)):
        out = made(x, weight, bias)
        np.testing.assert_array_equal(np.rint(out), np.rint(conv(x, weight, bias, padding=1)))
        assert out.dtype == conv(x, weight, bias, padding=1).dtype
        np.testing.assert_array_equal(made(x, weight), conv(x, weight, padding=1))


def test_a_call_takes_lists_and_any_memory_order():
    made = plan((1, 1, 4), (1, 1, 2), "float64")
    assert made([[[1.0, 2, 3, 4]]], [[[1.0, -1]]]).tolist() == [[[-1, -1, -1]]]
    x, weight, _ = arrays()
    made = plan(*SHAPES)
    turned = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    np.testing.assert_array_equal(made(turned, weight), conv(x, weight))
    np.testing.assert_array_equal(made(x[:, ::-1], weight), conv(x[:, ::-1], weight))


def test_a_plan_from_arrays_knows_their_dtypes_and_order():
    x, weight, _ = arrays("float64")
    made = plan(x, weight)
    assert made.problem.dtype == np.float64
    assert not made.problem.channels_last
    assert plan(np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1), weight).problem.channels_last
    assert plan(x, SHAPES[1], "float32").problem.weight_dtype == np.float32


@pytest.mark.parametrize(
    ("x", "weight"),
    [
        (np.ones((2, 8, 20, 22), np.float32), np.ones(SHAPES[1], np.float32)),
        (np.ones((3, 8, 20, 21), np.float32), np.ones(SHAPES[1], np.float32)),
        (np.ones(SHAPES[0], np.float32), np.ones((6, 8, 3, 2), np.float32)),
        (np.ones(SHAPES[0]), np.ones(SHAPES[1], np.float32)),
        (np.ones(SHAPES[0], np.float32), np.ones(SHAPES[1], np.int8)),
    ],
)
def test_a_plan_refuses_other_arrays(x, weight):
    with pytest.raises(npconv.ProblemError, match=r"^plan: the plan was made for other arrays"):
        plan(*SHAPES)(x, weight)
    with pytest.raises(npconv.ProblemError, match=r"layout NCHW|names 4 axes, x has 3"):
        plan(*SHAPES)(x[0], weight)


@pytest.mark.parametrize(("dtype", "bias_dtype"), [("float32", "complex64"), ("int32", "float32")])
def test_a_plan_refuses_a_bias_that_its_result_cannot_hold(dtype, bias_dtype):
    x, weight, bias = arrays(dtype, bias_dtype)
    with pytest.raises(npconv.ProblemError, match=rf"^plan: bias has dtype {bias_dtype}, "):
        plan(*SHAPES, dtype)(x, weight, bias)
    assert conv(x, weight, bias).dtype == np.result_type(x, bias)


def test_memory_limit_steers():
    free = plan(*SHAPES, padding=1)
    able = [r.algorithm for r in free.rows if not r.why_not]
    needs = sorted({row(free, name).workspace for name in able})
    for limit in needs:
        made = plan(*SHAPES, padding=1, memory_limit=limit)
        assert made.workspace <= limit
        for r in (row(made, name) for name in able):
            assert (r.why_not == "") == (r.workspace <= limit)
            if r.why_not:
                assert re.match(r"needs .*B of workspace, memory_limit is .*B", r.why_not)
        x, weight, bias = arrays()
        np.testing.assert_array_equal(
            np.rint(made(x, weight, bias)), conv(x, weight, bias, padding=1)
        )
    assert made.algorithm == free.algorithm
    with pytest.raises(MemoryError, match=r"^plan: the leanest algorithm, \w+, needs .*B of works"):
        plan(*SHAPES, padding=1, memory_limit=needs[0] - 1)


def test_what_fits_in_no_memory_says_how_much_it_needs():
    with pytest.raises(MemoryError, match=r"^conv: the leanest .* needs .*iB, this machine has"):
        conv(np.ones((1, 1, 4)), np.ones((1, 1, 2)), padding=2**45)
    with pytest.raises(MemoryError, match=r"^plan: .*the result alone takes .*iB"):
        plan((1, 1, 2**50), (1, 1, 2))
    with pytest.raises(MemoryError, match=r"^conv: taps needs .*iB, this machine has"):
        conv(np.ones((1, 1, 4)), np.ones((1, 1, 2)), padding=2**45, algorithm="taps")


@pytest.mark.parametrize("given", ["shapes", "arrays"])
@pytest.mark.parametrize("dtype", ["float32", "int8", "bool", "complex64", "float16"])
def test_measured(given, dtype):
    shapes = (1, 2, 9, 8), (2, 2, 3, 3)
    x, weight = (np.ones(shape, dtype) for shape in shapes)
    before = x.tobytes(), weight.tobytes()
    given = shapes if given == "shapes" else (x, weight)
    made = plan(*given, dtype, effort="measure", padding=1)
    assert made.effort == "measure"
    assert "(measured)" in str(made).splitlines()[0]
    measured = [r for r in made.rows if r.measured]
    assert row(made, made.algorithm) in measured
    assert row(made, made.algorithm).seconds == min(r.seconds for r in measured)
    assert (x.tobytes(), weight.tobytes()) == before
    np.testing.assert_array_equal(np.rint(made(x, weight)), np.rint(conv(x, weight, padding=1)))


def test_measuring_stays_within_the_memory_limit():
    limit = sorted(r.workspace for r in plan(*SHAPES, padding=1).rows if not r.why_not)[2]
    made = plan(*SHAPES, padding=1, effort="measure", memory_limit=limit)
    assert made.workspace <= limit
    assert all(r.workspace <= limit for r in made.rows if r.measured)


def test_plans_are_values():
    import pickle

    made = plan(*SHAPES, padding=1)
    assert plan(*SHAPES, padding=1) == made
    assert plan(*SHAPES, padding="same") == made
    assert plan(*SHAPES, padding=0) != made
    again = pickle.loads(pickle.dumps(made))
    assert again == made
    x, weight, bias = arrays()
    np.testing.assert_array_equal(again(x, weight, bias), made(x, weight, bias))


def test_fast_offers_a_transform_in_single_precision():
    strict = plan((1, 1, 600, 600), (1, 1, 41, 41))
    fast = plan((1, 1, 600, 600), (1, 1, 41, 41), precision="fast")
    assert row(fast, "fft").workspace < row(strict, "fft").workspace
    assert row(fast, "fft").seconds < row(strict, "fft").seconds
    if "winograd" in cases.absent():
        return
    strict, fast = (plan((1, 64, 56, 56), (64, 64, 3, 3), precision=p) for p in ("strict", "fast"))
    assert row(fast, "winograd").seconds < row(strict, "winograd").seconds


def test_a_reflecting_page_of_algorithms():
    names = npconv.algorithms()
    assert len(set(names)) == len(names) >= 7
    assert {"naive", "taps", "im2col_loop", "im2col_index", "im2col_view", "im2col_tiled"} <= {
        *names
    }
