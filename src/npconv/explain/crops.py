"""A small piece of a large picture: named, cut out, or chosen where there is most to see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npconv import ProblemError

_FAR = 4096  # rows and columns that are looked at
_CHANNELS = 4


def liveliest(x: np.ndarray, letters: str, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return (row, column, height, width) of the window of x whose numbers vary most.

    ::

        sums over a window of the squared steps    a = down * down, b = down * across, c = across**2
        liveliness = the smaller eigenvalue of [[a, b], [b, c]]

    So an edge alone is not lively: it varies one way only.  letters names x's axes; of a batch the
    first image is looked at, of channels their mean.  A window is no larger than the image; of
    several alike it is the one nearest to the middle.  Source: Shi and Tomasi, Good features to
    track, 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv.explain.crops import liveliest
    >>> image = np.zeros((40, 40))
    >>> image[10:14, 20:24] = 1
    >>> row, column, _, _ = liveliest(image, "HW", (8, 8))
    >>> 6 <= row <= 10, 16 <= column <= 20
    (True, True)
    """
    image = _grey(x, letters)
    height, width = (min(n, most) for n, most in zip(size, image.shape, strict=True))
    steps = [
        np.diff(image, axis=axis, append=image[(slice(None),) * axis + (slice(-1, None),)])
        for axis in (0, 1)
    ]
    down, across = steps if image.shape[0] > 1 else steps[::-1]
    a, b, c = (
        _window_sums(product, height, width) for product in (down**2, down * across, across**2)
    )
    lively = (a + c - np.hypot(a - c, 2 * b)) / 2 if min(image.shape) > 1 else a
    far_down, far_across = (np.abs(np.arange(n) - (n - 1) / 2) / n for n in lively.shape)
    # What rounding leaves between equal windows is not what chooses.
    best = lively >= lively.max() - 1e-9 * (a + c).max()
    away = np.where(best, far_down[:, None] + far_across, np.inf)
    row, column = np.unravel_index(np.argmin(away), away.shape)
    return int(row), int(column), height, width


def cut(x: np.ndarray, letters: str, crop: Sequence[int]) -> np.ndarray:
    """Return x with its H and W cut to (row, column, height, width), or raise ProblemError."""
    if len(crop) != 4:
        raise ProblemError(f"crop {tuple(crop)} is not (row, column, height, width).")
    index: list[slice | int] = [slice(None)] * x.ndim
    for letter, start, length in zip("HW", crop[:2], crop[2:], strict=True):
        n = x.shape[letters.index(letter)] if letter in letters else 1
        if start < 0 or length < 1 or start + length > n:
            name = "rows" if letter == "H" else "columns"
            raise ProblemError(
                f"crop {crop_text(*crop)} takes {name} {start} to {start + length - 1}, "
                f"x has 0 to {n - 1}.",
                rule="crop is ROW,COLUMN,HEIGHT,WIDTH, within x",
            )
        if letter in letters:
            index[letters.index(letter)] = slice(start, start + length)
    return x[tuple(index)]


def crop_text(row: int, column: int, height: int, width: int) -> str:
    """Return a crop as the command takes it."""
    return f"{row},{column},{height},{width}"


def _grey(x: np.ndarray, letters: str) -> np.ndarray:
    """Return an image (rows, columns) of finite float64 numbers, the mean of few channels."""
    ends = {"N": 1, "C": _CHANNELS, "H": _FAR, "W": _FAR}
    piece = x[tuple(slice(ends[letter]) for letter in letters)]
    piece = np.nan_to_num(np.real(piece).astype(np.float64), posinf=0.0, neginf=0.0)
    image = piece.mean(tuple(i for i, letter in enumerate(letters) if letter in "NC"))
    if "H" not in letters:
        return image[None]
    return image if letters.index("H") < letters.index("W") else image.T


def _window_sums(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the sum of every window, by running sums along both axes."""
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    low = sums[height:] - sums[:-height]
    return low[:, width:] - low[:, :-width]
