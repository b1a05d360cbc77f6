"""Direct convolution over a table of addresses: im2col of addresses instead of values.

::

    for each tile of ROWS pixels and each block of output channels, in registers:
        for each tap: the addresses of the tile's pixels under it, a row of zeros' in the padding
            for each channel: acc[i, :] += x[address[i] + channel] * weight[tap, channel, block]

    grad_weight[(tap, channel), :] += x[address of (tap, channel), pixel] * grad_out[pixel, :]

No value is copied: stride, dilation and every padding mode are in the addresses.  The input
gradient is a phase of the stride at a time, written straight to where it belongs.

Cost: the definition's flops at nearly the speed of the registers, and the weight's packing.
Memory: the packed weight, and x and out once more where they do not lie channels last.
Error: that of the direct sum, in order of taps and channels.
When not to use it: groups of few outputs leave most of a register empty.
Source: Dukhan, The indirect convolution algorithm, 2019; the register tile of Goto and van de
Geijn, Anatomy of high-performance matrix multiplication, 2008.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from npconv import arrays, borders, compiler, packing, relayout
from npconv.algorithms.contract import Cost
from npconv.problem import ConvProblem
from npconv.threads import for_each

NAME = "indirect"
SPREADS = False
_HELD = 8  # tiles whose addresses are known at once
_SHARES = 8  # of the pixels, or of the outputs
_REACH = 1 << 24  # positions along an axis
_LITTLE = 1 << 20  # multiply-adds
_COMPILING = 1e6  # steps
_LINES_NBYTES = 1 << 17  # of grad_out's lines that the rows of a tile are multiplied with at once


def why_not(problem: ConvProblem) -> str:
    """Return "" for float32 and float64 in up to three dimensions, where Numba is installed."""
    if reason := compiler.missing():
        return reason
    if problem.compute_dtype.char not in "fd" or problem.dtype.kind != "f":
        return f"its registers hold float32 and float64, not {problem.dtype}"
    if problem.ndim > 3:
        return f"its tables have three spatial axes, not {problem.ndim}"
    reach = max(problem.reach(problem.out_size, problem.out_size)[1], default=0)
    if reach > _REACH:
        return f"the windows reach over {reach} positions, and its tables list each"
    return ""


def cost(problem: ConvProblem) -> Cost:
    """Return the flops of whole tiles, the packing, and the copies of what lies otherwise.

    Little work does not wait for kernels to be compiled: until they are, that is its cost.
    """
    packed = _packed_nbytes(problem)
    x, out = _copies(problem)
    block = _planned_block(problem)
    filled = -(-problem.group_outputs // block) * block / max(problem.group_outputs, 1)
    cast = 0
    if problem.weight_dtype != problem.compute_dtype:
        cast = math.prod(problem.weight_shape) * problem.itemsize // problem.groups
    tables = 3 * 8 * max(problem.reach(problem.out_size, problem.out_size)[1])
    moved = 3 * packed + 2 * (x + out) + tables
    tiles = problem.batch * problem.pixels / 13 + 1
    steps = _waiting(problem) + 25 + problem.groups * (10 + tiles * problem.taps / 20)
    held = cast + packed + x + out + tables
    each = 8 * _entries(problem, 13, block)  # the addresses of a part
    return Cost(
        2 * problem.macs * filled, moved, held + each, steps, each=each, helpers=_SHARES - 1
    )


def pack_weight(problem: ConvProblem, weight: np.ndarray) -> list[np.ndarray]:
    """Return each group's weight packed."""
    return list(_packed_groups(problem, weight))


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out, tile by tile of pixels and block by block of outputs."""
    forward_packed(problem, x, _packed_groups(problem, weight), out)


def forward_packed(
    problem: ConvProblem, x: np.ndarray, weights: Iterable[np.ndarray], out: np.ndarray
) -> None:
    """Write out from each group's packed weight."""
    from npconv.kernels import direct

    dense = _dense(problem, x)
    target = out if _lies_well(problem, out) else np.empty(out.shape, problem.compute_dtype)
    block = _block(problem)
    blocks = -(-problem.group_outputs // block)
    constants = np.zeros(max(problem.group_channels, blocks * block), problem.compute_dtype)
    zeros, least = constants.ctypes.data, problem.compute_dtype.type(-np.inf)
    spatial = [0] * (3 - problem.ndim)
    depth, height, width = [np.zeros(1, np.int64)] * len(spatial) + [
        _offsets(problem, axis, dense.strides[1 + axis]) for axis in range(problem.ndim)
    ]
    windows = direct.Windows(
        _three(problem.out_size),
        _three(problem.kernel_size),
        _three(_strides(problem)),
        _three(problem.dilation),
    )
    sizes = [problem.batch, problem.group_channels, problem.group_outputs, _HELD]
    counts = np.array(sizes, np.int64)
    tiles = -(-problem.batch * problem.pixels // direct.ROWS)
    entries = _entries(problem, direct.ROWS, block)
    for g, packed in enumerate(weights):
        channels, outputs = g * problem.group_channels, g * problem.group_outputs
        at = dense[..., channels:].ctypes.data
        source = direct.Source(at, dense.strides[0], depth, height, width, zeros)
        at = target[..., outputs:].ctypes.data
        goal = direct.Target(at, target.strides[0], *spatial, *target.strides[1:-1])

        def step(
            part: direct.Part,
            source: direct.Source = source,
            goal: direct.Target = goal,
            weights: int = packed.ctypes.data,
        ) -> None:
            scratch = np.empty(entries, np.int64)
            direct.convolve(
                source, goal, windows, part, counts, weights, zeros, block, scratch, least
            )

        for_each([direct.Part(*p) for p in _parts(problem, tiles, blocks)], step)
    if target is not out:
        relayout.copy(target, out)


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return the flops of whole tiles, and the copies of x padded, grad_out and the sums."""
    block = _planned_block(problem)
    outputs = -(-problem.group_outputs // block) * block
    padded = arrays.region_nbytes(problem, problem.out_shape[:-1])
    turns = not (problem.channels_last or problem.in_channels == 1)
    held = padded if problem.copies_x or turns else 0
    turned = padded if problem.copies_x and turns else 0
    grads = 0
    if not problem.channels_last or outputs != problem.group_outputs:
        grads = problem.batch * problem.pixels * outputs * problem.itemsize
    sums = (problem.terms + 13) * outputs * problem.itemsize
    filled = outputs / max(problem.group_outputs, 1)
    moved = 2 * (held + turned + grads * problem.groups) + 4 * sums * problem.groups
    steps = _waiting(problem) + 25 + problem.groups * 25
    workspace = held + max(turned, grads + sums)
    return Cost(2 * problem.macs * filled * 1.3, moved, workspace, steps)


def weight_grad(problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Write out: the rows (tap, channel) of x, each an address, times grad_out."""
    from npconv.kernels import direct

    padded = _dense(problem, arrays.region(problem, x))
    block = _block(problem)
    blocks, rows = -(-problem.group_outputs // block), problem.taps * problem.group_channels
    tiles = -(-rows // direct.ROWS)
    taps = packing.tap_offsets(problem.kernel_size, padded.strides[1:-1], problem.dilation)
    moves = [s * t for s, t in zip(_strides(problem), padded.strides[1:-1], strict=True)]
    x_steps = np.array([padded.strides[0], *_three(moves, 0)], np.int64)
    line = problem.out_size[-1] * block * blocks * problem.itemsize
    lines = problem.batch * problem.pixels // problem.out_size[-1]
    held = max(min(_LINES_NBYTES // line, lines), 1)
    sizes = [problem.batch, *_three(problem.out_size), problem.group_channels, held, blocks]
    counts = np.array(sizes, np.int64)
    zero = problem.compute_dtype.type(0)
    for g in range(problem.groups):
        channels, outputs = g * problem.group_channels, g * problem.group_outputs
        columns = slice(outputs, outputs + problem.group_outputs)
        grads = _whole_blocks(problem, grad_out[..., columns], block * blocks)
        grad_steps = np.array([0, 0, *grads.strides[-3:-1]], np.int64)
        sums = np.zeros((tiles * direct.ROWS, blocks * block), problem.compute_dtype)

        def step(
            part: direct.Part,
            x_at: int = padded[..., channels:].ctypes.data,
            grads: np.ndarray = grads,
            sums: np.ndarray = sums,
            grad_steps: np.ndarray = grad_steps,
        ) -> None:
            scratch = np.empty((held + 1) * direct.ROWS, np.int64)
            direct.weight_gradient(
                x_at, x_steps, taps, grads.ctypes.data, grad_steps, counts, sums.ctypes.data,
                part, block, scratch, zero,
            )  # fmt: skip

        for_each([direct.Part(*p) for p in _parts(problem, tiles, blocks)], step)
        weights = sums[:rows, : problem.group_outputs]
        out[..., columns] = weights.reshape(*out.shape[:-1], problem.group_outputs)
        del grads, sums, weights, step  # before the next group's are made


def _whole_blocks(problem: ConvProblem, grad_out: np.ndarray, outputs: int) -> np.ndarray:
    """Return grad_out (lines, width, outputs) with its lines evenly apart, zeros after the last."""
    *_, width, given = grad_out.shape
    dense = given == outputs and _lies_well(problem, grad_out) and grad_out.flags.c_contiguous
    if dense:
        return grad_out.reshape(-1, width, outputs)
    whole = np.zeros((*grad_out.shape[:-1], outputs), problem.compute_dtype)
    relayout.copy(grad_out, whole[..., :given])
    return whole.reshape(-1, width, outputs)


def _strides(problem: ConvProblem) -> list[int]:
    """Return the strides, 0 where there is no second window: any integer may stand there."""
    return [s if n > 1 else 0 for s, n in zip(problem.stride, problem.out_size, strict=True)]


def _three(values: Sequence[int], fill: int = 1) -> tuple[int, int, int]:
    """Return one number for each of three axes, those before the first filled up."""
    depth, height, width = (*[fill] * (3 - len(values)), *values)
    return depth, height, width


def _packed_groups(problem: ConvProblem, weight: np.ndarray) -> Iterator[np.ndarray]:
    for g in range(problem.groups):
        first = g * problem.group_outputs
        yield packing.pack(
            problem, _block(problem), weight[..., first : first + problem.group_outputs]
        )


def _parts(problem: ConvProblem, tiles: int, blocks: int) -> list[tuple[int, int, int, int]]:
    """Return (tiles, blocks) to share out: by pixels, or by outputs where pixels are few."""
    macs = problem.macs // problem.groups
    shares = max(min(macs // arrays.WORTH_SHARING * 2, _SHARES), 1)
    if tiles >= 2 * shares or tiles >= blocks:
        each = -(-tiles // min(shares, tiles))
        return [(a, min(a + each, tiles), 0, blocks) for a in range(0, tiles, each)]
    each = -(-blocks // min(shares, blocks))
    return [(0, tiles, a, min(a + each, blocks)) for a in range(0, blocks, each)]


def _offsets(problem: ConvProblem, axis: int, stride: int) -> np.ndarray:
    """Return the byte offset of each padded position of an axis, int64; -1 where it is a zero."""
    _, reach = problem.reach(problem.out_size, problem.out_size)
    size, before = problem.size[axis], problem.padding[axis][0]
    source = borders.source(problem.padding_mode, size, -before, reach[axis] - before)
    return np.where(source < 0, -1, source * (stride if size > 1 else 0))


def _dense(problem: ConvProblem, x: np.ndarray) -> np.ndarray:
    """Return x with its channels side by side, in the compute dtype."""
    if _lies_well(problem, x):
        return x
    dense = np.empty(x.shape, problem.compute_dtype)
    relayout.copy(x, dense)
    return dense


def _lies_well(problem: ConvProblem, array: np.ndarray) -> bool:
    beside = array.shape[-1] == 1 or array.strides[-1] == problem.itemsize
    return beside and array.dtype == problem.compute_dtype and array.flags.aligned


def _block(problem: ConvProblem) -> int:
    """Return how many outputs a tile of registers spans."""
    from npconv.kernels import direct, simd

    return direct.VECTORS * simd.lanes(problem.compute_dtype.name)


def _entries(problem: ConvProblem, rows: int, block: int) -> int:
    """Return how many int64 a part needs: addresses, and a tile of outputs."""
    return (_HELD * problem.taps + _HELD + 1 + block) * rows


def _planned_block(problem: ConvProblem) -> int:
    """Return the same, or a guess that loads no Numba for little work."""
    return 128 // problem.itemsize if _waiting(problem) else _block(problem)


def _waiting(problem: ConvProblem) -> float:
    """Return the steps that little work would wait for kernels not compiled yet."""
    return _COMPILING if problem.macs < _LITTLE and not compiler.ready("direct") else 0


def _packed_nbytes(problem: ConvProblem) -> int:
    block = _planned_block(problem)
    blocks = -(-problem.group_outputs // block)
    return blocks * block * problem.taps * problem.group_channels * problem.itemsize


def _copies(problem: ConvProblem) -> tuple[int, int]:
    """Return the bytes of x and of out once more, where they must be laid channels last."""
    one = problem.in_channels == 1
    same = problem.channels_last or one
    x = 0 if same and problem.x_dtype == problem.compute_dtype else math.prod(problem.x_shape)
    out = 0 if problem.channels_last or problem.out_channels == 1 else math.prod(problem.out_shape)
    return x * problem.itemsize, out * problem.itemsize
