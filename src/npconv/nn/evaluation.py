"""A model in use, on more than fits at once: predictions, and how good they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv.nn import metrics as usual_metrics
from npconv.nn.batches import Data, Pair, as_data, dtype_of, pair_ready, ready, whole
from npconv.nn.cross_entropy import CrossEntropyLoss
from npconv.nn.layer import Layer
from npconv.nn.losses import Loss
from npconv.nn.metrics import Metrics


class Means:
    """The loss and the metrics of batches, as the means over their examples."""

    def __init__(self, loss: Loss, metrics: Metrics, sums: dict[str, float] | None = None) -> None:
        self.loss, self.metrics = loss, metrics
        self.sums = {} if sums is None else sums

    def add(self, y: np.ndarray, target: np.ndarray, value: Any) -> None:
        """Add a batch whose loss has this value."""
        count = len(y)
        self._more("images", count)
        whole_batch = self.loss.reduction != "mean"
        self._more("loss", float(np.sum(value)) if whole_batch else count * value)
        for name, metric in self.metrics.items():
            self._more(name, count * float(metric(y, target)))

    def read(self) -> dict[str, float]:
        """Return the means so far."""
        count = self.sums["images"]
        return {name: self.sums[name] / count for name in ("loss", *self.metrics)}

    def _more(self, name: str, number: float) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + number


def evaluate(
    model: Layer,
    data: Data | tuple[ArrayLike, ArrayLike],
    batch_size: int = 256,
    *,
    loss: Loss | None = None,
    metrics: Metrics | None = None,
) -> dict[str, float]:
    """Return a model's loss and metrics on data; the model stays as it is.

    Parameters
    ----------
    model : Layer
    data : (x, target) arrays, or an object with ``batches()`` and ``len()``
    batch_size : int
        Examples at once.
    loss : Loss, default CrossEntropyLoss()
    metrics : mapping of name to ``metric(y, target)``, optional
        Means over a batch. By default the accuracy, where the loss is a cross-entropy.

    Returns
    -------
    dict
        ``{"loss": ..., "accuracy": ...}``, means over the examples.

    Raises
    ------
    ProblemError
        Where there are no examples, a batch holds NaN, or targets do not fit.

    Notes
    -----
    Batches count by their examples: where a loss weighs these otherwise (class weights, an ignored
    label), the mean of the batches is not quite that of all at once.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> same = nn.Sequential()
    >>> nn.evaluate(same, (np.eye(4), np.arange(4)))["accuracy"]
    1.0
    """
    loss = CrossEntropyLoss() if loss is None else loss
    means = Means(loss, usual_metrics.usual(loss) if metrics is None else metrics)
    size, dtype = whole(batch_size, "batch_size", 1, "evaluate"), dtype_of(model)
    for number, (x, target) in enumerate(as_data(data, "evaluate").batches(size), 1):
        array, wanted = pair_ready(x, target, dtype, f"evaluate, batch {number}")
        y = model(array)
        means.add(y, wanted, loss(y, wanted)[0])
    return means.read()


def predict(model: Layer, x: ArrayLike | Data, batch_size: int = 256) -> np.ndarray:
    """Return what a model gives for many examples, a batch at a time.

    Parameters
    ----------
    model : Layer
    x : array_like, shape (N, C, *spatial) or (N, features); or an object with ``batches()``
    batch_size : int

    Returns
    -------
    ndarray, shape (N, ...)
        For a classifier ``.argmax(1)`` gives the classes.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> nn.predict(nn.Sequential(), np.eye(4), batch_size=3).argmax(1)
    array([0, 1, 2, 3])
    """
    size, dtype = whole(batch_size, "batch_size", 1, "predict"), dtype_of(model)
    if not hasattr(x, "batches"):
        array = np.asarray(x)
        x = Pair(array, np.zeros(array.shape[:1]))
    batches = as_data(x, "predict", "x").batches(size)
    return np.concatenate(
        [model(ready(x, dtype, f"predict, batch {n}")) for n, (x, _) in enumerate(batches, 1)]
    )
