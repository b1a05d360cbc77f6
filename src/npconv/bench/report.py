"""Tables as text and Markdown, JSON files, and the measured part of the README."""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from npconv import ProblemError

NUMBER = re.compile(r"-|[0-9.]+(e[-+][0-9]+)?")


def text_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align a table; columns that hold numbers alone are set to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(headers, *rows, strict=True)]
    right = [
        bool(rows) and all(NUMBER.fullmatch(row[i]) for row in rows) for i in range(len(headers))
    ]
    lines = []
    for row in (headers, ["-" * width for width in widths], *rows):
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write the same table in Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def milliseconds(seconds: float) -> str:
    """Write milliseconds with three significant digits, "-" where nothing was measured."""
    if math.isnan(seconds):
        return "-"
    value = seconds * 1e3
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:.{min(digits, 5)}f}"


def plain(value: Any) -> Any:
    """Return `value` with dataclasses as dicts and NaN as None, as JSON needs it."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_text(path: Path, text: str) -> None:
    """Write a whole file of UTF-8, its line ends as they are, or nothing."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or nothing: a temporary file in the same folder, then renamed."""
    path = path.resolve()
    mode = path.stat().st_mode if path.exists() else None
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode if mode is not None else 0o666 & ~current_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def current_umask() -> int:
    """Return the umask, which can only be read by setting it."""
    umask = os.umask(0)
    os.umask(umask)
    return umask


def write_json(path: Path, value: Any) -> None:
    """Write `value` (dataclasses allowed) as JSON, atomically."""
    write_text(path, json.dumps(plain(value), indent=1) + "\n")


def read_text(path: Path) -> str:
    """Read a file with its line ends as they are."""
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def marked_span(text: str, name: str, path: Path) -> tuple[int, int]:
    """Find where the text between `<!-- name -->` and `<!-- /name -->` starts and ends."""
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    found = text.count(opening), text.count(closing)
    start, end = text.find(opening) + len(opening), text.find(closing)
    if found != (1, 1) or end < start:
        raise ProblemError(
            f"readme: {path} needs one {opening} and, after it, one {closing}.\n"
            f"  found    {found[0]} opening, {found[1]} closing\n"
            "Put the two lines where the measured table belongs and run again."
        )
    return start, end


def check_marked(path: Path, name: str) -> None:
    """Raise what `rewrite_marked` would raise, before minutes are spent on measuring."""
    marked_span(read_text(path), name, path)


def rewrite_marked(path: Path, name: str, content: str) -> None:
    """Replace what stands between the two `name` markers of the file, atomically."""
    text = read_text(path)
    start, end = marked_span(text, name, path)
    write_text(path, f"{text[:start]}\n{content.strip()}\n{text[end:]}")
