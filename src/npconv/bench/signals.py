"""Signals and arrays convolved as users of SciPy do it: npconv beside SciPy and NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .contest import ContenderTime, contest, relative_error
from .environment import Environment, environment
from .one_by_one import one_by_one
from .peers import CONTENDERS, Contender
from .processes import Worker
from .reasons import reasons

OPERATION = "signal"
_FLOOR_ROUNDS = 5
NEAR = 20.0  # times the quickest: who is slower has fewer rounds


@dataclass(frozen=True)
class SignalCase:
    """Two arrays and the function of scipy.signal that is called with them; axis None: all."""

    group: str
    function: str
    x_shape: tuple[int, ...]
    kernel_shape: tuple[int, ...]
    dtype: str = "float32"
    mode: str = "same"
    axis: int | None = None

    @property
    def name(self) -> str:
        """How tables call it."""
        sizes = " by ".join("x".join(map(str, s)) for s in (self.x_shape, self.kernel_shape))
        along = "" if self.axis is None else f" along {self.axis}"
        return f"{sizes}{along}"


def _lines(taps: Sequence[int], dtype: str) -> tuple[SignalCase, ...]:
    return tuple(SignalCase("long", "convolve", (1_000_000,), (k,), dtype) for k in taps)


CASES = (
    *_lines((3, 9, 33, 129, 1025, 10_000), "float32"),
    *_lines((3, 33, 1025, 10_000), "float64"),
    *(
        SignalCase("short", "convolve", (n,), (k,), "float64", "full")
        for n, k in ((10, 3), (100, 10), (1000, 33), (1000, 1000), (16384, 33))
    ),
    SignalCase("short by long", "convolve", (100,), (1_000_000,), "float32", "full"),
    SignalCase("both long", "convolve", (100_000,), (100_000,), "float64", "full"),
    SignalCase("batch", "fftconvolve", (64, 16384), (1, 129), axis=1),
    SignalCase("batch", "oaconvolve", (64, 16384), (1, 129), axis=1),
    SignalCase("batch", "fftconvolve", (64, 16384), (64, 129), axis=1),
    SignalCase("batch", "fftconvolve", (16384, 64), (129, 1), axis=0),
    SignalCase("thin", "convolve2d", (1000, 1), (1, 1000), "float64", "full"),
    SignalCase("thin", "fftconvolve", (1000, 1), (1, 1000), "float64", "full"),
    SignalCase("plane", "convolve2d", (10, 10), (3, 3), "float64"),
    SignalCase("plane", "convolve2d", (512, 512), (5, 5)),
    SignalCase("plane", "convolve2d", (512, 512), (21, 21)),
    *(SignalCase("plane", "fftconvolve", (512, 512), (k, k)) for k in (5, 21, 101)),
    SignalCase("plane", "fftconvolve", (2048, 2048), (2048, 2048)),
    SignalCase("volume", "fftconvolve", (128,) * 3, (3,) * 3),
    SignalCase("volume", "fftconvolve", (128,) * 3, (7,) * 3),
)


@dataclass
class CaseResult:
    """All contenders of one case; behind: why npconv's is, where it is."""

    case: SignalCase
    contenders: list[ContenderTime]
    behind: dict[str, str] = field(default_factory=dict)


@dataclass
class SignalsResult:
    """What `npconv bench signals` measured."""

    environment: Environment
    rounds: int
    cases: list[CaseResult]


def arguments(case: SignalCase) -> dict[str, Any]:
    """Make the arrays of a case, and what else every contender gets."""
    rng = np.random.default_rng(0)
    return {
        "function": case.function,
        "x": rng.standard_normal(case.x_shape).astype(case.dtype),
        "kernel": rng.standard_normal(case.kernel_shape).astype(case.dtype),
        "mode": case.mode,
        "axis": case.axis,
    }


def oracle(given: Mapping[str, Any]) -> np.ndarray:
    """Convolve in float64 by way of NumPy's FFT; an axis of length 1 is broadcast."""
    x, kernel = (given[name].astype(np.float64) for name in ("x", "kernel"))
    shape = [n + k - 1 for n, k in zip(x.shape, kernel.shape, strict=True)]
    if given["axis"] is not None:
        shape = [
            length if axis == given["axis"] else max(x.shape[axis], kernel.shape[axis])
            for axis, length in enumerate(shape)
        ]
    along = range(x.ndim) if given["axis"] is None else [given["axis"]]
    sizes = [shape[axis] for axis in along]
    spectrum = np.fft.rfftn(x, sizes, list(along)) * np.fft.rfftn(kernel, sizes, list(along))
    full = np.fft.irfftn(spectrum, sizes, list(along))
    if given["mode"] == "full":
        return full
    starts = [(whole - n) // 2 for whole, n in zip(full.shape, x.shape, strict=True)]
    return full[tuple(slice(a, a + n) for a, n in zip(starts, x.shape, strict=True))]


def measure_case(
    case: SignalCase,
    contenders: Mapping[str, Contender],
    worker: Callable[[str], Worker],
    rounds: int,
    seconds: float,
    advance: Callable[[], None],
) -> CaseResult:
    """Time the contenders of one case in alternating rounds and check what they computed."""
    given = arguments(case)
    expected = oracle(given)
    rows = contest(
        contenders,
        given,
        lambda name, result: relative_error(result, expected),
        worker,
        rounds=rounds,
        seconds=seconds,
        advance=advance,
        near=NEAR,
    )
    able = [row for row in rows if row.able]
    least = arguments(
        replace(case, x_shape=(2,) * len(case.x_shape), kernel_shape=(2,) * len(case.x_shape))
    )
    nothing = oracle(least)

    def floors(names: Sequence[str]) -> list[float]:
        found = contest(
            {name: contenders[name] for name in names},
            least,
            lambda name, result: relative_error(result, nothing),
            worker,
            rounds=min(rounds, _FLOOR_ROUNDS),
            seconds=seconds,
            advance=lambda: None,
        )
        return [row.seconds for row in found]

    nbytes = sum(array.nbytes for array in (given["x"], given["kernel"]))
    nbytes += expected.size * given["x"].itemsize
    return CaseResult(case, able, reasons(able, nbytes, lambda name, peer: True, floors))


def measure(
    cases: Sequence[SignalCase] = CASES,
    *,
    contenders: Mapping[str, Contender] = CONTENDERS,
    rounds: int = 11,
    seconds: float = 20.0,
) -> SignalsResult:
    """Measure all cases; `seconds` caps each case once it has three rounds."""
    entered = {name: each for name, each in contenders.items() if each.operation == OPERATION}
    packages = sorted({each.package for each in entered.values()} - {"npconv"})
    conditions = environment(*packages)

    def one(
        case: SignalCase, worker: Callable[[str], Worker], advance: Callable[[], None]
    ) -> CaseResult:
        return measure_case(case, entered, worker, rounds, seconds, advance)

    results = one_by_one(cases, lambda case: len(entered) * rounds, one)
    return SignalsResult(conditions, rounds, results)
