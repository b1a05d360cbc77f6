"""The record of a Winograd weight gradient: written, and read by entries.

A run is a tap of the depth in one group.  Runs stand behind one another, NBYTES apart, and an
entry's items are all those of the first run, of the next one, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from npconv.kernels import simd
from npconv.kernels.inner import inner
from npconv.kernels.record import ints, of_type
from npconv.kernels.winograd_gradient_layer import (
    LINE,
    Desk,
    Fold,
    Layer,
    Operand,
    Part,
    Planes,
    Side,
    Sums,
    Target,
)
from npconv.kernels.winograd_gradient_tiles import INTO_PLANES, INTO_TAPS

read_int = simd.read_int

# Slots of the record; behind the names of tuples stand their fields.
_SIDE = len(Side._fields)
_OPERAND = len(Operand._fields) + 2 * (_SIDE - 1)
_X = 0
_GRAD = _X + _OPERAND
_FOLD = _GRAD + _OPERAND
_TARGET = _FOLD + 6
_VALUES = _TARGET + len(Target._fields)
_GRADS = _VALUES + len(Planes._fields)
_SUMS = _GRADS + len(Planes._fields)
_DESK = _SUMS + len(Sums._fields)
_REST = _DESK + len(Desk._fields)
(
    _SCRATCH, _EACH, _PARTIAL, _TABLES, _PLANES, _TAPS, _PARTS, _COUNT, _ENDS, _PIECES, _TILES,
    _SHARES, _CHANNELS, _END,
) = range(_REST, _REST + 14)  # fmt: skip
NBYTES = 8 * _END


class Run(NamedTuple):
    """What a tap of the depth in a group is: x, grad and target lie that far from their arrays.

    parts   (count, 6): Parts; those of a share of the tiles, `ends` of them, come after another's
    pieces  (count, 3): (part, first row, last row) to add up, where shares of the tiles have sums
    """

    x: Operand
    grad: Operand
    target: Target
    tiles: int
    parts: np.ndarray
    ends: int
    pieces: np.ndarray


class Scratch(NamedTuple):
    """What a thread's scratch holds, as byte offsets; nbytes: of all of it.

    values and grads are of no use where all threads share them, nor are sums where parts have them.
    """

    values: Planes
    grads: Planes
    sums: Sums
    desk: Desk
    nbytes: int


class Counts(NamedTuple):
    """Tiles of a run and the shares they are gathered in; parts that end one share; its channels.

    partial: bytes of a part's sums; 0 where each thread has some of its own.
    """

    tiles: int
    shares: int
    ends: int
    channels: int
    partial: int


class Template:
    """What does not change from one call to the next of the records of a problem's runs.

    letter: of the elements' type; shares: in which x, and grad_out, is transformed first, 0 where
    it is not; channels: of a part; partial: bytes of a part's sums, 0 where each thread has some of
    its own.
    """

    def __init__(
        self,
        letter: str,
        tables: np.ndarray,
        fold: Fold,
        runs: Sequence[Run],
        each: Scratch,
        shares: int,
        channels: int,
        partial: int,
    ) -> None:
        self.scratch_nbytes = each.nbytes
        self.gathers = 2 * shares
        self.runs = [(len(run.parts), len(run.pieces)) for run in runs]
        self.partial_nbytes = partial * max((count for count, _ in self.runs), default=0)
        # Where nothing has to be done before or after, the parts of all the runs are one job.
        self.joined = 0 if shares or partial else sum(count for count, _ in self.runs)
        self.most = max(self.joined, self.gathers, *(max(counts) for counts in self.runs), 1)
        # Kept alive: the record holds their addresses.
        self._arrays = tables, [(run.parts, run.pieces) for run in runs]
        self._records = np.zeros((len(runs), _END), np.int64)
        functions = INTO_PLANES[letter].address, INTO_TAPS[letter].address
        same = [*fold.high, *fold.wide]
        scratch = [*each.values, *each.grads, *each.sums, *each.desk, 0, each.nbytes, partial]
        for record, run in zip(self._records, runs, strict=True):
            record[:] = [
                *_flat(run.x), *_flat(run.grad), *same, *run.target, *scratch,
                tables.ctypes.data, *functions, run.parts.ctypes.data, len(run.parts), run.ends,
                run.pieces.ctypes.data, run.tiles, shares, channels,
            ]  # fmt: skip

    def record(self, scratch: int, x: int, grad: int, target: int) -> np.ndarray:
        """Return a record with these addresses."""
        record = self._records.copy()
        record[:, _SCRATCH] = scratch
        record[:, _X] += x
        record[:, _GRAD] += grad
        record[:, _TARGET] += target
        return record


def hold_planes(record: np.ndarray, values: tuple[int, int], grads: tuple[int, int]) -> None:
    """Write where all threads' transformed tiles lie: the address, and bytes of a plane."""
    record[:, _VALUES : _VALUES + 2], record[:, _GRADS : _GRADS + 2] = values, grads


