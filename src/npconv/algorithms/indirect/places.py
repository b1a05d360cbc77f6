"""Where arrays lie, and how much a tile of registers holds of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npconv import addresses, arrays, compiler
from npconv.problem import ConvProblem

if TYPE_CHECKING:
    from npconv.kernels.fields import Grid

SHARES = 8  # of the work
_LITTLE = 1 << 20  # multiply-adds
_COMPILING = 1e6  # steps
_KERNELS = ("blocks", "direct", "pointwise", "gradient", "slides")


def why_not(problem: ConvProblem) -> str:
    """Return "" for float32 and float64 in up to three dimensions, where Numba is installed."""
    if reason := compiler.missing():
        return reason
    if problem.compute_dtype.char not in "fd" or problem.dtype.kind != "f":
        return f"its registers hold float32 and float64, not {problem.dtype}"
    return addresses.unlisted(problem)


def grid(problem: ConvProblem, tiles: int, blocks: int, worth: int) -> Grid:
    """Return how groups of so many tiles of pixels and blocks of outputs are shared out.

    By whole groups where these are many or small, else each group's by pixels, or by outputs where
    pixels are few.
    """
    from npconv.kernels.fields import Grid

    groups, each = _shares(problem, worth)
    if each == 1:
        return Grid(problem.groups, tiles, blocks, groups, tiles, blocks)
    if tiles >= 2 * each or tiles >= blocks:
        return Grid(problem.groups, tiles, blocks, 1, -(-tiles // min(each, tiles)), blocks)
    return Grid(problem.groups, tiles, blocks, 1, tiles, -(-blocks // min(each, blocks)))


def grid_by_blocks(problem: ConvProblem, tiles: int, blocks: int, worth: int) -> Grid:
    """Return the same, each item with all the tiles of its groups."""
    from npconv.kernels.fields import Grid

    groups, each = _shares(problem, worth)
    return Grid(problem.groups, tiles, blocks, groups, tiles, -(-blocks // min(each, blocks)))


def suits_blocks(problem: ConvProblem, blocks: int) -> bool:
    """Return whether items with all the tiles of their groups are as many as shares."""
    return blocks >= _shares(problem, arrays.WORTH_SHARING)[1]


def helpers(problem: ConvProblem) -> int:
    """Return how many threads find work beside the first, at most."""
    groups, each = _shares(problem, arrays.WORTH_SHARING)
    return -(-problem.groups // groups) * each - 1


def _shares(problem: ConvProblem, worth: int) -> tuple[int, int]:
    """Return how many groups are one share, and into how many each is cut.

    worth: the multiply-adds that a share should have.
    """
    shares = max(min(problem.macs // worth * 2, SHARES), 1)
    each = -(-shares // problem.groups)
    return (-(-problem.groups // shares), 1) if each == 1 else (1, each)


def block(problem: ConvProblem) -> int:
    """Return how many outputs a tile of registers spans: one vector where there are no more."""
    from npconv.kernels import products, simd

    lanes = simd.lanes(problem.compute_dtype.name)
    return lanes if problem.group_outputs <= lanes else products.VECTORS * lanes


def wide_block(problem: ConvProblem) -> int:
    """Return how many elements the wider tile spans, or a guess that loads no Numba."""
    if waiting(problem):
        return 128 // problem.itemsize
    from npconv.kernels import products, simd

    return products.VECTORS * simd.lanes(problem.compute_dtype.name)


def rows(problem: ConvProblem) -> int:
    """Return how many rows a tile of registers has."""
    from npconv.kernels import products, simd

    narrow = block(problem) == simd.lanes(problem.compute_dtype.name)
    return products.TALL if narrow else products.ROWS


def planned_rows(problem: ConvProblem) -> int:
    """Return the same, or a guess that loads no Numba for little work."""
    return 26 if waiting(problem) else rows(problem)


def planned_block(problem: ConvProblem) -> int:
    """Return the same, or a guess that loads no Numba for little work."""
    return 128 // problem.itemsize if waiting(problem) else block(problem)


def waiting(problem: ConvProblem) -> float:
    """Return the steps that little work would wait for kernels not compiled yet."""
    if problem.macs >= _LITTLE or all(map(compiler.ready, _KERNELS)):
        return 0
    return _COMPILING
