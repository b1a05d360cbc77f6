"""The public calls: from arrays and spellings to a plan that runs."""

from npconv.api.forward import algorithms, conv
from npconv.api.gradients import ConvGrads, conv_grad, conv_input_grad, conv_weight_grad
from npconv.api.patches import fold, unfold
from npconv.api.plans import plan
from npconv.api.transposed import TransposedGeometry, conv_transpose, conv_transpose_geometry

__all__ = [
    "ConvGrads",
    "TransposedGeometry",
    "algorithms",
    "conv",
    "conv_grad",
    "conv_input_grad",
    "conv_transpose",
    "conv_transpose_geometry",
    "conv_weight_grad",
    "fold",
    "plan",
    "unfold",
]
