"""Images changed at random while a model learns: what stays a seven however it is moved.

Each is a callable ``augment(x, rng)`` on a batch (N, C, H, W) of floats; it returns a new batch,
channels-last in memory, draws every image's own numbers from `rng`, and leaves x as it is.

>>> import numpy as np
>>> x = np.arange(6.0).reshape(1, 1, 2, 3)
>>> RandomFlip(1)(x, np.random.default_rng(0))[0, 0].tolist()
[[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npconv import ProblemError


@dataclass(frozen=True)
class RandomFlip:
    """Mirror each image with a probability: left to right, or along another axis.

    Parameters
    ----------
    probability : float
    axis : int
        -1 for the width, -2 for the height.

    Examples
    --------
    >>> RandomFlip()
    RandomFlip(probability=0.5, axis=-1)
    """

    probability: float = 0.5
    axis: int = -1

    def __post_init__(self) -> None:
        _check(0 <= self.probability <= 1, self, "0 <= probability <= 1")
        _check(self.axis in (-1, -2), self, "axis is -1 or -2")

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the batch with some images mirrored."""
        pixels = _pixels(x, self).copy()
        mirrored = rng.random(len(x)) < self.probability
        pixels[mirrored] = np.flip(pixels[mirrored], self.axis - 1)
        return np.moveaxis(pixels, -1, 1)


@dataclass(frozen=True)
class RandomCrop:
    """Cut a window out of each image, at any place in the image widened by `padding`.

    Parameters
    ----------
    size : int, (int, int) or None
        The window's height and width; None for the image's own.
    padding : int
        Pixels added on all four sides first.
    fill : float or None
        What is added; None repeats the edge.

    Examples
    --------
    >>> import numpy as np
    >>> RandomCrop(32, padding=4)(np.ones((8, 3, 32, 32)), np.random.default_rng(0)).shape
    (8, 3, 32, 32)
    """

    size: int | tuple[int, int] | None = None
    padding: int = 0
    fill: float | None = 0.0

    def __post_init__(self) -> None:
        _check(self.padding >= 0, self, "padding >= 0")
        _check(min(self._size(1, 1)) >= 1, self, "size >= 1")

    def _size(self, height: int, width: int) -> tuple[int, int]:
        if self.size is None:
            return height, width
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return each image's window."""
        pixels = _pixels(x, self)
        n, height, width, _ = pixels.shape
        rows, columns = self._size(height, width)
        spare = height + 2 * self.padding - rows, width + 2 * self.padding - columns
        _check(min(spare) >= 0, self, f"size at most that of the padded image, {height} x {width}")
        top, left = (rng.integers(-self.padding, s + 1 - self.padding, (n, 1)) for s in spare)
        return _window(pixels, top + np.arange(rows), left + np.arange(columns), self.fill)


@dataclass(frozen=True)
class RandomShift:
    """Move each image by up to `pixels` up or down and to a side.

    Parameters
    ----------
    pixels : int
    fill : float or None
        What comes in; None repeats the edge.

    Examples
    --------
    >>> import numpy as np
    >>> RandomShift(0)(np.ones((1, 1, 2, 2)), np.random.default_rng(0)).tolist()
    [[[[1.0, 1.0], [1.0, 1.0]]]]
    """

    pixels: int
    fill: float | None = 0.0

    def __post_init__(self) -> None:
        _check(self.pixels >= 0, self, "pixels >= 0")

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the batch, each image moved."""
        return RandomCrop(None, self.pixels, self.fill)(x, rng)


@dataclass(frozen=True)
class RandomRotation:
    """Turn each image about its centre, counter-clockwise, by bilinear interpolation.

    Parameters
    ----------
    degrees : float or (float, float)
        The least and the most; one number stands for (-degrees, degrees).
    fill : float or None
        What comes in; None repeats the edge.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> RandomRotation((90, 90))(x, np.random.default_rng(0))[0, 0].round(3).tolist()
    [[2.0, 5.0, 8.0], [1.0, 4.0, 7.0], [0.0, 3.0, 6.0]]
    """

    degrees: float | tuple[float, float]
    fill: float | None = 0.0

    def __post_init__(self) -> None:
        least, most = self._range()
        _check(-360 <= least <= most <= 360, self, "-360 <= least <= most <= 360")

    def _range(self) -> tuple[float, float]:
        if isinstance(self.degrees, tuple):
            return self.degrees
        return -self.degrees, self.degrees

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the batch, each image turned."""
        pixels = _pixels(x, self)
        n, height, width, _ = pixels.shape
        angle = np.deg2rad(rng.uniform(*self._range(), (n, 1, 1)))
        cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        middle, centre = np.float32((height - 1) / 2), np.float32((width - 1) / 2)
        down = np.arange(height, dtype=np.float32)[:, None] - middle
        across = np.arange(width, dtype=np.float32) - centre
        row = cos * down + sin * across + middle
        column = cos * across - sin * down + centre
        return _between(pixels, row, column, self.fill)


def _window(
    pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray, fill: float | None
) -> np.ndarray:
    """Return pixels[n, rows[n], columns[n]]; rows (N, h) and columns (N, w) may lie outside."""
    out, inside = _at(pixels, rows[:, :, None], columns[:, None, :])
    if fill is not None:
        out[~inside] = fill
    return np.moveaxis(out, -1, 1)


def _between(
    pixels: np.ndarray, row: np.ndarray, column: np.ndarray, fill: float | None
) -> np.ndarray:
    """Return pixels at fractional places (N, h, w): the weighted mean of the four around each."""
    top, left = np.floor(row), np.floor(column)
    down, right = (row - top)[..., None], (column - left)[..., None]
    i, j = top.astype(np.intp), left.astype(np.intp)
    total = np.zeros((*row.shape, pixels.shape[-1]), pixels.dtype)
    for di, vertical in ((0, 1 - down), (1, down)):
        for dj, horizontal in ((0, 1 - right), (1, right)):
            corner, inside = _at(pixels, i + di, j + dj)
            if fill is not None:
                corner[~inside] = fill
            corner *= vertical * horizontal
            total += corner
    return np.moveaxis(total, -1, 1)


def _at(pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (N, h, w, C) at whole places, the nearest where outside, and what is inside."""
    n, height, width, channels = pixels.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    place = np.clip(rows, 0, height - 1) * width + np.clip(columns, 0, width - 1)
    place = place + (np.arange(n) * (height * width))[:, None, None]
    return np.take(pixels.reshape(-1, channels), place, axis=0), inside


def _pixels(x: np.ndarray, augment: object) -> np.ndarray:
    if x.ndim != 4 or x.dtype.kind != "f":
        raise ProblemError(
            f"x is {x.shape} {x.dtype}.",
            rule="a batch (N, C, H, W) of floats",
            where=type(augment).__name__,
        )
    return np.moveaxis(x, 1, -1)


def _check(fine: bool, augment: object, rule: str) -> None:
    if not fine:
        raise ProblemError(f"{augment} cannot be.", rule=rule, where=type(augment).__name__)
