"""Reading what a person typed: a kernel's numbers, or a kernel's name with its settings."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

import numpy as np

from npconv import ProblemError

_ROW_BREAK = re.compile(r"\]\s*,?\s*\[|;|\n")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_MAX_DIGITS = 40
_MAX_DISTINCT = 4096


def parse_numbers(text: str) -> np.ndarray:
    """Read a kernel typed as text.

    Rows end with ``;`` or a new line, numbers are parted by spaces or commas, and brackets are
    welcome, so ``"0 -1 0; -1 5 -1; 0 -1 0"`` and ``"[[0, -1, 0], [-1, 5, -1], [0, -1, 0]]"`` are
    the same kernel. A number may be a fraction: ``1/9``.

    Parameters
    ----------
    text : str
        The kernel as typed.

    Returns
    -------
    ndarray, shape (rows, columns), float64

    Raises
    ------
    ProblemError
        When there is no number, a word is not a number, a number is not finite, or the rows
        differ in length.

    Examples
    --------
    >>> from npconv.images.spelling import parse_numbers
    >>> parse_numbers("1/2 0; 0 -1")
    array([[ 0.5,  0. ],
           [ 0. , -1. ]])
    """
    body = _without_outer_brackets(text.strip())
    rows = [
        [_number(word, text) for word in row.replace(",", " ").split()]
        for row in _ROW_BREAK.split(body)
        if row.strip(" ,\t")
    ]
    if not rows:
        raise ProblemError(
            f"images: the typed kernel {_short(text)} has no numbers.",
            fix='write rows parted by ";", such as "0 -1 0; -1 5 -1; 0 -1 0"',
        )
    lengths = [len(row) for row in rows]
    if len(set(lengths)) > 1:
        raise ProblemError(
            f"images: the typed kernel's {len(rows)} rows differ in length.",
            facts=(("numbers in each", ", ".join(map(str, lengths))),),
            fix="give every row as many numbers as the first",
        )
    return np.array(rows, dtype=np.float64)


def looks_typed(text: str) -> bool:
    """Whether `text` can only be a kernel's numbers, not a kernel's name."""
    return not re.match(r"\s*[A-Za-z_]", text) or text.strip().lower() in ("nan", "inf")


def parse_spelling(text: str) -> tuple[str, list[float], dict[str, float]]:
    """Split ``name:value,setting=value`` into the name, the values and the named settings.

    Examples
    --------
    >>> from npconv.images.spelling import parse_spelling
    >>> parse_spelling("unsharp:2,amount=1.5")
    ('unsharp', [2.0], {'amount': 1.5})
    """
    name, _, rest = text.partition(":")
    positional: list[float] = []
    named: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in rest.split(","))):
        setting, equals, value = part.partition("=")
        if not equals:
            if named:
                raise ProblemError(
                    f"images: in {text!r} the value {part!r} stands after a named setting; "
                    "put it first or name it."
                )
            positional.append(_number(part, text))
            continue
        setting = setting.strip()
        if setting in named:
            raise ProblemError(f"images: in {text!r} the setting {setting!r} is given twice.")
        named[setting] = _number(value.strip(), text)
    return name.strip(), positional, named


def fraction_grid(numbers: np.ndarray, limit: int = 1 << 14) -> tuple[np.ndarray, int] | None:
    """Write numbers as whole numbers over one divisor, exactly, or return None.

    Parameters
    ----------
    numbers : ndarray, float64
    limit : int
        The largest divisor tried.

    Returns
    -------
    (ndarray of the same shape holding whole numbers as float64, int) or None
        None when some number is not the float64 nearest to such a fraction.

    Examples
    --------
    >>> from npconv.images.spelling import fraction_grid
    >>> fraction_grid(np.full((1, 2), 1 / 9))
    (array([[1., 1.]]), 9)
    """
    values = np.unique(numbers)
    if values.size > _MAX_DISTINCT or np.abs(values).max(initial=0.0) > 2**40:
        return None
    divisor = 1
    exact: dict[float, Fraction] = {}
    for value in values.tolist():
        fraction = Fraction(value).limit_denominator(limit)
        if float(fraction) != value:
            return None
        divisor = math.lcm(divisor, fraction.denominator)
        if divisor > limit:
            return None
        exact[value] = fraction
    whole = [float(exact[value] * divisor) for value in numbers.ravel().tolist()]
    return np.array(whole).reshape(numbers.shape), divisor


def _without_outer_brackets(text: str) -> str:
    if text.count("[") != text.count("]"):
        raise ProblemError(
            f"images: the typed kernel {_short(text)} has {text.count('[')} opening and "
            f"{text.count(']')} closing brackets; every one needs its partner."
        )
    return re.sub(r"^[\[\s]+|[\]\s]+$", "", text)


def _number(word: str, text: str) -> float:
    top, slash, bottom = word.partition("/")
    if not _is_number(top) or (slash and not _is_number(bottom)):
        raise ProblemError(f"images: {word!r} in {_short(text)} is not a finite number.")
    if not slash:
        value = float(top)
    elif float(bottom) == 0:
        raise ProblemError(f"images: {word!r} in {_short(text)} divides by zero.")
    else:
        value = float(top) / float(bottom)
    if not math.isfinite(value):
        raise ProblemError(f"images: {word!r} in {_short(text)} is too large for float64.")
    return value


def _is_number(word: str) -> bool:
    return len(word) <= _MAX_DIGITS and bool(_NUMBER.fullmatch(word))


def _short(text: Any) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else shown[:56] + "...'"
