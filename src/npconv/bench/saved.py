"""Results read back from the JSON that `report.write_json` wrote."""

from __future__ import annotations

import json
import math
import types
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from npconv import ProblemError

from .report import read_text

Kind = TypeVar("Kind")


def load(path: Path, kind: type[Kind]) -> Kind:
    """Read a `kind` (a dataclass) from a file; a ProblemError where the file holds none."""
    try:
        found: Kind = restored(kind, json.loads(read_text(path)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProblemError(
            f"json: {path} holds no result of this version's bench ({error!r}).\n"
            "Name another file, or remove this one and measure again."
        ) from None
    return found


def restored(kind: Any, value: Any) -> Any:
    """Make a `kind` of what JSON kept of it: lists were tuples, null was NaN."""
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{each.name: restored(hints[each.name], value[each.name])
                       for each in fields(kind)})  # fmt: skip
    origin, inner = get_origin(kind), get_args(kind)
    if origin is list:
        return [restored(inner[0], item) for item in value]
    if origin is tuple:
        return tuple(restored(inner[0], item) for item in value)
    if origin is dict:
        return {key: restored(inner[1], item) for key, item in value.items()}
    if origin is types.UnionType:  # int or a tuple of int
        return tuple(value) if isinstance(value, list) else value
    if kind is float:
        return math.nan if value is None else float(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not {kind.__name__}")
    return value
