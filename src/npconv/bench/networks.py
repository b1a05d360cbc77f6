"""Layers under contest: npconv beside the libraries installed, each in its own process."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .arrays import Job, channels_first, out_shape
from .contest import ContenderTime, contest, relative_error, workers
from .environment import Environment, environment, version
from .layers import Layer
from .peers import LAYER_CONTENDERS, OWN, Contender
from .processes import Worker, WorkerError, started

NEAR = 5.0  # times the quickest: who is slower sits out after three rounds
PEAK_SAMPLES = 4
WRONG = 1e-3  # error relative to the largest value: no rounding makes one so large
COMPILE_SECONDS = 900.0


@dataclass(frozen=True)
class Settings:
    """How npconv plans and how long each layer is measured."""

    effort: str = "estimate"
    rounds: int = 11
    seconds_per_layer: float = 10.0


@dataclass(frozen=True)
class Task:
    """What is measured as one: a job, whose network it is, and who enters (all by default)."""

    network: str
    job: Job
    names: tuple[str, ...] = ()


@dataclass
class LayerResult:
    """All contenders on one layer; `ratios` are their times over each npconv row's, by name.

    `peak_flops` is what the quickest multiply-adds in registers reached meanwhile, in operations a
    second; `shares` are the rates of multiplications and additions (2 `macs` a call, however many
    were really done) over the quickest of the whole run.
    """

    network: str
    job: Job
    macs: int
    contenders: list[ContenderTime]
    ratios: dict[str, dict[str, float]] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    peak_flops: float = math.nan
    note: str = ""


@dataclass(frozen=True)
class Total:
    """One contender on a network: the sum of its medians, each layer as often as it occurs.

    `layers` counts those it was timed on; `ratios` compare on just these with npconv's rows, with
    those that npconv was timed on as well.
    """

    network: str
    direction: str
    contender: str
    layers: int
    seconds: float
    ratios: dict[str, float]


@dataclass
class NetworksResult:
    """What `npconv bench layers` measured; `unmeasured` counts the layers Ctrl-C left out.

    `peak_flops` is what the quickest multiply-adds of the run reached, by dtype.
    """

    environment: Environment
    settings: Settings
    installed: list[str]
    absent: dict[str, str]
    peak_flops: dict[str, float] = field(default_factory=dict)
    totals: list[Total] = field(default_factory=list)
    layers: list[LayerResult] = field(default_factory=list)
    unmeasured: int = 0


def own(names: Collection[str]) -> list[str]:
    """Pick npconv's rows: those that the others are divided by."""
    return [name for name in OWN if name in names]


def macs_of(layer: Layer) -> int:
    """Count the multiplications of the direct sum, the same in every direction."""
    batch, _, *out_size = out_shape(layer)
    return batch * math.prod(out_size) * math.prod(layer.weight_shape)


def measure_layer(
    task: Task,
    settings: Settings,
    contenders: Mapping[str, Contender],
    worker: Callable[[str], Worker],
    advance: Callable[[], None],
) -> LayerResult:
    """Time the contenders on one layer, and the peak with them, and check what they computed."""
    job = task.job
    result = LayerResult(task.network, job, macs_of(job.layer), [])
    try:
        _, expected = worker("reference").prepare({"job": job})
    except WorkerError as error:
        result.note = f"the float64 result stopped: {error}"
        return result

    def error_of(name: str, found: np.ndarray) -> float:
        if contenders[name].channels_last:
            found = channels_first(found, job.direction)
        error = relative_error(found, expected)
        if not error < WRONG:
            raise ValueError(f"the largest error is {error:.1g} of the largest value")
        return error

    result.contenders = contest(
        contenders,
        {"job": job},
        error_of,
        worker,
        rounds=settings.rounds,
        seconds=settings.seconds_per_layer,
        near=NEAR,
        advance=advance,
    )
    result.peak_flops = peak_flops(job, worker)
    seconds = {row.contender: row.seconds for row in result.contenders}
    result.ratios = {
        name: {base: value / seconds[base] for base in own(seconds)}
        for name, value in seconds.items()
    }
    return result


def peak_flops(job: Job, worker: Callable[[str], Worker]) -> float:
    """Give what multiply-adds in registers reach in the job's dtype; NaN without a compiler."""
    try:
        peak = worker("peak")
        _, operations = peak.prepare({"job": job})
        return float(operations) / min(peak.sample()[0] for _ in range(PEAK_SAMPLES))
    except WorkerError:
        return math.nan


