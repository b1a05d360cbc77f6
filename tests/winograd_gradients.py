"""Problems of Winograd's weight gradient, ways to cut them, and the oracle's answers."""

import contextlib

import numpy as np
import pytest

import oracle
import oracle_grad
from npconv import arrays
from npconv.algorithms import winograd
from npconv.algorithms.winograd import gradient_cut
from winograd_layers import problem as forward_problem

# Bytes of (a block of tiles, all the tiles, sums over shares), and multiply-adds of a part.
CUTS = {
    "whole": (1 << 20, 1 << 40, 1 << 20, 1 << 40),
    "whole, shared out": (1 << 20, 1 << 40, 1 << 20, 64),
    "one part": (1 << 20, 0, 0, 1 << 40),
    "shares of tiles": (1, 0, 1 << 40, 64),
    "shares of channels": (1 << 16, 0, 0, 64),
}


@contextlib.contextmanager
def cut_as(name):
    """Cut every problem up in one of the ways of CUTS."""
    limits = zip(
        (gradient_cut, gradient_cut, gradient_cut, arrays),
        ("_WORKSPACE", "_SHARED", "_PARTIAL", "WORTH_SHARING"),
        CUTS[name],
        strict=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        for owner, limit, value in limits:
            patch.setattr(owner, limit, value)
        gradient_cut._cut.cache_clear()  # or what depended on the number of threads would stay
        yield


def problem(*shapes, **keywords):
    """A weight gradient's problem of canonical shapes."""
    return forward_problem(*shapes, direction="weight_grad", **keywords)


def run(made, grad_out, x):
    """The gradient, without the planner."""
    assert winograd.why_not(made) == ""
    out = np.full(made.weight_shape, np.nan, made.compute_dtype)
    winograd.weight_grad(made, grad_out, x, out)
    return out


def want(made, grad_out, x):
    """The oracle's answer, in canonical order."""
    geometry = {
        name: getattr(made, name)
        for name in ("stride", "padding", "dilation", "groups", "padding_mode")
    }
    *taps, channels, outputs = made.weight_shape
    turned = np.moveaxis(grad_out, -1, 1), np.moveaxis(x, -1, 1)
    grad = oracle_grad.weight_grad(*turned, (outputs, channels, *taps), **geometry)
    return np.moveaxis(grad, (0, 1), (-1, -2))


def numbers(made, seed, make=np.random.Generator.standard_normal):
    """Random grad_out and x."""
    rng = np.random.default_rng(seed)
    return [make(rng, shape).astype(made.compute_dtype) for shape in made.operand_shapes]


def whole_numbers(made, seed):
    """The same, of small integers: m = 2 of three taps is exact for them."""
    return numbers(made, seed, lambda rng, shape: oracle.small_integers(rng, shape, "float64"))


def laid(array, order):
    """The same values, channels first in memory, or every axis backwards."""
    if order == "first":
        return np.moveaxis(np.moveaxis(array, -1, 1).copy(), 1, -1)
    return np.flip(np.flip(array).copy()) if order == "reversed" else array
