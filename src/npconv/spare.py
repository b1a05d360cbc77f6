"""Memory of large arrays that are gone, kept for the next ones.

A block of 32 MiB or more is more than malloc keeps: it comes from the system at each call, and goes
back.  Of smaller ones malloc keeps as much as it happens to: a call that takes three of 12 MB, one
after the other, may have all of them mapped anew.  The system clears pages as they are first
written to, which takes longer than writing them, and longer than many a convolution.  Even of
one of a megabyte the pages may be new in each call.  Here the block of an array that is gone stays
mapped.  The last few that are gone stay as they are, `_HOT` bytes of them; those before them are
marked as memory that the system may take (MADV_FREE, 0.1 ms for 100 MB where it is at rest).  As
long as it has not, the next array is written without a fault.

What that adds to the memory a process holds is bounded twice.  Blocks in use and blocks that wait
are together no more than what was asked for at once before, and a quarter: sizes that alternate, as
those of a training step do, would otherwise have blocks dropped and mapped anew.  And no more than
`_MOST` waits.  That much may be seen in a process's resident
size between calls; where memory is short the system takes it before anything else of the process.
"""

from __future__ import annotations

import math
import mmap
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from npconv.memory import LINE, physical_memory

LARGE = 256 << 10  # bytes
_UNIT = 64 << 10  # bytes, of which smaller blocks are multiples
_HUGE = 2 << 20  # bytes of a huge page: whole ones are placed at its multiples
_HUGE_FROM = 4 << 20  # bytes: where NumPy, too, begins to ask for huge pages
_HOT = min(32 << 20, physical_memory() // 64)  # bytes that wait as they are
_MOST = min(512 << 20, physical_memory() // 16)  # bytes that wait
_BEYOND = 4  # a share of what was in use at once, that may wait beyond it
_FIT = 2  # a block's bytes to those asked for, at most
# Only Linux has been measured; elsewhere malloc may well keep such blocks by itself.
_KEEPS = sys.platform == "linux" and hasattr(mmap, "MADV_FREE") and hasattr(mmap, "MADV_HUGEPAGE")


def room(nbytes: int) -> np.ndarray:
    """Return new bytes, with nothing in particular in them, from the begin of a cache line on.

    While tracemalloc traces they are NumPy's own, so that it sees them.

    Examples
    --------
    >>> from npconv.spare import room
    >>> room(100).shape
    (100,)
    """
    memory = _memory(nbytes)
    return np.ndarray(nbytes, np.uint8, memory, -memory.ctypes.data % LINE)


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return a new array in such memory.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv.spare import empty
    >>> empty((3, 5), np.dtype("f4")).shape
    (3, 5)
    """
    memory = _memory(math.prod(shape) * dtype.itemsize)
    return np.ndarray(shape, dtype, memory, -memory.ctypes.data % LINE)


def _memory(nbytes: int) -> np.ndarray:
    """Return bytes, so many from the begin of a cache line on."""
    lent = _lend(nbytes) if nbytes >= LARGE and _KEEPS and not _traced() else None
    return np.empty(nbytes + LINE, np.uint8) if lent is None else lent


def release_memory() -> int:
    """Give memory that waits for later results back to the system.

    npconv keeps the memory of results and scratch of 256 KiB or more that are gone, so that the
    next call writes its own without page faults.

    Returns
    -------
    int
        How many bytes that was.

    Notes
    -----
    Results that are still referred to stay as they are.  There is seldom a need to call it: what
    waits is 512 MiB at most, or a sixteenth of all memory where that is less; with what is in use
    it is never more than was in use at once before, and a quarter of that; and the system takes
    all but 32 MiB by itself where memory is short.
    Linux only: elsewhere nothing is kept.

    Examples
    --------
    >>> import npconv
    >>> npconv.release_memory() >= 0
    True
    >>> npconv.release_memory()
    0
    """
    return _drop_to(0)


class _Block(NamedTuple):
    """Memory of the system's: its mapping, that as bytes, and how many; it ends with the last."""

    mapping: mmap.mmap
    whole: np.ndarray
    nbytes: int


class _Lent(NamedTuple):
    """What is known of a block in use: how many bytes were asked for, and how many it holds.

    Those behind what was asked for are held where they were written to before.
    """

    mapping: weakref.ref[mmap.mmap]
    asked: int
    held: int


# Both by their mappings' id, the oldest first.  There is no lock: finalizers, signals' handlers and
# forks come at any time, within any line here.  A block belongs to whoever pops it, what is looked
# through is a copy, and that sums of bytes are late by a block is all that others can do.
_waiting: dict[int, _Block] = {}
_hot: dict[int, int] = {}  # bytes of those that wait as they are
_lent: dict[int, _Lent] = {}


class _Most:
    """The most bytes that were asked for and in use at once."""

    nbytes = 0


def _lend(nbytes: int) -> _Loan | None:
    """Return a block that waits, or a new one; None where the system gives none."""
    unit = _UNIT if nbytes < _HUGE_FROM else _HUGE
    size = -(-nbytes // unit) * unit
    block = _fitting(size) or _new(size)
    if block is None:
        return None
    _lent[id(block.mapping)] = _Lent(weakref.ref(block.mapping), size, block.nbytes)
    loan = np.ndarray.__new__(_Loan, block.nbytes, np.uint8, block.mapping)
    loan.block = block
    return loan


def _fitting(size: int) -> _Block | None:
    """Return the smallest block of those that wait and can serve."""
    fitting = [b for b in _waiting.copy().values() if size <= b.nbytes <= _FIT * size]
    if len(fitting) > 1:
        fitting.sort(key=attrgetter("nbytes"))
    for block in fitting:
        if _waiting.pop(id(block.mapping), None) is not None:
            _hot.pop(id(block.mapping), None)
            return block
    return None


def _new(size: int) -> _Block | None:
    """Return a new block, for which others made way."""
    asked, held = _in_use()
    most = max(_Most.nbytes, asked + size)
    bound = most + most // _BEYOND
    _drop_to(max(bound - held - size, 0))
    if held + size > bound:
        _trim()
    try:
        mapping = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError, ValueError):
        return None
    if size >= _HUGE_FROM:
        with suppress(OSError):  # of a system without huge pages
            mapping.madvise(mmap.MADV_HUGEPAGE)
    _Most.nbytes = most
    return _Block(mapping, np.frombuffer(mapping, np.uint8), size)


def _take_back(block: _Block) -> None:
    """Let a block wait for the next array, if all of it is there."""
    lent = _lent.pop(id(block.mapping), None)
    if lent is None or lent.held < block.nbytes or block.nbytes > _MOST:
        return
    key = id(block.mapping)
    _hot[key] = block.nbytes
    _waiting[key] = block
    _cool()
    _drop_to(_MOST)


def _cool() -> None:
    """Let the system take some of those that wait as they are: large ones, then the oldest."""
    hot = _hot.copy()
    excess = sum(hot.values()) - _HOT
    if excess <= 0:
        return
    for key in sorted(hot, key=lambda key: hot[key] <= _HOT // 2):
        if excess <= 0:
            return
        excess -= hot[key]
        _hot.pop(key, None)
        block = _waiting.pop(key, None)  # nobody is lent it meanwhile
        if block is not None:
            with suppress(OSError):  # of a system older than MADV_FREE, or pages that are locked
                block.mapping.madvise(mmap.MADV_FREE)
                _waiting[key] = block


def _drop_to(nbytes: int) -> int:
    """Let the oldest go until no more than this waits; return how many bytes went."""
    blocks = _waiting.copy()
    waiting = sum(block.nbytes for block in blocks.values())
    dropped = 0
    for key, block in blocks.items():
        if waiting - dropped <= nbytes:
            break
        dropped += block.nbytes
        _waiting.pop(key, None)
        _hot.pop(key, None)
    return dropped


def _trim() -> None:
    """Give what was not asked for of blocks in use back to the system."""
    for key, lent in _lent.copy().items():
        mapping = lent.mapping()  # as long as it is here, the key is its own
        if mapping is None or lent.held == lent.asked:
            continue
        now = _lent.pop(key, None)  # who takes the block back meanwhile finds none, and drops it
        if now is not None:
            if now.held > now.asked:
                with suppress(OSError):  # of pages that are locked
                    mapping.madvise(mmap.MADV_DONTNEED, now.asked)
            _lent[key] = now._replace(held=now.asked)


def _in_use() -> tuple[int, int]:
    """Return the bytes that were asked for and are in use, and those that their blocks hold."""
    in_use = [lent for lent in _lent.copy().values() if lent.mapping() is not None]
    return sum(lent.asked for lent in in_use), sum(lent.held for lent in in_use)


def _traced() -> bool:
    tracing = sys.modules.get("tracemalloc")
    return tracing is not None and tracing.is_tracing()


class _Loan(np.ndarray):
    """A block in use, as bytes: what its array is based on, and with it all views of that."""

    block: _Block

    # Bound here: where the interpreter ends, this module may have lost its names already.
    def __del__(
        self,
        ending: Callable[[], bool] = sys.is_finalizing,
        take_back: Callable[[_Block], None] = _take_back,
    ) -> None:
        block = getattr(self, "block", None)  # a view of this class has none
        if block is not None and not ending():
            take_back(block)
