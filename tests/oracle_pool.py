"""Pooling by its definition, window after window, written apart from the package.

x is (N, C, *size).  A window is the places that its taps meet, an axis, in positions of x; places
before and after what cropping left of x are padding.
"""

import itertools

import numpy as np

import oracle


class Empty(Exception):
    """No window, or a window that holds nothing."""


def windows(size, kernel, stride, pad, dilation, ceil_mode, empty_ok):
    """Return for each window along an axis the positions it holds, and how many count with padding.

    The rules are PyTorch's: a window ends within the padding, or with ceil_mode begins less than a
    stride after the last that does; ceil_mode's last window must begin before the padding after x.
    """
    before, after = pad
    low, high = max(0, -before), min(size, size + after)
    span = dilation * (kernel - 1) + 1
    found, start = [], -before
    while start + span <= size + after or (ceil_mode and start + span - stride < size + after):
        found.append(start)
        start += stride
    if ceil_mode and found and found[-1] >= min(max(high, -before), size + after):
        found.pop()
    if not found:
        raise Empty
    held, counts = [], []
    for start in found:
        taps = [start + t * dilation for t in range(kernel)]
        held.append([p for p in taps if low <= p < high])
        counts.append(sum(p < size + after for p in taps))
        if not held[-1] and not empty_ok:
            raise Empty
    return held, counts


def axes(shape, kernel, *, stride=None, padding=0, dilation=1, ceil_mode=False, empty_ok=False):
    """Return `windows` of each spatial axis."""
    d = len(shape) - 2
    kernel = oracle.per_axis(kernel, d)
    stride = kernel if stride is None else oracle.per_axis(stride, d)
    return [
        windows(*one, ceil_mode, empty_ok)
        for one in zip(
            shape[2:], kernel, stride, oracle.pairs(padding, d), oracle.per_axis(dilation, d),
            strict=True,
        )
    ]  # fmt: skip


def each_window(along):
    """Yield the index of each window in out, and (positions, count) of each axis there."""
    for where in np.ndindex(*(len(held) for held, _ in along)):
        yield where, [(held[i], counts[i]) for (held, counts), i in zip(along, where, strict=True)]


def max_pool(x, kernel, **geometry):
    """Return each window's largest and its flat position: the first of equals, the last NaN."""
    along = axes(x.shape, kernel, **geometry)
    shape = (*x.shape[:2], *(len(held) for held, _ in along))
    out, index = np.empty(shape, x.dtype.newbyteorder("=")), np.empty(shape, np.int64)
    for where, parts in each_window(along):
        places = list(itertools.product(*(held for held, _ in parts)))
        for image in np.ndindex(*x.shape[:2]):
            best, at = x[image][places[0]], places[0]
            for place in places:
                value = x[image][place]
                if value > best or value != value:
                    best, at = value, place
            out[image][where] = best
            index[image][where] = np.ravel_multi_index(at, x.shape[2:])
    return out, index


def max_pool_grad(grad_out, index, x_shape):
    """Return grad_out added up at index."""
    grad = np.zeros((*x_shape[:2], int(np.prod(x_shape[2:]))), oracle.wide(grad_out))
    for image in np.ndindex(*x_shape[:2]):
        for value, at in zip(grad_out[image].ravel(), index[image].ravel(), strict=True):
            grad[image][at] += value
    return grad.reshape(x_shape)


def divisors(along, count_include_pad):
    """Return by what each window's sum is divided."""
    counts = [counts if count_include_pad else [len(p) for p in held] for held, counts in along]
    total = np.ones((), np.int64)
    for one in counts:
        total = np.multiply.outer(total, np.array(one, np.int64))
    return total


def window_sums(x, along):
    """Return the sum of what each window holds, in the widest dtype."""
    x = x.astype(oracle.wide(x))
    out = np.zeros((*x.shape[:2], *(len(held) for held, _ in along)), x.dtype)
    for where, parts in each_window(along):
        block = x[np.ix_(range(x.shape[0]), range(x.shape[1]), *(held for held, _ in parts))]
        out[(..., *where)] = block.sum(tuple(range(2, x.ndim)))
    return out


def spread(grad_out, along, x_shape):
    """Return the adjoint of `window_sums`."""
    grad = np.zeros(x_shape, oracle.wide(grad_out))
    for where, parts in each_window(along):
        places = np.ix_(range(x_shape[0]), range(x_shape[1]), *(held for held, _ in parts))
        value = grad_out[(..., *where)]
        grad[places] += value.reshape(*value.shape, *(1,) * len(parts))
    return grad
