"""Windows laid out as a matrix, and added back: runs of numbers, copied or added by vectors."""

from __future__ import annotations

from npconv.kernels import simd
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import cell, read
from npconv.kernels.inner import inner
from npconv.kernels.patches_layer import Patches
from npconv.kernels.pool_tile import clear
from npconv.kernels.pool_windows import met, reaching


@inner
def _fitting(axis, tap):
    """Return the windows whose tap is one of x's own elements, first and last + 1."""
    begin = axis.first + tap * axis.dilation
    first = min(max(-(begin // axis.stride), 0), axis.windows)
    last = min((axis.size - 1 - begin) // axis.stride + 1, axis.windows)
    return first, max(last, first)


@inner
def _offset(table, axis, window, tap):
    """Return the bytes that x has a tap of a window at, -1 for a zero."""
    return simd.read_int(table + 8 * (window * axis.stride + tap * axis.dilation))


@inner
def _copy(to, source, count, zero):
    """Copy numbers that lie side by side; the last vector reaches back over what was copied."""
    size, lanes = simd.nbytes(zero), simd.width(zero)
    if count < lanes:
        simd.copy(to, source, count, zero)
        return
    for i in range(0, count, lanes):
        at = min(i, count - lanes) * size
        simd.copy_vector(to + at, source + at, zero)


@inner
def _add(to, source, count, zero):
    """Add numbers that lie side by side to others that do."""
    size, lanes = simd.nbytes(zero), simd.width(zero)
    i = 0
    while i + lanes <= count:
        simd.add_vector(to + i * size, source + i * size, zero)
        i += lanes
    while i < count:
        at = to + i * size
        simd.store(at, simd.load(at, zero) + simd.load(source + i * size, zero))
        i += 1


@entries
def unfold_planes(record, item, thread, zero):
    """Write some channels of a matrix whose channels come first, from an x of any strides."""
    given = read(record, Patches)
    part, size = cell(given.grid, item), simd.nbytes(zero)
    depth, height, width = given.depth, given.height, given.width
    channel = depth.taps * height.taps * width.taps
    channel *= depth.windows * height.windows * width.windows * size
    for n in range(part.group, part.last_group):
        for c in range(part.block, part.last_block):
            x = given.call.read + n * given.x.image + c * given.x.channel
            to = given.call.written + (n * given.channels + c) * channel
            for a in range(depth.taps):
                for b in range(height.taps):
                    for t in range(width.taps):
                        to = _unfold_tap(given, x, to, a, b, t, zero)


@inner
def _unfold_tap(given, x, to, a, b, t, zero):
    """Write all that a tap holds of a channel; return what comes after it."""
    depth, height, width = given.depth, given.height, given.width
    size, span = simd.nbytes(zero), _fitting(width, t)
    step, table = width.stride * given.x.width, given.offsets.width
    for d in range(depth.windows):
        u = _offset(given.offsets.depth, depth, d, a)
        for h in range(height.windows):
            v = _offset(given.offsets.height, height, h, b)
            if u == -1 or v == -1:
                clear(to, width.windows * size)
            else:
                line = x + u + v
                _unfold_border(table, width, line, to, 0, span[0], t, zero)
                if span[0] < span[1]:
                    source = line + _offset(table, width, span[0], t)
                    count = span[1] - span[0]
                    if step == size:
                        _copy(to + span[0] * size, source, count, zero)
                    else:
                        simd.gather(to + span[0] * size, source, step, count, zero)
                _unfold_border(table, width, line, to, span[1], width.windows, t, zero)
            to += width.windows * size
    return to


@inner
def _unfold_border(table, width, line, to, first, last, t, zero):
    """Write what a tap holds of a line for some windows, wherever that is."""
    size = simd.nbytes(zero)
    for w in range(first, last):
        where = _offset(table, width, w, t)
        simd.store(to + w * size, zero if where == -1 else simd.load(line + where, zero))


@entries
def unfold_rows(record, item, thread, zero):
    """Write some lines of windows of a matrix whose channels come last, as x's do."""
    given = read(record, Patches)
    part, size = cell(given.grid, item), simd.nbytes(zero)
    height, width = given.height, given.width
    pixel = given.channels * size
    row = width.taps * pixel
    lines = given.depth.windows * height.windows
    window = given.depth.taps * height.taps * row
    dense = width.dilation == 1 and given.x.width == pixel
    whole = _fitting(width, 0)[0], _fitting(width, width.taps - 1)[1]
    for n in range(part.group, part.last_group):
        x = given.call.read + n * given.x.image
        for line in range(part.tile, part.last_tile):
            d, h = line // height.windows, line % height.windows
            to = given.call.written + (n * lines + line) * width.windows * window
            for w in range(width.windows):
                together = dense and whole[0] <= w and w < whole[1]
                for a in range(given.depth.taps):
                    u = _offset(given.offsets.depth, given.depth, d, a)
                    for b in range(height.taps):
                        v = _offset(given.offsets.height, height, h, b)
                        if u == -1 or v == -1:
                            clear(to, row)
                        elif together:
                            source = x + u + v + _offset(given.offsets.width, width, w, 0)
                            _copy(to, source, width.taps * given.channels, zero)
                        else:
                            _unfold_taps(given, x + u + v, to, w, zero)
                        to += row


@inner
def _unfold_taps(given, line, to, w, zero):
    """Write what a window holds of a line, tap by tap."""
    pixel = given.channels * simd.nbytes(zero)
    for t in range(given.width.taps):
        where = _offset(given.offsets.width, given.width, w, t)
        if where == -1:
            clear(to + t * pixel, pixel)
        else:
            _copy(to + t * pixel, line + where, given.channels, zero)


@entries
def fold_planes(record, item, thread, zero):
    """Write some channels of x: the sums of what a matrix has for each element."""
    given = read(record, Patches)
    part, size = cell(given.grid, item), simd.nbytes(zero)
    depth, height, width = given.depth, given.height, given.width
    windows = depth.windows * height.windows * width.windows * size
    taps = depth.taps * height.taps * width.taps
    for n in range(part.group, part.last_group):
        for c in range(part.block, part.last_block):
            x = given.call.written + n * given.x.image + c * given.x.channel
            _clear(given, x, 0, depth.size, size)
            source = given.call.read + (n * given.channels + c) * taps * windows
            for a in range(depth.taps):
                for b in range(height.taps):
                    for t in range(width.taps):
                        _fold_tap(given, x, source, a, b, t, zero)
                        source += windows


@inner
def _fold_tap(given, x, source, a, b, t, zero):
    """Add all that a tap held of a channel."""
    depth, height, width = given.depth, given.height, given.width
    size = simd.nbytes(zero)
    down, along, across = _fitting(depth, a), _fitting(height, b), _fitting(width, t)
    count, step = across[1] - across[0], width.stride * given.x.width
    left = width.first + t * width.dilation + across[0] * width.stride
    for d in range(down[0], down[1]):
        z = depth.first + d * depth.stride + a * depth.dilation
        for h in range(along[0], along[1]):
            y = height.first + h * height.stride + b * height.dilation
            to = x + z * given.x.depth + y * given.x.height + left * given.x.width
            at = source + ((d * height.windows + h) * width.windows + across[0]) * size
            if step == size:
                _add(to, at, count, zero)
            else:
                for _ in range(count):
                    simd.store(to, simd.load(to, zero) + simd.load(at, zero))
                    to += step
                    at += size


@entries
def fold_rows(record, item, thread, zero):
    """Write some depths of x, whose channels lie side by side: such sums, window by window."""
    given = read(record, Patches)
    part, depth = cell(given.grid, item), given.depth
    for n in range(part.group, part.last_group):
        x = given.call.written + n * given.x.image
        for band in range(part.tile, part.last_tile):
            low = band * given.band
            high = min(low + given.band, depth.size)
            _clear(given, x, low, high, given.channels * simd.nbytes(zero))
            first, last = reaching(depth, low, high)
            for d in range(first, last):
                _fold_windows(given, x, n, d, met(depth, d, low, high), zero)


@inner
def _fold_windows(given, x, n, d, down, zero):
    """Add what the windows at a depth have for the depths that they meet."""
    depth, height, width, size = given.depth, given.height, given.width, simd.nbytes(zero)
    pixel = given.channels * size
    window = depth.taps * height.taps * width.taps * pixel
    top = _first_tap(depth, d, down)
    for h in range(height.windows):
        along = met(height, h, 0, height.size)
        begin = _first_tap(height, h, along)
        line = (n * depth.windows + d) * height.windows + h
        source = given.call.read + line * width.windows * window
        for w in range(width.windows):
            across = met(width, w, 0, width.size)
            left = _first_tap(width, w, across)
            for a in range(down.count):
                z = down.position + a * depth.dilation
                for b in range(along.count):
                    y = along.position + b * height.dilation
                    to = x + z * given.x.depth + y * given.x.height
                    at = ((top + a) * height.taps + begin + b) * width.taps + left
                    _fold_run(to + across.position * given.x.width, source + at * pixel,
                              across.count, width.dilation * given.x.width, given.channels,
                              zero)  # fmt: skip
            source += window


@inner
def _first_tap(axis, window, met):
    """Return which tap of a window is the first that meets what this says."""
    return (met.position - axis.first - window * axis.stride) // axis.dilation


@inner
def _fold_run(to, source, taps, step, channels, zero):
    """Add what a window has for some elements of a line, which are `step` bytes apart."""
    pixel = channels * simd.nbytes(zero)
    if step == pixel:
        _add(to, source, taps * channels, zero)
        return
    for t in range(taps):
        _add(to + t * step, source + t * pixel, channels, zero)


@inner
def _clear(given, x, low, high, pixel):
    """Write zeros to the depths from low to high - 1; pixel: bytes that are written of each."""
    widths = given.width.size
    for z in range(low, high):
        for y in range(given.height.size):
            at = x + z * given.x.depth + y * given.x.height
            if given.x.width == pixel:
                clear(at, widths * pixel)
            else:
                for w in range(widths):
                    clear(at + w * given.x.width, pixel)


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(unfold_planes, unfold_rows, fold_planes, fold_rows)
