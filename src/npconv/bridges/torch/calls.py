"""npconv's convolution and transposed convolution of tensors, as functions that differentiate."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import npconv
from npconv.bridges.torch.tensors import (
    as_array,
    check_named_padding,
    checked_layout,
    like,
    torch,
)


def conv(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    *,
    algorithm: str = "auto",
    precision: str = "strict",
) -> torch.Tensor:
    """Convolve tensors as torch.nn.functional's conv1d, conv2d and conv3d do, by npconv.

    Parameters
    ----------
    x : Tensor
        (N, C, *size) or (C, *size) with one, two or three spatial axes; in main memory, dense.
    weight : Tensor
        (O, C // groups, *kernel_size), of x's dtype.
    bias : Tensor, optional
        (O,), of x's dtype.
    stride, dilation : int or sequence of int
        One number, or one an axis.
    padding : int, sequence, or {"valid", "same"}
        One number, one an axis, or one (before, after) an axis.  "same" is torch's: dilation *
        (kernel_size - 1) elements in all, the odd one at the end, and no stride.
    groups : int
        Splits the channels.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        torch's names, or any of `npconv.conv`'s.
    algorithm, precision : str
        As in `npconv.conv`.  The algorithm is that of this call; its gradients are planned.

    Returns
    -------
    Tensor
        As torch's; channels-last in memory where x is.  Differentiable to any order.

    Raises
    ------
    ProblemError
        Where a tensor is not NumPy's (on another device, sparse, bfloat16), dtypes differ, or
        shapes and geometry do not fit.
    UnsupportedError
        Where the algorithm named cannot do it.

    Notes
    -----
    No array is copied between the libraries.  A backward pass holds x and weight, as torch's own
    does, but only what the gradients asked for need.

    Examples
    --------
    >>> import torch
    >>> from npconv.bridges.torch import conv
    >>> x, weight = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3, requires_grad=True)
    >>> conv(x, weight, stride=2, padding=1).sum().backward()
    >>> weight.grad[0, 0]
    tensor([[1., 2., 2.],
            [2., 4., 4.],
            [2., 4., 4.]])
    """
    layout = checked_layout("conv", x, weight, bias)
    if isinstance(padding, str):
        check_named_padding("conv", padding, stride)
    geometry = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
        "padding_mode": padding_mode, "layout": layout, "precision": precision,
    }  # fmt: skip
    setting = _Setting(geometry, (None, like(x), like(weight)), {"algorithm": algorithm})
    return _Map.apply(_OUT, setting, bias, None, x, weight)


def conv_transpose(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    output_size: Any = None,
    algorithm: str = "auto",
    precision: str = "strict",
) -> torch.Tensor:
    """Convolve, transposed, as torch.nn.functional's conv_transpose1d, 2d and 3d do, by npconv.

    Parameters
    ----------
    x : Tensor
        (N, C, *size) or (C, *size) with one, two or three spatial axes; in main memory, dense.
    weight : Tensor
        (C, O // groups, *kernel_size), of x's dtype.
    bias : Tensor, optional
        (O,), of x's dtype.
    stride, padding, output_padding, dilation : int or sequence of int
        One number, or one an axis.
    groups : int
        Splits the channels.
    output_size : sequence of int, optional
        The result's spatial extents, which choose output_padding.
    algorithm, precision : str
        As in `npconv.conv`.

    Returns
    -------
    Tensor
        As torch's; channels-last in memory where x is.  Differentiable to any order.

    Raises
    ------
    ProblemError
        As `conv` does, and for an output_padding or output_size that cannot be.

    Examples
    --------
    >>> import torch
    >>> from npconv.bridges.torch import conv_transpose
    >>> conv_transpose(torch.ones(1, 2), torch.tensor([[[1.0, 2.0, 3.0]]]), stride=2)
    tensor([[1., 2., 4., 2., 3.]])
    """
    layout = checked_layout("conv_transpose", x, weight, bias)
    shared = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
        "layout": layout, "precision": precision,
    }  # fmt: skip
    once = {"output_padding": output_padding, "out_size": output_size, "algorithm": algorithm}
    setting = _Setting(shared, (like(x), None, like(weight)), once)
    return _Map.apply(_X, setting, bias, x, None, weight)


_OUT, _X, _WEIGHT = range(3)  # the places of <grad_out, conv(x, weight)>


class _Setting(NamedTuple):
    """What the maps of one convolution share.

    geometry   keywords of all of them
    likes      arrays of the shapes and memory orders of grad_out, x and weight, their values not
               to be read; None for the one that the first call makes
    once       keywords of the first call alone
    """

    geometry: dict[str, Any]
    likes: tuple[Any, ...]
    once: dict[str, Any]

    def of_derivatives(self, made: torch.Tensor) -> _Setting:
        """Return the setting of the other maps, after the first one or any other."""
        if all(a is not None for a in self.likes):
            return self
        likes = [like(made) if a is None else a for a in self.likes]
        if self.likes[_X] is not None:
            return _Setting(self.geometry, tuple(likes), {})
        geometry = {**self.geometry, **self.once}
        del geometry["algorithm"], geometry["precision"]
        padding = npconv.conv_transpose_geometry(likes[_OUT], likes[_WEIGHT], **geometry).padding
        return _Setting({**self.geometry, "padding": padding}, tuple(likes), {})


class _Map(torch.autograd.Function):
    """Of grad_out, x and weight, the one that is wanted, from the other two.

    <grad_out, conv(x, weight)> is linear in each, so the derivatives of any of the three maps are
    the other two, and theirs again.
    """

    @staticmethod
    def forward(
        wanted: int, setting: _Setting, bias: torch.Tensor | None, *three: torch.Tensor | None
    ) -> torch.Tensor:
        arrays: list[Any] = [None if t is None else as_array(t) for t in (*three, bias)]
        grad_out, x, weight, added = arrays
        pattern = setting.likes[wanted]
        keywords = {**setting.geometry, **setting.once}
        if wanted == _OUT:
            out = None if pattern is None else np.empty_like(pattern, x.dtype)
            made = npconv.conv(x, weight, added, out=out, **keywords)
        elif wanted == _WEIGHT:
            made = npconv.conv_weight_grad(grad_out, x, pattern, **keywords)
        elif pattern is None:
            made = npconv.conv_transpose(grad_out, weight, added, **keywords)
        else:
            made = npconv.conv_input_grad(grad_out, weight, pattern, **keywords)
        return torch.from_numpy(made)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        wanted, setting, _, *three = inputs
        needed = ctx.needs_input_grad[3:]
        ctx.wanted = wanted
        ctx.setting = setting.of_derivatives(output) if any(needed) else setting
        # The gradient of one place takes the tensor at the other.
        others = [place for place in range(3) if place != wanted]
        keep = {b: three[b] for a, b in (others, others[::-1]) if needed[a]}
        ctx.save_for_backward(*(keep.get(place) for place in range(3)))

    @staticmethod
    def backward(ctx: Any, v: torch.Tensor) -> tuple[Any, ...]:
        three = [None if t is None else t.conj() for t in ctx.saved_tensors]
        three[ctx.wanted] = v
        grads: list[Any] = [None] * 6
        for place in range(3):
            if ctx.needs_input_grad[3 + place]:
                two = [None if i == place else t for i, t in enumerate(three)]
                grads[3 + place] = _Map.apply(place, ctx.setting, None, *two)
        if ctx.needs_input_grad[2]:
            channels = ctx.setting.geometry["layout"].index("C")
            grads[2] = v.sum([axis for axis in range(v.ndim) if axis != channels])
        return tuple(grads)
