"""Geometry as it is written in a terminal: shapes, one number or one an axis, paddings."""

from __future__ import annotations

import re
from typing import Any

import typer

_WORDS = ("valid", "same", "same_lower", "full")


def read_shape(text: str) -> tuple[int, ...]:
    """Return the shape of "8x64x56x56", or raise BadParameter."""
    return read_integers(text, "x", "a shape", "8x64x56x56")


def read_axes(text: str, name: str) -> int | tuple[int, ...]:
    """Return one number, or one an axis of "2,1"."""
    numbers = read_integers(text, ",", f"a {name}", "2 or 2,1")
    return numbers[0] if len(numbers) == 1 else numbers


def read_padding(text: str) -> Any:
    """Return a padding as `npconv.conv` takes it, of "1", "1,0", "1:2,0:0" or a word."""
    if text in _WORDS:
        return text
    example = f"1, or 1,0, or 1:2,0:0, or {', '.join(_WORDS)}"
    if ":" not in text:
        numbers = read_integers(text, ",", "a padding", example)
        return numbers[0] if len(numbers) == 1 else numbers
    pairs = [read_integers(part, ":", "a padding", example) for part in text.split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise typer.BadParameter(f"{text!r} is not a padding; write {example}.")
    return tuple(pairs)


def read_integers(text: str, mark: str, what: str, example: str) -> tuple[int, ...]:
    """Return the integers between the marks; `what` and `example` are for the message."""
    parts = text.lower().strip("() ").split(mark)
    if not all(re.fullmatch(r"\s*-?\d{1,30}\s*", part) for part in parts):
        raise typer.BadParameter(f"{text!r} is not {what}; write {example}.")
    return tuple(int(part) for part in parts)
