"""Laying a kernel over an image: every channel, the right rounding, no wrapped numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from npconv import ProblemError, conv, plan
from npconv.images.at_once import Exact, filter_at_once
from npconv.images.definition import Kernel, Signed, separate
from npconv.images.filters import kernel as find_kernel
from npconv.images.spelling import fraction_grid

Border = Literal["symmetric", "reflect", "edge", "wrap", "zeros"]
# The border's name here, and numpy.pad's.
_PAD_MODES: dict[str, Any] = {
    "symmetric": "symmetric",
    "reflect": "reflect",
    "edge": "edge",
    "wrap": "wrap",
    "zeros": "constant",
}
_WHOLE_TYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32")
_FLOAT_TYPES = ("float16", "float32", "float64")
_BLOCK_PIXELS = 1 << 21
# Up to here float32 holds whole-number sums, and their quotients round as the exact ones would.
_EXACT_REACH = 2.0**23
# Up to here a sum of other numbers in float32 is good to about a thousandth of a level.
_ROUNDED_REACH = 2.0**12


def apply(
    image: Any,
    kernel: Any,
    *,
    border: Border = "symmetric",
    signed: Signed | None = None,
    alpha: bool | None = None,
) -> np.ndarray:
    """Return `image` with `kernel` laid over every pixel, in the same shape and dtype.

    ``out[i, j] = sum over r, s of kernel[r, s] * image[i + r - R, j + s - S]``, where (R, S) is
    the kernel's centre, ``(length - 1) // 2`` on each axis: the kernel is not flipped.

    Parameters
    ----------
    image : array_like, shape (height, width) or (height, width, channels)
        bool, int8 to int32, uint8 to uint32, float16, float32 or float64. Channels are
        filtered one at a time.
    kernel : str, array_like or Kernel
        Whatever `npconv.images.kernel` accepts.
    border : {"symmetric", "reflect", "edge", "wrap", "zeros"}
        What lies outside the image, with numpy.pad's meanings.
    signed : {"clip", "abs", "offset"}, optional
        What becomes of results below zero: cut at the smallest value the dtype holds, made
        positive, or lifted by half the range (128 in 8 bits, 0.5 in floats). By default the
        kernel's own choice for whole numbers, and for floats the result as it is.
    alpha : bool, optional
        Whether the last channel is opacity, to be kept as it is. By default it is when there
        are two or four channels.

    Returns
    -------
    ndarray, image's shape and dtype
        Whole numbers are rounded to nearest (halves to even) and saturate; they never wrap.

    Raises
    ------
    ProblemError
        When the image is no image, or an option is not known.

    Notes
    -----
    Cost: about ``rows * columns`` multiplications a pixel and channel, ``rows + columns`` when
    the kernel is separable, or a Fourier transform's where the planner finds that quicker: from
    some 25 x 25 numbers on. Memory: the result, and some hundred KiB a thread, for bool, uint8,
    uint16, float32 and float64; for other dtypes, for magnitudes, for transforms and without Numba
    the result, one padded channel, and a block of some two million pixels.

    A kernel of fractions such as 1/9 is summed in whole numbers and divided once, so its results
    are those of exact arithmetic; for other kernels the sum is good to about 0.001 of a level. For
    the signed numbers themselves give floats, or call `npconv.conv`, which also has strides,
    dilation and batches.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import images
    >>> step = np.array([[0, 0, 200, 200]] * 3, dtype=np.uint8)
    >>> images.apply(step, "sobel-transpose")[1]
    array([  0, 255, 255,   0], dtype=uint8)
    >>> images.apply(step, "1/3 1/3 1/3")[1]
    array([  0,  67, 133, 200], dtype=uint8)
    """
    pixels = _checked_image(image)
    chosen = find_kernel(kernel)
    if border not in _PAD_MODES:
        raise ProblemError(
            f"images: border {border!r} is not known.", facts=(("known", ", ".join(_PAD_MODES)),)
        )
    if signed is not None and signed not in get_args(Signed):
        raise ProblemError(
            f"images: signed {signed!r} is not known.",
            facts=(("known", ", ".join(get_args(Signed))),),
        )
    if signed is None and pixels.dtype.kind != "f":
        signed = chosen.signed
    if pixels.size == 0:
        return np.empty(pixels.shape, pixels.dtype)
    colours = pixels.shape[-1]
    if pixels.ndim == 3:
        colours -= int(_has_alpha(pixels, alpha))
    at_once = filter_at_once(pixels, chosen, _PAD_MODES[border], signed, _exact)
    if at_once is not None:
        if pixels.ndim == 3:
            at_once[:, :, colours:] = pixels[:, :, colours:]
        return at_once
    recipe = _recipe(chosen, pixels.dtype, _block_size(pixels.shape, chosen.numbers.shape))
    if pixels.ndim == 2:
        return _filtered_plane(pixels, recipe, border, signed)
    out = np.empty(pixels.shape, pixels.dtype)
    for channel in range(colours):
        out[:, :, channel] = _filtered_plane(pixels[:, :, channel], recipe, border, signed)
    out[:, :, colours:] = pixels[:, :, colours:]
    return out


@dataclass(frozen=True)
class _Recipe:
    """How one kernel is computed for one dtype: each direction's passes, then the divisor.

    whole: whether sums are whole numbers, off by what a transform rounds.
    """

    directions: tuple[tuple[np.ndarray, ...], ...]
    divisor: int
    size: tuple[int, int]
    work: np.dtype[Any]
    whole: bool


def _recipe(kernel: Kernel, dtype: np.dtype[Any], block_size: tuple[int, int]) -> _Recipe:
    numbers = np.stack([kernel.numbers] if kernel.cross is None else [kernel.numbers, kernel.cross])
    numbers, divisor, work, _ = _exact(numbers, dtype)
    directions = tuple(
        tuple(part.astype(work) for part in _passes(one, work, block_size)) for one in numbers
    )
    whole = dtype.kind != "f" and np.array_equal(numbers, np.rint(numbers))
    return _Recipe(directions, divisor, kernel.numbers.shape, work, whole)


def _exact(numbers: np.ndarray, dtype: np.dtype[Any]) -> Exact:
    """Return whole numbers over a divisor, if that is what a kernel's are, and what to sum in.

    That is the leanest float in which rounding at the end gives the right whole number.
    """
    if dtype.kind == "f":
        return Exact(
            numbers, 1, np.dtype(np.float64 if dtype.itemsize == 8 else np.float32), np.inf
        )
    grid = fraction_grid(numbers)
    divisor = 1
    if grid is not None:
        numbers, divisor = grid
    largest = 1 if dtype.kind == "b" else max(abs(np.iinfo(dtype).min), np.iinfo(dtype).max)
    reach = largest * float(np.abs(numbers).sum(axis=(-2, -1)).max())
    limit = _ROUNDED_REACH if grid is None else _EXACT_REACH
    return Exact(numbers, divisor, np.dtype(np.float32 if reach <= limit else np.float64), reach)


def _passes(
    numbers: np.ndarray, work: np.dtype[Any], block_size: tuple[int, int]
) -> tuple[np.ndarray, ...]:
    """Split a separable kernel into a column and a row where the planner finds that sooner."""
    rows, columns = numbers.shape
    if min(rows, columns) < 2:
        return (numbers,)
    height, width = block_size

    def seconds(size: tuple[int, int], kernel_size: tuple[int, int]) -> float:
        return plan(size, kernel_size, work, layout="HW").seconds or 0.0

    once = seconds(block_size, (rows, columns))
    twice = seconds(block_size, (rows, 1)) + seconds((height - rows + 1, width), (1, columns))
    pair = separate(numbers) if twice < once else None
    return (numbers,) if pair is None else pair


def _filtered_plane(
    plane: np.ndarray, recipe: _Recipe, border: str, signed: str | None
) -> np.ndarray:
    """Filter one channel a block of rows at a time, so that memory stays bounded.

    Floats in one pass need no memory beside conv's.
    """
    rows, _ = recipe.size
    margins = [((length - 1) // 2, length // 2) for length in recipe.size]
    mode = _PAD_MODES[border]
    finish = _finisher(plane.dtype, recipe.divisor, signed)
    first, *others = (numbers for passes in recipe.directions for numbers in passes)
    if plane.dtype == recipe.work and not others:
        plane = np.ascontiguousarray(plane)
        return finish(conv(plane, first, layout="HW", padding=margins, padding_mode=mode))
    out = np.empty(plane.shape, plane.dtype)
    padded = np.pad(plane, margins, mode=mode)
    step = _block_size(plane.shape, recipe.size)[0] - rows + 1
    for top in range(0, plane.shape[0], step):
        bottom = min(top + step, plane.shape[0])
        block = padded[top : bottom + rows - 1].astype(recipe.work)
        results = [_run(block, passes) for passes in recipe.directions]
        if recipe.whole:
            results = [np.rint(each, out=each) for each in results]
        value = results[0] if len(results) == 1 else np.hypot(*results)
        np.copyto(out[top:bottom], finish(value), casting="unsafe")
    return out


def _block_size(shape: tuple[int, ...], kernel_size: tuple[int, int]) -> tuple[int, int]:
    """The padded size of a block: all columns, and enough rows to be worth the ones shared."""
    height, width = shape[:2]
    rows, columns = kernel_size
    step = min(max(_BLOCK_PIXELS // (width + columns), 4 * rows), height)
    return step + rows - 1, width + columns - 1


def _run(block: np.ndarray, passes: tuple[np.ndarray, ...]) -> np.ndarray:
    for numbers in passes:
        block = conv(block, numbers, layout="HW")
    return block


def _finisher(
    dtype: np.dtype[Any], divisor: int, signed: str | None
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what turns sums into what pixels are cast from: divide, round, lift or mirror, cut."""
    if dtype.kind == "f":
        lift: float = 0.5
    elif dtype.kind == "b":
        least, most, lift = 0, 1, 1
    else:
        limits = np.iinfo(dtype)
        least, most = limits.min, limits.max
        lift = (most + 1) // 2 if least == 0 else 0

    def finish(value: np.ndarray) -> np.ndarray:
        if divisor != 1:
            value /= value.dtype.type(divisor)
        if dtype.kind != "f":
            np.rint(value, out=value)
        if signed == "abs":
            np.abs(value, out=value)
        elif signed == "offset":
            value += value.dtype.type(lift)
        if dtype.kind != "f":
            np.clip(value, least, most, out=value)
        return value

    return finish


def _checked_image(image: Any) -> np.ndarray:
    pixels = np.asarray(image)
    if pixels.ndim not in (2, 3):
        raise ProblemError(
            f"images: an image is (height, width) or (height, width, channels); "
            f"this one has the shape {pixels.shape}.",
            fix="pass one image at a time; npconv.conv takes batches",
        )
    if pixels.dtype.name not in _WHOLE_TYPES + _FLOAT_TYPES:
        raise ProblemError(
            f"images: pixels of dtype {pixels.dtype} cannot be filtered as an image.",
            facts=(("can", ", ".join(_WHOLE_TYPES + _FLOAT_TYPES)),),
            fix="convert with image.astype(...), or call npconv.conv",
        )
    return pixels


def _has_alpha(pixels: np.ndarray, alpha: bool | None) -> bool:
    if alpha is None:
        return pixels.shape[2] in (2, 4)
    return alpha and pixels.shape[2] > 0
