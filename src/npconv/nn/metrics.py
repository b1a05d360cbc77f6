"""How good a model is, in numbers that a person reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from npconv.nn.cross_entropy import CrossEntropyLoss
from npconv.nn.losses import BCEWithLogitsLoss

# metric(y, target) is a mean over the examples of a batch.
Metric = Callable[[np.ndarray, np.ndarray], float]
Metrics = Mapping[str, Metric]


def accuracy(y: ArrayLike, target: ArrayLike, ignore_index: int = -100) -> float:
    """Return which part of the examples has its largest number at the target.

    Parameters
    ----------
    y : array_like, shape (N, C) or (N, C, *spatial)
    target : array_like
        Labels, of y's shape without C; or one number a class, of y's shape.
    ignore_index : int
        A label that counts nothing; NaN is returned where there is no other.

    Examples
    --------
    >>> from npconv import nn
    >>> nn.accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5
    """
    given, wanted = np.asarray(y), np.asarray(target)
    labels = wanted.argmax(1) if wanted.ndim == given.ndim else wanted
    right, counted = given.argmax(1) == labels, labels != ignore_index
    count = np.count_nonzero(counted)
    return float(np.count_nonzero(right & counted) / count) if count else float("nan")


def binary_accuracy(y: ArrayLike, target: ArrayLike) -> float:
    """Return which part of the logits is above 0 just where the target is above 1/2."""
    return float(np.mean((np.asarray(y) > 0) == (np.asarray(target) > 0.5)))


def usual(loss: object) -> Metrics:
    """Return the metrics that go with a loss."""
    if isinstance(loss, CrossEntropyLoss):
        return {"accuracy": partial(accuracy, ignore_index=loss.ignore_index)}
    return {"accuracy": binary_accuracy} if isinstance(loss, BCEWithLogitsLoss) else {}
