"""Gradients made smaller before the optimizer sees them."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from npconv import ProblemError
from npconv.nn.layer import Layer, Parameter


def clip_grad_norm(
    parameters: Layer | Iterable[Parameter], max_norm: float, norm_type: float = 2.0
) -> float:
    """Scale all gradients so that their norm, taken together, is at most `max_norm`.

    Parameters
    ----------
    parameters : Layer or iterable of Parameter
        Those without a gradient are left out.
    max_norm : float
    norm_type : float, default 2
        The p of the norm; ``math.inf`` for the largest magnitude.

    Returns
    -------
    float
        The norm before.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> weight = nn.Parameter(np.zeros(2))
    >>> weight.add_grad(np.array([3.0, 4.0]))
    >>> nn.clip_grad_norm([weight], 1.0), weight.grad.round(3)
    (5.0, array([0.6, 0.8]))
    """
    if not max_norm >= 0 or not norm_type > 0:
        raise ProblemError(
            f"max_norm is {max_norm}, norm_type {norm_type}.",
            rule="max_norm is 0 or more, norm_type above 0",
            where="clip_grad_norm",
        )
    with_grad = _with_grad(parameters)
    norms = [_norm(grad, norm_type) for _, grad in with_grad]
    total = _norm(np.array(norms), norm_type)
    scale = max_norm / (total + 1e-6)  # PyTorch's guard against 0
    if not scale >= 1.0:
        for each, grad in with_grad:
            each.grad = grad * scale
    return total


def clip_grad_value(parameters: Layer | Iterable[Parameter], clip_value: float) -> None:
    """Cut each number of each gradient to ``-clip_value .. clip_value``."""
    if not clip_value >= 0:
        raise ProblemError(
            f"clip_value is {clip_value}.", rule="0 or more", where="clip_grad_value"
        )
    for each, grad in _with_grad(parameters):
        each.grad = np.clip(grad, -clip_value, clip_value)


def _with_grad(parameters: Layer | Iterable[Parameter]) -> list[tuple[Parameter, np.ndarray]]:
    found = parameters.parameters() if isinstance(parameters, Layer) else parameters
    return [(each, each.grad) for each in found if each.grad is not None]


def _norm(array: np.ndarray, norm_type: float) -> float:
    if array.size == 0:
        return 0.0
    flat = array.ravel(order="K")
    if norm_type == 2.0:
        return math.sqrt(float(np.vdot(flat, flat)))
    return float(np.linalg.norm(flat, norm_type))
