"""What a page is asked to show: npconv's own arguments, as arrays NCHW and a page's problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import npconv
from npconv import ProblemError
from npconv.explain.crops import crop_text, liveliest

# The most that is drawn, as in page/scripts/geometry.js.
LIMITS = {
    "batch": 8, "channels": 8, "size": 24, "kernel": 11, "padding": 12, "out": 64, "cells": 6_000,
}  # fmt: skip
LAYOUTS = ("NCHW", "NHWC", "CHW", "HWC", "HW", "NCW", "NWC", "CW", "WC", "W")
_DIGITS = 9  # significant, of every number in the page
CROP = 8  # cells a side of the crop that is offered


@dataclass(frozen=True)
class Asked:
    """A convolution to be shown: float64 arrays, and the problem in the page's words.

    x (N, C, H, W), weight (O, I, kh, kw), bias (channels of out,) or None; of a 1-D problem H and
    kh are 1.  plan is npconv's, in float32; of a transposed problem its direction is "input_grad".
    """

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    problem: dict[str, Any]
    plan: npconv.Plan


def read(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    *,
    stride: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
    groups: int,
    layout: str | None,
    weight_layout: str | None,
    padding_mode: str,
    transposed: bool,
) -> Asked:
    """Return what these arguments of `conv` or `conv_transpose` ask for, or raise ProblemError."""
    first, kernel = np.asarray(x), np.asarray(weight)
    letters = _letters(layout, first.ndim)
    geometry: dict[str, Any] = {"stride": stride, "dilation": dilation, "groups": groups}
    axes: dict[str, Any] = {"layout": layout, "weight_layout": weight_layout}
    shape, direction, mode = first.shape, "forward", padding_mode
    if transposed:
        if padding_mode not in ("zeros", "constant"):
            raise ProblemError(
                f"padding_mode is {padding_mode!r}: conv_transpose crops, and knows zeros alone.",
                fix='padding_mode="zeros", or no transposed',
            )
        made = npconv.conv_transpose_geometry(
            first.shape, kernel.shape, padding=padding, output_padding=output_padding,
            **geometry, **axes,
        )  # fmt: skip
        shape, padding, direction, mode = made.shape, made.padding, "input_grad", "zeros"
    elif np.any(output_padding):
        raise ProblemError("output_padding is for a transposed convolution.", fix="transposed=True")
    plan = npconv.plan(
        shape,
        kernel.shape,
        padding=padding,
        direction=direction,
        padding_mode=mode,
        **geometry,
        **axes,
    )
    problem = _page_problem(plan, letters, transposed, output_padding)
    _check_drawn(problem, first, letters)
    added = None if bias is None else _numbers(bias, "bias")
    outputs = problem["outChannels"]
    if added is not None and added.shape not in ((), (1,), (outputs,)):
        raise ProblemError(
            f"bias has the shape {added.shape}.", rule=f"({outputs},), one a channel of out, or ()"
        )
    return Asked(
        _canonical(_numbers(first, "x"), letters, "NCHW"),
        _canonical(_numbers(kernel, "weight"), plan.letters[1].replace("L", "W"), "OIHW"),
        None if added is None else np.broadcast_to(added, (outputs,)).copy(),
        problem,
        plan,
    )


def rounded(array: np.ndarray) -> np.ndarray:
    """Return float64 numbers as the page writes them, in 9 significant digits."""
    # Whole numbers are written whole.
    texts = (float(f"{value:.{_DIGITS}g}") for value in array.ravel().tolist())
    return np.fromiter(texts, np.float64, array.size).reshape(array.shape)


def _numbers(given: ArrayLike, name: str) -> np.ndarray:
    """Return an array as the page's float64 numbers."""
    array = np.asarray(given)
    if array.dtype.kind not in "fiub":
        raise ProblemError(
            f"{name} is of {array.dtype}: the page draws real numbers.",
            fix="pass its real part" if array.dtype.kind == "c" else f"{name}.astype(float)",
        )
    wide = array.astype(np.float64)
    if not np.isfinite(wide).all():
        count = wide.size - np.isfinite(wide).sum()
        raise ProblemError(
            f"{name} holds {count} NaN or infinite numbers: the page draws finite ones.",
            fix=f"np.nan_to_num({name})",
        )
    return wide