def compile_kernels() -> None:
    """Have npconv's kernels compiled and kept before a worker's time to answer counts."""
    with contextlib.suppress(WorkerError), started("kernels", COMPILE_SECONDS) as worker:
        worker.prepare({})


def totals_of(layers: Sequence[LayerResult]) -> list[Total]:
    """Sum the layers of each network, weighted by how often they occur, by direction."""
    found = []
    for direction, network in dict.fromkeys((row.job.direction, row.network) for row in layers):
        tables = [
            (
                row.job.layer.count,
                {e.contender: e.seconds for e in row.contenders if not math.isnan(e.seconds)},
            )
            for row in layers
            if (row.job.direction, row.network) == (direction, network)
        ]
        names = dict.fromkeys(name for _, table in tables for name in table)
        for name in names:
            timed = [(count, table) for count, table in tables if name in table]
            ratios = {}
            for base in own(names):
                both = [(count, table) for count, table in timed if base in table]
                if both:
                    mine = sum(count * table[base] for count, table in both)
                    ratios[base] = sum(count * table[name] for count, table in both) / mine
            seconds = sum(count * table[name] for count, table in timed)
            found.append(Total(network, direction, name, len(timed), seconds, ratios))
    return found


def finished(result: NetworksResult) -> NetworksResult:
    """Fill in what needs the whole run: the peak, the shares of it and the totals."""
    peaks: dict[str, float] = {}
    for row in result.layers:
        if not math.isnan(row.peak_flops):
            peaks[row.job.dtype] = max(row.peak_flops, peaks.get(row.job.dtype, 0.0))
    result.peak_flops = peaks
    for row in result.layers:
        peak = peaks.get(row.job.dtype, math.nan)
        row.shares = {each.contender: 2 * row.macs / each.seconds / peak for each in row.contenders}
    result.totals = totals_of(result.layers)
    return result


def entering(task: Task, contenders: Mapping[str, Contender]) -> dict[str, Contender]:
    """Pick the contenders that the task names, or all."""
    return {name: each for name, each in contenders.items() if name in (task.names or contenders)}


def begun(settings: Settings, contenders: Mapping[str, Contender]) -> NetworksResult:
    """Make a result without layers: who is here, and under what conditions."""
    here = {name: each for name, each in contenders.items() if version(each.package)}
    packages = sorted({each.package for each in here.values()} - {"npconv", "numpy"})
    absent = {name: each.package for name, each in contenders.items() if name not in here}
    return NetworksResult(environment(*packages), settings, list(here), absent)


def measure(
    tasks: Sequence[Task],
    settings: Settings,
    contenders: Mapping[str, Contender] = LAYER_CONTENDERS,
    known: Sequence[LayerResult] = (),
    save: Callable[[NetworksResult], None] | None = None,
) -> NetworksResult:
    """Measure every task, with a progress bar on the terminal's error stream.

    Ctrl-C ends the run; what was measured until then is the result. What is `known` from an
    earlier run is not measured again; `save` is called with the result so far after each layer.
    """
    from rich.console import Console
    from rich.progress import Progress

    result = begun(settings, contenders)
    here = {name: contenders[name] for name in result.installed}
    before = {(row.network, row.job): row for row in known if not row.note}
    result.layers = [before[key] for task in tasks if (key := (task.network, task.job)) in before]
    left = [task for task in tasks if (task.network, task.job) not in before]
    result.unmeasured = len(left)
    samples = [len(entering(task, here)) * settings.rounds for task in left]
    console = Console(stderr=True)
    with contextlib.suppress(KeyboardInterrupt), ExitStack() as stack:
        progress = stack.enter_context(Progress(console=console, disable=not console.is_terminal))
        worker = stack.enter_context(workers())
        bar = progress.add_task("compiling", total=sum(samples))
        if left:
            compile_kernels()

        def advance(bar: Any = bar) -> None:
            progress.advance(bar)

        for done, task in enumerate(left):
            name = f"{task.network} {task.job.layer.name} {task.job.direction}"
            progress.update(bar, completed=sum(samples[:done]), description=name)
            row = measure_layer(task, settings, entering(task, here), worker, advance)
            result.layers.append(row)
            result.unmeasured -= 1
            if save is not None:
                save(finished(result))
        progress.update(bar, completed=sum(samples))
    return finished(result)
