"""What is to be computed, without the numbers: the only room with shape formulas.

Everything is in Python integers, so nothing overflows, and is checked before any array is read.
"""

from npconv.problem.convolution import DIRECTIONS, ConvProblem
from npconv.problem.identities import (
    Phase,
    covers,
    few_phases,
    largest_phase,
    phase_count,
    phases,
    spans_padding,
    weight_grad_as_forward,
)
from npconv.problem.merging import Merged, best_span, merge_phases
from npconv.problem.padding import Pairs
from npconv.problem.pool import PoolProblem
from npconv.problem.transposed import transposed_size
from npconv.problem.windows import Windows

__all__ = [
    "DIRECTIONS",
    "ConvProblem",
    "Merged",
    "Pairs",
    "Phase",
    "PoolProblem",
    "Windows",
    "best_span",
    "covers",
    "few_phases",
    "largest_phase",
    "merge_phases",
    "phase_count",
    "phases",
    "spans_padding",
    "transposed_size",
    "weight_grad_as_forward",
]
