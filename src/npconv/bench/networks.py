"""The layers of networks: npconv beside the libraries installed, each in its own process."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .arrays import Job, batched, channels_first, out_shape
from .contest import ContenderTime, contest, relative_error, workers
from .environment import Environment, environment, version
from .layers import Layer
from .peers import LAYER_CONTENDERS, MATMUL_SIZE, YARDSTICKS, Contender
from .processes import Worker, WorkerError


@dataclass(frozen=True)
class Settings:
    """What is computed on each layer and how long it is measured."""

    direction: str = "forward"
    precision: str = "strict"
    effort: str = "estimate"
    batch: int = 1
    rounds: int = 11
    seconds_per_layer: float = 10.0


@dataclass
class LayerResult:
    """All contenders on one layer; `ratios` are their times over each npconv row's, by name.

    `shares` are the rates of multiplications and additions (2 `macs` a call, however many were
    really done) over the matmul's.
    """

    network: str
    layer: Layer
    macs: int
    contenders: list[ContenderTime]
    ratios: dict[str, dict[str, float]] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Total:
    """One contender on a network: the sum of its medians, each layer as often as it occurs.

    `layers` counts those it was timed on; `ratios` compare on just these with npconv's rows, with
    those that npconv was timed on as well.
    """

    network: str
    contender: str
    layers: int
    seconds: float
    ratios: dict[str, float]


@dataclass
class NetworksResult:
    """What `npconv bench layers` measured; `unmeasured` counts the layers Ctrl-C left out.

    `peak_flops` is what the quickest matmul of the run reached, in flops a second.
    """

    environment: Environment
    settings: Settings
    installed: list[str]
    absent: dict[str, str]
    peak_flops: float = math.nan
    totals: list[Total] = field(default_factory=list)
    layers: list[LayerResult] = field(default_factory=list)
    unmeasured: int = 0


def own(names: Sequence[str]) -> list[str]:
    """Pick npconv's rows: those that the others are divided by."""
    return [name for name in names if name.startswith("npconv ")]


def macs_of(layer: Layer) -> int:
    """Count the multiplications of the direct sum, the same in every direction."""
    batch, _, *out_size = out_shape(layer)
    return batch * math.prod(out_size) * math.prod(layer.weight_shape)


def measure_layer(
    network: str,
    layer: Layer,
    settings: Settings,
    contenders: Mapping[str, Contender],
    worker: Callable[[str], Worker],
    advance: Callable[[], None],
) -> tuple[LayerResult, float]:
    """Time the contenders on one layer and check them; give also the matmul's quickest time."""
    job = Job(layer, settings.direction, settings.precision, settings.effort)
    result = LayerResult(network, layer, macs_of(layer), [])
    try:
        _, expected = worker("reference").prepare({"job": job})
    except WorkerError as error:
        result.note = f"the float64 result stopped: {error}"
        return result, math.nan

    def error_of(name: str, found: np.ndarray) -> float:
        if name == "matmul":
            return 0.0
        if contenders[name].channels_last:
            found = channels_first(found, job.direction)
        return relative_error(found, expected)

    rows = contest(
        {**contenders, "matmul": YARDSTICKS["matmul"]},
        {"job": job},
        error_of,
        worker,
        rounds=settings.rounds,
        seconds=settings.seconds_per_layer,
        advance=advance,
    )
    *result.contenders, matmul = rows
    seconds = {row.contender: row.seconds for row in result.contenders}
    result.ratios = {
        name: {base: value / seconds[base] for base in own(list(seconds))}
        for name, value in seconds.items()
    }
    return result, matmul.quickest


def totals_of(layers: Sequence[LayerResult]) -> list[Total]:
    """Sum the layers of each network, weighted by how often they occur."""
    found = []
    for network in dict.fromkeys(row.network for row in layers):
        tables = [
            (row.layer.count, {each.contender: each.seconds for each in row.contenders})
            for row in layers
            if row.network == network
        ]
        for name in dict.fromkeys(name for _, table in tables for name in table):
            timed = [
                (count, table)
                for count, table in tables
                if not math.isnan(table.get(name, math.nan))
            ]
            if not timed:
                continue
            ratios = {}
            for base in own(list(timed[0][1])):
                both = [(count, table) for count, table in timed if not math.isnan(table[base])]
                if both:
                    mine = sum(count * table[base] for count, table in both)
                    ratios[base] = sum(count * table[name] for count, table in both) / mine
            seconds = sum(count * table[name] for count, table in timed)
            found.append(Total(network, name, len(timed), seconds, ratios))
    return found


def finished(result: NetworksResult, matmuls: Sequence[float]) -> NetworksResult:
    """Fill in what needs the whole run: the peak, the shares of it and the totals."""
    quickest = min((each for each in matmuls if not math.isnan(each)), default=math.nan)
    result.peak_flops = 2 * MATMUL_SIZE**3 / quickest
    for row in result.layers:
        row.shares = {
            each.contender: 2 * row.macs / each.seconds / result.peak_flops
            for each in row.contenders
        }
    result.totals = totals_of(result.layers)
    return result


def measure(
    networks: Mapping[str, Sequence[Layer]],
    settings: Settings,
    contenders: Mapping[str, Contender] = LAYER_CONTENDERS,
) -> NetworksResult:
    """Measure every layer of `networks`, with a progress bar on the terminal's error stream.

    Ctrl-C ends the run; what was measured until then is the result.
    """
    from rich.console import Console
    from rich.progress import Progress

    here = {name: each for name, each in contenders.items() if version(each.package)}
    packages = sorted({each.package for each in here.values()} - {"npconv", "numpy"})
    absent = {name: each.package for name, each in contenders.items() if name not in here}
    result = NetworksResult(environment(*packages), settings, list(here), absent)
    rows = [(network, layer) for network, layers in networks.items() for layer in layers]
    matmuls: list[float] = []
    console = Console(stderr=True)
    with contextlib.suppress(KeyboardInterrupt), ExitStack() as stack:
        progress = stack.enter_context(Progress(console=console, disable=not console.is_terminal))
        worker = stack.enter_context(workers())
        samples = (len(here) + 1) * settings.rounds
        task = progress.add_task("layers", total=len(rows) * samples)

        def advance(task: Any = task) -> None:
            progress.advance(task)

        for done, (network, layer) in enumerate(rows):
            progress.update(task, completed=done * samples, description=f"{network} {layer.name}")
            one = batched(layer, settings.batch)
            row, matmul = measure_layer(network, one, settings, here, worker, advance)
            result.layers.append(row)
            matmuls.append(matmul)
        progress.update(task, completed=len(rows) * samples)
    result.unmeasured = len(rows) - len(result.layers)
    return finished(result, matmuls)
