"""What the gradients' tests share: both directions by every algorithm, held to the oracle."""

import contextlib
import re

import numpy as np
import pytest

import cases
import npconv
import oracle
import oracle_grad
from npconv import arrays
from npconv import threads as pool

DIRECTIONS = ("input_grad", "weight_grad")
CALLS = {"input_grad": npconv.conv_input_grad, "weight_grad": npconv.conv_weight_grad}
BOTH = pytest.mark.parametrize("direction", DIRECTIONS)
SLOW = ("naive", "im2col_loop")


def result_dtype(*operands):
    """What design.md says comes out."""
    dtype = np.result_type(*(a.dtype for a in operands))
    small = dtype.kind in "bi" or (dtype.kind == "u" and dtype.itemsize < 8)
    return np.dtype(np.int64) if small else dtype.newbyteorder("=")


def each_grad(direction, grad_out, other, shape, *, skip=(), **keywords):
    """Yield (name, gradient) of every algorithm; one that cannot must say why."""
    ran = []
    for name in npconv.algorithms():
        if name in skip:
            continue
        try:
            grad = CALLS[direction](grad_out, other, shape, algorithm=name, **keywords)
        except npconv.UnsupportedError as error:
            assert re.match(rf"conv_{direction}: {name} cannot do this: .{{10,}}\.", str(error))
            assert "take one of" in str(error)
        else:
            ran.append(name)
            yield name, grad
    assert ran, "no algorithm ran"


def gradient(case, dtype="float64", other_dtype=None):
    """A Case's grad_out, x and weight, of small integers."""
    x, weight, _ = case.arrays(other_dtype or dtype)
    geometry = {k: v for k, v in case.geometry.items() if k not in ("groups", "padding_mode")}
    size = oracle_grad.out_size(case.x_shape[2:], case.weight_shape[2:], **geometry)
    rng = np.random.default_rng(case.seed + 1)
    shape = (case.x_shape[0], case.weight_shape[0], *size)
    return oracle.small_integers(rng, shape, dtype), x, weight


def operands(direction, x, weight):
    """What stands beside grad_out, and the shape of the gradient."""
    return (weight, x.shape) if direction == "input_grad" else (x, weight.shape)


def check_exact(grad_out, x, weight, *, skip=(), directions=DIRECTIONS, letters=None, **geometry):
    """Hold both gradients by every algorithm to the direct sums, number for number."""
    for direction in directions:
        other, shape = operands(direction, x, weight)
        want = oracle_grad.DIRECT[direction](grad_out, other, shape, **geometry)
        dtype = result_dtype(grad_out, other)
        found = each_grad(
            direction, grad_out, other, shape, skip=skip, **geometry, **(letters or {})
        )
        for name, grad in found:
            same_numbers(name, grad, want, dtype)


def same_numbers(name, grad, want, dtype):
    """cases.same_numbers, for sums that float16 rounds once."""
    if dtype == np.float16:
        assert grad.dtype == dtype, name
        loose = 1e-3 if name in cases.ROUNDS else 0
        want = want.astype(np.float16)
        np.testing.assert_allclose(grad, want, rtol=loose, atol=loose, err_msg=name)
    else:
        cases.same_numbers(name, grad, want, dtype)


def check_bound(grad_out, x, weight, *, skip=(), directions=DIRECTIONS, **geometry):
    """Hold both gradients by every algorithm to their rounding bounds, element by element."""
    for direction in directions:
        other, shape = operands(direction, x, weight)
        with np.errstate(all="ignore"):
            want = oracle_grad.DIRECT[direction](grad_out, other, shape, **geometry)
        clean = [np.where(np.isfinite(a), a, 0) for a in (grad_out, other)]
        fine = np.isfinite(want)
        for name, grad in each_grad(direction, grad_out, other, shape, skip=skip, **geometry):
            assert grad.dtype == grad_out.dtype, name
            rounds = name in cases.ROUNDS
            limit = oracle_grad.transform_allowed if rounds else oracle_grad.allowed
            unit = {"unit": cases.tile_unit(name, grad.dtype)} if rounds else {}
            allowed = limit(direction, *clean, shape, dtype=grad.dtype, **unit, **geometry)[fine]
            error = np.abs(grad[fine] - want[fine])
            worst = (direction, name, float((error / np.where(allowed, allowed, 1)).max(initial=0)))
            assert (error <= allowed).all(), worst
            cases.same_kinds(f"{direction} {name}", grad, want)


@contextlib.contextmanager
def seams(nbytes=256):
    """Small tiles, and work shared out however little there is."""
    with cases.small_tiles(nbytes), pytest.MonkeyPatch.context() as patch:
        for name in ("WORTH_SHARING", "WORTH_POOLING"):
            patch.setattr(arrays, name, 1)
        yield


@contextlib.contextmanager
def threads(number):
    """Let so many threads share the work, and plan anew for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NPCONV_NUM_THREADS", str(number))
        pool.num_threads.cache_clear()
        cases.forget_plans()
        try:
            yield
        finally:
            patch.undo()
            pool.num_threads.cache_clear()
            cases.forget_plans()
