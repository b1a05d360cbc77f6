"""What an algorithm is: a module with these names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from npconv.problem import ConvProblem
from npconv.threads import num_threads


class Cost(NamedTuple):
    """What an algorithm spends on a problem.

    flops      multiplications and additions it performs, useful or not
    nbytes     bytes its copies and element-wise passes move
    workspace  bytes that one thread holds at its peak, beyond operands and result
    calls      steps of the interpreter, each a NumPy call or so
    dtype      what the flops are done in, where it is not the compute dtype
    each       bytes that each further thread holds
    helpers    how many further threads there is work for
    packing    bytes of nbytes that pack_weight moves: none in a call with a packed weight
    """

    flops: float
    nbytes: float
    workspace: int
    calls: float
    dtype: np.dtype | None = None
    each: int = 0
    helpers: int = 0
    packing: float = 0

    @property
    def held(self) -> int:
        """Bytes that all the threads of a call hold at their peak."""
        return self.workspace + min(num_threads() - 1, max(self.helpers, 0)) * self.each


class Ending(NamedTuple):
    """What is done to each sum before it is stored: bias is added, then it is clamped.

    bias (O,), of the compute dtype and contiguous.  A NaN stays one.
    """

    bias: np.ndarray | None = None
    least: float = -math.inf
    most: float = math.inf

    @property
    def clamps(self) -> bool:
        """Whether there is a least or a most."""
        return self.least > -math.inf or self.most < math.inf


NOTHING = Ending()

# A call with nothing left to look up: addresses of the first, the second, out and a bias (0 for
# none), and what pack_weight returned or None.  It returns what its method does.
Bound = Callable[[int, int, int, int, Any], bool | None]


class Algorithm(Protocol):
    """The contract.  Arrays are canonical views with any strides, see arrays.py.

    Where an algorithm has a way of its own for a gradient, it also has `input_grad(problem,
    grad_out, weight, out)` with `input_grad_cost(problem)`, or `weight_grad(problem, grad_out, x,
    out)` with `weight_grad_cost(problem)`.  Without them directions.py goes by the identity, as it
    does where `owns(problem)`, if there is one, says no.

    Where it transforms weight first, it also has `pack_weight(problem, weight)`, which returns what
    `forward_packed(problem, x, packed, out)` takes in weight's stead.

    Where it has `bind(problem, first, second, out, ending)`, that returns a Bound for arrays that
    lie as these do, each aligned: of the direction that `owns` says, or forward.  None where more
    than kernels is needed.

    Where it has `COMPILED = True`, its forward methods compute nothing in NumPy for arrays of the
    compute dtype: they need no BLAS held to one thread, and no warning kept back.

    Where it has `ENDS = True`, its forward methods take an Ending as a further argument.  Where it
    SPREADS, they and its gradients may return whether every sum was finite; None says nothing.
    """

    NAME: str
    SPREADS: bool  # whether one NaN or Inf may reach outputs whose windows do not hold it
    __doc__: str | None

    def why_not(self, problem: ConvProblem) -> str:
        """Return "" when it can compute the problem, else a reason a person understands."""

    def cost(self, problem: ConvProblem) -> Cost:
        """Return what it would spend."""

    def forward(
        self, problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray
    ) -> bool | None:
        """Write conv(x, weight) to out by assignment: its dtype may not be the compute dtype."""
