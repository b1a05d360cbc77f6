"""What this process remembers, and its user's file of it."""

from __future__ import annotations

import os
import threading
import warnings
from collections import Counter
from pathlib import Path
from typing import ClassVar, NamedTuple

from npconv.errors import ProblemError
from npconv.kernels import files
from npconv.threads import forget_plans
from npconv.wisdom import shelf, text
from npconv.wisdom.shelf import VARIABLE, path
from npconv.wisdom.signature import signature
from npconv.wisdom.text import Entry

_OTHERS = "measured on another CPU, or by other versions"
_LATER = "measured again since"


class _Memory:
    """The entries that hold here, by problem."""

    lock = threading.RLock()
    known: ClassVar[dict[str, Entry]] = {}
    measured: ClassVar[dict[str, Entry]] = {}  # by this process: what it adds to the file
    read = False  # the user's file
    warned = False


class Loaded(NamedTuple):
    """What `load` found: how many entries it took, and how many it left for each reason."""

    taken: int
    left: dict[str, int]


def entries() -> tuple[Entry, ...]:
    """Return what is known on this machine, the latest measured first.

    Examples
    --------
    >>> import npconv
    >>> for entry in npconv.wisdom.entries():
    ...     fast = entry.seconds[entry.algorithm]
    """
    with _Memory.lock:
        return tuple(sorted(known().values(), key=lambda entry: entry.when, reverse=True))


def load(path: str | os.PathLike[str] | None = None) -> Loaded:
    """Remember what a file holds beside what is known, the later measured of two.

    Parameters
    ----------
    path : path, optional
        By default the user's own file, as other processes have written it meanwhile; it need not
        exist.

    Returns
    -------
    Loaded
        ``taken``, a number, and ``left``, how many were not taken for each reason.  Entries of
        other machines or versions stay where they are: in the file.

    Raises
    ------
    ProblemError
        Where the file is not one of wisdom, or there is no file of the user's; nothing has changed.
    OSError
        Where it cannot be read.

    Examples
    --------
    >>> import npconv, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = npconv.wisdom.save(f"{folder}/wisdom.json")
    ...     npconv.wisdom.load(f"{folder}/wisdom.json").taken >= 0
    True
    """
    place = _place(path, "load")
    known()
    try:
        book, left = shelf.read(place)
    except FileNotFoundError:
        if path is not None:
            raise
        book, left = {}, Counter()
    except ValueError as error:
        raise _no_wisdom(place, error, "nothing was loaded").at("wisdom.load", ()) from None
    here = book.pop(signature(), {}) if book else {}
    left[_OTHERS] += sum(len(entries) for entries in book.values())
    with _Memory.lock:
        taken = text.merge(_Memory.known, here)
    left[_LATER] += len(here) - taken
    forget_plans()
    return Loaded(taken, {reason: number for reason, number in left.items() if number})


def save(path: str | os.PathLike[str] | None = None) -> int:
    """Write what is known into a file, beside what it holds already.

    Parameters
    ----------
    path : path, optional
        By default the user's own file, to which measuring adds by itself.

    Returns
    -------
    int
        How many entries the file now holds: at most 10,000, those of other machines among them.

    Raises
    ------
    ProblemError
        Where a file of something else has that name, or there is no file of the user's; nothing is
        written.
    OSError
        Where it cannot be written; a file that was there is as it was.

    Examples
    --------
    >>> import npconv, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     npconv.wisdom.save(f"{folder}/wisdom.json") == len(npconv.wisdom.entries())
    True
    """
    place = _place(path, "save")
    try:
        with _Memory.lock:
            return shelf.add(place, known())
    except ValueError as error:
        raise _no_wisdom(place, error, "nothing was written").at("wisdom.save", ()) from None


def forget() -> None:
    """Forget everything, and remove the user's file: plans are estimated again.

    A file in its place that holds no wisdom is left.  Other processes that run now go on with
    what they have read; files written by ``save(path)`` stay.

    Raises
    ------
    ProblemError
        Where a file of something else is in the place of the user's.
    OSError
        Where the file cannot be removed.

    Examples
    --------
    In a terminal::

        npconv wisdom --forget
    """
    with _Memory.lock:
        _Memory.read = True  # what cannot be removed is not believed again
        _Memory.known.clear()
        _Memory.measured.clear()
        forget_plans()
        place = path()
        if place is None:
            return
        try:
            shelf.read(place)
        except FileNotFoundError:
            return
        except ValueError as error:
            raise _no_wisdom(place, error, "it was left").at("wisdom.forget", ()) from None
        place.unlink(missing_ok=True)


def known() -> dict[str, Entry]:
    """Return the entries that hold here, by problem; the first call reads the user's file."""
    if not _Memory.read:
        _read()
    return _Memory.known


def remember(entry: Entry) -> None:
    """Take a new entry, in the place of an older one, and add it to the user's file."""
    trouble = ""
    with _Memory.lock:
        known()[entry.problem] = entry
        _Memory.measured[entry.problem] = entry
        try:
            if place := path():
                trouble = shelf.keep(place, _Memory.measured)
        except Exception as error:  # noqa: BLE001 measuring has succeeded all the same
            trouble = f"what was measured cannot be kept in {_named()} ({_said(error)})"
    forget_plans()
    if trouble:
        _warn_once(trouble)


def _read() -> None:
    trouble = ""
    with _Memory.lock:
        if _Memory.read:
            return
        try:
            if place := path():
                text.merge(_Memory.known, shelf.read(place)[0].get(signature(), {}))
        except FileNotFoundError:
            pass
        except ValueError as error:
            trouble = f"{_named()} is left as it is until something is measured: {error}"
        except Exception as error:  # noqa: BLE001 whatever lies there, plans can be estimated
            trouble = f"{_named()} is not used: {_said(error)}"
        _Memory.read = True
    if trouble:
        _warn_once(trouble)


def _place(given: str | os.PathLike[str] | None, call: str) -> Path:
    place = path() if given is None else Path(given)
    if place is None:
        raise ProblemError(
            f"no file of wisdom is kept for this user: {VARIABLE} or {files.VARIABLE} is off, or "
            "there is no home directory.",
            fix=f'name a file, as in wisdom.{call}("wisdom.json")',
        ).at(f"wisdom.{call}", ())
    return place


def _no_wisdom(place: Path, error: ValueError, outcome: str) -> ProblemError:
    return ProblemError(
        f"{place} holds no wisdom of npconv: {error}.",
        rule=outcome,
        fix="name another file, or move this one away",
    )


def _named() -> str:
    try:
        return str(path())
    except OSError:  # the working directory is gone
        return os.environ.get(VARIABLE, "the file of wisdom")


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _warn_once(problem: str) -> None:
    """Tell the user, once in a process, what is wrong with the file and what to do."""
    if not _Memory.warned:
        _Memory.warned = True
        warnings.warn(
            f"{problem}; set {VARIABLE} to another file, or to 'off' to keep none.",
            RuntimeWarning,
            stacklevel=2,
        )


def _after_fork() -> None:
    _Memory.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
