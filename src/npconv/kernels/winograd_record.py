"""The record of a Winograd convolution, or of each of its groups: written, and read by entries.

Groups stand behind one another, NBYTES apart, and an entry's items are all the parts of the first
group, of the next one, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from npconv.kernels import simd
from npconv.kernels.compile import compiled
from npconv.kernels.record import ints, of_type, read_double
from npconv.kernels.tile import Store
from npconv.kernels.winograd_layer import (
    LINE,
    VECTORS,
    Depth,
    Layer,
    Part,
    Place,
    Room,
    Side,
    Sizes,
    Weight,
    room,
)
from npconv.kernels.winograd_transforms import Transforms

read_int = simd.read_int

# Slots of the record: addresses, whether every sum was finite, and behind the names of tuples their
# fields.
(
    _SCRATCH, _X, _OUT, _PACKED, _VALUES, _START, _FINITE, _STREAMS, _LEAST, _MOST,
    _BLOCK_NBYTES, _EACH, _BLOCK, _TRANSFORM, _TABLES, _LENGTH, _CHANNELS, _OUTPUTS, _PARTS, _COUNT,
    _SOURCE,
) = range(21)  # fmt: skip
_ADDRESSES = slice(_SCRATCH, _FINITE)
_TARGET = _SOURCE + len(Place._fields)
_WEIGHT = _TARGET + len(Place._fields)
_DEPTH = _WEIGHT + len(Weight._fields)
_HIGH = _DEPTH + len(Depth._fields)
_WIDE = _HIGH + len(Side._fields)
_TRANSFORMS = _WIDE + len(Side._fields)
_ROOM = _TRANSFORMS + len(Transforms._fields)
_END = _ROOM + len(Room._fields)
NBYTES = 8 * _END


class Scratch(NamedTuple):
    """What a thread's scratch holds behind its Room: byte offsets, and the bytes of all of it."""

    block: int  # a block of the transformed weight
    transform: int  # what its transform needs
    nbytes: int


