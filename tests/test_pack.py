"""A plan packs a weight once, and takes the packed one any number of times."""

import re
from dataclasses import replace

import numpy as np
import pytest

import cases
import npconv
from npconv import ProblemError, plan, planner
from npconv.algorithms import ALGORITHMS

SHAPES = (2, 8, 9, 10), (6, 4, 3, 3)
GEOMETRY = {"padding": 1, "groups": 2}


def arrays(dtype="float32"):
    rng = np.random.default_rng(0)
    return cases.real(rng, SHAPES[0], dtype), cases.real(rng, SHAPES[1], dtype)


def plan_of(name, x, weight, **keywords):
    """A plan in which the algorithm named is the chosen one."""
    made = plan(x, weight, **GEOMETRY, **keywords)
    rows = tuple(row._replace(chosen=row.algorithm == name) for row in made.rows)
    return replace(made, rows=rows)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("name", npconv.algorithms())
def test_packed_gives_the_same_bits(name, dtype):
    x, weight = arrays(dtype)
    made = plan_of(name, x, weight)
    if next(row.why_not for row in made.rows if row.chosen):
        return
    packed = made.pack(weight)
    want = made(x, weight)
    kept = weight.copy()
    weight[...] = 0  # what was packed does not follow
    for _ in range(2):
        np.testing.assert_array_equal(made(x, packed), want)
    bias = np.arange(6, dtype=dtype)
    out = np.full_like(want, np.nan)
    assert made(x, packed, bias, out=out) is out
    np.testing.assert_array_equal(out, made(x, kept, bias))


@pytest.mark.parametrize("name", npconv.algorithms())
def test_nan_stays_where_it_is(name):
    x, weight = arrays()
    x[0, 0, 0, 0] = np.nan
    made = plan_of(name, x, weight)
    if next(row.why_not for row in made.rows if row.chosen):
        return
    np.testing.assert_array_equal(
        np.isnan(made(x, made.pack(weight))), np.isnan(npconv.conv(x, weight, **GEOMETRY))
    )


def test_any_layout():
    x, weight = arrays()
    name = "taps" if cases.absent() else "indirect"
    last = plan_of(name, x.transpose(0, 2, 3, 1), weight.transpose(2, 3, 1, 0), layout="NHWC")
    packed = last.pack(weight.transpose(2, 3, 1, 0))
    got = last(x.transpose(0, 2, 3, 1), packed).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(got, npconv.conv(x, weight, **GEOMETRY), rtol=1e-4, atol=1e-3)


def test_mistakes():
    x, weight = arrays()
    made = plan(x, weight, **GEOMETRY)
    with pytest.raises(ProblemError, match=r"^plan\.pack: the plan was made for other arrays"):
        made.pack(weight[:, :, :2])
    with pytest.raises(ProblemError, match=r"^plan\.pack: the plan was made for other arrays"):
        made.pack(weight.astype("float64"))
    other = plan(x, weight, padding=0, groups=2)
    with pytest.raises(ProblemError, match=r"^plan: the weight was packed for x 2x8x9x10"):
        made(x, other.pack(weight))
    back = plan(x, weight, direction="input_grad", **GEOMETRY)
    with pytest.raises(ProblemError, match=r"^plan\.pack: a plan of the input_grad packs no"):
        back.pack(weight)
    with pytest.raises(ProblemError, match=r"^plan: a plan of the weight_grad packs no weight"):
        plan(x, weight, direction="weight_grad", packed=True, **GEOMETRY)
    assert re.match(r"PackedWeight\(\(6, 4, 3, 3\), float32, \w+\)", repr(made.pack(weight)))


def test_packing_counts_nothing_where_weights_come_packed():
    given = (1, 32, 9, 9), (256, 32, 3, 3)
    each, once = (plan(*given, padding=1, packed=packed) for packed in (False, True))
    assert (each.packed, once.packed) == (False, True)
    assert str(once).splitlines()[0].endswith("(estimated, weight packed)")
    for before, after in zip(each.rows, once.rows, strict=True):
        if before.why_not:
            assert before == after
        elif before.algorithm in ("indirect", "winograd") and not cases.absent():
            assert after.seconds < before.seconds
        else:
            assert after.seconds == before.seconds
        assert after.workspace == before.workspace


def test_measured_with_packed_weights(monkeypatch):
    x, weight = arrays()
    ran = []
    run = planner.Plan.run

    def spy(self, *operands, packed=None):
        ran.append((self.algorithm, packed is not None))
        run(self, *operands, packed=packed)

    with monkeypatch.context() as patch:
        patch.setattr(planner.Plan, "run", spy)
        made = plan(x, weight, effort="measure", packed=True, **GEOMETRY)
    packs = {name for name in npconv.algorithms() if hasattr(ALGORITHMS[name], "pack_weight")}
    assert ran
    assert all(packed is (name in packs) for name, packed in ran)
    assert (made.effort, made.packed) == ("measure", True)
    assert plan(x, weight, packed=True, **GEOMETRY).effort == "remember"
    assert plan(x, weight, **GEOMETRY).effort == "estimate"
    np.testing.assert_array_equal(made(x, made.pack(weight)), made(x, weight))


def test_nothing_to_convolve():
    x, weight = np.ones((0, 8, 9, 10), "float32"), np.ones(SHAPES[1], "float32")
    made = plan(x, weight, **GEOMETRY)
    assert made(x, made.pack(weight)).shape == (0, 6, 9, 10)
