"""The named kernels: their numbers, what each is for, and how its signed results are shown."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from npconv import ProblemError
from npconv.images.definition import MAX_TAPS, Kernel, Signed
from npconv.images.spelling import looks_typed, parse_numbers, parse_spelling

_TRANSPOSED = "-transpose"


def kernel(name: Any, **settings: float) -> Kernel:
    """Return a kernel by name, from typed text, or from an array.

    Parameters
    ----------
    name : str, array_like or Kernel
        A name of `kernels`, with settings if wanted (``"gaussian:2"``, ``"gaussian:sigma=2"``,
        ``"unsharp:sigma=2,amount=1.5"``); numbers as text (``"0 -1 0; -1 5 -1; 0 -1 0"``); or
        an array of shape (rows, columns).
    **settings : float
        The same settings as keywords: ``kernel("gaussian", sigma=2)``.

    Returns
    -------
    Kernel

    Raises
    ------
    ProblemError
        When the name or a setting is not known, or a value is out of range.

    Examples
    --------
    >>> from npconv.images import kernel
    >>> kernel("box:3").numbers.shape
    (3, 3)
    >>> kernel("shrapen")
    Traceback (most recent call last):
    ...
    npconv.errors.ProblemError: images: kernel 'shrapen' is not known; did you mean 'sharpen'?
    """
    if isinstance(name, Kernel):
        if settings:
            raise ProblemError("images: settings go with a kernel's name, not with a Kernel.")
        return name
    if not isinstance(name, str):
        return Kernel("typed", name, "your own numbers")
    if looks_typed(name):
        return Kernel("typed", parse_numbers(name), "your own numbers")
    wanted, positional, named = parse_spelling(name)
    wanted = wanted.lower().replace("_", "-").replace(" ", "-")
    if wanted in _FIXED and not (positional or named or settings):
        return _FIXED[wanted]
    if wanted in _FIXED:
        raise ProblemError(f"images: kernel {wanted!r} has fixed numbers and takes no settings.")
    if wanted not in _MADE:
        raise _unknown(wanted)
    return _make(wanted, positional, {**named, **settings})


def kernels() -> tuple[Kernel, ...]:
    """Return every named kernel, those with settings at their defaults.

    Examples
    --------
    >>> from npconv.images import kernels
    >>> [k.name for k in kernels()][:3]
    ['blur', 'box:size=5', 'gaussian:sigma=2']
    """
    return tuple(_FIXED[name] if name in _FIXED else _make(name, [], {}) for name in _ORDER)


def box(size: float = 5) -> Kernel:
    """Return the mean over a size x size square."""
    count = _whole("box", "size", size, 1)
    _check_taps("box", count, count)
    return Kernel(f"box:size={count}", np.full((count, count), 1 / count**2), "mean over a square")


def gaussian(sigma: float = 2) -> Kernel:
    """Return the sampled Gaussian, cut at four sigma, its numbers adding up to one."""
    return Kernel(
        f"gaussian:sigma={sigma:g}", _gaussian("gaussian", sigma), "smooth blur, no ringing"
    )


def unsharp(sigma: float = 2, amount: float = 1) -> Kernel:
    """Return ``(1 + amount) * identity - amount * gaussian(sigma)``: the detail, added again."""
    _check_range("unsharp", "amount", amount, -100, 100)
    numbers = -amount * _gaussian("unsharp", sigma)
    numbers[tuple(length // 2 for length in numbers.shape)] += 1 + amount
    return Kernel(
        f"unsharp:sigma={sigma:g},amount={amount:g}", numbers, "brings out detail of a chosen size"
    )


def motion(length: float = 15, angle: float = 30) -> Kernel:
    """Return the blur of a camera moved along a line, `angle` degrees anticlockwise from right."""
    count = _whole("motion", "length", length, 1)
    _check_range("motion", "angle", angle, -360, 360)
    _check_taps("motion", count, count)
    along = np.arange(count) - (count - 1) / 2
    row = -along * math.sin(math.radians(angle))
    column = along * math.cos(math.radians(angle))
    reach = count // 2 + 1
    numbers = np.zeros((2 * reach + 1, 2 * reach + 1))
    above, before = np.floor(row + 1e-9), np.floor(column + 1e-9)
    down = np.where(np.abs(row - above) < 1e-9, 0, row - above)
    right = np.where(np.abs(column - before) < 1e-9, 0, column - before)
    for step_down, row_share in ((0, 1 - down), (1, down)):
        for step_right, column_share in ((0, 1 - right), (1, right)):
            where = (
                above.astype(int) + reach + step_down,
                before.astype(int) + reach + step_right,
            )
            np.add.at(numbers, where, row_share * column_share)
    numbers = _trimmed(numbers) / count
    return Kernel(f"motion:length={count},angle={angle:g}", numbers, "the streak of a moved camera")


def _gaussian(name: str, sigma: float) -> np.ndarray:
    _check_range(name, "sigma", sigma, 0.01, 1e6)
    reach = int(4 * sigma + 0.5)
    _check_taps(name, 2 * reach + 1, 2 * reach + 1)
    line = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    line /= line.sum()
    return np.outer(line, line)


def _trimmed(numbers: np.ndarray) -> np.ndarray:
    """Cut zero borders, as much on each side, so that the centre stays the centre."""
    rows, columns = (np.flatnonzero(numbers.any(axis=axis)) for axis in (1, 0))
    top = min(rows[0], numbers.shape[0] - 1 - rows[-1])
    left = min(columns[0], numbers.shape[1] - 1 - columns[-1])
    return numbers[top : numbers.shape[0] - top, left : numbers.shape[1] - left]


def _make(name: str, positional: Sequence[float], named: dict[str, float]) -> Kernel:
    maker = _MADE[name]
    settings = list(inspect.signature(maker).parameters)
    usage = f"{name}:" + ",".join(
        f"{setting}={parameter.default:g}"
        for setting, parameter in inspect.signature(maker).parameters.items()
    )
    if len(positional) > len(settings):
        raise ProblemError(
            f"images: kernel {name!r} takes {len(settings)} settings, not {len(positional)}.",
            fix=f"write {usage}",
        )
    values = dict(zip(settings, positional, strict=False))
    for setting, value in named.items():
        if setting not in settings or setting in values:
            problem = "is given twice" if setting in values else "is not known"
            raise ProblemError(
                f"images: kernel {name!r}: setting {setting!r} {problem}.", fix=f"write {usage}"
            )
        values[setting] = value
    return maker(**values)


def _unknown(name: str) -> ProblemError:
    near = difflib.get_close_matches(name, _ORDER, n=1, cutoff=0.55)
    if near:
        return ProblemError(f"images: kernel {name!r} is not known; did you mean {near[0]!r}?")
    return ProblemError(
        f"images: kernel {name!r} is not known.", facts=(("known", ", ".join(_ORDER)),)
    )


def _whole(name: str, setting: str, value: float, least: int) -> int:
    _check_range(name, setting, value, least, 1e6)
    if value != int(value):
        raise ProblemError(f"images: kernel {name!r}: {setting} is a whole number, not {value}.")
    return int(value)


def _check_range(name: str, setting: str, value: float, least: float, most: float) -> None:
    if not isinstance(value, (int, float, np.number)) or not least <= value <= most:
        raise ProblemError(
            f"images: kernel {name!r}: {setting} lies between {least:g} and {most:g}, "
            f"not {value!r}."
        )


def _check_taps(name: str, rows: int, columns: int) -> None:
    if rows * columns > MAX_TAPS:
        raise ProblemError(
            f"images: kernel {name!r} would have {rows} x {columns} numbers; "
            f"at most {MAX_TAPS} are allowed."
        )


def _directions(name: str, rows: list[list[int]], divisor: int, merit: str) -> dict[str, Kernel]:
    """Return an edge kernel, its transpose, and the magnitude of the two."""
    numbers = np.array(rows) / divisor
    across, both = name + _TRANSPOSED, name + "-magnitude"
    return {
        name: Kernel(name, numbers, f"horizontal edges, {merit}", "abs"),
        across: Kernel(across, numbers.T, f"vertical edges, {merit}", "abs"),
        both: Kernel(both, numbers, f"edges of every direction, {merit}", cross=numbers.T),
    }


_CROSS = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
_RING = [[1, 1, 1], [1, -8, 1], [1, 1, 1]]
_PLAIN: tuple[tuple[str, list[list[int]], int, str, Signed], ...] = (
    ("blur", [[1, 1, 1]] * 3, 9, "softens: the mean of nine pixels", "clip"),
    ("sharpen", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]], 1, "crisper detail, gently", "clip"),
    ("sharpen8", [[-1, -1, -1], [-1, 9, -1], [-1, -1, -1]], 1, "crisper, strongly", "clip"),
    ("emboss", [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], 1, "relief, as if lit from a corner", "clip"),
    ("outline", [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], 1, "bright lines on black", "clip"),
    ("laplacian", _CROSS, 1, "curvature from 4 neighbours, on grey", "offset"),
    ("laplacian8", _RING, 1, "curvature from 8 neighbours, on grey", "offset"),
)
_FIXED: dict[str, Kernel] = {
    name: Kernel(name, np.array(rows) / divisor, purpose, signed)
    for name, rows, divisor, purpose, signed in _PLAIN
}
_FIXED |= _directions("sobel", [[-1, -2, -1], [0, 0, 0], [1, 2, 1]], 1, "a little smoothed")
_FIXED |= _directions("prewitt", [[-1, -1, -1], [0, 0, 0], [1, 1, 1]], 1, "three rows alike")
_FIXED |= _directions("scharr", [[-3, -10, -3], [0, 0, 0], [3, 10, 3]], 16, "true at every angle")
_MADE: dict[str, Callable[..., Kernel]] = {
    "box": box,
    "gaussian": gaussian,
    "motion": motion,
    "unsharp": unsharp,
}
_FAMILIES = ("sobel", "prewitt", "scharr")
_ORDER = (
    *("blur", "box", "gaussian", "motion", "sharpen", "sharpen8", "unsharp", "emboss", "outline"),
    *("laplacian", "laplacian8"),
    *(family + end for family in _FAMILIES for end in ("", _TRANSPOSED, "-magnitude")),
)
