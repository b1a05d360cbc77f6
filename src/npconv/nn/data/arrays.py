"""Images and what they show, in arrays: parts, mini-batches."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv import ProblemError
from npconv.nn.data import normal

# augment(x, rng) -> x, on a batch (N, C, *spatial) of fractions of white.
Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Dataset:
    """Images and their classes or values.

    Parameters
    ----------
    images : array_like, shape (N, C, *spatial)
        Real numbers. Unsigned integers stand for fractions of their type's largest value, white;
        floats are fractions as they are. Kept channels-last in memory, without a copy where they
        already are.
    targets : array_like, shape (N,) or (N, outputs)
        Integers: each image's class, an index into `classes`. Floats: the values to be predicted.
    classes : sequence of str, optional
        The names of the classes; by default their numbers.
    mean, std : array_like, shape (C,), optional
        What batches are normalised by, in fractions of white; by default this data's own.
    augment : sequence of callables
        ``augment(x, rng)`` returns a batch changed at random; used in training only.

    Raises
    ------
    ProblemError
        Where there are no images, numbers of images and targets differ, a class has no name, or
        a number is NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> data = nn.Dataset(np.arange(80, dtype="uint8").reshape(10, 1, 2, 4), [0, 1] * 5, "ab")
    >>> data
    Dataset(10 images of 1 x 2 x 4, 2 classes)
    >>> rest, part = data.split(0.2, seed=0)
    >>> len(rest), sorted(part.targets.tolist())
    (8, [0, 1])
    >>> [x.shape for x, y in rest.batches(5)]
    [(5, 1, 2, 4), (3, 1, 2, 4)]
    """

    def __init__(
        self,
        images: ArrayLike,
        targets: ArrayLike,
        classes: Sequence[str] | None = None,
        *,
        mean: ArrayLike | None = None,
        std: ArrayLike | None = None,
        augment: Sequence[Augment] = (),
    ) -> None:
        self._pixels = normal.channels_last(images)
        self.targets = _targets(targets, len(self._pixels))
        self.classes = _classes(self.targets, classes)
        self.augment = tuple(augment)
        normal.check_finite(self._pixels)
        if mean is None or std is None:
            own_mean, own_std = normal.spread(self._pixels)
            mean, std = own_mean if mean is None else mean, own_std if std is None else std
        channels = self._pixels.shape[-1]
        self.mean = normal.by_channel(mean, channels, "mean")
        self.std = normal.by_channel(std, channels, "std")

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: Any) -> Dataset:
        """Return the part that a slice, a number, numbers or a mask take."""
        if isinstance(index, (int, np.integer)):
            index = [index]
        part = copy.copy(self)
        part._pixels, part.targets = self._pixels[index], self.targets[index]
        if len(part) == 0:
            raise ProblemError(f"this part of {len(self)} images is empty.", where="Dataset")
        return part

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        what = f"{len(self.classes)} classes" if self.classes else "values"
        return f"Dataset({len(self)} images of {size}, {what})"

    @property
    def images(self) -> np.ndarray:
        """The images as they were given, (N, C, *spatial), channels-last in memory."""
        return np.moveaxis(self._pixels, -1, 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """One image's (C, *spatial)."""
        return self.images.shape[1:]

    @property
    def outputs(self) -> int:
        """How many numbers a model gives for an image: one a class, or one a value."""
        return len(self.classes) or (self.targets.shape[1] if self.targets.ndim > 1 else 1)

    def augmented(self, *augment: Augment) -> Dataset:
        """Return the same data, whose training batches go through these, one after the other."""
        same = copy.copy(self)
        same.augment = augment
        return same

    def split(
        self, fraction: float, seed: int = 0, stratified: bool = True
    ) -> tuple[Dataset, Dataset]:
        """Return the rest and a part of round(fraction * N) images drawn at random.

        Parameters
        ----------
        fraction : float
            Of the part, between 0 and 1; both keep at least one image.
        seed : int
            The same seed draws the same images.
        stratified : bool
            Whether each class has its share in both, to within one image; a class's only image
            stays in the rest. Values are drawn without.
        """
        n = len(self)
        if not 0 < fraction < 1 or n < 2:
            raise ProblemError(
                f"{n} images cannot be split at {fraction:g}.",
                rule="0 < fraction < 1, and two images or more",
                where="split",
            )
        count = min(max(round(n * fraction), 1), n - 1)
        order = np.random.default_rng(seed).permutation(n)
        if self.classes and stratified:
            order = _by_turns(self.targets[order], order)
        part = np.zeros(n, bool)
        part[order[:count]] = True
        return self[~part], self[part]

    def batches(
        self,
        batch_size: int,
        rng: np.random.Generator | int | None = None,
        training: bool = False,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Return an iterator over (x, y): normalised float32 images and their targets.

        Parameters
        ----------
        batch_size : int
            Images in each but the last. In training none is left alone, for batch norm could not
            learn from it: the batch before takes it.
        rng : numpy.random.Generator or int, optional
            Where the order and the augmentation come from.
        training : bool
            Whether to shuffle and to augment.
        """
        if batch_size < 1:
            raise ProblemError(f"batch_size is {batch_size}.", rule="1 or more", where="batches")
        return self._batches(batch_size, np.random.default_rng(rng) if training else None)

    def _batches(
        self, batch_size: int, rng: np.random.Generator | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        n = len(self)
        order = None if rng is None else rng.permutation(n)
        starts = list(range(0, n, batch_size))
        if order is not None and n > 1 and batch_size > 1 and n - starts[-1] == 1:
            starts.pop()
        for start, stop in zip(starts, [*starts[1:], n], strict=True):
            index = slice(start, stop) if order is None else order[start:stop]
            x = normal.fractions(self._pixels[index])
            if rng is not None:
                for change in self.augment:
                    x = change(x, rng)
            yield normal.normalised(x, self.mean, self.std), self.targets[index]


def _targets(targets: ArrayLike, count: int) -> np.ndarray:
    array = np.asarray(targets)
    if array.dtype.kind in "iub":
        array = array.astype(np.int64)
    elif array.dtype.kind != "f":
        raise ProblemError(
            f"targets are {array.dtype}.",
            rule="integers for classes, floats for values",
            where="Dataset",
        )
    given = len(array) if array.ndim else 0
    if given != count:
        raise ProblemError(
            f"{count} images, {given} targets.", rule="one target an image", where="Dataset"
        )
    if array.dtype.kind == "i" and array.ndim > 1:
        raise ProblemError(f"classes have the shape {array.shape}.", rule="(N,)", where="Dataset")
    bad = ~np.isfinite(array.reshape(count, -1)).all(axis=1)
    if bad.any():
        raise ProblemError(
            f"target {bad.argmax()} is NaN or infinite ({bad.sum()} of {count}).", where="Dataset"
        )
    return array


def _classes(targets: np.ndarray, classes: Sequence[str] | None) -> tuple[str, ...]:
    if targets.dtype.kind == "f":
        return ()
    least, most = int(targets.min()), int(targets.max())
    names = tuple(map(str, range(most + 1) if classes is None and most < 1000 else classes or ()))
    if least < 0 or most >= len(names):
        raise ProblemError(
            f"classes go from {least} to {most}, {len(names)} have names.",
            rule="0 <= class < number of names",
            fix="np.unique(labels, return_inverse=True) numbers them",
            where="Dataset",
        )
    return names


def _by_turns(targets: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Reorder so that any beginning holds each class by its share, to within one image."""
    _, places, counts = np.unique(targets, return_inverse=True, return_counts=True)
    by_class = np.argsort(places, kind="stable")
    of_class = counts[places[by_class]]
    within = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    # The k-th image of m has its turn at (k + 1/2) / m; an only one comes last.
    turn = np.where(of_class == 1, 2.0, (within + 0.5) / of_class)
    return order[by_class][np.argsort(turn, kind="stable")]
