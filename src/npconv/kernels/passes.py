"""Fourier transforms of columns of cells, pass by pass of butterflies (Stockham's order).

A transform of length n is told of by an address of int64: n, the number of passes, the address of
their twiddles, and each pass's radix.
"""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.butterflies import make_butterfly
from npconv.kernels.inner import inner
from npconv.kernels.simd import read_int

_two, _three, _four, _five, _eight = (make_butterfly(radix, True) for radix in (2, 3, 4, 5, 8))
_two0, _three0, _four0, _five0, _eight0 = (
    make_butterfly(radix, False) for radix in (2, 3, 4, 5, 8)
)


@inner
def _butterfly(radix, plain, source, step, target, to_step, twiddles, re, im, like):
    """Transform some cells, with twiddles unless they are plain ones."""
    if plain:
        if radix == 8:
            _eight0(source, step, target, to_step, twiddles, re, im, like)
        elif radix == 4:
            _four0(source, step, target, to_step, twiddles, re, im, like)
        elif radix == 2:
            _two0(source, step, target, to_step, twiddles, re, im, like)
        elif radix == 3:
            _three0(source, step, target, to_step, twiddles, re, im, like)
        else:
            _five0(source, step, target, to_step, twiddles, re, im, like)
    elif radix == 8:
        _eight(source, step, target, to_step, twiddles, re, im, like)
    elif radix == 4:
        _four(source, step, target, to_step, twiddles, re, im, like)
    elif radix == 2:
        _two(source, step, target, to_step, twiddles, re, im, like)
    elif radix == 3:
        _three(source, step, target, to_step, twiddles, re, im, like)
    else:
        _five(source, step, target, to_step, twiddles, re, im, like)


@inner
def transform(here, there, how, back, like):
    """Transform a column of cells, or transform it back; return which of two buffers holds it."""
    size = simd.nbytes(like)
    vector = simd.width(like) * size
    cell = 2 * vector
    re, im = (vector, np.int64(0)) if back else (np.int64(0), vector)
    n, passes, twiddles = read_int(how), read_int(how + 8), read_int(how + 16)
    done = 1
    for i in range(passes):
        radix = read_int(how + 24 + 8 * i)
        count = n // (done * radix)
        for p in range(count):
            source, target = here + p * done * cell, there + p * radix * done * cell
            step, to_step = count * done * cell, done * cell
            factors = twiddles + 2 * p * (radix - 1) * size
            for _q in range(done):
                _butterfly(radix, p == 0, source, step, target, to_step, factors, re, im, like)
                source += cell
                target += cell
        twiddles += 2 * count * (radix - 1) * size
        done *= radix
        here, there = there, here
    return here
