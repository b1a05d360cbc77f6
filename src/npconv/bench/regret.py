"""Regret: how much slower the planner's choice is than the best of all algorithms, by layer."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

import npconv

from .arrays import Arrays, layer_arrays
from .environment import Environment, available_memory, environment
from .layers import Layer
from .runner import SAMPLE_ERRORS, Timing, alternate, reason, stopwatch
from .stats import Distribution, distribution, regret


@dataclass(frozen=True)
class Settings:
    """How the contenders run and how long they are measured."""

    direction: str = "forward"
    precision: str = "strict"
    memory_order: str = "channels_first"
    effort: str = "estimate"
    dtype: str = "float32"
    rounds: int = 11
    seconds_per_layer: float = 4.0
    far: float = 20.0
    near: float = 1.5
    cap_seconds: float = 4.0


@dataclass
class AlgorithmTime:
    """One algorithm on one layer: the planner's estimate and what was measured.

    `seconds` is the median of `samples`, None when nothing was measured. `note` says why the
    algorithm was not timed in full; it is empty for one that was.
    """

    algorithm: str
    estimated_seconds: float | None
    workspace: int | None
    status: str
    note: str = ""
    seconds: float | None = None
    samples: list[float] = field(default_factory=list)
    difference: float | None = None


@dataclass
class LayerRegret:
    """The measured algorithms of one layer.

    `regret` is the chosen one's median over the best one's, exactly 1.0 if they are the same;
    `regret_of_quickest` takes each one's quickest sample, which other processes disturb less.
    """

    network: str
    layer: Layer
    layout: str
    macs: int
    chosen: str
    best: str
    chosen_seconds: float
    best_seconds: float
    regret: float
    regret_of_quickest: float
    algorithms: list[AlgorithmTime]


def sort_out(plan: npconv.Plan, settings: Settings, memory: int) -> list[AlgorithmTime]:
    """Make one entry an algorithm; those that cannot or need not be timed are marked by rule."""
    best = min((row.seconds for row in plan.rows if row.seconds is not None), default=0.0)
    entries = []
    for row in plan.rows:
        entry = AlgorithmTime(row.algorithm, row.seconds, row.workspace, "measured")
        entries.append(entry)
        if row.seconds is None or row.workspace is None:
            entry.status, entry.note = "cannot", row.why_not
        elif row.algorithm == plan.algorithm:
            continue
        elif row.seconds > settings.far * best:
            entry.status = "skipped"
            entry.note = f"estimated at over {settings.far:g}x the best estimate"
        elif row.workspace > memory // 2:
            entry.status = "skipped"
            entry.note = f"needs {row.workspace} bytes, {memory} are free"
    return entries


def warm_up(
    entries: Iterable[AlgorithmTime],
    run: Callable[[str, np.ndarray | None], np.ndarray],
    chosen: str,
    settings: Settings,
) -> dict[str, Callable[[], float]]:
    """Run each algorithm twice, the chosen one first, and give the samplers of the rounds.

    An algorithm that passes the time cap, or is far slower than the fastest so far, is marked as
    skipped and keeps its quicker call as its only sample. All share one `out`; each result's
    largest difference from the chosen one's is noted, relative to the largest element.
    """
    out: np.ndarray | None = None
    reference = np.empty(0)
    samplers: dict[str, Callable[[], float]] = {}
    fastest = math.inf
    for entry in sorted(entries, key=lambda e: (e.algorithm != chosen, e.estimated_seconds)):
        seconds = math.inf
        try:
            for _ in range(2):
                start = time.perf_counter()
                result = run(entry.algorithm, out)
                seconds = min(seconds, time.perf_counter() - start)
                if seconds > settings.cap_seconds:
                    break
        except SAMPLE_ERRORS as error:
            entry.status, entry.note = "failed", reason(error)
            continue
        if out is None:
            out, reference = result, result.copy()
        scale = float(np.max(np.abs(reference))) or 1.0
        entry.difference = float(np.max(np.abs(result - reference))) / scale
        fastest = min(fastest, seconds)
        slow = seconds > settings.cap_seconds or seconds > settings.far * fastest
        if slow and entry.algorithm != chosen:
            entry.status = "skipped"
            entry.note = f"one call took {seconds / fastest:.0f}x the fastest"
            entry.samples, entry.seconds = [seconds], seconds
        else:
            samplers[entry.algorithm] = stopwatch(partial(run, entry.algorithm, out), seconds)
    return samplers


def record(entries: Iterable[AlgorithmTime], timings: dict[str, Timing]) -> dict[str, float]:
    """Write the rounds' samples into `entries`; give the medians of those that did not fail."""
    medians = {}
    for entry in entries:
        timing = timings.get(entry.algorithm)
        if timing is None:
            continue
        entry.samples = timing.samples
        if timing.failure:
            entry.status, entry.note = "failed", timing.failure
        else:
            entry.seconds = medians[entry.algorithm] = timing.seconds
    return medians