def scratch(sizes: Sizes, block_nbytes: int, transform_nbytes: int) -> Scratch:
    """Return a thread's scratch; 0 bytes where no block is transformed there."""
    block = room(sizes)[1]
    transform = block + -(-block_nbytes // LINE) * LINE
    return Scratch(block, transform, transform + -(-transform_nbytes // LINE) * LINE)


class Template:
    """What does not change from one call to the next of the records of a problem's groups.

    places: where x's and out's first elements of a group lie, and the bytes from group to group;
    parts: of each group; shared: bytes of a group's values, where all of its tiles are held.
    """

    def __init__(
        self,
        layer: Layer,
        places: Sequence[tuple[Place, int]],
        groups: int,
        parts: Sequence[tuple[int, int, int, int]],
        sizes: Sizes,
        block_nbytes: int,
        each: Scratch,
        shared: int = 0,
    ) -> None:
        self.items = groups * len(parts)
        self.scratch_nbytes = each.nbytes
        # Kept alive: the record holds their addresses.
        self._arrays = layer.tables, np.array(parts, np.int64)
        one = np.zeros(_END, np.int64)
        one[_DEPTH:_END] = [
            *layer.depth,
            *layer.high,
            *layer.wide,
            *layer.transforms,
            *room(sizes)[0],
        ]
        one[_FINITE], one[_BLOCK_NBYTES], one[_EACH] = 1, block_nbytes, each.nbytes
        one[_BLOCK], one[_TRANSFORM] = each.block, each.transform
        one[_CHANNELS], one[_OUTPUTS] = layer.channels, layer.outputs
        one[_TABLES], one[_LENGTH] = layer.tables.ctypes.data, len(layer.tables)
        one[_PARTS], one[_COUNT] = self._arrays[1].ctypes.data, len(parts)
        one[_LEAST : _MOST + 1].view(np.float64)[:] = -np.inf, np.inf
        self._records = np.tile(one, (groups, 1))
        number = np.arange(groups)
        for slot, at, (place, step) in zip((_X, _OUT), (_SOURCE, _TARGET), places, strict=True):
            self._records[:, at : at + len(place)] = place
            self._records[:, slot] = number * step
        blocks = max(part[3] for part in parts)
        self._records[:, _PACKED] = number * blocks * block_nbytes
        self._records[:, _VALUES] = number * shared
        self._records[:, _START] = number * blocks * VECTORS * simd.MACHINE.vector_nbytes

    def record(
        self,
        scratch: int,
        x: int = 0,
        out: int = 0,
        packed: int = 0,
        values: int = 0,
        start: int = 0,
        limits: tuple[float, float] | None = None,
        streams: bool = False,
    ) -> np.ndarray:
        """Return a record with these addresses.

        packed: of the transformed weight, or of room for it; 0 has each block transformed where it
        is needed.  start: of (groups, outputs of all blocks), which are added to the sums.
        """
        record = self._records.copy()
        record[:, _ADDRESSES] += scratch, x, out, packed, values, start
        if not packed:
            record[:, _PACKED] = 0
        if limits is not None:
            record[:, _LEAST : _MOST + 1].view(np.float64)[...] = limits
        if streams:
            record[:, _STREAMS] = 1
        return record

    def weigh(self, record: np.ndarray, weight: Sequence[int], step: int) -> None:
        """Write where the weight of the first group lies, and the bytes to the next group's."""
        record[:, _WEIGHT : _WEIGHT + len(weight)] = weight
        record[:, _WEIGHT] += np.arange(len(record)) * step

    def finite(self, record: np.ndarray) -> bool:
        """Return whether every sum was finite."""
        return record.item(_FINITE) != 0


@compiled
def group_of(record, item):
    """Return the address of the record of an item's group."""
    return record + item // read_int(record + 8 * _COUNT) * NBYTES


@compiled
def part_of(record, item):
    """Return an item's Part, of the address of the first record."""
    at = read_int(record + 8 * _PARTS) + item % read_int(record + 8 * _COUNT) * 32
    return Part(read_int(at), read_int(at + 8), read_int(at + 16), read_int(at + 24))


@compiled
def source_of(record):
    """Return where x lies."""
    return _place(record + 8 * _SOURCE, read_int(record + 8 * _X))


@compiled
def target_of(record):
    """Return where out lies."""
    return _place(record + 8 * _TARGET, read_int(record + 8 * _OUT))


@compiled
def _place(at, address):
    return Place(address, read_int(at + 8), read_int(at + 16), read_int(at + 24), read_int(at + 32))


@compiled
def weight_of(record):
    """Return where the weight lies."""
    a = ints(record + 8 * _WEIGHT, 6)
    return Weight(a[0], a[1], a[2], a[3], a[4], a[5])


@compiled
def layer_of(record, zero):
    """Return the Layer."""
    tables = ints(read_int(record + 8 * _TABLES), read_int(record + 8 * _LENGTH))
    d = ints(record + 8 * _DEPTH, 9)
    depth = Depth(d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8])
    high, wide = _side(record + 8 * _HIGH), _side(record + 8 * _WIDE)
    channels, outputs = read_int(record + 8 * _CHANNELS), read_int(record + 8 * _OUTPUTS)
    t = ints(record + 8 * _TRANSFORMS, 3)
    transforms = Transforms(t[0], t[1], t[2])
    return Layer(tables, depth, high, wide, transforms, channels, outputs, zero)


@compiled
def _side(at):
    a = ints(at, 11)
    return Side(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10])


@compiled
def scratch_of(record, thread):
    """Return where a thread's scratch begins."""
    return read_int(record + 8 * _SCRATCH) + thread * read_int(record + 8 * _EACH)


@compiled
def room_of(record, thread):
    """Return a thread's Room."""
    at, a = scratch_of(record, thread), ints(record + 8 * _ROOM, 11)
    values = read_int(record + 8 * _VALUES)
    if values == 0:
        values = at + a[0]
    return Room(values, at + a[1], at + a[2], at + a[3], at + a[4], at + a[5], at + a[6], at + a[7],
                a[8], a[9], a[10])  # fmt: skip


@compiled
def packed_of(record, kb):
    """Return where block `kb` of the transformed weight lies; 0 where it is yet to be made."""
    packed = read_int(record + 8 * _PACKED)
    return 0 if packed == 0 else packed + kb * read_int(record + 8 * _BLOCK_NBYTES)


@compiled
def block_of(record, thread):
    """Return where a thread keeps a transformed block, and what its transform needs."""
    at = scratch_of(record, thread)
    return at + read_int(record + 8 * _BLOCK), at + read_int(record + 8 * _TRANSFORM)


@compiled
def store_of(record, zero):
    """Return how outputs are stored."""
    least = of_type(read_double(record + 8 * _LEAST), zero)
    most = of_type(read_double(record + 8 * _MOST), zero)
    streams = read_int(record + 8 * _STREAMS)
    return Store(read_int(record + 8 * _START), streams, least, most)


@compiled
def note_infinite(record):
    """Write to the first record that a sum was not finite."""
    simd.write_int(record + 8 * _FINITE, 0)
