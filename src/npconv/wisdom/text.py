"""Measured times as a text, and back: JSON that a person can read, believed only where it fits.

::

    {"npconv wisdom": 1,
     "known": {<signature>: {<problem>: {"when": <UTC>, "seconds": {<algorithm>: <number>}}}}}
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

MARK = "npconv wisdom"
FORMAT = 1
MOST = 10_000  # entries in a file
LARGEST = 1 << 24  # bytes of a file
_LONGEST = 1000  # characters of a problem or a signature
_SECONDS = 1e6
_ALGORITHMS = 100  # of one problem, and characters of a name
_WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


class Entry(NamedTuple):
    """The times that were measured for one problem.

    problem  everything that decides speed, as text
    seconds  the median of each algorithm that was timed
    when     the time of day it was measured, UTC, as 2026-11-21T13:40:05Z
    """

    problem: str
    seconds: Mapping[str, float]
    when: str

    @property
    def algorithm(self) -> str:
        """Name of the quickest."""
        return min(self.seconds, key=lambda name: self.seconds[name])


Book = dict[str, dict[str, Entry]]  # signature -> problem -> its entry


def now() -> str:
    """Return the time of day as entries have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def parse(data: bytes) -> tuple[Book, Counter[str]]:
    """Return what a file holds, and how many entries were left out for each reason.

    Raises ValueError where it is no file of wisdom.
    """
    import json

    if len(data) > LARGEST:
        raise ValueError(f"it is longer than {LARGEST} bytes")
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {str(error)[:100]}") from None
    if not isinstance(found, dict) or MARK not in found:
        raise ValueError(f'it is JSON of something else: it has no "{MARK}"')
    if found[MARK] != FORMAT:
        raise ValueError(f"it is not of format {FORMAT}, the one that this npconv reads")
    known = found.get("known")
    if not isinstance(known, dict):
        raise ValueError('its "known" is not an object')
    book: Book = {}
    left: Counter[str] = Counter()
    latest = now()
    for signature, problems in known.items():
        if not isinstance(problems, dict) or len(signature) > _LONGEST:
            left["not of the form of an entry"] += 1
            continue
        for problem, told in problems.items():
            entry = _entry(problem, told, latest)
            if entry is None:
                left["not of the form of an entry"] += 1
            else:
                book.setdefault(signature, {})[problem] = entry
    return book, left


def _entry(problem: str, told: Any, latest: str) -> Entry | None:
    if not isinstance(told, dict) or len(problem) > _LONGEST:
        return None
    seconds, when = told.get("seconds"), told.get("when")
    if not isinstance(seconds, dict) or not 0 < len(seconds) <= _ALGORITHMS:
        return None
    if not isinstance(when, str) or not _WHEN.fullmatch(when):
        return None
    for name, number in seconds.items():
        plain = isinstance(number, (int, float)) and not isinstance(number, bool)
        if len(name) > _ALGORITHMS or not plain or not 0 <= number <= _SECONDS:
            return None
    # A clock that was wrong must not make an entry last for ever.
    return Entry(problem, {name: float(s) for name, s in seconds.items()}, min(when, latest))


def well_formed(entry: Entry) -> bool:
    """Return whether `parse` would take the entry."""
    return _entry(entry.problem, {"seconds": entry.seconds, "when": entry.when}, now()) is not None


def merge(into: dict[str, Entry], entries: Mapping[str, Entry]) -> int:
    """Add entries, the later measured of two for one problem; return how many were taken."""
    taken = 0
    for problem, entry in entries.items():
        old = into.get(problem)
        if old is None or entry.when >= old.when:
            into[problem] = entry
            taken += 1
    return taken


def dump(book: Book) -> tuple[bytes, int]:
    """Return a book as a file's text, its latest entries first, and how many fit."""
    import json

    pairs = [(signature, entry) for signature, known in book.items() for entry in known.values()]
    pairs.sort(key=lambda pair: pair[1].when, reverse=True)
    lines: dict[str, list[str]] = {}
    size = count = 0
    for signature, entry in pairs[:MOST]:
        told = json.dumps({"when": entry.when, "seconds": entry.seconds})
        line = f"   {json.dumps(entry.problem)}: {told}"
        size += len(line) + (0 if signature in lines else len(json.dumps(signature))) + 20
        if size > LARGEST - 100:
            break
        lines.setdefault(signature, []).append(line)
        count += 1
    groups = [
        f"  {json.dumps(name)}: {{\n" + ",\n".join(of) + "\n  }" for name, of in lines.items()
    ]
    body = ",\n".join(groups)
    return f'{{\n "{MARK}": {FORMAT},\n "known": {{\n{body}\n }}\n}}\n'.encode(), count