def caller(arrays: Arrays, direction: str) -> Callable[[str, np.ndarray | None], np.ndarray]:
    """Give what runs one direction on a layer's arrays by the algorithm named, into `out`."""
    x, weight, geometry = arrays.x, arrays.weight, arrays.geometry
    if direction == "forward":
        return lambda name, out: npconv.conv(x, weight, algorithm=name, out=out, **geometry)
    grad = npconv.conv(x, weight, **geometry)
    grad_of = npconv.conv_input_grad if direction == "input_grad" else npconv.conv_weight_grad
    second, like = (weight, x) if direction == "input_grad" else (x, weight)
    return lambda name, out: grad_of(grad, second, like, algorithm=name, out=out, **geometry)


def measure_layer(
    network: str,
    layer: Layer,
    settings: Settings,
) -> LayerRegret:
    """Time every algorithm that can do `layer` and compare the planner's choice with the best."""
    arrays = layer_arrays(layer, settings.memory_order, settings.precision, settings.dtype)
    plan = npconv.plan(
        arrays.x.shape,
        arrays.weight.shape,
        settings.dtype,
        direction=settings.direction,
        effort=settings.effort,
        **arrays.geometry,
    )
    run = caller(arrays, settings.direction)
    entries = sort_out(plan, settings, available_memory())
    worth = [entry for entry in entries if entry.status == "measured"]
    samplers = warm_up(worth, run, plan.algorithm, settings)
    timings = alternate(
        samplers,
        rounds=settings.rounds,
        seconds=settings.seconds_per_layer,
        keep=(plan.algorithm,),
        near=settings.near,
    )
    medians = record(entries, timings)
    if plan.algorithm not in medians:
        note = next(entry.note for entry in entries if entry.algorithm == plan.algorithm)
        raise RuntimeError(f"regret: {network} {layer.name}: {plan.algorithm} failed: {note}")
    best, ratio = regret(medians, plan.algorithm)
    quickest = {entry.algorithm: min(entry.samples) for entry in entries if entry.samples}
    return LayerRegret(
        network=network,
        layer=layer,
        layout=arrays.layout,
        macs=plan.problem.macs,
        chosen=plan.algorithm,
        best=best,
        chosen_seconds=medians[plan.algorithm],
        best_seconds=medians[best],
        regret=ratio,
        regret_of_quickest=regret(quickest, plan.algorithm)[1],
        algorithms=entries,
    )


@dataclass(frozen=True)
class NetworkTotal:
    """All layers of one network, each as often as it occurs: chosen and best, in seconds."""

    chosen_seconds: float
    best_seconds: float


@dataclass(frozen=True)
class RegretResult:
    """What `npconv bench regret` measured; `failures` names layers whose choice did not run.

    `unmeasured` counts the layers that Ctrl-C left out.
    """

    environment: Environment
    settings: Settings
    distribution: Distribution | None
    distribution_of_quickest: Distribution | None
    totals: dict[str, NetworkTotal]
    layers: list[LayerRegret]
    failures: list[str]
    unmeasured: int


def spread(ratios: list[float]) -> Distribution | None:
    """Summarise ratios, if there are any."""
    return distribution(ratios) if ratios else None


def measure(networks: Mapping[str, Sequence[Layer]], settings: Settings) -> RegretResult:
    """Measure every layer of `networks`, with a progress bar on the terminal's error stream.

    Ctrl-C ends the run; what was measured until then is the result.
    """
    from rich.console import Console
    from rich.progress import track

    conditions = environment()
    rows = [(network, layer) for network, layers in networks.items() for layer in layers]
    measured: list[LayerRegret] = []
    failures: list[str] = []
    console = Console(stderr=True)
    with contextlib.suppress(KeyboardInterrupt):
        for network, layer in track(
            rows, "regret", console=console, disable=not console.is_terminal
        ):
            try:
                measured.append(measure_layer(network, layer, settings))
            except RuntimeError as error:
                failures.append(str(error))
    return RegretResult(
        environment=conditions,
        settings=settings,
        distribution=spread([row.regret for row in measured]),
        distribution_of_quickest=spread([row.regret_of_quickest for row in measured]),
        totals={
            network: NetworkTotal(
                sum(row.layer.count * row.chosen_seconds for row in rows_of),
                sum(row.layer.count * row.best_seconds for row in rows_of),
            )
            for network in networks
            if (rows_of := [row for row in measured if row.network == network])
        },
        layers=measured,
        failures=failures,
        unmeasured=len(rows) - len(measured) - len(failures),
    )
