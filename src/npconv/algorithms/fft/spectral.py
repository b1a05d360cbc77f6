"""The convolution theorem by NumPy's transforms: any channels, strides and complex numbers.

x is cut into overlapping tiles (overlap-save, the gathering twin of overlap-add: each output is
written once, by one tile), so a small kernel on a large image costs tiles of a few times the
kernel, and memory stays a tile's.  Axes where the kernel has one tap are not transformed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from npconv import adjoints, arrays, spectra
from npconv.algorithms.contract import Cost
from npconv.problem import ConvProblem
from npconv.spectra import best_length
from npconv.threads import for_each

_WORKSPACE = 1 << 22  # a tile's spectra; beyond it a tile takes fewer images, or fewer rows


def cost(problem: ConvProblem) -> Cost:
    """Return the transforms, the products of spectra and the passes over them."""
    lengths = _lengths(problem)
    tile = _tile(problem, lengths)
    count = arrays.tile_count(problem, tile)
    each = _tile_nbytes(problem, lengths, tile)
    workspace = _spectra(problem, lengths, each)
    frequencies, real = _bins(problem, lengths)
    complex_nbytes = _dtypes(problem)[1].itemsize
    channels = problem.in_channels + problem.out_channels
    images = count * tile[0] * _untransformed(problem, tile)
    log = math.log2(max(real, 2))
    transforms = 2.5 * real * log * images * channels
    weight_flops = 2.5 * real * log * problem.group_channels * problem.out_channels
    products = 8 * frequencies * images * problem.group_channels * problem.out_channels
    moved = images * channels * frequencies * complex_nbytes * 2 * (1 + len(_axes(problem)))
    weight_nbytes = problem.group_channels * problem.out_channels * frequencies * complex_nbytes
    moved += weight_nbytes * (3 + count)
    flops = transforms + weight_flops + products
    real_dtype = np.dtype(np.float32 if complex_nbytes == 8 else np.float64)
    steps = 60 + 30 * count
    return Cost(flops, moved, workspace, steps, real_dtype, each, helpers=count - 1)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out, tile by tile."""
    real, _ = _dtypes(problem)
    axes, lengths = _axes(problem), _lengths(problem)
    spectrum = _weight_spectrum(problem, weight.astype(real, copy=False), lengths)

    def step(tile: tuple[tuple[int, int], ...]) -> None:
        images, *spans = tile
        start, stop = problem.reach([a for a, _ in spans], [z for _, z in spans])
        _tile_forward(
            problem,
            arrays.region(problem, x[slice(*images)], start, stop, real),
            spectrum,
            axes,
            lengths,
            out[(slice(*images), *(slice(*span) for span in spans))],
        )

    for_each(arrays.tiles(problem, _tile(problem, lengths)), step)


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return the transforms of x's and grad_out's tiles, and the products of their spectra."""
    lengths = _lengths(problem)
    tile = _tile(problem, lengths)
    count = arrays.tile_count(problem, tile)
    frequencies, values = _bins(problem, lengths)
    real, spectrum = _dtypes(problem)
    channels = problem.in_channels + problem.out_channels
    pairs = problem.group_channels * problem.out_channels
    images = count * tile[0] * _untransformed(problem, tile)
    flops = 2.5 * values * math.log2(max(values, 2)) * (images * channels + pairs)
    flops += 8 * frequencies * images * pairs
    moved = images * channels * frequencies * spectrum.itemsize * 2 * (1 + len(_axes(problem)))
    total = pairs * frequencies * spectrum.itemsize
    shares = adjoints.share_count(count, total)
    each = _weight_grad_tile_nbytes(problem, lengths, tile)
    back = pairs * values * real.itemsize + total * (len(_axes(problem)) > 1)
    workspace = shares * total + max(each, back)
    number = np.dtype(np.float32 if spectrum.itemsize == 8 else np.float64)
    moved += total * 3 * (1 + count)
    return Cost(flops, moved, workspace, 60 + 40 * count, number, each, helpers=shares - 1)


def weight_grad(problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Write out: x's spectra times grad_out's conjugate ones, summed, and transformed back once."""
    real, number = _dtypes(problem)
    axes, lengths = _axes(problem), _lengths(problem)
    sizes, where = [lengths[a] for a in axes], [1 + a for a in axes]
    bins = list(sizes)
    if real.kind != "c":
        bins[-1] = bins[-1] // 2 + 1
    groups, channels, outputs = problem.groups, problem.group_channels, problem.group_outputs

    def step(tile: tuple[tuple[int, int], ...], total: np.ndarray) -> None:
        images, *spans = tile
        start, stop = problem.reach([a for a, _ in spans], [z for _, z in spans])
        piece = arrays.region(problem, x[slice(*images)], start, stop, real)
        given = grad_out[(slice(*images), *(slice(*span) for span in spans))]
        met = spectra.transform(_skipped(problem, piece, axes), where, sizes)
        grads = spectra.conjugate(_stuffed(problem, given, axes, real), where, sizes)
        # (*bins, groups, C // groups, rows) @ (*bins, groups, rows, O // groups)
        met, grads = spectra.by_frequency(met, where), spectra.by_frequency(grads, where)
        met = met.reshape(*met.shape[:-1], groups, channels)
        grads = grads.reshape(*grads.shape[:-1], groups, outputs)
        total += np.matmul(np.moveaxis(met, -3, -1), grads.swapaxes(-3, -2))

    tiles = list(arrays.tiles(problem, _tile(problem, lengths)))
    total = adjoints.sum_tiles(tiles, (*bins, groups, channels, outputs), number, step)
    values = spectra.inverse(total, range(len(axes)), sizes, real.kind == "c")
    taps = tuple(slice(0, problem.dilated_size[a], problem.dilation[a]) for a in axes)
    out[...] = np.moveaxis(values[taps], -3, -2).reshape(out.shape)


