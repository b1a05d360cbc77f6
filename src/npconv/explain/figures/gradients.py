"""The gradients: what is poured into out, and what arrives in x, in weight and in bias."""

from __future__ import annotations

from typing import Any

import numpy as np

import npconv
from npconv import ProblemError

from .asked import MOST_CHANNELS
from .board import CROPPED, PADDED, Cells, Style
from .case import Case, in_order
from .numbers import limit_of
from .operation import draw_window
from .sheet import Part, lay_out

_MOST_KERNELS = 32


def draw(case: Case, style: Style, title: str, grad_out: Any) -> Any:
    """Return the figure of a grad_out of out's shape, in x's layout; None is a gradient of ones."""
    _check(case)
    given = _read(case, grad_out)
    grads = npconv.conv_grad(given, case.images, case.weight, **case.geometry)
    batch = f", of all {len(case.images)} images" if len(case.images) > 1 else ""
    outs, ins = case.weight.shape[:2]
    limit = limit_of([grads.weight])
    kernels = [
        Cells(
            f"grad_{case.kernel_name(o, c)}", plane, f"[{o}, {c}]" * (outs * ins > 1), limit=limit
        )
        for o, planes in enumerate(grads.weight)
        for c, plane in enumerate(planes)
    ]
    limit = limit_of([grads.bias])
    biases = [
        Cells(case.name("grad_bias", o), value.reshape(1, 1), f"[{o}]" * (outs > 1), limit=limit)
        for o, value in enumerate(grads.bias)
    ]
    parts = [
        Part("grad_out", case.size_text(given[0]), _planes(case, "grad_out", given[case.image])),
        _x_part(case, grads.x[case.image]),
        Part("grad_weight", case.size_text(grads.weight) + batch, kernels, ins),
        Part("grad_bias", "" if outs == 1 else str(outs), biases),
    ]
    sheet = lay_out(case.where, style, title, parts)
    board, (poured, reached, *_) = sheet.board, sheet.planes
    board.outline(poured[case.channel].corners(case.row, case.column), "element of grad_out")
    for c in case.channels:
        draw_window(board, reached[c], case, f"window of {case.name('grad_x', c)}")
    return board.finish()


def _x_part(case: Case, arrived: np.ndarray) -> Part:
    """Return the column of grad_x, where x lies on the canvas."""
    shown = np.zeros((len(arrived), *case.padded.shape), arrived.dtype)
    shown[:, ~case.padded] = arrived.reshape(len(arrived), -1)
    cells = [
        c._replace(padded=case.padded, cropped=case.cropped, blank=case.padded)
        for c in _planes(case, "grad_x", shown)
    ]
    zeros = case.padding_mode == "zeros"
    said = (
        "padding: takes none"
        if zeros
        else f"padding: {case.padding_mode}, added to what it repeats"
    )
    legend = [(PADDED, said)] * bool(case.padded.any())
    legend += [(CROPPED, "cut off: gets 0")] * bool(case.cropped.any())
    return Part("grad_x", case.size_text(arrived), cells, sign="→", legend=tuple(legend))


def _planes(case: Case, name: str, arrays: np.ndarray) -> list[Cells]:
    many, limit = len(arrays) > 1, limit_of([arrays])
    return [
        Cells(case.name(name, c), plane, f"channel {c}" * many, limit=limit)
        for c, plane in enumerate(arrays)
    ]


def _read(case: Case, grad_out: Any) -> np.ndarray:
    """Return what is poured in, (N, O, rows, columns)."""
    shape = (len(case.images), len(case.weight), *case.out_size)
    if grad_out is None:
        return np.ones(shape, np.result_type(case.images, case.weight))
    given = np.asarray(grad_out)
    sizes = dict(zip(case.order, shape, strict=True))
    wanted = tuple(sizes[a] for a in case.letters)
    if given.shape != wanted:
        raise ProblemError(
            f"grad_out is {given.shape}, out is {wanted}.", rule="grad_out has out's shape",
            where=case.where,
        )  # fmt: skip
    return in_order(given, case.letters, case.order)


def _check(case: Case) -> None:
    """Raise where there are more planes than can be seen."""
    outs, ins = case.weight.shape[:2]
    if outs <= MOST_CHANNELS and outs * ins <= _MOST_KERNELS:
        return
    most = max(min(MOST_CHANNELS, _MOST_KERNELS // ins), 1)
    raise ProblemError(
        f"too much to draw: {outs} channels of out, and {outs * ins} kernels.",
        rule=f"at most {MOST_CHANNELS} channels of out and {_MOST_KERNELS} kernels",
        fix=f"draw {most} of the channels of out, as weight[:{most}] of an OIHW weight",
        where=case.where,
    )
