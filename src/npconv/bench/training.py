"""Training steps of whole networks: npconv.nn beside PyTorch, each in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .contest import ContenderTime, contest, relative_error
from .environment import Environment, environment
from .networks import compile_kernels
from .one_by_one import one_by_one
from .peers import TRAIN_CONTENDERS, TRAIN_REFERENCE, Contender
from .peers.training import TrainCase
from .processes import Worker, WorkerError, started
from .report import milliseconds, text_table

CASES = (
    TrainCase("lenet5", 64, 1, 28),
    TrainCase("cifar_resnet", 32, 3, 32),
    TrainCase("vgg11", 8, 3, 64),
    TrainCase("resnet18", 8, 3, 64),
    TrainCase("mobilenet_v2", 8, 3, 96),
)
TINY = TrainCase("lenet5", 1, 1, 12)  # its memory is what every step of a contender's needs
WRONG = 1e-3  # of the first step's loss


@dataclass
class TrainResult:
    """All contenders of one network; `peak_nbytes`, by their names, is the memory of a step."""

    case: TrainCase
    contenders: list[ContenderTime]
    peak_nbytes: dict[str, float] = field(default_factory=dict)


@dataclass
class TrainingResult:
    """What `npconv bench training` measured."""

    environment: Environment
    rounds: int
    cases: list[TrainResult]


def measure_case(
    case: TrainCase,
    contenders: Mapping[str, Contender],
    worker: Callable[[str], Worker],
    rounds: int,
    seconds: float,
    advance: Callable[[], None],
) -> TrainResult:
    """Time the contenders' steps in alternating rounds, and check the loss of the first.

    Then measure each one's memory, in a process that has done nothing else.
    """
    _, expected = worker(next(iter(TRAIN_REFERENCE))).prepare({"case": case})

    def error_of(name: str, found: object) -> float:
        error = relative_error(found, expected)  # type: ignore[arg-type]
        if not error < WRONG:
            raise ValueError(f"the first loss is {found}, not {expected}")
        return error

    rows = contest(
        contenders, {"case": case}, error_of, worker, rounds=rounds, seconds=seconds,
        advance=advance,
    )  # fmt: skip
    result = TrainResult(case, rows)
    for row in rows:
        if not row.samples or row.note:
            continue
        try:
            with started(row.contender) as alone:
                result.peak_nbytes[row.contender] = alone.memory({"case": TINY}, {"case": case})
        except WorkerError as error:
            row.note = f"memory not measured: {error}"
    return result


def measure(
    cases: Sequence[TrainCase] = CASES,
    *,
    contenders: Mapping[str, Contender] = TRAIN_CONTENDERS,
    rounds: int = 11,
    seconds: float = 30.0,
) -> TrainingResult:
    """Measure all cases; `seconds` caps each case once it has three rounds."""
    compile_kernels()
    packages = sorted({each.package for each in contenders.values()} - {"npconv"})
    conditions = environment(*packages)

    def one(
        case: TrainCase, worker: Callable[[str], Worker], advance: Callable[[], None]
    ) -> TrainResult:
        return measure_case(case, contenders, worker, rounds, seconds, advance)

    results = one_by_one(cases, lambda case: len(contenders) * rounds, one)
    return TrainingResult(conditions, rounds, results)


def text(result: TrainingResult) -> str:
    """Write a row for each network and contender, then the conditions."""
    rows = [
        (
            *each.case.words,
            row.contender,
            milliseconds(row.seconds),
            milliseconds(row.quickest),
            f"{row.ratio:.2f}" if row.samples else "-",
            f"{row.error:.0e}" if row.samples else "-",
            mebibytes(each.peak_nbytes.get(row.contender, math.nan)),
            row.note,
        )
        for each in result.cases
        for row in each.contenders
    ]
    headers = ("network", "batch", "contender", "ms a step", "least", "ratio", "error", "MiB", "")
    return (
        f"{text_table(headers, rows)}\n\n"
        "A step: forward, cross-entropy, backward, SGD with momentum; float32, the same weights "
        "and batch in each. Medians, and the least, of alternating rounds, each contender in a "
        "process of its own. ratio: time over npconv's; error: of the first step's loss, against "
        "float64. MiB: the most memory resident in five steps in a fresh process, beyond what a "
        f"tiny network's step left there (Linux only).\n{result.environment}"
    )


def mebibytes(nbytes: float) -> str:
    """Write whole MiB, "-" where nothing was measured."""
    return "-" if math.isnan(nbytes) else f"{nbytes / 2**20:.0f}"
