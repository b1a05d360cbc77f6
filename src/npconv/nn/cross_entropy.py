"""The loss of classifiers: cross-entropy from logits, of labels or of probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from npconv.nn.losses import Loss, floats


class CrossEntropyLoss(Loss):
    """``-log(softmax(y)[target])``, from logits.

    Parameters
    ----------
    weight : array_like, shape (C,), optional
        What each class counts; the mean is over what they count.
    ignore_index : int, default -100
        A label that counts nothing.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float in 0..1, default 0
        How much of each target is spread evenly over all classes.

    Notes
    -----
    y is (N, C), (N, C, *spatial) or (C,); target holds whole numbers, of y's shape without C, or
    probabilities, of y's shape.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> value, grad_y = nn.CrossEntropyLoss()(np.zeros((2, 4)), [3, 0])
    >>> round(value, 4), grad_y[0]
    (1.3863, array([ 0.125,  0.125,  0.125, -0.375]))
    """

    def __init__(
        self,
        weight: ArrayLike | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        if not 0.0 <= label_smoothing <= 1.0:
            raise self.error(f"label_smoothing is {label_smoothing}.", rule="0 to 1")
        self.weight = None if weight is None else floats(weight, "weight", self)
        if self.weight is not None and self.weight.ndim != 1:
            raise self.error(f"weight is {self.weight.shape}.", rule="one number a class")
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def terms(self, y: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return ``-sum(share * log(softmax(y)))`` over the classes."""
        axis = min(1, y.ndim - 1)
        if y.ndim == 0 or y.shape[axis] == 0:
            raise self.error(f"y {y.shape} has no classes.", rule="(N, C) or (N, C, *spatial)")
        if self.weight is not None and self.weight.size != y.shape[axis]:
            raise self.error(f"y has {y.shape[axis]} classes, weight {self.weight.size} numbers.")
        logs = y - y.max(axis, keepdims=True)
        softmax = np.exp(logs)
        sums = softmax.sum(axis, keepdims=True)
        logs -= np.log(sums)
        softmax /= sums
        if target.shape == y.shape and target.dtype.kind == "f":
            return self._by_share(logs, softmax, target, axis)
        return self._by_label(logs, softmax, self._labels(y, target, axis), axis)

    def _by_label(
        self, logs: np.ndarray, softmax: np.ndarray, labels: np.ndarray, axis: int
    ) -> tuple[np.ndarray, np.ndarray, float]:
        kept = labels != self.ignore_index
        index = np.expand_dims(np.where(kept, labels, 0), axis)
        counts = np.expand_dims(kept, axis).astype(logs.dtype)  # what each example counts
        weight = self._weight(logs, axis)
        even = counts * (self.label_smoothing / logs.shape[axis])  # each class's part of the spread
        if weight is not None:
            counts *= weight.reshape(-1)[index]
        hit = counts * (1.0 - self.label_smoothing)
        values = -hit * np.take_along_axis(logs, index, axis)
        if self.label_smoothing:
            logs = logs if weight is None else logs * weight
            values -= even * logs.sum(axis, keepdims=True)
            spread = even * (np.ones(1, logs.dtype) if weight is None else weight)
            softmax *= hit + even * (logs.shape[axis] if weight is None else weight.sum())
            softmax -= spread
        else:
            softmax *= hit
        at = np.take_along_axis(softmax, index, axis) - hit
        np.put_along_axis(softmax, index, at, axis)
        return values.squeeze(axis), softmax, float(counts.sum(dtype=np.float64))

    def _by_share(
        self, logs: np.ndarray, softmax: np.ndarray, target: np.ndarray, axis: int
    ) -> tuple[np.ndarray, np.ndarray, float]:
        share = target.astype(logs.dtype)
        if self.label_smoothing:
            share *= 1.0 - self.label_smoothing
            share += self.label_smoothing / logs.shape[axis]
        weight = self._weight(logs, axis)
        if weight is not None:
            share *= weight
        softmax *= share.sum(axis, keepdims=True)
        softmax -= share
        share *= logs
        return -share.sum(axis), softmax, logs.size // logs.shape[axis]

    def _weight(self, logs: np.ndarray, axis: int) -> np.ndarray | None:
        if self.weight is None:
            return None
        shape = [1] * logs.ndim
        shape[axis] = -1
        return self.weight.astype(logs.dtype).reshape(shape)

    def _labels(self, y: np.ndarray, target: np.ndarray, axis: int) -> np.ndarray:
        classes, shape = y.shape[axis], y.shape[:axis] + y.shape[axis + 1 :]
        if target.shape != shape:
            raise self.error(
                f"y is {y.shape}, target {target.shape}.",
                rule=f"target holds labels of shape {shape}, or floats of shape {y.shape}",
            )
        if target.dtype.kind not in "iub":
            raise self.error(
                f"target is {target.dtype}.", rule="labels are integers", fix="target.astype(int)"
            )
        labels = target.astype(np.intp, copy=False)
        wrong = ((labels < 0) | (labels >= classes)) & (labels != self.ignore_index)
        if wrong.any():
            first = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise self.error(
                f"target holds {labels[first]} at {first}, y has {classes} classes.",
                rule=f"labels are 0 to {classes - 1}",
            )
        return labels
