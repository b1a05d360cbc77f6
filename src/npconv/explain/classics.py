"""The classic kernels of the photo: the named ones of npconv.images that fit on screen."""

from __future__ import annotations

from typing import Any

import numpy as np

from npconv import images

_SIDE = 7  # rows and columns at most
_DIVISORS = range(1, 101)
_MORE = ("gaussian:sigma=0.5", "gaussian:sigma=0.75", "motion:length=7,angle=0")


def classics() -> list[dict[str, Any]]:
    """Return the kernels for the page: [{name, rows, divisor, purpose, signed}].

    rows / divisor are the kernel's numbers: whole where a divisor up to 100 makes them so, else
    of 9 significant digits, with the divisor 1.

    Examples
    --------
    >>> from npconv.explain.classics import classics
    >>> {kernel["name"]: kernel["divisor"] for kernel in classics()}["blur"]
    9
    """
    named = [*images.kernels(), *(images.kernel(name) for name in _MORE)]
    return [
        {"name": kernel.name, **_rows(kernel.numbers), "purpose": kernel.purpose,
         "signed": kernel.signed}
        for kernel in named
        if kernel.cross is None and max(kernel.numbers.shape) <= _SIDE
    ]  # fmt: skip


def _rows(numbers: np.ndarray) -> dict[str, Any]:
    for divisor in _DIVISORS:
        whole = np.rint(numbers * divisor)
        if np.allclose(numbers * divisor, whole, rtol=0, atol=1e-9):
            return {"rows": whole.astype(int).tolist(), "divisor": divisor}
    return {"rows": [[float(f"{n:.9g}") for n in row] for row in numbers], "divisor": 1}
