"""What an algorithm is: a module with these names."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from npconv.problem import ConvProblem


class Cost(NamedTuple):
    """What an algorithm spends on a problem.

    flops      multiplications and additions it performs, useful or not
    nbytes     bytes its copies and element-wise passes move
    workspace  bytes it holds at its peak, beyond x, weight and out
    calls      steps of the interpreter, each a NumPy call or so
    dtype      what the flops are done in, where it is not the compute dtype
    """

    flops: float
    nbytes: float
    workspace: int
    calls: float
    dtype: np.dtype | None = None


class Algorithm(Protocol):
    """The contract.  Arrays are canonical views with any strides, see arrays.py."""

    NAME: str
    SPREADS: bool  # whether one NaN or Inf may reach outputs whose windows do not hold it
    __doc__: str | None

    def why_not(self, problem: ConvProblem) -> str:
        """Return "" when it can compute the problem, else a reason a person understands."""

    def cost(self, problem: ConvProblem) -> Cost:
        """Return what it would spend."""

    def forward(
        self, problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray
    ) -> None:
        """Write conv(x, weight) to out by assignment: its dtype may not be the compute dtype."""
