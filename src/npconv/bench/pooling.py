"""Pooling, unfold and fold on the shapes that CNNs have: npconv beside PyTorch, in processes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .contest import ContenderTime, contest, relative_error
from .environment import Environment, environment
from .networks import compile_kernels
from .one_by_one import one_by_one
from .peers import POOL_CONTENDERS, Contender
from .peers.pooling import PoolCase, pool_arrays, pool_shapes
from .processes import Worker
from .reasons import reasons

_STEM, _HALF, _SAME, _VGG = (
    ((8, 64, 112, 112), 3, 2, 1), ((8, 64, 56, 56), 2, 2, 0), ((8, 192, 28, 28), 3, 1, 1),
    ((8, 64, 224, 224), 2, 2, 0),
)  # fmt: skip
_FLOOR_ROUNDS = 5
_ONE = (1, 64, 112, 112), 3, 2, 1
CASES = (
    *(PoolCase("max", *shape) for shape in (_STEM, _HALF, _SAME, _VGG, _ONE)),
    *(PoolCase("max with indices", *shape) for shape in (_STEM, _HALF)),
    *(PoolCase("max backward", *shape) for shape in (_STEM, _HALF, _SAME, _VGG)),
    *(PoolCase("average", *shape) for shape in (_STEM, _HALF, _SAME)),
    *(PoolCase("average backward", *shape) for shape in (_STEM, _HALF, _SAME)),
    PoolCase("average", (8, 2048, 7, 7), 7, 7, 0),
    PoolCase("average", (1, 2048, 7, 7), 7, 7, 0),
    PoolCase("unfold", (8, 64, 56, 56), 3, 1, 1),
    PoolCase("fold", (8, 64, 56, 56), 3, 1, 1),
)


@dataclass
class PoolResult:
    """All contenders of one case; behind: why those of npconv's are that are."""

    case: PoolCase
    contenders: list[ContenderTime]
    behind: dict[str, str] = field(default_factory=dict)


@dataclass
class PoolingResult:
    """What `npconv bench pooling` measured."""

    environment: Environment
    rounds: int
    cases: list[PoolResult]


def oracle(case: PoolCase) -> np.ndarray:
    """Compute a case tap by tap: sums in float64, channels first."""
    x, grad, columns = (array.astype(np.float64) for array in pool_arrays(case))
    counts, pad = case.kernel_size**2, case.padding
    if case.operation == "unfold":
        return np.stack([*_taps(case, _padded(x, pad, 0))], 2).reshape(columns.shape)
    if case.operation.startswith("max"):
        padded = _padded(x, pad, -np.inf)
        views = list(_taps(case, padded))
        largest = views[0]
        for view in views[1:]:
            largest = np.maximum(largest, view)
        if case.operation != "max backward":
            return largest
    elif case.operation == "average":
        views = list(_taps(case, _padded(x, pad, 0)))
        return np.sum(views, 0) / counts
    total = np.zeros((*x.shape[:2], *(n + 2 * pad for n in x.shape[2:])))
    taken = np.zeros(grad.shape, bool)
    split = columns.reshape(*x.shape[:2], counts, *grad.shape[2:])
    for tap, target in enumerate(_taps(case, total)):
        if case.operation == "fold":
            target += split[:, :, tap]
        elif case.operation == "average backward":
            target += grad / counts
        else:
            wins = (views[tap] == largest) & ~taken
            taken |= wins
            target += np.where(wins, grad, 0)
    inside = slice(pad, -pad or None)
    return total[:, :, inside, inside]


def _padded(x: np.ndarray, pad: int, value: float) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=value)


def _taps(case: PoolCase, padded: np.ndarray) -> Iterator[np.ndarray]:
    """Yield what each tap meets, as views of padded x."""
    height, width = case.out_size
    for a, b in itertools.product(range(case.kernel_size), repeat=2):
        rows = slice(a, a + (height - 1) * case.stride + 1, case.stride)
        columns = slice(b, b + (width - 1) * case.stride + 1, case.stride)
        yield padded[:, :, rows, columns]


def measure_case(
    case: PoolCase,
    contenders: Mapping[str, Contender],
    worker: Callable[[str], Worker],
    rounds: int,
    seconds: float,
    advance: Callable[[], None],
) -> PoolResult:
    """Time the contenders of one case in alternating rounds and check what they computed."""
    expected = oracle(case)
    rows = contest(
        contenders,
        {"case": case},
        lambda name, result: relative_error(result, expected),
        worker,
        rounds=rounds,
        seconds=seconds,
        advance=advance,
    )
    little = replace(case, x_shape=(1, 16, case.kernel_size, case.kernel_size), padding=0)

    def floors(names: Sequence[str]) -> list[float]:
        expected = oracle(little)
        least = contest(
            {name: contenders[name] for name in names},
            {"case": little},
            lambda name, result: relative_error(result, expected),
            worker,
            rounds=min(rounds, _FLOOR_ROUNDS),
            seconds=seconds,
            advance=lambda: None,
        )
        return [row.seconds for row in least]

    def alike(name: str, peer: str) -> bool:
        return name.split()[-1] == peer.split()[-1]  # the order of axes

    return PoolResult(case, rows, reasons(rows, nbytes(case), alike, floors))


def nbytes(case: PoolCase) -> int:
    """Return the bytes that a case reads and writes, each once; indices are int64."""
    x, grad, columns = (math.prod(shape) * 4 for shape in pool_shapes(case))
    places = 2 * grad
    if "fold" in case.operation:
        return x + columns
    return x + grad + places * (case.operation in ("max with indices", "max backward"))


def measure(
    cases: Sequence[PoolCase] = CASES,
    *,
    contenders: Mapping[str, Contender] = POOL_CONTENDERS,
    rounds: int = 11,
    seconds: float = 30.0,
) -> PoolingResult:
    """Measure all cases; `seconds` caps each case once it has three rounds."""
    compile_kernels()
    packages = sorted({each.package for each in contenders.values()} - {"npconv"})
    conditions = environment(*packages)

    def one(
        case: PoolCase, worker: Callable[[str], Worker], advance: Callable[[], None]
    ) -> PoolResult:
        return measure_case(case, contenders, worker, rounds, seconds, advance)

    results = one_by_one(cases, lambda case: len(contenders) * rounds, one)
    return PoolingResult(conditions, rounds, results)
