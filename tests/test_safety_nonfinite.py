"""NaN and Inf stand exactly where the direct sum has them, in every direction by real kernels."""

import random

import numpy as np
import pytest

import cases
import npconv
import random_calls

SPECIAL = (np.nan, np.inf, -np.inf)
GEOMETRIES = 3000 if cases.ALL else 40


def sprinkled(drawn, rng):
    """Operands of numbers from 1 to 4, one to three of them special, as float64."""
    values = {}
    draw = np.random.default_rng(drawn.seed)
    for name, array in random_calls.integers(drawn).items():
        values[name] = 1.0 + np.abs(array)
    for name in rng.choice((("x",), ("weight",), ("grad_out",), ("x", "weight", "grad_out"))):
        for _ in range(rng.randint(1, 3)):
            array = values[name]
            array.flat[draw.integers(array.size)] = rng.choice(SPECIAL)
    if drawn.bias and rng.random() < 0.1:
        values["bias"][draw.integers(len(values["bias"]))] = rng.choice(SPECIAL)
    return values


def check(drawn, values):
    """Hold every call of a geometry to the direct sum; return how many there were."""
    with np.errstate(all="ignore"):
        answers = random_calls.answers(drawn, values)
    arrays = random_calls.laid(drawn, values)
    made = 0
    for name in random_calls.COMPILED:
        for what, which, call in random_calls.calls(drawn, arrays, name):
            want = answers[which]
            out = random_calls.lay(np.full(want.shape, 77, drawn.dtype), drawn.orders[3])
            try:
                call(out)
            except npconv.UnsupportedError:
                continue
            made += 1
            cases.same_kinds(f"{what} by {name}: {drawn}", out, want)
            fine = np.isfinite(want)
            loose = {"float16": 2e-3, "float32": 1e-4, "float64": 1e-12}[drawn.dtype]
            most = np.abs(want[fine]).max(initial=1)
            error = np.abs(out[fine] - want[fine]).max(initial=0)
            assert error <= loose * most, (what, name, drawn, float(error / most))
    return made


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("tiny", [False, True])
def test_random_placements(seed, tiny):
    rng = random.Random(seed if not cases.ALL else None)
    made = 0
    for _ in range(GEOMETRIES // 4):
        drawn = random_calls.draw(rng)
        values = sprinkled(drawn, rng)
        if tiny:
            with cases.small_tiles(1 << rng.randint(8, 13)):
                made += check(drawn, values)
        else:
            made += check(drawn, values)
    assert made >= GEOMETRIES
