"""One side of a sandwich: a matrix chosen by its number, down the columns or along the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npconv.kernels import simd
from npconv.kernels.sandwich import Matrix, apply


def make_transform(matrices: Callable[[], Sequence[Matrix]]) -> Callable[..., None]:
    """Return an intrinsic that applies one of some matrices to vectors.

    ::

        transform(number, count, source, step, onward, target, to_step, to_onward, like)

        y[i] = sum over j of matrices()[number][i][j] * x[j]

    x[j] is the vector at source + j*step, y[i] that at target + i*to_step, all in bytes.  This is
    done `count` times, each `onward` and `to_onward` bytes further.  count is at least 1.
    """

    @intrinsic
    def transform(
        context: Any, number: Any, count: Any, source: Any, step: Any, onward: Any, target: Any,
        to_step: Any, to_onward: Any, like: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            number, *places, _ = given
            _emit_choice(builder, matrices(), number, like.name, places)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8, like), emit

    return transform


def _emit_choice(
    builder: Any, matrices: Sequence[Matrix], number: Any, name: str, places: Sequence[Any],
) -> None:  # fmt: skip
    end = builder.append_basic_block("end")
    choice = builder.switch(number, end)
    blocks: dict[Any, Any] = {}
    for i, matrix in enumerate(matrices):
        key = tuple(map(tuple, matrix))
        if key not in blocks:
            blocks[key] = builder.append_basic_block("matrix")
            builder.position_at_end(blocks[key])
            _emit_loop(simd.Vectors(builder, name), matrix, end, *places)
        choice.add_case(ir.Constant(simd.INT, i), blocks[key])
    builder.position_at_end(end)


def _emit_loop(
    do: simd.Vectors, matrix: Matrix, end: Any, count: Any, source: Any,
    step: Any, onward: Any, target: Any, to_step: Any, to_onward: Any,
) -> None:  # fmt: skip
    builder = do.builder
    before = builder.block
    again, last = builder.append_basic_block("again"), builder.append_basic_block("last")
    builder.branch(again)
    builder.position_at_end(again)
    done, read, write = (builder.phi(simd.INT) for _ in range(3))
    for phi, value in ((done, do.integer(0)), (read, source), (write, target)):
        phi.add_incoming(value, before)
    vectors = [
        do.load(builder.add(read, builder.mul(step, do.integer(j)))) for j in range(len(matrix[0]))
    ]
    results = apply(do, matrix, vectors)
    following = builder.add(done, do.integer(1))
    done.add_incoming(following, again)
    read.add_incoming(builder.add(read, onward), again)
    write.add_incoming(builder.add(write, to_onward), again)
    for i, value in enumerate(results):
        do.store(value, builder.add(write, builder.mul(to_step, do.integer(i))))
    builder.cbranch(builder.icmp_signed("<", following, count), again, last)
    builder.position_at_end(last)
    builder.branch(end)
