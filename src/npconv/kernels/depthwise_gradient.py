"""The gradient of a depthwise kernel: sums over pixels in registers, a lane for each group."""

from __future__ import annotations

from npconv.kernels import simd
from npconv.kernels.depthwise import turned
from npconv.kernels.depthwise_layer import Gradient
from npconv.kernels.depthwise_tables import columns, find, is_inside, position_of, rows_in
from npconv.kernels.depthwise_tile import PIXELS, make_gradient_tile
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import cell, nbytes, read, scratch
from npconv.kernels.inner import inner
from npconv.kernels.planes import FORTH

# By taps of a line and stride; those of one pixel are of any stride.
_many_1, _one_1 = make_gradient_tile(1, 1, PIXELS), make_gradient_tile(1, 1, 1)
_many_3, _one_3 = make_gradient_tile(3, 1, PIXELS), make_gradient_tile(3, 1, 1)
_many_5, _one_5 = make_gradient_tile(5, 1, PIXELS), make_gradient_tile(5, 1, 1)
_many_32, _many_52 = make_gradient_tile(3, 2, PIXELS), make_gradient_tile(5, 2, PIXELS)
FORMS = (1, 1), (3, 1), (3, 2), (5, 1), (5, 2)  # of which there are tiles


@entries
def accumulate(record, item, thread, zero):
    """Write an item's sums: x at each tap times the gradient of out, over a share of the lines."""
    layer = read(record, Gradient)
    part, windows, grad = cell(layer.grid, item), layer.windows, layer.grad
    form, size, groups = layer.form, simd.nbytes(zero), windows.groups
    first = part.block * layer.block
    last = min(part.last_block * layer.block, groups)
    matrix = layer.rows * form.taps * groups * size
    images = layer.turn.block > 0
    share = part.group // layer.grid.item_groups if images else part.tile // layer.grid.item_tiles
    sums = layer.call.sums + share * grad.planes * matrix
    for row in range(grad.planes * layer.rows * form.taps):
        simd.fill(sums + (row * groups + first) * size, last - first, zero)
    table = scratch(record, nbytes(Gradient), layer.each, thread)
    if not images:
        lines, span = (part.tile, part.last_tile), (first, last)
        _sum(layer, table, lines, layer.call.x, layer.call.grad, sums, span, 0, zero)
        return
    turn = layer.turn
    x = table + turn.tables
    out = x + turn.x.pixels * turn.block * size
    lines = 0, windows.out_size.depth * windows.out_size.height
    for n in range(part.group, part.last_group):
        for kb in range(part.block, part.last_block):
            g = kb * turn.block
            span = g, min(g + turn.block, groups)
            turned(turn.x, layer.call.x, n, span, x, turn.block, FORTH, zero)
            turned(turn.out, layer.call.grad, n, span, out, turn.block, FORTH, zero)
            _sum(layer, table, lines, x, out, sums, span, -g * size, zero)


@inner
def _sum(layer, table, lines, x, out, sums, span, moved, zero):
    """Add what some lines have for some groups; moved: bytes that x and out are further on."""
    windows, grad, form = layer.windows, layer.grad, layer.form
    matrix = layer.rows * form.taps * windows.groups * simd.nbytes(zero)
    rows = rows_in(layer.source, windows, form)
    for line in range(lines[0], lines[1]):
        n, d, h = position_of(windows, line)
        image = x + n * layer.source.image
        at = out + n * grad.image + d * grad.depth + h * grad.height
        w = 0
        while w < windows.out_size.width:
            left = windows.out_size.width - w
            pixels = PIXELS if left >= PIXELS else 1
            wide, here = form.taps, table + 8 * layer.rows * columns(form)
            if pixels > 1:
                wide, here = columns(form), table
            count = 1
            whole = find(layer.source, windows, form.taps, image, (d, h, w), pixels, wide, wide,
                         here)  # fmt: skip
            for q in range(rows * wide, layer.rows * wide):  # for what nobody reads: the last row
                simd.write_int(here + 8 * q, simd.read_int(here + 8 * (q - wide)))
            if whole and is_inside(layer.source, w, pixels):
                count = max((min(layer.source.last - w, left)) // pixels, 1)
            for j in range(grad.planes):
                pixel = at + j * grad.plane + w * grad.width
                _add(layer, here, wide, count, pixels, pixel, sums + j * matrix, span, moved,
                     zero)  # fmt: skip
            w += count * pixels


@inner
def _add(layer, table, wide, count, pixels, grad, sums, span, moved, zero):
    """Add what `count` times some pixels of a line have for an item's groups."""
    size, lanes, groups = simd.nbytes(zero), simd.width(zero), layer.windows.groups
    taps, stride = layer.form
    row, x_step = groups * size, pixels * layer.windows.stride.width * layer.source.pixel
    for g in range(span[0], span[1], lanes):
        for r in range(0, layer.rows, layer.held):
            given = (table + 8 * r * wide, count, moved + g * size, x_step,
                     grad + moved + g * size, layer.grad.width,
                     sums + r * taps * row + g * size, row,
                     min(span[1] - g, lanes), zero)  # fmt: skip
            if taps == 1:
                _many_1(*given) if pixels > 1 else _one_1(*given)
            elif taps == 3 and pixels == 1:
                _one_3(*given)
            elif taps == 3:
                _many_3(*given) if stride == 1 else _many_32(*given)
            elif pixels == 1:
                _one_5(*given)
            else:
                _many_5(*given) if stride == 1 else _many_52(*given)


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(accumulate)
