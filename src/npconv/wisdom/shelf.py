"""The file of wisdom: where it is, how it is read, and how entries are added beside others' own."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

from npconv.kernels import files
from npconv.wisdom import text
from npconv.wisdom.signature import signature
from npconv.wisdom.text import Book, Entry

VARIABLE = "NPCONV_WISDOM"
_TRIES = 20  # to write while others do


class _Overtaken(Exception):
    """Another process has replaced the file since it was read."""


def path() -> Path | None:
    """Return the user's file, whether it exists or not; None where none is kept.

    It is wisdom.json in the directory of compiled kernels (NPCONV_CACHE_DIR moves that), or the
    file that the variable NPCONV_WISDOM names, or none where that is "off".

    Examples
    --------
    >>> import npconv
    >>> place = npconv.wisdom.path()
    >>> place is None or place.suffix == ".json"
    True
    """
    chosen = os.environ.get(VARIABLE)
    if chosen is None:
        directory = files.user_directory()
        return directory / "wisdom.json" if directory else None
    if chosen.strip().lower() in ("", "off"):
        return None
    return Path(os.path.abspath(os.path.expanduser(chosen)))


def read(place: Path) -> tuple[Book, Counter[str]]:
    """Return what a file holds, and what of it was left out; see text.parse."""
    return text.parse(files.contents(place, text.LARGEST + 1))


def keep(place: Path, entries: dict[str, Entry]) -> str:
    """Add entries to a file, whatever is in its place; return what to tell the user."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        add(place, entries)
    except ValueError as error:
        aside = place.with_name(f"{place.name}.damaged")
        os.replace(place, aside)
        add(place, entries)
        return f"{place} was begun anew, and what lay there is now {aside.name}: {error}"
    return ""


def add(place: Path, entries: dict[str, Entry]) -> int:
    """Add entries to a file and return how many it then has; raise ValueError if it is no wisdom.

    Where another process is quicker, it is done again with what that one has written.
    """
    for _ in range(_TRIES):
        with suppress(_Overtaken):
            return _add(place, entries, _stamp(place))
    return _add(place, entries, None)


def _add(place: Path, entries: dict[str, Entry], seen: tuple[int, ...] | None) -> int:
    book: Book = {}
    with suppress(FileNotFoundError):
        book, _ = read(place)
    text.merge(book.setdefault(signature(), {}), entries)
    data, count = text.dump(book)

    def check() -> None:
        if seen is not None and _stamp(place) != seen:
            raise _Overtaken

    files.replace(place, data, check)
    return count


def _stamp(place: Path) -> tuple[int, ...]:
    """Return what changes when another process replaces the file."""
    try:
        facts = place.stat()
    except FileNotFoundError:
        return ()
    return facts.st_ino, facts.st_mtime_ns, facts.st_size