def _skipped(problem: ConvProblem, piece: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """Return a piece of x without what the stride skips along axes that are not transformed."""
    steps = [
        slice(None) if a in axes else slice(None, None, s) for a, s in enumerate(problem.stride)
    ]
    return piece[(slice(None), *steps)]


def _stuffed(
    problem: ConvProblem, given: np.ndarray, axes: Sequence[int], dtype: np.dtype
) -> np.ndarray:
    """Return a piece of grad_out with the stride's zeros between its entries where transformed."""
    steps = [problem.stride[a] if a in axes else 1 for a in range(problem.ndim)]
    if all(s == 1 for s in steps):
        return given.astype(dtype, copy=False)
    sizes = [(n - 1) * s + 1 for n, s in zip(given.shape[1:-1], steps, strict=True)]
    stuffed = np.zeros((given.shape[0], *sizes, given.shape[-1]), dtype)
    stuffed[(slice(None), *(slice(None, None, s) for s in steps))] = given
    return stuffed


def _tile_forward(
    problem: ConvProblem,
    piece: np.ndarray,
    spectrum: np.ndarray,
    axes: Sequence[int],
    lengths: Sequence[int],
    out: np.ndarray,
) -> None:
    sizes, where = [lengths[a] for a in axes], [1 + a for a in axes]
    bins = spectra.transform(_skipped(problem, piece, axes), where, sizes)
    product = _multiply(problem, bins, spectrum)
    values = spectra.inverse(product, where, sizes, piece.dtype.kind == "c")
    keep: list[slice] = [slice(None)] * values.ndim
    for a in axes:
        n = out.shape[1 + a]
        keep[1 + a] = slice(0, (n - 1) * problem.stride[a] + 1, problem.stride[a])
    out[...] = values[tuple(keep)]


def _multiply(problem: ConvProblem, bins: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
    """Return the spectra of out: (N, *bins, C) with (*bins, C // groups, O) to (N, *bins, O)."""
    groups, per_group, outputs = problem.groups, problem.group_channels, problem.group_outputs
    product = np.empty((*bins.shape[:-1], groups, outputs), bins.dtype)
    if per_group == 1:
        split = spectrum.reshape(*spectrum.shape[:-2], groups, outputs)
        np.multiply(bins[..., None], split, out=product)
    else:
        # (*bins, groups, N, C // groups) @ (*bins, groups, C // groups, O // groups)
        grouped = np.moveaxis(bins.reshape(*bins.shape[:-1], groups, per_group), 0, -2)
        split = spectrum.reshape(*spectrum.shape[:-1], groups, outputs).swapaxes(-3, -2)
        np.matmul(grouped, split, out=np.moveaxis(product, 0, -2))
    return product.reshape(*bins.shape[:-1], problem.out_channels)


def _weight_spectrum(
    problem: ConvProblem, weight: np.ndarray, lengths: Sequence[int]
) -> np.ndarray:
    """Return the conjugate spectrum of weight with its holes."""
    if any(d > 1 for d in problem.dilation):
        holed = np.zeros((*problem.dilated_size, *weight.shape[-2:]), weight.dtype)
        holed[tuple(slice(None, None, d) for d in problem.dilation)] = weight
        weight = holed
    axes = _axes(problem)
    return spectra.conjugate(weight, axes, [lengths[a] for a in axes])


def _dtypes(problem: ConvProblem) -> tuple[np.dtype, np.dtype]:
    """Return the dtype that goes into a transform, and its spectrum's."""
    single = problem.precision == "fast" and problem.compute_dtype.char in "fF"
    spectrum = np.dtype(np.complex64 if single else np.complex128)
    if problem.compute_dtype.kind == "c":
        return spectrum, spectrum
    return np.dtype(np.float32 if single else np.float64), spectrum


def _axes(problem: ConvProblem) -> list[int]:
    """Return the axes to transform: those where the kernel has more than one tap."""
    return [a for a, k in enumerate(problem.kernel_size) if k > 1]


def _lengths(problem: ConvProblem) -> list[int]:
    """Return the transform's length an axis: the one that spends least on each output."""
    axes = _axes(problem)
    lengths = [1] * problem.ndim
    for a in axes:
        span = problem.dilated_size[a]
        need = (problem.out_size[a] - 1) * problem.stride[a] + span
        lengths[a] = best_length(need, span, 2 if len(axes) > 1 else 1)
    return lengths


def _tile(problem: ConvProblem, lengths: Sequence[int]) -> tuple[int, ...]:
    """Return the (N, *out) extent whose inputs fill one transform."""
    outs = [problem.batch]
    for a, n in enumerate(problem.out_size):
        if problem.kernel_size[a] == 1:
            outs.append(n)
        else:
            steps = (lengths[a] - problem.dilated_size[a]) // problem.stride[a] + 1
            outs.append(min(steps, n))
    free = [0, *(1 + a for a, k in enumerate(problem.kernel_size) if k == 1)]
    for i in free:
        while outs[i] > 1 and _tile_nbytes(problem, lengths, outs) > _WORKSPACE:
            outs[i] = -(-outs[i] // 2)
    return tuple(outs)


def _bins(problem: ConvProblem, lengths: Sequence[int]) -> tuple[int, int]:
    """Return the number of frequencies, and of values, in one transform."""
    values = math.prod(lengths)
    if problem.compute_dtype.kind == "c":
        return values, values
    last = lengths[_axes(problem)[-1]]
    return values // last * (last // 2 + 1), values


def _untransformed(problem: ConvProblem, tile: Sequence[int]) -> int:
    """Return how many transforms stand side by side in one image's tile."""
    return math.prod(tile[1 + a] for a, k in enumerate(problem.kernel_size) if k == 1)


def _spectra(problem: ConvProblem, lengths: Sequence[int], tile_nbytes: int) -> int:
    """Return the peak bytes: the weight's spectra, and a tile's on their way to values."""
    frequencies, _ = _bins(problem, lengths)
    real, spectrum = _dtypes(problem)
    weight = frequencies * problem.group_channels * problem.out_channels * spectrum.itemsize
    # An n-dimensional transform passes from axis to axis through one more array of its size; the
    # weight's, still short along the axes to come, through a smaller one.
    axes = _axes(problem)
    cast = math.prod(problem.weight_shape) * real.itemsize * (problem.weight_dtype != real)
    short = weight * problem.dilated_size[axes[0]] // lengths[axes[0]] if len(axes) > 1 else 0
    return weight + max(cast + short, tile_nbytes)


def _tile_nbytes(problem: ConvProblem, lengths: Sequence[int], tile: Sequence[int]) -> int:
    """Return the peak bytes of one tile: its piece of x, its spectra, and out's."""
    frequencies, values = _bins(problem, lengths)
    real, spectrum = _dtypes(problem)
    images = tile[0] * _untransformed(problem, tile)
    bins = images * frequencies * spectrum.itemsize * problem.in_channels
    product = images * frequencies * spectrum.itemsize * problem.out_channels
    piece = arrays.region_nbytes(problem, tile, real.itemsize)
    if not (problem.copies_x or real != problem.compute_dtype):
        piece = 0
    back = images * values * real.itemsize * problem.out_channels
    several = len(_axes(problem)) > 1
    return piece + bins + max(bins * several, product * (1 + several) + back)


def _weight_grad_tile_nbytes(
    problem: ConvProblem, lengths: Sequence[int], tile: Sequence[int]
) -> int:
    """Return the peak bytes of one tile: pieces, both spectra, and their product."""
    frequencies, _ = _bins(problem, lengths)
    real, spectrum = _dtypes(problem)
    bins = tile[0] * _untransformed(problem, tile) * frequencies * spectrum.itemsize
    piece = arrays.region_nbytes(problem, tile, real.itemsize)
    if not (problem.copies_x or real != problem.compute_dtype):
        piece = 0
    channels = problem.in_channels + problem.out_channels
    pairs = problem.group_channels * problem.out_channels
    return piece + 2 * bins * channels + pairs * frequencies * spectrum.itemsize
