"""Filters on an image: npconv beside OpenCV, SciPy and scikit-image, each in its own process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .contest import ContenderTime, contest, relative_error
from .environment import Environment, environment
from .one_by_one import one_by_one
from .peers import CONTENDERS, Contender
from .processes import Worker
from .reasons import reasons

SIZES = {"1080p": (1080, 1920), "4k": (2160, 3840)}
FULL_HD = SIZES["1080p"]
_LEAST = (16, 16)  # pixels, next to nothing; what lies beyond it is no further away
_FLOOR_ROUNDS = 5
_LESS_EXACT = 4  # times the error


@dataclass(frozen=True)
class Pixels:
    """What an image is of: "float32", "uint8" or "uint16"; 1 channel, or 3 side by side."""

    dtype: str = "float32"
    channels: int = 1


GREY = Pixels()


@dataclass(frozen=True)
class ImageCase:
    """One filter: a correlation with a square kernel or a Gaussian, borders symmetric."""

    name: str
    operation: str
    kernel_size: int = 0
    sigma: float = 0.0


CASES = (
    *(ImageCase(f"{n}x{n}", "correlate", kernel_size=n) for n in (3, 5, 7, 15, 31)),
    *(ImageCase(f"Gaussian, sigma {n}", "gaussian", sigma=float(n)) for n in (1, 3)),
)


@dataclass
class CaseResult:
    """All contenders of one case; behind: why those of npconv's are that are."""

    case: ImageCase
    contenders: list[ContenderTime]
    behind: dict[str, str] = field(default_factory=dict)


@dataclass
class ImagesResult:
    """What `npconv bench images` measured."""

    environment: Environment
    size: tuple[int, int]
    rounds: int
    pixels: Pixels
    cases: list[CaseResult]


def arguments(case: ImageCase, size: tuple[int, int], pixels: Pixels = GREY) -> dict[str, Any]:
    """Make the arrays and numbers of a case, as every contender gets them."""
    rng = np.random.default_rng(0)
    shape = size if pixels.channels == 1 else (*size, pixels.channels)
    if pixels.dtype == "float32":
        image = rng.random(shape, dtype=np.float32)
    else:
        image = rng.integers(0, np.iinfo(pixels.dtype).max, shape, pixels.dtype, endpoint=True)
    if case.operation == "gaussian":
        return {"image": image, "sigma": case.sigma}
    kernel = rng.standard_normal((case.kernel_size, case.kernel_size), dtype=np.float32)
    return {"image": image, "kernel": kernel / np.abs(kernel).sum()}


def gaussian_kernel(sigma: float) -> np.ndarray:
    """Sample a 2-D Gaussian out to four sigma, as the contenders do, in float64."""
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    line = np.exp(-0.5 * (offsets / sigma) ** 2)
    line /= line.sum()
    return np.outer(line, line)


def oracle(case: ImageCase, given: Mapping[str, Any]) -> np.ndarray:
    """Correlate in float64 by way of NumPy's FFT, with symmetric borders.

    Whole numbers are rounded, and cut off where their dtype ends.
    """
    kernel = given["kernel"] if case.operation == "correlate" else gaussian_kernel(given["sigma"])
    image = given["image"]
    border = [(size // 2, size // 2) for size in kernel.shape] + [(0, 0)] * (image.ndim - 2)
    padded = np.pad(image.astype(np.float64), border, mode="symmetric")
    size = padded.shape[:2]
    spectrum = np.fft.rfft2(padded, axes=(0, 1))
    turned = np.conj(np.fft.rfft2(kernel.astype(np.float64), size))
    spectrum *= turned.reshape(*turned.shape, *[1] * (image.ndim - 2))
    sums = np.fft.irfft2(spectrum, size, axes=(0, 1))[: image.shape[0], : image.shape[1]]
    if image.dtype.kind == "f":
        return sums
    return np.clip(np.rint(sums), 0, np.iinfo(image.dtype).max)


def measure_case(
    case: ImageCase,
    size: tuple[int, int],
    pixels: Pixels,
    contenders: Mapping[str, Contender],
    worker: Callable[[str], Worker],
    rounds: int,
    seconds: float,
    advance: Callable[[], None],
) -> CaseResult:
    """Time the contenders of one case in alternating rounds and check what they computed."""
    entered = {name: each for name, each in contenders.items() if each.operation == case.operation}

    whole, wrong = pixels.dtype != "float32", dict[str, float]()

    def race(
        names: Iterable[str], size: tuple[int, int], rounds: int, advance: Callable[[], None]
    ) -> list[ContenderTime]:
        given = arguments(case, size, pixels)
        expected = oracle(case, given)

        def error_of(name: str, result: np.ndarray) -> float:
            error = relative_error(result, expected)
            wrong[name] = float(np.mean(result != expected)) if whole else error
            return error

        return contest(
            {name: entered[name] for name in names},
            given,
            error_of,
            worker,
            rounds=rounds,
            seconds=seconds,
            advance=advance,
        )

    def floors(names: Sequence[str]) -> list[float]:
        least = race(names, _LEAST, min(rounds, _FLOOR_ROUNDS), lambda: None)
        return [row.seconds for row in least]

    rows = race(entered, size, rounds, advance)
    text = {name: less_exact(rows, name, wrong, whole) for name in entered}  # before the floors
    nbytes = 2 * math.prod(size) * pixels.channels * np.dtype(pixels.dtype).itemsize
    why = reasons(rows, nbytes, lambda name, peer: True, floors)
    return CaseResult(case, rows, {name: each + text[name] for name, each in why.items()})


def less_exact(
    rows: Sequence[ContenderTime], name: str, wrong: Mapping[str, float], whole: bool
) -> str:
    """Say how far off the quickest of all is, where that is much further than this contender is.

    wrong: by contender, the share of pixels that are not the rounded sum, or of floats the error.
    """
    timed = [row for row in rows if row.samples]
    best = min(timed, key=lambda row: row.seconds).contender if timed else name
    if best not in wrong or name not in wrong or wrong[best] <= _LESS_EXACT * wrong[name]:
        return ""
    if whole:
        of_its, here = (f"{100 * wrong[each]:.2g}%" for each in (best, name))
        return f"; {of_its} of its pixels are not the rounded sum, {here} here"
    return f"; its error is {wrong[best]:.0e}"


def measure(
    cases: Sequence[ImageCase] = CASES,
    *,
    size: tuple[int, int] = FULL_HD,
    pixels: Pixels = GREY,
    contenders: Mapping[str, Contender] = CONTENDERS,
    rounds: int = 11,
    seconds: float = 60.0,
) -> ImagesResult:
    """Measure all cases; `seconds` caps each case once it has three rounds."""
    packages = sorted({each.package for each in contenders.values()} - {"npconv"})
    conditions = environment(*packages)

    def steps(case: ImageCase) -> int:
        return rounds * sum(each.operation == case.operation for each in contenders.values())

    def one(
        case: ImageCase, worker: Callable[[str], Worker], advance: Callable[[], None]
    ) -> CaseResult:
        return measure_case(case, size, pixels, contenders, worker, rounds, seconds, advance)

    results = one_by_one(cases, steps, one)
    return ImagesResult(conditions, size, rounds, pixels, results)
