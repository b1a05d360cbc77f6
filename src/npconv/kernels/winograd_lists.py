"""Where a block of columns of tiles stands, where its products are read, and where outputs go.

`record` is the address of a Layer.  Nothing here depends on the type of the elements.
"""

from __future__ import annotations

from npconv.kernels import simd
from npconv.kernels.fields import read
from npconv.kernels.inner import inner
from npconv.kernels.winograd_layer import ROWS, Layer

read_int = simd.read_int
write_int = simd.write_int


@inner
def column(record, t):
    """Return where column t is: tile of the width, of the height, column of the depth, image."""
    layer = read(record, Layer)
    lines = t // layer.wide.tiles
    planes = lines // layer.high.tiles
    columns = layer.depth.columns
    return t % layer.wide.tiles, lines % layer.high.tiles, planes % columns, planes // columns


@inner
def next_column(record, x, y, d, n):
    """Return where the column after that one is."""
    layer = read(record, Layer)
    x += 1
    if x == layer.wide.tiles:
        x, y = 0, y + 1
        if y == layer.high.tiles:
            y, d = 0, d + 1
            if d == layer.depth.columns:
                d, n = 0, n + 1
    return x, y, d, n


@inner
def list_goals(record, out, first, last, goals):
    """Write to `goals` where each row of products goes; return how many rows there are."""
    layer = read(record, Layer)
    depth, high, wide, target = layer.depth, layer.high, layer.wide, layer.target
    x, y, d, n = column(record, first)
    rows = 0
    for _ in range(first, last):
        h = read_int(layer.tables + 8 * (high.starts + y))
        w = read_int(layer.tables + 8 * (wide.starts + x))
        place = out + n * target.image + h * target.row + w * target.pixel
        begin = d * depth.length
        for z in range(begin, min(begin + depth.length, depth.out_size)):
            write_int(goals, place + z * target.depth)
            write_int(goals + 8, min(high.outputs, -((h - high.out_size) // high.leap)))
            write_int(goals + 16, min(wide.outputs, -((w - wide.out_size) // wide.leap)))
            goals += 24
            rows += 1
        x, y, d, n = next_column(record, x, y, d, n)
    return rows


@inner
def list_rows(record, first, last, values, room, size, block):
    """Write to the room's table where each row of products reads its taps and is written.

    The reads lie as (planes, tiles of registers, taps, ROWS), and after them the rows written.
    values: address of the first column's; size: bytes of an element, block: of a row of products.
    """
    layer = read(record, Layer)
    depth, tables = layer.depth, layer.tables
    taps, planes = depth.taps, layer.high.span * layer.wide.span
    rows = 0
    x, y, d, n = column(record, first)
    for _ in range(first, last):
        rows += min(depth.length, depth.out_size - d * depth.length)
        x, y, d, n = next_column(record, x, y, d, n)
    whole = -(-rows // ROWS) * ROWS
    table = room + layer.room.table
    x, y, d, n = column(record, first)
    r = 0
    for t in range(last - first):
        begin = d * depth.length
        for z in range(min(depth.length, depth.out_size - begin)):
            for p in range(taps):
                line = read_int(tables + 8 * (depth.lines + z * taps + p))
                at, plane = room + layer.room.zeros, 0
                place = begin * depth.stride + read_int(tables + 8 * (depth.reads + line))
                if read_int(tables + 8 * (depth.places + place)) >= 0:
                    at = values + (t * depth.count + line) * layer.channels * size
                    plane = layer.room.value_plane
                to = table + 8 * (r // ROWS * ROWS * taps + p * ROWS + r % ROWS)
                for _ in range(planes):
                    write_int(to, at)
                    at += plane
                    to += 8 * whole * taps
            r += 1
        x, y, d, n = next_column(record, x, y, d, n)
    # The last row again, where a tile of registers has more rows than there are.
    for r in range(rows, whole):
        for i in range(planes * taps):
            at = table + 8 * (i // taps * whole * taps + (whole - ROWS) * taps + i % taps * ROWS)
            write_int(at + 8 * (r % ROWS), read_int(at + 8 * ((rows - 1) % ROWS)))
    for r in range(whole):
        to = table + 8 * (planes * taps * whole + r)
        write_int(to, room + layer.room.products + r * block)
    return rows
