"""How numbers are written in cells, and which magnitude gets the strongest colour."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_FORMATS = (".2f", ".1f", ".0f")


def limit_of(arrays: Iterable[np.ndarray]) -> float:
    """Return the largest finite magnitude, 1 where there is none but 0."""
    most = 0.0
    for array in arrays:
        values = np.abs(array.astype(np.float64))
        most = max(most, float(values[np.isfinite(values)].max(initial=0)))
    return most or 1.0


def texts(values: np.ndarray, most: int | None = None) -> np.ndarray:
    """Return numbers as texts of equal precision; empty ones where one exceeds `most` signs.

    Integers stay whole.  Others get the most digits that fit, and scientific ones where `most` is
    None and they are very large or small.
    """
    finite = values[np.isfinite(values)]
    if not np.any(finite != np.rint(finite)):
        return _fitting(np.frompyfunc(_whole, 1, 1)(values), most)
    for form in _FORMATS:
        written = np.frompyfunc(lambda v, form=form: _signed(format(v, form)), 1, 1)(values)
        shown = _fitting(written, most)
        if shown.flat[0] and _tells(values, form):
            return shown
    if most is not None:
        return np.full(values.shape, "", object)
    return np.frompyfunc(lambda v: _signed(f"{v:.3g}"), 1, 1)(values)


def number(value: float) -> str:
    """Return one number as a short text: whole, or of four digits."""
    value = value.item() if isinstance(value, np.generic) else value
    if np.isfinite(value) and value == int(value) and abs(value) < 1e6:
        return _whole(value)
    return _signed(f"{value:.4g}")


def _whole(value: float) -> str:
    return _signed(str(int(value)) if np.isfinite(value) else str(float(value)))


def _signed(text: str) -> str:
    """Return a number's text with the true minus sign, and 0 without one."""
    text = text.replace("-", "−")
    return text.removeprefix("−") if not text.strip("−0.") else text


def _tells(values: np.ndarray, form: str) -> bool:
    """Return whether so many digits keep the largest magnitude from being written as nothing."""
    return limit_of([values]) >= (20 if form == ".0f" else 10.0 ** -int(form[1]))


def _fitting(written: np.ndarray, most: int | None) -> np.ndarray:
    longest = max(map(len, written.ravel()), default=0)
    return written if most is None or longest <= most else np.full(written.shape, "", object)
