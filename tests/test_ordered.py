"""Sums whose terms are added in order: bit for bit those of a plain loop, compiled or not."""

import numpy as np
import pytest

import grad_cases
from npconv import compiler, ordered
from npconv.ordered import Term, sums_in_order


def by_loop(extended, shape, terms, sign):
    """One sum after another, in Python's floats."""
    out = np.empty(shape)
    for place in np.ndindex(shape):
        total = 0.0
        for n, (tap, partner, weight) in enumerate(terms):
            one, other = (
                float(extended[tuple(i + t for i, t in zip(place, at, strict=True))])
                for at in (tap, partner)
            )
            if sign and n:
                one = one + other if sign > 0 else one - other
            total += one * weight
        out[place] = total
    return out


CASES = [
    ((7, 40), (3, 5), "uint8"), ((300,), (9,), "float64"), ((4, 5, 6), (2, 1, 3), "int16"),
    ((30, 1), (4, 1), ">f4"), ((1, 1), (1, 1), "bool"),
]  # fmt: skip


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("block", [64, 1 << 16])
@pytest.mark.parametrize("sign", [0, 1, -1])
@pytest.mark.parametrize(("shape", "window", "dtype"), CASES)
def test_the_order_of_a_loop(shape, window, dtype, sign, block, kernels, monkeypatch):
    if kernels and not compiler.usable():
        pytest.skip("Numba is not installed")
    rng = np.random.default_rng(1)
    reach = [n + k - 1 for n, k in zip(shape, window, strict=True)]
    extended = (rng.standard_normal(reach) * 50).astype(dtype)[..., ::-1]
    taps = list(np.ndindex(window))
    rng.shuffle(taps)
    terms = [Term(tap, rng.permutation(taps)[0], rng.standard_normal()) for tap in taps]
    monkeypatch.setattr(ordered, "_BLOCK", block)
    monkeypatch.setattr(compiler, "ready", lambda name: kernels)
    asked = ordered._compiled if kernels else ordered._plain
    got = np.full(shape, np.nan)
    with grad_cases.threads(2):
        sums_in_order(extended, shape, terms, sign, got.__setitem__)
    np.testing.assert_array_equal(got, by_loop(extended, shape, terms, sign))
    piece = extended.astype(np.float64, order="C")
    np.testing.assert_array_equal(asked(piece, shape, terms, sign), got)
