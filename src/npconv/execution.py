"""A planned problem carried out: by its algorithm, directly where that spread a NaN, and ended."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from npconv import directions
from npconv.algorithms.contract import NOTHING, Bound, Ending
from npconv.dtypes import exact_float, largest, largest_of
from npconv.memory import address
from npconv.problem import ConvProblem
from npconv.threads import serial_blas


def run(
    problem: ConvProblem,
    names: tuple[str, str],
    operands: tuple[np.ndarray, np.ndarray],
    out: np.ndarray,
    ending: Ending = NOTHING,
    packed: Any = None,
) -> None:
    """Write the result of two canonical operands to out, a canonical view.

    names: the algorithm, and the one that keeps a NaN where it is.  packed: the second operand as
    the algorithm has packed it.  ending's bias is (O,) or one number, of any dtype.
    """
    if out.size == 0:
        return
    with np.errstate(all="ignore"), serial_blas():
        half = problem.dtype != problem.compute_dtype and problem.dtype.kind == "f"
        target = np.empty_like(out, problem.compute_dtype) if half else out
        if any(array.size == 0 for array in operands):
            target[...] = 0
            _end(target, ending)
        else:
            working = _as_given(problem, *operands)
            if not _compute(working, names[0], operands, target, ending, packed):
                _compute(working, names[1], operands, target, ending)
        if half:
            out[...] = target


class Quick:
    """`run` once more, for arrays of the compute dtype and none of them empty: looked up once."""

    __slots__ = ("bound", "ends", "looks", "name", "problem", "quiet", "spreads", "strides")

    def __init__(self, problem: ConvProblem, name: str) -> None:
        self.problem, self.name = problem, name
        self.ends = directions.ends(problem, name)
        self.spreads = directions.spreads(problem, name)
        self.quiet = directions.quiet(problem, name)
        # Where only zeros times weight spread a NaN or Inf, to look at weight is as good.
        self.looks = "out"
        if problem.direction == "input_grad" and directions.weight_tells(problem, name):
            few = math.prod(problem.weight_shape) < math.prod(problem.x_shape)
            self.looks = "weight" if few else "out"
        self.bound: Bound | None = None
        self.strides: tuple[int, ...] | None = None  # of the out that `bound` writes

    def run(
        self,
        operands: tuple[np.ndarray, np.ndarray],
        out: np.ndarray,
        ending: Ending,
        packed: Any = None,
    ) -> bool:
        """Write the result; return False where a NaN or Inf may stand in too many places.

        ending's bias is None, or as the contract of algorithms has it.
        """
        if self.strides is None:
            self._bind(operands, out, ending)
        if self.bound is not None and out.strides == self.strides:
            first, second = operands
            bias = 0 if ending.bias is None else address(ending.bias)
            finite = self.bound(address(first), address(second), address(out), bias, packed)
            return self._ended(finite, second, out, ending)
        if self.quiet:
            return self._compute(operands, out, ending, packed)
        with np.errstate(all="ignore"), serial_blas():
            return self._compute(operands, out, ending, packed)

    def _bind(
        self, operands: tuple[np.ndarray, np.ndarray], out: np.ndarray, ending: Ending
    ) -> None:
        if self.ends or self.problem.direction != "forward":
            self.bound = directions.bind(self.problem, self.name, operands, out, ending)
        self.strides = out.strides

    def _compute(
        self,
        operands: tuple[np.ndarray, np.ndarray],
        out: np.ndarray,
        ending: Ending,
        packed: Any,
    ) -> bool:
        within = ending if self.ends else NOTHING
        finite = directions.run(self.problem, self.name, operands, out, within, packed)
        return self._ended(finite, operands[1], out, ending)

    def _ended(
        self, finite: bool | None, second: np.ndarray, out: np.ndarray, ending: Ending
    ) -> bool:
        """Do the ending that is left; return False where a NaN or Inf may stand too often."""
        if self.spreads:
            if finite is None:
                finite = _all_finite(second if self.looks == "weight" else out)
            if not finite:
                return False
        if not self.ends:
            _end(out, ending)
        return True


def _compute(
    problem: ConvProblem,
    name: str,
    operands: tuple[np.ndarray, np.ndarray],
    out: np.ndarray,
    ending: Ending,
    packed: Any = None,
) -> bool:
    """Write the ended result; return False where a NaN or Inf may stand in too many places."""
    within = _within(problem, name, ending)
    finite = directions.run(problem, name, operands, out, within or NOTHING, packed)
    if directions.spreads(problem, name):
        if finite is None:
            finite = _all_finite(out)
        if not finite:
            return False
    if within is None:
        _end(out, ending)
    return True


def _within(problem: ConvProblem, name: str, ending: Ending) -> Ending | None:
    """Return the ending as the algorithm does it itself; None where it does not."""
    if not directions.ends(problem, name):
        return None
    if ending.bias is None:
        return ending
    dtype = problem.compute_dtype
    if not np.can_cast(ending.bias.dtype, dtype):
        return None
    bias = np.broadcast_to(ending.bias, problem.out_channels)
    return ending._replace(bias=np.ascontiguousarray(bias, dtype))


def _end(out: np.ndarray, ending: Ending) -> None:
    if ending.bias is not None:
        with np.errstate(all="ignore"):
            np.add(out, ending.bias, out=out, casting="unsafe")
    if ending.least > -np.inf:
        np.maximum(out, out.dtype.type(ending.least), out=out)
    if ending.most < np.inf:
        np.minimum(out, out.dtype.type(ending.most), out=out)


def _as_given(problem: ConvProblem, first: np.ndarray, second: np.ndarray) -> ConvProblem:
    """Return an integer problem in floats where these arrays' sums stay exact in them."""
    if problem.dtype.kind not in "iu":
        return problem
    in_second = largest(second)
    dtype = exact_float(problem.summands, largest_of(first.dtype), in_second)
    if dtype is None or dtype.itemsize > 4:
        dtype = exact_float(problem.summands, largest(first), in_second)
    return problem if dtype is None else replace(problem, compute_dtype=dtype)


def _all_finite(array: np.ndarray) -> bool:
    if array.dtype.kind in "iu":
        return True
    # A finite sum proves every element finite, and needs no temporary.
    with np.errstate(all="ignore"):
        return bool(np.isfinite(array.sum()) or np.isfinite(array).all())
