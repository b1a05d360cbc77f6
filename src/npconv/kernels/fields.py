"""Records as NamedTuples: written as int64 one after the other, and read back by entries.

A field is an int, a float (its bits), or a NamedTuple of such fields, whose own follow one another.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, get_type_hints

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npconv.kernels.ahead import LINE
from npconv.kernels.inner import inner
from npconv.kernels.simd import INT


class Grid(NamedTuple):
    """Work cut into items: how many groups, tiles and blocks there are, and how many an item has.

    Items go through the blocks first, then the tiles, then the groups.
    """

    groups: int
    tiles: int
    blocks: int
    item_groups: int
    item_tiles: int
    item_blocks: int

    @property
    def items(self) -> int:
        """How many items there are."""
        spans = zip(self[:3], self[3:], strict=True)
        return math.prod(-(-length // each) for length, each in spans)


class Cell(NamedTuple):
    """The groups, tiles and blocks of one item, of each the first and the last + 1."""

    group: int
    last_group: int
    tile: int
    last_tile: int
    block: int
    last_block: int


def words(record: tuple) -> np.ndarray:
    """Return a record as int64."""
    return np.array([*_words(record)], np.int64)


def _words(value: Any) -> Iterator[int]:
    if isinstance(value, tuple):
        for field in value:
            yield from _words(field)
    elif isinstance(value, float):
        yield from struct.unpack("=q", struct.pack("=d", value))
    else:
        yield int(value)


@intrinsic
def read(context: Any, address: Any, kind: Any) -> Any:
    """Return the record at an address, of a class of NamedTuples."""
    made = _type_of(kind.instance_class)

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        return _read(context, builder, made, given[0])[0]

    return made(types.int64, kind), emit


@intrinsic
def nbytes(context: Any, kind: Any) -> Any:
    """Return the bytes of a record of a class of NamedTuples."""
    made = _type_of(kind.instance_class)

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        return ir.Constant(INT, 8 * _length(made))

    return types.int64(kind), emit


def _type_of(kind: type) -> types.Type:
    if kind in (int, float):
        return types.int64 if kind is int else types.float64
    fields = [_type_of(hint) for hint in get_type_hints(kind).values()]
    return types.BaseTuple.from_types(fields, kind)


def _length(made: types.Type) -> int:
    return sum(map(_length, made)) if isinstance(made, types.BaseTuple) else 1


def _read(context: Any, builder: Any, made: types.Type, address: Any) -> tuple[Any, Any]:
    """Return what lies at an address, and the address after it."""
    if isinstance(made, types.BaseTuple):
        fields = []
        for one in made:
            value, address = _read(context, builder, one, address)
            fields.append(value)
        return context.make_tuple(builder, made, fields), address
    kind = context.get_value_type(made)
    value = builder.load(builder.inttoptr(address, kind.as_pointer()))
    return value, builder.add(address, ir.Constant(INT, 8))


@inner
def cell(grid, item):
    """Return the Cell of an item of a Grid."""
    across = -(-grid.blocks // grid.item_blocks)
    along = -(-grid.tiles // grid.item_tiles)
    block = item % across * grid.item_blocks
    tile = item // across % along * grid.item_tiles
    group = item // (across * along) * grid.item_groups
    return Cell(group, min(group + grid.item_groups, grid.groups),
                tile, min(tile + grid.item_tiles, grid.tiles),
                block, min(block + grid.item_blocks, grid.blocks))  # fmt: skip


@inner
def scratch(record, nbytes, each, thread):
    """Return where a thread's scratch begins: `each` bytes, whole cache lines behind a record."""
    return (record + nbytes + LINE - 1) // LINE * LINE + thread * each
