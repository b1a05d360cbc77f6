"""Runs of an odd number of elements each, taken apart: first elements, second ones, and so on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npconv.kernels import simd
from npconv.kernels.inner import inner


def make_comb(count: int) -> Callable[..., None]:
    """Return an intrinsic that takes a vector of runs of `count` elements, an odd number, apart.

    ::

        comb(source, target, step, like)

        target[k][i] = source[i * count + k]      step: bytes from target[k] to target[k + 1]

    The elements of target[k] stand in different lanes of the vectors read, since the number of
    lanes is a power of two.  So vectors are blended, and then permuted once: blending each with
    the one 1, 2, 4, ... further on, lane by lane or not, brings every lane any number further.
    """

    @intrinsic
    def comb(context: Any, source: Any, target: Any, step: Any, like: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            read, write, step, _ = given
            do = simd.Vectors(builder, like.name)
            lanes = do.lanes
            mask = ir.VectorType(ir.IntType(32), lanes)
            vectors = [do.load(do.at(read, do.integer(v * lanes))) for v in range(count)]
            inverse = pow(lanes, -1, count)
            further = [-lane * inverse % count for lane in range(lanes)]
            for bit in range(max(further).bit_length()):
                chosen = [lane + (lanes if n >> bit & 1 else 0) for lane, n in enumerate(further)]
                vectors = [
                    builder.shuffle_vector(
                        vectors[v], vectors[(v + (1 << bit)) % count], ir.Constant(mask, chosen)
                    )
                    for v in range(count)
                ]
            for k in range(count):
                blended = vectors[k * inverse % count]
                places = [(i * count + k) % lanes for i in range(lanes)]
                made = builder.shuffle_vector(blended, blended, ir.Constant(mask, places))
                do.store(made, builder.add(write, builder.mul(step, do.integer(k))))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 3, like), emit

    return comb


_three, _nine, _twenty_five = (make_comb(count) for count in (3, 9, 25))


@inner
def has_comb(count):
    """Return whether runs of so many elements can be taken apart."""
    return count in (3, 9, 25)


@inner
def comb(source, count, runs, target, step, like):
    """Write target[k][i] = source[i * count + k] for at least a vector of runs."""
    size, width = simd.nbytes(like), simd.width(like)
    for i in range(0, runs, width):
        first = min(i, runs - width)
        at, to = source + first * count * size, target + first * size
        if count == 3:
            _three(at, to, step, like)
        elif count == 9:
            _nine(at, to, step, like)
        else:
            _twenty_five(at, to, step, like)
