"""The size of a transposed convolution: of the x whose convolution has the size given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from npconv.errors import ProblemError
from npconv.integers import per_axis
from npconv.problem.padding import Pairs, read_padding


def transposed_size(
    size: Sequence[int],
    kernel_size: Sequence[int],
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    out_size: Any = None,
    dilation: Any = 1,
) -> tuple[tuple[int, ...], Pairs]:
    """Return the output size of a transposed convolution, and the padding it is the adjoint of.

    ::

        out = (size - 1)*stride - before - after + dilation*(kernel_size - 1) + output_padding + 1

    "same" and "same_lower" take the padding that gives size * stride, or `out_size`: where that is
    more than no padding gives, the rest is zeros at the end.
    """
    ndim = len(size)
    strides = per_axis(stride, ndim, "stride", least=1)
    dilations = per_axis(dilation, ndim, "dilation", least=1)
    spans = [d * (k - 1) + 1 for d, k in zip(dilations, kernel_size, strict=True)]
    full = [(n - 1) * s + e for n, s, e in zip(size, strides, spans, strict=True)]
    extra = per_axis(output_padding, ndim, "output_padding")
    wanted = None if out_size is None else per_axis(out_size, ndim, "out_size", least=0)
    if any(n < 1 for n in size):
        raise ProblemError(f"x has the spatial size {tuple(size)}: there is nothing to transpose.")
    if padding in ("same", "same_lower") and isinstance(padding, str):
        wanted = wanted or tuple(n * s for n, s in zip(size, strides, strict=True))
        if any(extra):
            raise ProblemError(
                f"output_padding {extra} and padding {padding!r} both settle the size.",
                fix="leave output_padding out, or give padding in integers",
            )
        pairs = []
        for n, w in zip(full, wanted, strict=True):
            total = max(n - w, 0)
            before = total // 2 if padding == "same" else total - total // 2
            pairs.append((before, n - w - before))
        return wanted, tuple(pairs)
    pads = read_padding(padding, size, spans, strides)
    least = [n - b - a for n, (b, a) in zip(full, pads, strict=True)]
    if wanted is not None:
        if any(extra):
            raise ProblemError(
                f"output_padding {extra} and out_size {wanted} both settle the size.",
                fix="give one of them",
            )
        extra = tuple(w - n for w, n in zip(wanted, least, strict=True))
    for axis, (more, s, d, n) in enumerate(zip(extra, strides, dilations, least, strict=True)):
        if not 0 <= more < max(s, d):
            most = n + max(s, d) - 1
            asked = f"output_padding is {more}" if wanted is None else f"out_size is {wanted[axis]}"
            raise ProblemError(
                f"{asked} on spatial axis {axis}, where stride is {s} and dilation {d}.",
                rule="0 <= output_padding < max(stride, dilation)"
                if wanted is None
                else f"out_size is {n} to {most} there: padding and output_padding settle it",
            )
    sizes = tuple(n + more for n, more in zip(least, extra, strict=True))
    if any(n < 0 for n in sizes):
        raise ProblemError(
            f"padding {pads} leaves the spatial size {sizes}.",
            rule="(size - 1)*stride + dilation*(kernel_size - 1) + 1 >= before + after",
        )
    # What output_padding adds, no window reaches: cropped, there is no window more.
    return sizes, tuple((b, a - more) for (b, a), more in zip(pads, extra, strict=True))
