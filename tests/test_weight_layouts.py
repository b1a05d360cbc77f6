"""Weights are packed to the same bits however they lie, and nothing beside them is touched."""

import itertools

import numpy as np
import pytest

import guarded
from npconv import compiler, packing, tiling
from npconv.algorithms.winograd import sums
from npconv.kernels import toom
from winograd_layers import problem

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")
KERNELS = ((3,), (3, 3), (5, 5), (2, 2), (2, 3, 3))
# Channels, outputs and groups: whole vectors and blocks, tails of each, and less than a vector.
CHANNELS = ((16, 32, 1), (17, 49, 1), (31, 20, 2), (40, 3, 1), (1, 33, 1))


def lying(weight, order, flipped):
    """Return an equal array whose axes lie in an order, those flipped the other way round."""
    turned = np.flip(weight, flipped).transpose(order).copy()
    return np.flip(turned.transpose(np.argsort(order)), flipped)


def layouts(ndim):
    """Yield (name, function of a canonical weight) for every way in which it may lie."""
    taps = tuple(range(ndim))
    c, o = ndim, ndim + 1
    orders = {
        "outputs, channels, taps": (o, c, *taps),
        "channels, outputs, taps": (c, o, *taps),
        "taps, channels, outputs": (*taps, c, o),
        "taps, outputs, channels": (*taps, o, c),
        "outputs, taps, channels": (o, *taps, c),
        "channels, taps turned, outputs": (c, *taps[::-1], o),
        "outputs, channels, taps turned": (o, c, *taps[::-1]),
    }
    for (name, order), (which, flipped) in itertools.product(
        orders.items(), {"": (), ", taps reversed": taps, ", all reversed": (*taps, c, o)}.items()
    ):
        yield name + which, lambda w, o=order, f=flipped: lying(w, o, f)
    yield "with holes", _with_holes


def _with_holes(weight):
    room = np.full([2 * n - 1 for n in weight.shape], np.nan, weight.dtype)
    view = room[tuple(slice(0, None, 2) for _ in weight.shape)]
    view[...] = weight
    return view


def values(kernel, channels, outputs, groups, dtype):
    rng = np.random.default_rng(len(kernel) + channels)
    shape = (*kernel, channels, groups * outputs)
    made = problem(
        (1, *[20] * len(kernel), channels * groups), shape, dtype, groups=groups, precision="fast"
    )
    return made, rng.standard_normal(shape).astype(dtype)


def by_winograd(made, weight):
    """Return a transformed weight, (groups, blocks, planes, taps, channels, block)."""
    return planes(made, sums.pack_weight(made, weight))


def planes(made, packed):
    """Return the same from its bytes."""
    work = tiling.cut(made)
    begin = -packed.ctypes.data % 64
    end = begin + made.groups * work.weight_nbytes
    taps = tiling.depth_axis(made).taps
    shape = taps, made.group_channels, work.block
    rows = packed[begin:end].reshape(made.groups, work.blocks, work.planes, -1)
    used = rows[..., : np.prod(shape) * made.itemsize].copy().view(made.compute_dtype)
    return used.reshape(*rows.shape[:3], *shape)


def transformed(made, weight):
    """Do the same with NumPy, in float64."""
    work = tiling.cut(made)
    high, wide = (np.array(toom.axes()[row].kernel, np.float64) for row in work.rows)
    shape = (1, 1, *weight.shape)[-5:]
    lies = blocked(weight.reshape(*shape[:4], made.groups, -1).astype(np.float64), work.block)
    return np.einsum("ip,jq,apqcgbo->gbijaco", high, wide, lies).reshape(
        made.groups, work.blocks, work.planes, shape[0], shape[3], work.block
    )


def blocked(split, block):
    """Return (..., groups, outputs) as (..., groups, blocks, block), zeros behind the last one."""
    outputs = split.shape[-1]
    more = [(0, 0)] * (split.ndim - 1) + [(0, -outputs % block)]
    return np.pad(split, more).reshape(*split.shape[:-1], -1, block)


def by_blocks(made, weight, block):
    """Return what packing.pack does, by NumPy."""
    split = weight.reshape(made.taps, made.group_channels, made.groups, -1)
    return np.moveaxis(blocked(split, block), (2, 3), (0, 1))


def hold(made, weight, part, changes, at_end):
    """Hold a weight, or a part of it repeated, to itself packed as it lies in guarded memory."""
    block = 32 if weight.dtype == np.float32 else 16
    want = by_blocks(made, weight, block), by_winograd(made, weight)
    np.testing.assert_allclose(want[1], transformed(made, weight), rtol=1e-4, atol=1e-4)
    for name, change in changes:
        with guarded.workspaces(at_end) as memory:
            lies = np.broadcast_to(change(part), weight.shape)
            blocks = packing.pack(made, block, lies)
            packed = sums.pack_weight(made, lies)
        np.testing.assert_array_equal(blocks.view("u1"), want[0].view("u1"), name)
        np.testing.assert_array_equal(planes(made, packed).view("u1"), want[1].view("u1"), name)
        del blocks, packed, lies
        assert not memory.beside, name


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("sizes", CHANNELS, ids=str)
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_the_same_bits_however_it_lies(kernel, sizes, at_end):
    for dtype in ("float32", "float64"):
        made, weight = values(kernel, *sizes, dtype)
        hold(made, weight, weight, layouts(len(kernel)), at_end)


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5)], ids=str)
def test_an_axis_without_a_step(kernel):
    made, weight = values(kernel, 17, 33, 1, "float32")
    for axis in range(weight.ndim):
        part = weight.take([0], axis)
        repeated = np.broadcast_to(part, weight.shape).copy()
        hold(made, repeated, part, layouts(len(kernel)), True)