def hold_sums(record: np.ndarray, sums: int) -> None:
    """Write where the sums of the parts lie."""
    record[:, _SUMS] = sums


def _flat(operand: Operand) -> list[int]:
    *steps, high, wide, slices, count = operand
    return [*steps, *high, *wide, slices, count]


@inner
def run_of(record, item, count):
    """Return the address of the record of an item's run, where each run has `count` items."""
    return record + item // count * NBYTES, item % count


@inner
def parts_of(record):
    """Return how many parts a run has."""
    return read_int(record + 8 * _COUNT)


@inner
def part_of(record, number):
    """Return a part of a run."""
    a = ints(read_int(record + 8 * _PARTS) + 48 * number, 6)
    return Part(a[0], a[1], a[2], a[3], a[4], a[5])


@inner
def piece_of(record, number):
    """Return a piece: the number of a part, and its first and last row."""
    a = ints(read_int(record + 8 * _PIECES) + 24 * number, 3)
    return a[0], a[1], a[2]


@inner
def layer_of(record, zero):
    """Return the Layer."""
    tables, into_planes = read_int(record + 8 * _TABLES), read_int(record + 8 * _PLANES)
    into_taps = read_int(record + 8 * _TAPS)
    f = ints(record + 8 * _FOLD, 6)
    fold = Fold((f[0], f[1], f[2]), (f[3], f[4], f[5]))
    x, grad = _operand(record + 8 * _X), _operand(record + 8 * _GRAD)
    return Layer(tables, into_planes, into_taps, x, grad, fold, zero, of_type(-np.inf, zero))


@inner
def _operand(at):
    a = ints(at, _OPERAND)
    high, wide = _side(at + 56), _side(at + 56 + 8 * _SIDE)
    return Operand(a[0], a[1], a[2], a[3], a[4], a[5], a[6], high, wide, a[19], a[20])


@inner
def _side(at):
    a = ints(at, _SIDE)
    return Side(a[0], a[1], a[2], a[3], a[4], a[5])


@inner
def target_of(record):
    """Return where grad_weight is written."""
    a = ints(record + 8 * _TARGET, 5)
    return Target(a[0], a[1], a[2], a[3], a[4])


@inner
def counts_of(record):
    """Return the Counts."""
    return Counts(read_int(record + 8 * _TILES), read_int(record + 8 * _SHARES),
                  read_int(record + 8 * _ENDS), read_int(record + 8 * _CHANNELS),
                  read_int(record + 8 * _PARTIAL))  # fmt: skip


@inner
def _scratch_of(record, thread):
    return read_int(record + 8 * _SCRATCH) + thread * read_int(record + 8 * _EACH)


@inner
def shared_of(record):
    """Return the Planes of x and of grad_out that all threads share."""
    return _planes(record + 8 * _VALUES, 0), _planes(record + 8 * _GRADS, 0)


@inner
def planes_of(record, thread):
    """Return the Planes of x and of grad_out of a thread."""
    begin = _scratch_of(record, thread)
    return _planes(record + 8 * _VALUES, begin), _planes(record + 8 * _GRADS, begin)


@inner
def _planes(at, begin):
    return Planes(begin + read_int(at), read_int(at + 8), read_int(at + 16))


@inner
def sums_of(record, number, thread):
    """Return the Sums of a part, or of the thread."""
    a = ints(record + 8 * _SUMS, 3)
    partial = read_int(record + 8 * _PARTIAL)
    begin = number * partial if partial else _scratch_of(record, thread)
    return Sums(begin + a[0], a[1], a[2])


@inner
def desk_of(record, thread):
    """Return a thread's Desk."""
    begin, a = _scratch_of(record, thread), ints(record + 8 * _DESK, 4)
    return Desk(begin + a[0], begin + a[1], begin + a[2], begin + a[3])


def lined(*lengths: int) -> list[int]:
    """Return where arrays of so many bytes begin, each at a cache line, and where the last ends."""
    ends = [0]
    for nbytes in lengths:
        ends.append(ends[-1] + -(-nbytes // LINE) * LINE)
    return ends
