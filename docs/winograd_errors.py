"""Measure the error of each Winograd tile and write it into how-it-works.md: `make errors`.

One layer a row: 64 channels to 64, some 40x40 pixels, normal numbers in float32, the same tile
along both axes, against the direct sum in float64.  The algorithm is told which tile to take, for
it would take only the quickest; the size differs from row to row, as what is known of a problem is
remembered.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import numpy as np

import npconv
from npconv import tiling
from npconv.kernels import toom

PAGE = Path(__file__).with_name("how-it-works.md")
BEGIN, END = "<!-- errors of Winograd: make errors -->", "<!-- end of errors -->"
CHANNELS, SIZE, SEEDS = 64, 40, 3


def errors(place: int) -> tuple[float, float]:
    """Return the error of a row of toom.ROWS, and the direct sum's in float32, medians."""
    row, found = toom.ROWS[place], []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((1, CHANNELS, SIZE + place, SIZE))
        weight = rng.standard_normal((CHANNELS, CHANNELS, row.taps, row.taps))
        x, weight = x.astype(np.float32), weight.astype(np.float32)
        exact = npconv.conv(x.astype(float), weight.astype(float), stride=row.stride)
        with mock.patch.object(tiling, "rows", return_value=(place, place)):
            tile = npconv.conv(x, weight, stride=row.stride, algorithm="winograd", precision="fast")
        direct = npconv.conv(x, weight, stride=row.stride, algorithm="indirect")
        largest = np.abs(exact).max()
        found.append([np.abs(y - exact).max() / largest for y in (tile, direct)])
    tile, direct = np.median(found, axis=0)
    return float(tile), float(direct)


def table() -> str:
    """Return the table, in Markdown."""
    lines = [
        "| tile | kernel, stride | precision | products saved | error | direct sum's |",
        "|---|---|---|---|---|---|",
    ]
    for place, row in enumerate(toom.ROWS):
        if row.outputs == 1:
            continue
        saved = (row.outputs * row.taps / toom.axes()[place].products) ** 2
        precision = "strict" if row.strict else "fast"
        error, direct = errors(place)
        name = f"F({row.outputs}, {row.taps})²"
        lines.append(
            f"| {name} | {row.taps}x{row.taps}, {row.stride} | {precision} | {saved:.2f}x "
            f"| {error:.1e} | {direct:.1e} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Write the table between its marks."""
    if reason := npconv.compiler.missing():
        sys.exit(f"the errors cannot be measured: {reason}")
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
