"""Work that is laid out once and done often: all but what each call adds is written beforehand."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from npconv.memory import LINE
from npconv.threads import share, sharers

if TYPE_CHECKING:
    from npconv.kernels.entry import Entry

_LINE = LINE // 8  # int64


def bits(value: float) -> int:
    """Return the bits of a float64, as records hold it."""
    return int(struct.unpack("=q", struct.pack("=d", value))[0])


class Template:
    """The record of an entry's work.

    words: the record as int64; what each call adds comes first.  count: how many items it is cut
    into; scratch: bytes of each thread's, whole cache lines, behind the record.  kept: what the
    record has addresses of.
    """

    __slots__ = ("_count", "_each", "_entry", "_kept", "_length", "_words")

    def __init__(
        self, entry: Entry, words: np.ndarray, count: int, scratch: int = 0, kept: Any = None
    ) -> None:
        self._entry, self._words, self._count, self._kept = entry, words, count, kept
        self._length, self._each = len(words) + _LINE, scratch // 8
        words.flags.writeable = False  # calls at once read it

    def run(self, *given: int) -> np.ndarray:
        """Do the work, with these for what a call adds; return the record as it is afterwards."""
        threads = sharers(self._count)
        memory = np.empty(self._length + threads * self._each, np.int64)
        memory[: len(self._words)] = self._words
        memory[: len(given)] = given
        share(self._entry, memory, self._count, threads)
        return memory
