"""One tile of a Winograd convolution: from x into a row of values, from products into out."""

from __future__ import annotations

from npconv.kernels import simd
from npconv.kernels.fields import read
from npconv.kernels.inner import inner
from npconv.kernels.winograd_layer import VECTORS, Layer
from npconv.kernels.winograd_transforms import ending, transform

copy = simd.copy
copy_vector = simd.copy_vector
fill = simd.fill
read_int = simd.read_int


@inner
def gather_tile(record, image, y, x, write, room, zero):
    """Transform tile (y, x) of an image of x into a row of values."""
    layer = read(record, Layer)
    high, wide, channels = layer.high, layer.wide, layer.channels
    size, lanes = simd.nbytes(zero), simd.width(zero)
    vector = lanes * size
    # Where the padded positions of the tile's rows and columns stand.
    rows = layer.tables + 8 * high.places
    rows += 8 * read_int(layer.tables + 8 * (high.firsts + y))
    columns = layer.tables + 8 * wide.places
    columns += 8 * read_int(layer.tables + 8 * (wide.firsts + x))
    top, left = read_int(rows), read_int(columns)
    reach_y, reach_x = (high.span - 1) * high.hole, (wide.span - 1) * wide.hole
    whole = (
        top >= 0
        and left >= 0
        and read_int(rows + 8 * reach_y) == top + reach_y
        and read_int(columns + 8 * reach_x) == left + reach_x
    )
    vectors = channels // lanes
    plane, patch = layer.room.value_plane, room + layer.room.patch
    if vectors > 0:
        given = image + top * layer.source.row + left * layer.source.pixel
        row_step, pixel_step = high.hole * layer.source.row, wide.hole * layer.source.pixel
        if not whole:
            given, pixel_step = patch, vectors * vector
            row_step = wide.span * pixel_step
            _copy_tile(record, image, rows, columns, vectors * lanes, room, zero)
        transform(layer.transforms.given, vectors, given, row_step, pixel_step, write,
                  wide.span * plane, plane)  # fmt: skip
    first = vectors * lanes
    if first < channels:
        here = channels - first
        fill(patch, high.span * wide.span * lanes, zero)
        _copy_tile(record, image + first * size, rows, columns, here, room, zero)
        transform(layer.transforms.given, 1, patch, wide.span * vector, vector,
                  patch, wide.span * vector, vector)  # fmt: skip
        for i in range(high.span * wide.span):
            copy(write + i * plane + first * size, patch + i * vector, here, zero)


@inner
def _copy_tile(record, image, rows, columns, count, room, zero):
    """Copy `count` channels of a tile to the room's patch, in whole vectors."""
    layer = read(record, Layer)
    high, wide = layer.high, layer.wide
    lanes = simd.width(zero)
    nbytes = -(-count // lanes) * lanes * simd.nbytes(zero)
    at = room + layer.room.patch
    for i in range(high.span):
        h = read_int(rows + 8 * i * high.hole)
        for j in range(wide.span):
            w = read_int(columns + 8 * j * wide.hole)
            there = room + layer.room.zeros
            if h >= 0 and w >= 0:
                there = image + h * layer.source.row + w * layer.source.pixel
            copy(at, there, count, zero)
            at += nbytes


@inner
def scatter_tile(record, out, rows, columns, here, products, start, room, zero):
    """Transform products into rows and columns of outputs, of which `here` each, from out on."""
    layer = read(record, Layer)
    high, wide = layer.high, layer.wide
    size, lanes = simd.nbytes(zero), simd.width(zero)
    vector = lanes * size
    row_step, pixel_step = high.leap * layer.target.row, wide.leap * layer.target.pixel
    plane, spare, seen = layer.room.product_plane, room + layer.room.spare, room + layer.room.seen
    least, most = layer.call.least, layer.call.most
    if here == VECTORS * lanes and rows == high.outputs and columns == wide.outputs:
        ending(layer.transforms.output, VECTORS, products, wide.span * plane, plane, out, row_step,
               pixel_step, seen, start, layer.streams, least, most)  # fmt: skip
        return
    for v in range(0, here, lanes):
        count = min(here - v, lanes)
        ending(layer.transforms.output, 1, products + v * size, wide.span * plane, plane,
               spare, wide.outputs * vector, vector, seen, start + v * size, 0, least,
               most)  # fmt: skip
        for i in range(rows):
            for j in range(columns):
                at = spare + (i * wide.outputs + j) * vector
                to = out + v * size + i * row_step + j * pixel_step
                if count == lanes:
                    copy_vector(to, at, zero)
                else:
                    copy(to, at, count, zero)
