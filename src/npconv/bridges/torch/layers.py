"""Convolution layers that run on npconv, and the swap that puts them into a network."""

from __future__ import annotations

from typing import Any

import npconv
from npconv.bridges.torch.calls import conv, conv_transpose
from npconv.bridges.torch.tensors import torch


class _OnNpconv:
    """What the layers have beside PyTorch's: how they are computed."""

    algorithm = "auto"
    precision = "fast"

    def extra_repr(self) -> str:
        """Return PyTorch's description of the layer, and who computes it."""
        return f"{super().extra_repr()}, on npconv"  # type: ignore[misc]


class _Conv(_OnNpconv):
    def forward(self, input: Any) -> Any:
        """Return the convolution of a tensor with the layer's weight."""
        layer: Any = self
        return conv(
            input, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation,
            layer.groups, layer.padding_mode, algorithm=self.algorithm, precision=self.precision,
        )  # fmt: skip


class _ConvTranspose(_OnNpconv):
    def forward(self, input: Any, output_size: Any = None) -> Any:
        """Return the transposed convolution of a tensor with the layer's weight."""
        layer: Any = self
        output_padding = layer.output_padding
        if output_size is not None:
            output_padding = 0
            spatial = len(layer.kernel_size)
            if len(output_size) not in (spatial, input.ndim):
                raise npconv.ProblemError(
                    f"output_size {tuple(output_size)} has {len(output_size)} entries.",
                    rule=f"{spatial} spatial extents, or all {input.ndim} of the result",
                    where="conv_transpose",
                )
            output_size = tuple(output_size)[-spatial:]
        return conv_transpose(
            input, layer.weight, layer.bias, layer.stride, layer.padding, output_padding,
            layer.groups, layer.dilation, output_size=output_size,
            algorithm=self.algorithm, precision=self.precision,
        )  # fmt: skip


class Conv1d(_Conv, torch.nn.Conv1d):
    """`torch.nn.Conv1d` that runs on npconv."""


class Conv2d(_Conv, torch.nn.Conv2d):
    """`torch.nn.Conv2d` that runs on npconv."""


class Conv3d(_Conv, torch.nn.Conv3d):
    """`torch.nn.Conv3d` that runs on npconv."""


class ConvTranspose1d(_ConvTranspose, torch.nn.ConvTranspose1d):
    """`torch.nn.ConvTranspose1d` that runs on npconv."""


class ConvTranspose2d(_ConvTranspose, torch.nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d` that runs on npconv."""


class ConvTranspose3d(_ConvTranspose, torch.nn.ConvTranspose3d):
    """`torch.nn.ConvTranspose3d` that runs on npconv."""


_LAYERS = {
    torch.nn.Conv1d: Conv1d,
    torch.nn.Conv2d: Conv2d,
    torch.nn.Conv3d: Conv3d,
    torch.nn.ConvTranspose1d: ConvTranspose1d,
    torch.nn.ConvTranspose2d: ConvTranspose2d,
    torch.nn.ConvTranspose3d: ConvTranspose3d,
}


def replace_convs(
    module: torch.nn.Module, *, algorithm: str = "auto", precision: str = "fast"
) -> torch.nn.Module:
    """Let every convolution layer of a network run on npconv, forward and backward.

    The layers change their class and nothing else: parameters, buffers, hooks, names and the
    state_dict stay the same objects, so an optimizer made before goes on working.

    Parameters
    ----------
    module : torch.nn.Module
        A network or a single layer; changed in place.  Conv1d, Conv2d, Conv3d and their transposes
        are replaced wherever they stand in it, their lazy and parametrized forms too.  A subclass
        that has its own `forward` is left as it is.
    algorithm : str
        "auto", or a name from `npconv.algorithms()` for the forward calls.
    precision : {"fast", "strict"}
        As in `npconv.conv`; "fast" bounds errors as PyTorch's own convolutions do.

    Returns
    -------
    torch.nn.Module
        The module itself.

    Raises
    ------
    ProblemError
        Where module is none.

    Notes
    -----
    Calls of torch.nn.functional inside a forward and scripted modules are not seen.  torch.compile
    cannot trace npconv: give it `torch.compiler.disable(layer.forward)` for these layers.  Not for
    speed: PyTorch's own kernels are compiled, and a GPU has its own memory.

    Examples
    --------
    >>> import torch
    >>> from npconv.bridges.torch import replace_convs
    >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
    >>> replace_convs(network)
    Sequential(
      (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), on npconv)
      (1): ReLU()
    )
    >>> network(torch.zeros(1, 3, 16, 16)).shape
    torch.Size([1, 8, 14, 14])
    """
    if not isinstance(module, torch.nn.Module):
        raise npconv.ProblemError(
            f"module is {type(module).__name__}, not a torch.nn.Module.", where="replace_convs"
        )
    for layer in module.modules():
        for theirs, ours in _LAYERS.items():
            if isinstance(layer, theirs) and not isinstance(layer, _OnNpconv):
                _replace(layer, theirs, ours)
        if isinstance(layer, _OnNpconv):
            layer.algorithm, layer.precision = algorithm, precision
    return module


def _replace(layer: Any, theirs: type, ours: type) -> None:
    kind = type(layer)
    if kind is theirs:
        layer.__class__ = ours
    elif all(getattr(kind, name, None) is getattr(theirs, name, None) for name in _WORK):
        # Lazy layers turn into the class named here once they know their shapes.
        becomes = {"cls_to_become": ours} if hasattr(kind, "cls_to_become") else {}
        bases = (_Conv if issubclass(ours, _Conv) else _ConvTranspose, kind)
        layer.__class__ = type(kind.__name__, bases, {"__module__": kind.__module__, **becomes})


_WORK = ("forward", "_conv_forward", "_output_padding")  # what a subclass may do in its own way
