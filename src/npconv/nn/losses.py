"""What training makes small: losses by PyTorch's names, each with its value's gradient.

::

    value, grad_y = loss(y, target)

value is a float; grad_y, of y's shape and dtype, is value's gradient and goes to `backprop`. With
``reduction="none"`` value is an array, one number a term, and grad_y the gradient of their sum: as
no term reads another's numbers, scaling the one scales the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv import ProblemError

REDUCTIONS = ("mean", "sum", "none")


class Loss:
    """A function of what a model gives and what it should have given.

    A subclass gives `terms`, which returns the terms, the gradient of their sum and by what their
    sum is divided to be the mean.
    """

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in REDUCTIONS:
            raise ProblemError(
                f"reduction is {reduction!r}.",
                rule=", ".join(f'"{name}"' for name in REDUCTIONS),
                where=type(self).__name__,
            )
        self.reduction = reduction

    def terms(self, y: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the terms, the gradient of their sum (a new array) and the mean's divisor."""
        raise NotImplementedError(f"{type(self).__name__} has no terms")

    def __call__(self, y: ArrayLike, target: ArrayLike) -> tuple[Any, np.ndarray]:
        """Return the loss and its gradient.

        Parameters
        ----------
        y : array_like
            What the model gave, real.
        target : array_like
            What is wanted; its shape and dtype are the loss's own.

        Returns
        -------
        value : float, or ndarray where reduction is "none"
        grad_y : ndarray
            Of y's shape and dtype: the gradient of value (of value's sum).

        Raises
        ------
        ProblemError
            Where the shapes do not fit, a label is none, or there is nothing to take a mean of.
        """
        given, wanted = floats(y, "y", self), np.asarray(target)
        if self.reduction == "mean" and given.size == 0:
            raise self.error(
                f"y {given.shape} holds no numbers.", rule="there is no mean of nothing"
            )
        with np.errstate(invalid="ignore", over="ignore"):
            values, grad, count = self.terms(given, wanted)
        if self.reduction == "none":
            return values, grad
        total = float(values.sum(dtype=np.float64))
        if self.reduction == "mean":
            if count == 0:  # all that there is has weight 0, or is ignored
                return float("nan"), grad
            total /= count
            grad /= count
        return total, grad

    def __repr__(self) -> str:
        own = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({own})"

    def error(self, sentence: str, **parts: Any) -> ProblemError:
        """Return an error that names the loss."""
        return ProblemError(sentence, where=type(self).__name__, **parts)

    def _alike(self, y: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return target in y's dtype, or raise where its shape is not y's."""
        if y.shape != target.shape:
            fix = ""
            if y.size == target.size:
                fix = f"target.reshape({y.shape})"
            raise self.error(
                f"y is {y.shape}, target {target.shape}.", rule="both have one shape", fix=fix
            )
        return floats(target, "target", self).astype(y.dtype, copy=False)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy from logits: each number of y is one yes-or-no question.

    ``-(pos_weight * t * log(s) + (1 - t) * log(1 - s))`` with s = sigmoid(y), t in 0..1.

    Parameters
    ----------
    weight : array_like, optional
        What each term counts; broadcast to y's shape.
    reduction : {"mean", "sum", "none"}
    pos_weight : array_like, optional
        What a yes counts beside a no; broadcast to y's shape.

    Examples
    --------
    >>> from npconv import nn
    >>> value, grad_y = nn.BCEWithLogitsLoss()([0.0, 0.0], [1, 0])
    >>> round(value, 4), grad_y
    (0.6931, array([-0.25,  0.25]))
    """

    def __init__(
        self,
        weight: ArrayLike | None = None,
        reduction: str = "mean",
        pos_weight: ArrayLike | None = None,
    ) -> None:
        super().__init__(reduction)
        self.weight = None if weight is None else floats(weight, "weight", self)
        self.pos_weight = None if pos_weight is None else floats(pos_weight, "pos_weight", self)

    def terms(self, y: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return ``(1 - t) * y + (1 + (pos_weight - 1) * t) * log(1 + exp(-y))``."""
        t = self._alike(y, target)
        if t.size and not (t.min() >= 0 and t.max() <= 1):
            raise self.error(f"target goes from {t.min()} to {t.max()}.", rule="0 to 1")
        no = 1 - t
        small = np.exp(-np.abs(y))
        softplus = np.log1p(small) + np.maximum(-y, 0)
        below = np.where(y >= 0, small, 1) / (1 + small)  # sigmoid(-y)
        if self.pos_weight is not None:
            much = 1 + (self._spread("pos_weight", y) - 1) * t
            softplus *= much
            below *= much
        values, grad = no * y + softplus, no - below
        if self.weight is not None:
            weight = self._spread("weight", y)
            values *= weight
            grad *= weight
        return values, grad, values.size

    def _spread(self, name: str, y: np.ndarray) -> np.ndarray:
        array = getattr(self, name)
        try:
            return np.broadcast_to(array.astype(y.dtype), y.shape)
        except ValueError:
            raise self.error(f"{name} {array.shape} does not broadcast to y {y.shape}.") from None


class MSELoss(Loss):
    """Mean squared error, ``(y - target) ** 2``; y and target have one shape.

    Examples
    --------
    >>> from npconv import nn
    >>> nn.MSELoss()([1.0, 4.0], [1.0, 2.0])
    (2.0, array([0., 2.]))
    """

    def terms(self, y: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the squares."""
        apart = y - self._alike(y, target)
        return apart * apart, 2 * apart, y.size


class L1Loss(Loss):
    """Mean absolute error, ``|y - target|``; its gradient is 0 where both are the same.

    Examples
    --------
    >>> from npconv import nn
    >>> nn.L1Loss()([1.0, 4.0], [1.0, 2.0])
    (1.0, array([0. , 0.5]))
    """

    def terms(self, y: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the distances."""
        apart = y - self._alike(y, target)
        return np.abs(apart), np.sign(apart), y.size


def floats(values: ArrayLike, name: str, loss: Loss) -> np.ndarray:
    """Return real numbers as an array of floats."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise ProblemError(f"{name} is {array.dtype}, not real numbers.", where=type(loss).__name__)
    return array if array.dtype.kind == "f" else array.astype(np.float32)
