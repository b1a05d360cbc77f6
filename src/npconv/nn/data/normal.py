"""Numbers as networks like them: fractions of white, of mean 0 and spread 1 in each channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from npconv import ProblemError

_BLOCK = 1 << 20  # numbers looked at in one go


def normalise(images: ArrayLike, mean: ArrayLike, std: ArrayLike) -> np.ndarray:
    """Return images as a `Dataset` of this mean and std gives them to a model.

    Parameters
    ----------
    images : array_like, shape (N, C, *spatial)
    mean, std : array_like, shape (C,)

    Returns
    -------
    ndarray of float32, channels-last in memory

    Examples
    --------
    >>> import numpy as np
    >>> normalise(np.array([[[[0, 255]]]], dtype=np.uint8), [0.5], [0.25]).tolist()
    [[[[-2.0, 2.0]]]]
    """
    pixels = channels_last(images)
    channels = pixels.shape[-1]
    return normalised(
        fractions(pixels), by_channel(mean, channels, "mean"), by_channel(std, channels, "std")
    )


def channels_last(images: ArrayLike) -> np.ndarray:
    """Return images (N, C, *spatial) as an array (N, *spatial, C) of uint or float."""
    array = np.asarray(images)
    if array.dtype.kind == "i" and array.size and array.min() >= 0 and array.max() <= 255:
        array = array.astype(np.uint8)
    if array.dtype.kind in "ib":
        array = array.astype(np.float32)
    if array.dtype.kind not in "uf":
        raise ProblemError(f"images are {array.dtype}, not real numbers.", where="Dataset")
    if array.ndim < 3 or 0 in array.shape:
        raise ProblemError(
            f"images have the shape {array.shape}.",
            rule="(N, C, *spatial), none of them 0",
            where="Dataset",
        )
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def white(dtype: np.dtype) -> int:
    """Return the number that counts as 1."""
    return np.iinfo(dtype).max if dtype.kind == "u" else 1


def fractions(pixels: np.ndarray) -> np.ndarray:
    """Return a new float32 array (N, C, *spatial) of pixels (N, *spatial, C)."""
    share = np.float32(1 / white(pixels.dtype))
    return np.moveaxis(np.multiply(pixels, share, dtype=np.float32, order="C"), -1, 1)


def normalised(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Subtract the mean and divide by std, in place where x is channels-last in memory."""
    pixels = np.moveaxis(x, 1, -1)
    if not pixels.flags.c_contiguous or not pixels.flags.writeable or x.dtype != np.float32:
        pixels = np.array(pixels, np.float32, order="C")
    # By whole lines: NumPy's inner loop over three channels would be a short one.
    width = pixels.shape[-2]
    lines = pixels.reshape(*pixels.shape[:-2], width * pixels.shape[-1])
    lines -= np.tile(mean, width)
    lines *= np.tile(1 / std, width)
    return np.moveaxis(pixels, -1, 1)


def by_channel(values: ArrayLike, channels: int, name: str) -> np.ndarray:
    """Return a mean or a std as float32 numbers, one a channel; a std of 0 becomes 1."""
    array = np.atleast_1d(np.asarray(values, np.float32))
    if array.shape != (channels,) or not np.isfinite(array).all():
        raise ProblemError(
            f"{name} is {array.tolist()}, the images have {channels} channels.",
            rule="one finite number a channel",
            where="Dataset",
        )
    return np.where(array == 0, np.float32(1), array) if name == "std" else array


def check_finite(pixels: np.ndarray) -> None:
    """Raise ProblemError that names the first image with NaN or infinity."""
    if pixels.dtype.kind != "f":
        return
    rows = pixels.reshape(len(pixels), -1)
    step = max(_BLOCK // rows.shape[1], 1)
    for start in range(0, len(rows), step):
        bad = ~np.isfinite(rows[start : start + step]).all(axis=1)
        if bad.any():
            raise ProblemError(
                f"image {start + bad.argmax()} holds NaN or infinity.", where="Dataset"
            )


def spread(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each channel's mean and standard deviation, in fractions of white."""
    channels = pixels.shape[-1]
    rows = pixels.reshape(len(pixels), -1)
    step = max(_BLOCK // rows.shape[1], 1)
    shift = rows[0].astype(np.float64)  # that small differences of large numbers are not lost
    total, squares = np.zeros_like(shift), np.zeros_like(shift)
    for start in range(0, len(rows), step):
        block = rows[start : start + step] - shift
        total += block.sum(axis=0)
        squares += np.square(block, out=block).sum(axis=0)
    # Of each place, then of all the places of a channel.
    offset = total / len(rows)
    mean = (shift + offset).reshape(-1, channels)
    variance = (squares / len(rows) - offset**2).reshape(-1, channels)
    whole = mean.mean(axis=0)
    variance = variance.mean(axis=0) + np.square(mean - whole).mean(axis=0)
    one = white(pixels.dtype)
    return whole / one, np.sqrt(np.maximum(variance, 0)) / one
