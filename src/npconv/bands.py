"""Images filtered as they are: whole numbers and woven colours, a band of lines at a time.

A line becomes floats as it is read into scratch, with what lies beyond its ends; there it is summed
along itself, where a kernel is a column times a row, and with the lines about it; and a sum becomes
a pixel as it is stored.  There is nothing in between as large as the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from npconv import arrays, compiler, lines, spare
from npconv.addresses import unlisted
from npconv.lines import Ended, Lie
from npconv.problem import ConvProblem
from npconv.templates import Template

__all__ = ["Ended", "filtered", "why_not"]

Pairs = tuple[tuple[int, int], tuple[int, int]]
_KINDS = {"B": "fd", "H": "fd", "f": "f", "d": "d"}  # what each kind of pixels is summed in
_PLAIN = Ended()
_MOST_TAPS = 1 << 12  # of a kernel in one piece: with more a transform takes fewer steps


def why_not(
    shape: tuple[int, ...],
    dtype: np.dtype,
    kernels: Sequence[np.ndarray],
    padding: Pairs,
    mode: str,
) -> str:
    """Return "" where `filtered` can filter an image at once, else the reason."""
    if reason := compiler.missing():
        return reason
    work = kernels[0].dtype
    if work.char not in _KINDS.get(dtype.char, "") or not dtype.isnative:
        return f"there are no kernels that sum {dtype} in {work}"
    if kernels[0].size > _MOST_TAPS:
        return f"a transform takes fewer steps than {kernels[0].size} taps"
    problem = _problem(shape[:2], _size(kernels), padding, mode, work)
    if lines.waiting(problem):
        return "its kernels are not compiled yet"
    if not compiler.usable():
        return compiler.missing()
    return unlisted(problem)


def filtered(
    image: np.ndarray,
    kernels: Sequence[np.ndarray],
    padding: Pairs,
    mode: str,
    ended: Ended = _PLAIN,
    bias: float = 0.0,
) -> np.ndarray:
    """Return an image, (height, width) or (height, width, channels), correlated with a kernel.

    kernels: a matrix, or a column and a row whose product it is, in the type of the sums.  padding:
    (before, after) of both axes, mode: as conv has it.  Pixels that are whole numbers are rounded
    as `ended` says; to others `bias` is added.  `why_not` has said "".

    Examples
    --------
    >>> import numpy as np
    >>> from npconv.bands import Ended, filtered
    >>> image = np.array([[10, 20, 30]], np.uint8)
    >>> box = np.ones((1, 3), np.float32)
    >>> thirds = Ended(divisor=3, largest=255)
    >>> filtered(image, [box], ((0, 0), (1, 1)), "edge", thirds)
    array([[13, 20, 27]], dtype=uint8)
    """
    work, woven = kernels[0].dtype, 1
    if image.ndim == 3:
        image, woven = np.ascontiguousarray(image), image.shape[2]
    if not image.flags.aligned or min(image.strides) < 0:
        image = image.copy()
    problem = _problem(image.shape[:2], _size(kernels), padding, mode, work)
    out = spare.empty((*problem.out_size, *image.shape[2:]), image.dtype)
    made = _template(
        problem, Lie(image.dtype, (0, *image.strides[:2], 0), woven),
        Lie(out.dtype, (0, *out.strides[:2], 0), woven), ended, len(kernels) > 1,
        arrays.WORTH_SHARING,
    )  # fmt: skip
    weights = np.concatenate([numbers.ravel() for numbers in kernels])
    start = np.array([bias], work)
    made.run(image.ctypes.data, weights.ctypes.data, out.ctypes.data, start.ctypes.data)
    return out


def _size(kernels: Sequence[np.ndarray]) -> tuple[int, int]:
    return kernels[0].shape[0], kernels[-1].shape[1]


@lru_cache(maxsize=64)
def _problem(
    size: tuple[int, int], kernel_size: tuple[int, int], padding: Pairs, mode: str, work: np.dtype
) -> ConvProblem:
    """Return the convolution of one channel."""
    return ConvProblem.create(
        (1, *size, 1), (*kernel_size, 1, 1), padding=padding, padding_mode=mode, x_dtype=work,
        weight_dtype=work, out_dtype=work,
    )  # fmt: skip


@lru_cache(maxsize=32)
def _template(
    problem: ConvProblem, x: Lie, out: Lie, ended: Ended, separable: bool, worth: int
) -> Template:
    """Return the work for images that lie so; worth: as arrays has it."""
    return lines.template(problem, x, out, ended, separable)
