"""Which tensors npconv takes, and the memory they share with its arrays.

The one file that imports PyTorch: the others of this room take it from here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import npconv

try:
    import torch
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "torch":
        raise  # something that it needs itself
    raise ModuleNotFoundError(
        'npconv.bridges.torch needs PyTorch: pip install "npconv[torch]"', name="torch"
    ) from error

__all__ = ["as_array", "check_named_padding", "checked_layout", "like", "torch"]

# What NumPy has too, and npconv computes with.
_DTYPES = {
    torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128, torch.bool,
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
}  # fmt: skip
_LAYOUTS = {1: "NCW", 2: "NCHW", 3: "NCDHW"}


def as_array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor's memory as an array; a conjugate or negative that waits is made first."""
    return tensor.detach().resolve_conj().resolve_neg().numpy()


def like(tensor: torch.Tensor) -> np.ndarray:
    """Return an array of the tensor's shape and memory order, with no memory to read."""
    nothing = np.empty(1, np.uint8)
    return np.lib.stride_tricks.as_strided(nothing, tensor.shape, tensor.stride(), writeable=False)


def checked_layout(
    where: str, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> str:
    """Return x's layout, or raise ProblemError where these are no tensors for npconv."""
    tensors = {"x": x, "weight": weight} | ({} if bias is None else {"bias": bias})
    try:
        for name, tensor in tensors.items():
            _check(name, tensor)
            if tensor.dtype != x.dtype:
                raise npconv.ProblemError(
                    f"x is {x.dtype}, {name} is {tensor.dtype}.",
                    rule="all tensors have one dtype",
                    fix=f"x.to({tensor.dtype}), or {name}.to({x.dtype})",
                )
        ndim = weight.ndim - 2
        if ndim not in _LAYOUTS:
            raise npconv.ProblemError(
                f"weight has {weight.ndim} axes.",
                rule="two axes of channels, then one, two or three spatial ones",
            )
        if x.ndim not in (ndim + 1, ndim + 2):
            raise npconv.ProblemError(
                f"x has {x.ndim} axes; beside this weight it must have {ndim + 2}, "
                f"or {ndim + 1} without a batch."
            )
    except npconv.ProblemError as error:
        shapes = [(name, str(tuple(getattr(t, "shape", ())))) for name, t in tensors.items()]
        raise error.at(where, shapes) from None
    return _LAYOUTS[ndim][ndim + 2 - x.ndim :]


def check_named_padding(where: str, padding: str, stride: Any) -> None:
    """Raise ProblemError where torch has no such padding: its "same" knows no stride."""
    if padding not in ("same", "valid"):
        raise npconv.ProblemError(
            f"padding {padding!r} is not known.", rule='"same", "valid", or integers', where=where
        )
    steps = tuple(stride) if isinstance(stride, (tuple, list)) else (stride,)
    if padding == "same" and any(step != 1 for step in steps):
        raise npconv.ProblemError(
            f'padding="same" with stride {stride}: torch has it for stride 1 alone.',
            fix="give the padding as integers, or call npconv.conv, which rounds sizes up",
            where=where,
        )


def _check(name: str, tensor: Any) -> None:
    if not isinstance(tensor, torch.Tensor):
        kind = type(tensor).__name__
        raise npconv.ProblemError(
            f"{name} is {kind}, not a torch.Tensor.",
            fix=f"torch.from_numpy({name}), or call npconv itself on arrays",
        )
    problem, rule, fix = "", "", ""
    if tensor.device.type != "cpu":
        problem, rule, fix = f"on {tensor.device}", "npconv computes in main memory", "cpu()"
    elif tensor.is_nested:
        problem, rule, fix = "a nested tensor", "one dense array", "to_padded_tensor(0)"
    elif tensor.layout != torch.strided:
        problem, rule, fix = f"{tensor.layout}", "dense tensors", "to_dense()"
    elif tensor.dtype not in _DTYPES:
        problem, rule, fix = f"{tensor.dtype}", "dtypes that NumPy has too", "float()"
    if problem:
        raise npconv.ProblemError(f"{name} is {problem}.", rule=rule, fix=f"{name}.{fix}")
