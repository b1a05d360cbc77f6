"""Where batches come from, and what is looked at before a model sees one.

Data is any object with ``len(data)``, its number of examples, and
``data.batches(batch_size, rng=None, training=False)``, which yields (x, target): in training
shuffled by rng, and augmented where it can be. A pair of arrays is wrapped.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from npconv import ProblemError
from npconv.nn.layer import Layer

Batch = tuple[np.ndarray, np.ndarray]


class Data(Protocol):
    """Examples that come in batches."""

    def __len__(self) -> int:
        """Return the number of examples."""

    def batches(
        self, batch_size: int, rng: np.random.Generator | None = None, training: bool = False
    ) -> Iterator[Batch]:
        """Yield x, (N, C, *spatial) or (N, features), and their targets."""


class Pair:
    """Arrays of examples and targets as data; the numbers stay as they are.

    In training no example is left to a last batch of its own, which batch norm could not learn
    from: the batch before takes it.
    """

    def __init__(self, x: ArrayLike, target: ArrayLike) -> None:
        self.x, self.target = np.asarray(x), np.asarray(target)

    def __len__(self) -> int:
        return len(self.x)

    def batches(
        self, batch_size: int, rng: np.random.Generator | None = None, training: bool = False
    ) -> Iterator[Batch]:
        """Yield batches, shuffled in training."""
        n = len(self)
        starts = list(range(0, n, batch_size))
        if training and batch_size > 1 and n > 1 and n - starts[-1] == 1:
            starts.pop()
        order = np.random.default_rng(rng).permutation(n) if training else None
        for start, stop in zip(starts, [*starts[1:], n], strict=True):
            part = slice(start, stop) if order is None else order[start:stop]
            yield self.x[part], self.target[part]


def as_data(given: Any, where: str, name: str = "data") -> Data:
    """Return data as given, or a pair of arrays wrapped; raise where it is neither, or empty."""
    data: Any = given
    if isinstance(given, (tuple, list)) and len(given) == 2:
        data = Pair(*given)
        numbers = [array.shape[0] if array.ndim else 0 for array in (data.x, data.target)]
        if numbers[0] != numbers[1]:
            raise ProblemError(
                f"{name} holds {numbers[0]} examples and {numbers[1]} targets.",
                rule="one target for each example",
                where=where,
            )
    elif not (hasattr(given, "batches") and hasattr(given, "__len__")):
        raise ProblemError(
            f"{name} is a {type(given).__name__}.",
            rule="(x, target) arrays, or an object with batches() and len()",
            where=where,
        )
    if len(data) == 0:
        raise ProblemError(f"{name} holds no examples.", where=where)
    return data


def whole(number: Any, name: str, least: int, where: str) -> int:
    """Return a whole number that is not too small, or raise ProblemError."""
    try:
        value = operator.index(number)
    except TypeError:
        value = least - 1
    if value < least:
        raise ProblemError(
            f"{name} is {number!r}.", rule=f"a whole number, {least} or more", where=where
        )
    return value


def dtype_of(model: Layer) -> np.dtype | None:
    """Return the dtype of a model's parameters, which is what its batches are turned into."""
    return next((each.data.dtype for each in model.parameters()), None)


def ready(x: ArrayLike, dtype: np.dtype | None, where: str) -> np.ndarray:
    """Return a batch in the model's dtype, channels-last in memory, and finite.

    where: which batch it is, as the error says.
    """
    array = np.asarray(x)
    if array.ndim == 0 or len(array) == 0:
        raise ProblemError("there are no examples.", where=where)
    if array.dtype.kind not in "fiub":
        raise ProblemError(f"x is {array.dtype}, not real numbers.", where=where)
    if dtype is not None:
        array = array.astype(dtype, copy=False)
    if not is_finite(array):
        bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
        raise ProblemError(
            f"x holds NaN or infinity in {bad.sum()} of {len(array)} examples.",
            facts=(("first", f"example {bad.argmax()} of the batch"),),
            where=where,
        )
    if array.ndim > 2:
        last = np.ascontiguousarray(np.moveaxis(array, 1, -1))
        array = np.moveaxis(last, -1, 1)
    return array


def pair_ready(x: ArrayLike, target: ArrayLike, dtype: np.dtype | None, where: str) -> Batch:
    """Return a batch made ready, and its targets: as many."""
    array, wanted = ready(x, dtype, where), np.asarray(target)
    if wanted.shape[:1] != array.shape[:1]:
        raise ProblemError(
            f"x is {array.shape}, target {wanted.shape}.",
            rule="one target for each example",
            where=where,
        )
    return array, wanted


def is_finite(array: np.ndarray) -> bool:
    """Return whether no number is NaN or infinite, in one pass where none is."""
    if array.dtype.kind != "f":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum()) or np.isfinite(array).all())
