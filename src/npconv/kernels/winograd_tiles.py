"""One tile of a Winograd convolution: from x into a row of values, from products into out."""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.compile import compiled
from npconv.kernels.sandwich import expect
from npconv.kernels.winograd_transforms import ending, transform

copy = simd.copy
copy_vector = simd.copy_vector
fill = simd.fill


@compiled
def gather_tile(source, image, layer, tables, y, x, row, room):
    """Transform tile (y, x) of an image of x into a row of values."""
    high, wide, channels, zero = layer.high, layer.wide, layer.channels, layer.zero
    size = simd.nbytes(zero)
    lanes = simd.width(zero)
    vector = lanes * size
    rows, columns = high.places + tables[high.firsts + y], wide.places + tables[wide.firsts + x]
    top, left = tables[rows], tables[columns]
    reach_y, reach_x = (high.span - 1) * high.hole, (wide.span - 1) * wide.hole
    whole = (
        top >= 0
        and left >= 0
        and tables[rows + reach_y] == top + reach_y
        and tables[columns + reach_x] == left + reach_x
    )
    ahead = wide.span - wide.taps + 1
    for c in range(0, channels, lanes):
        here = min(lanes, channels - c)
        if whole and here == lanes:
            read = image + top * source.row + left * source.pixel + c * size
            row_step, pixel_step = high.hole * source.row, wide.hole * source.pixel
            # What the next tile reads: its rows are too short for the CPU to see what comes.
            for i in range(high.span):
                for j in range(wide.span, wide.span + ahead):
                    expect(read + i * row_step + j * pixel_step)
        else:
            read, row_step, pixel_step = room.patch, wide.span * vector, vector
            for i in range(high.span):
                h = tables[rows + i * high.hole]
                for j in range(wide.span):
                    w = tables[columns + j * wide.hole]
                    at = room.patch + (i * wide.span + j) * vector
                    there = image + h * source.row + w * source.pixel + c * size
                    if h < 0 or w < 0:
                        copy_vector(at, room.zeros, zero)
                    elif here == lanes:
                        copy_vector(at, there, zero)
                    else:
                        copy(at, there, here, zero)
                        fill(at + here * size, lanes - here, zero)
        if here == lanes:
            write, plane = room.values + (row * channels + c) * size, room.value_plane
        else:
            write, plane = room.patch, vector
        transform(layer.transforms.given, read, row_step, pixel_step, write, wide.span * plane,
                  plane)  # fmt: skip
        if here < lanes:
            for i in range(high.span * wide.span):
                copy(room.values + i * room.value_plane + (row * channels + c) * size,
                     room.patch + i * vector, here, zero)  # fmt: skip


@compiled
def scatter_tile(target, out, layer, rows, columns, here, products, room, store):
    """Transform products into rows and columns of outputs, of which `here` each, from out on."""
    high, wide, like = layer.high, layer.wide, store.least
    size = simd.nbytes(like)
    lanes = simd.width(like)
    vector = lanes * size
    row_step, pixel_step = high.leap * target.row, wide.leap * target.pixel
    for v in range(0, here, lanes):
        read, plane = products + v * size, room.product_plane
        count = min(here - v, lanes)
        whole = count == lanes and rows == high.outputs and columns == wide.outputs
        if whole:
            write, to_row, to_pixel = out + v * size, row_step, pixel_step
        else:
            write, to_row, to_pixel = room.spare, wide.outputs * vector, vector
        ending(layer.transforms.output, read, wide.span * plane, plane, write, to_row, to_pixel,
               room.seen, store.start + v * size, store.streams if whole else 0,
               np.float64(store.least), np.float64(store.most))  # fmt: skip
        if not whole:
            for i in range(rows):
                for j in range(columns):
                    at = room.spare + (i * wide.outputs + j) * vector
                    to = out + v * size + i * row_step + j * pixel_step
                    if count == lanes:
                        copy_vector(to, at, like)
                    else:
                        copy(to, at, count, like)
