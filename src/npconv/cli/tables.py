"""Kernels as text and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from npconv.images import Kernel

if TYPE_CHECKING:
    from rich.table import Table

_LARGEST_DIVISOR = 10_000
_LARGEST_SHOWN = 5


def kernels_table(kernels: Sequence[Kernel]) -> Table:
    """Return the kernels as a table of names, numbers and purposes."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_lines=False, pad_edge=False)
    table.add_column("kernel", style="bold cyan", no_wrap=True)
    table.add_column("numbers", no_wrap=True)
    table.add_column("what for")
    table.add_column("below zero", style="dim")
    for number, kernel in enumerate(kernels):
        if number:
            table.add_row()
        name, _, settings = kernel.name.partition(":")
        shown = f"{name}\n  :{settings}" if settings else name
        table.add_row(shown, numbers_text(kernel.numbers), _purpose(kernel), kernel.signed)
    return table


def kernel_details(kernel: Kernel) -> str:
    """Return all that is known of one kernel, as text."""
    rows, columns = kernel.numbers.shape
    total = np.round(kernel.numbers.sum(), 6) + 0.0
    split = "separable" if kernel.separable else "not separable"
    facts = [
        kernel.name,
        f"  {kernel.purpose}",
        f"  {rows} x {columns}, sum {total:g}, {split}, below zero: {kernel.signed}",
        "",
        numbers_text(kernel.numbers, largest=rows + columns),
    ]
    if kernel.cross is not None:
        facts += ["", "and across:", numbers_text(kernel.cross, largest=rows + columns)]
    return "\n".join(facts)


def numbers_text(numbers: np.ndarray, largest: int = _LARGEST_SHOWN) -> str:
    """Return numbers in columns, over one divisor where that is exact, or only their size."""
    rows, columns = numbers.shape
    if max(rows, columns) > largest:
        return f"{rows} x {columns}"
    whole, divisor = _over_one_divisor(numbers)
    words = [[_short(value) for value in row] for row in whole.tolist()]
    width = max(len(word) for row in words for word in row)
    lines = [" ".join(word.rjust(width) for word in row) for row in words]
    if divisor > 1:
        lines[rows // 2] += f"   / {divisor}"
    return "\n".join(lines)


def _purpose(kernel: Kernel) -> str:
    return f"{kernel.purpose}; separable" if kernel.separable else kernel.purpose


def _over_one_divisor(numbers: np.ndarray) -> tuple[np.ndarray, int]:
    fractions = [
        Fraction(value).limit_denominator(_LARGEST_DIVISOR) for value in np.unique(numbers)
    ]
    divisor = int(np.lcm.reduce([fraction.denominator for fraction in fractions], dtype=object))
    whole = np.rint(numbers * divisor)
    exact = divisor <= _LARGEST_DIVISOR and np.array_equal(whole / divisor, numbers)
    return (whole, divisor) if exact else (numbers, 1)


def _short(value: float) -> str:
    if value == round(value):
        return str(int(value))
    return f"{value:.1e}" if abs(value) < 5e-4 else f"{value:.3f}"
