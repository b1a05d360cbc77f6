"""Per-channel products and their sum: what happens in one window."""

from __future__ import annotations

from typing import Any

import numpy as np

from .board import PADDED, Cells, Style
from .case import Case
from .numbers import limit_of, number
from .operation import bias_part, joined, products
from .sheet import Part, lay_out


def draw(case: Case, style: Style, title: str) -> Any:
    """Return the figure."""
    taps, weight, sums = products(case, case.row, case.column)
    made = taps.astype(np.result_type(taps, weight)) * weight
    window = case.row * case.out_size[1] + case.column
    padded = case.patches_padded[:, window].reshape(case.kernel_size)
    place = case.name("out", case.channel, case.row, case.column)
    many = len(taps) > 1

    def planes(name: str, arrays: np.ndarray, limit: float, mask: Any = None) -> list[Cells]:
        blank = mask if case.padding_mode == "zeros" else None
        return [
            Cells(f"{name} {c}", plane, f"channel {c}" * many, mask, None, limit, blank)
            for c, plane in zip(case.channels, arrays, strict=True)
        ]

    legend = ((PADDED, f"padding: {case.padding_mode}"),) if padded.any() else ()
    over = limit_of([case.weight])
    kernel = case.name("weight", case.channel)
    summed = planes("sum", sums.reshape(-1, 1, 1), limit_of([sums]))
    read = planes("x", taps, limit_of([case.x]), padded)
    multiplied = planes("products", made, limit_of([made]))
    parts = [
        Part("x in the window", case.size_text(taps), read, legend=legend),
        Part(kernel, case.size_text(weight), planes("weight", weight, over), sign="×"),
        Part("products", case.size_text(made), multiplied, sign="="),
        Part("sums" if many else "sum", "one a channel" * many, summed, sign="→"),
        *bias_part(case),
    ]  # fmt: skip
    if many or case.bias is not None:
        out = case.out[case.channel, case.row, case.column].reshape(1, 1)
        parts.append(Part(place, "", [Cells(place, out, limit=limit_of([case.out]))], sign="="))
    sheet = lay_out(case.where, style, title, parts, lines_below=1)
    terms = [number(s) for s in sums]
    if case.bias is not None:
        terms.append(f"{number(case.bias[case.channel])} (bias)")
    total = number(case.out[case.channel, case.row, case.column])
    said = f"{place} = {joined(terms)}" + f" = {total}" * (len(terms) > 1)
    sheet.board.text(sheet.left, sheet.below, said, across="left", name="arithmetic")
    return sheet.board.finish()
