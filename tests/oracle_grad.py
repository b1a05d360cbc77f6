"""Both gradients as direct sums, written apart from the package: what its answers are held to.

The trilinear form <g, conv(x, w)> is the sum, over every window i and tap u that meet at padded
element p = i*stride + u*dilation, of g[i] * x[p] * w[u].  A gradient is what stands beside x or w:

    input_grad   scatters g[i] * w[u] to the element of x that stands at p, if one does
    weight_grad  sums    g[i] * x[p], p in the padding included

g is (N, O, *out_size); the other shapes and the dtypes are oracle.py's.
"""

import numpy as np

import oracle


def out_size(size, kernel_size, *, stride=1, padding=0, dilation=1, **_):
    """Number of windows, an axis; below 1 where there is none."""
    d = len(size)
    stride, dilation = oracle.per_axis(stride, d), oracle.per_axis(dilation, d)
    axes = zip(size, kernel_size, stride, dilation, oracle.pairs(padding, d), strict=True)
    return tuple((n + b + a - e * (k - 1) - 1) // s + 1 for n, k, s, e, (b, a) in axes)


def standing(size, before, after, mode):
    """Which element of an axis stands at each padded position; -1 is a zero."""
    here = np.arange(size)
    grow = (max(before, 0), max(after, 0))
    if mode == "zeros":
        here = np.pad(here, grow, constant_values=-1)
    else:
        here = np.pad(here, grow, mode=oracle.PAD_MODES[mode])
    return here[max(-before, 0) : len(here) - max(-after, 0)]


def input_grad(
    grad_out, weight, x_shape, *, stride=1, padding=0, dilation=1, groups=1, padding_mode="zeros"
):
    """Scatter grad_out[i] * weight[u] over padded x, then take the padding back."""
    grad_out, weight = np.asarray(grad_out), np.asarray(weight)
    dtype = oracle.wide(grad_out, weight)
    d = len(x_shape) - 2
    stride, dilation = oracle.per_axis(stride, d), oracle.per_axis(dilation, d)
    pads = oracle.pairs(padding, d)
    padded = [n + b + a for n, (b, a) in zip(x_shape[2:], pads, strict=True)]
    grad = np.zeros((*x_shape[:2], *padded), dtype)
    if 0 in (*grad_out.shape, *weight.shape, *x_shape):
        return np.zeros(x_shape, dtype)  # no sums: einsum of empty arrays has damaged the heap
    parts = list(
        zip(
            np.split(grad, groups, 1),  # views
            np.split(grad_out.astype(dtype), groups, 1),
            np.split(weight.astype(dtype), groups),
            strict=True,
        )
    )
    for tap in np.ndindex(*weight.shape[2:]):
        place = _meets(tap, grad_out.shape[2:], stride, dilation)
        for target, g, w in parts:
            target[place] += np.einsum("no...,oc->nc...", g, w[(slice(None), slice(None), *tap)])
    for axis, (before, after) in enumerate(pads, 2):
        index = standing(x_shape[axis], before, after, padding_mode)
        taken = np.zeros((*grad.shape[:axis], x_shape[axis], *grad.shape[axis + 1 :]), dtype)
        np.add.at(
            np.moveaxis(taken, axis, 0), index[index >= 0], np.moveaxis(grad, axis, 0)[index >= 0]
        )
        grad = taken
    return grad


def weight_grad(
    grad_out,
    x,
    weight_shape,
    *,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    padding_mode="zeros",
):
    """Sum grad_out[i] * padded[i*stride + u*dilation] over windows and the batch."""
    grad_out, x = np.asarray(grad_out), np.asarray(x)
    dtype = oracle.wide(grad_out, x)
    d = x.ndim - 2
    stride, dilation = oracle.per_axis(stride, d), oracle.per_axis(dilation, d)
    padded = oracle.pad(x.astype(dtype), oracle.pairs(padding, d), padding_mode)
    grad = np.zeros(weight_shape, dtype)
    if 0 in (*grad_out.shape, *x.shape, *weight_shape):
        return grad  # as in input_grad
    parts = list(
        zip(
            np.split(grad, groups),
            np.split(grad_out.astype(dtype), groups, 1),
            np.split(padded, groups, 1),
            strict=True,
        )
    )
    n, c, o, where = 0, 1, 2, list(range(3, 3 + d))
    for tap in np.ndindex(*weight_shape[2:]):
        place = _meets(tap, grad_out.shape[2:], stride, dilation)
        for target, g, p in parts:
            target[(slice(None), slice(None), *tap)] = np.einsum(
                g, [n, o, *where], p[place], [n, c, *where], [o, c]
            )
    return grad


def _meets(tap, windows, stride, dilation):
    """The padded elements that a tap meets, one a window."""
    cut = zip(tap, windows, stride, dilation, strict=True)
    return (
        slice(None),
        slice(None),
        *(slice(u * e, u * e + (m - 1) * s + 1, s) for u, m, s, e in cut),
    )


DIRECT = {"input_grad": input_grad, "weight_grad": weight_grad}


def terms(direction, grad_out, other, shape, **geometry):
    """How many products each element of a gradient sums."""
    ones = (np.ones(np.shape(a), np.int64) for a in (grad_out, other))
    return DIRECT[direction](*ones, shape, **geometry)


def allowed(direction, grad_out, other, shape, *, dtype, **geometry):
    """How far from the direct sum each element may be: max(8, 1.5 sqrt(n)) u sum |g| |other|."""
    dtype = np.dtype(dtype)
    unit = oracle.UNIT[dtype.char] * (2 if dtype.kind == "c" else 1)
    size = DIRECT[direction](np.abs(grad_out), np.abs(other), shape, **geometry)
    count = terms(direction, grad_out, other, shape, **geometry)
    return (np.maximum(8.0, 1.5 * count**0.5) * unit + oracle.STORED.get(dtype.char, 0.0)) * size


def transform_allowed(direction, grad_out, other, shape, *, dtype, unit=2.0**-53, **geometry):
    """Twice that for a strict transform, and its own floor, as in oracle.py."""
    floor = 4 * unit * np.linalg.norm(np.ravel(grad_out)) * np.linalg.norm(np.ravel(other))
    return 2 * allowed(direction, grad_out, other, shape, dtype=dtype, **geometry) + floor