def _letters(layout: str | None, ndim: int) -> str:
    """Return x's axes by letter: those of the page are N, C, H and W."""
    if layout is None and ndim not in (3, 4):
        raise ProblemError(
            f"x has {ndim} axes, and the page draws N, C, H, W or N, C, W.",
            fix='layout="HW" for one grey image, "HWC" for one in colour, or take x[..., i, :, :]',
        )
    letters = (layout or {3: "NCW", 4: "NCHW"}[ndim]).upper().replace("L", "W")
    if set(letters) - set("NCHW") or "W" not in letters:
        raise ProblemError(
            f"layout {layout!r}: the page draws the axes N, C, H and W.",
            rule=", ".join(LAYOUTS),
        )
    return letters


def _canonical(array: np.ndarray, letters: str, order: str) -> np.ndarray:
    """Return the axes named by letters in order, an axis of length 1 for each that is missing."""
    turned = array.transpose([letters.index(letter) for letter in order if letter in letters])
    missing = tuple(i for i, letter in enumerate(order) if letter not in letters)
    return np.ascontiguousarray(np.expand_dims(turned, missing))


def _page_problem(
    plan: npconv.Plan, letters: str, transposed: bool, output_padding: Any
) -> dict[str, Any]:
    """Return a plan's problem in the words of page/scripts/geometry.js."""
    p = plan.problem
    channels = (p.out_channels, p.in_channels) if transposed else (p.in_channels, p.out_channels)
    more = np.broadcast_to(output_padding, (p.ndim,)).tolist() if transposed else [0] * p.ndim
    pads = [[b, a + m] for (b, a), m in zip(p.padding, more, strict=True)]

    def two(values: Any, fill: Any) -> list[Any]:
        return [*[fill] * (2 - p.ndim), *values]

    return {
        "batch": p.batch,
        "inChannels": channels[0],
        "outChannels": channels[1],
        "size": two(p.out_size if transposed else p.size, 1),
        "kernelSize": two(p.kernel_size, 1),
        "stride": two(p.stride, 1),
        "padding": two(pads, [0, 0]),
        "dilation": two(p.dilation, 1),
        "groups": p.groups,
        "mode": p.padding_mode,
        "transposed": transposed,
        "outputPadding": two(more, 0),
        "layout": letters if letters in LAYOUTS else "NCHW",
    }


def _check_drawn(problem: dict[str, Any], x: np.ndarray, letters: str) -> None:
    """Raise where there is more than the page draws, or nothing; offer a crop."""
    size = problem["size"]
    out = _out_size(problem)
    sides = [abs(side) for pair in problem["padding"] for side in pair]
    if 0 in (problem["batch"], problem["inChannels"], problem["outChannels"], *size, *out):
        raise ProblemError(f"x of the shape {x.shape} leaves nothing to draw.")
    cells = problem["batch"] * max(
        problem["inChannels"] * size[0] * size[1], problem["outChannels"] * out[0] * out[1]
    )
    rule = (
        f"at most {LIMITS['size']} x {LIMITS['size']} cells of x in {LIMITS['channels']} channels, "
        f"a batch of {LIMITS['batch']}, and {LIMITS['cells']:,} cells in all"
    )
    if max(size) > LIMITS["size"]:
        crop = crop_text(*liveliest(x, letters, (CROP, CROP)))
        raise ProblemError(
            f"x is {size[0]} x {size[1]} cells: too many to draw one by one.",
            rule=rule,
            fix=f"--crop {crop}, or crop=({crop}) in Python: where it varies most",
        )
    for what, value, most, fix in (
        ("images of x", problem["batch"], LIMITS["batch"], "take a few: x[:2]"),
        ("channels of x", problem["inChannels"], LIMITS["channels"], "take a few of them"),
        ("channels of out", problem["outChannels"], LIMITS["channels"], "take a few of weight's"),
        ("taps along the kernel", max(problem["kernelSize"]), LIMITS["kernel"], "crop the kernel"),
        ("elements of padding a side", max(sides), LIMITS["padding"], "pad less"),
        ("cells along out", max(out), LIMITS["out"], "a smaller crop or stride"),
        ("cells in all", cells, LIMITS["cells"], "take fewer images or channels, or a crop"),
    ):
        if value > most:
            raise ProblemError(
                f"there are {value:,} {what}, and at most {most:,} are drawn.", rule=rule, fix=fix
            )


def _out_size(problem: dict[str, Any]) -> list[int]:
    """Return out's rows and columns."""
    sizes = []
    for axis in range(2):
        n, k, s, d, (b, a), more = (
            problem[name][axis]
            for name in ("size", "kernelSize", "stride", "dilation", "padding", "outputPadding")
        )
        span = d * (k - 1) + 1
        transposed = (n - 1) * s - b - a + span + more
        sizes.append(transposed if problem["transposed"] else (n + b + a - span) // s + 1)
    return sizes
