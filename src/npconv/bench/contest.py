"""A contest: contenders in processes of their own take turns at one task and are checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from .environment import version
from .peers import Contender
from .processes import Worker, WorkerError, started
from .runner import alternate

SLOW_SECONDS = 1.0  # a call


@dataclass
class ContenderTime:
    """One contender on one task; `note` says why there are no numbers, if there are none.

    `seconds` is the median of `samples`, `quickest` the least of them; `ratio` is `seconds` over
    that of the task's first contender, `error` the largest error against float64 over the largest
    value, `cpus_busy` the processors it kept busy. `able` is False where `note` is the contender's
    own reason not to enter.
    """

    contender: str
    seconds: float = math.nan
    ratio: float = math.nan
    error: float = math.nan
    cpus_busy: float = math.nan
    samples: list[float] = field(default_factory=list)
    note: str = ""
    quickest: float = math.nan
    able: bool = True


@contextmanager
def workers() -> Iterator[Callable[[str], Worker]]:
    """Give what finds a contender's worker, starting it at first and anew if it has died."""
    with ExitStack() as stack:
        running: dict[str, Worker] = {}

        def worker(name: str) -> Worker:
            if name not in running or not running[name].alive:
                running[name] = stack.enter_context(started(name))
            return running[name]

        yield worker


def relative_error(result: np.ndarray, expected: np.ndarray) -> float:
    """Give the largest error over the largest value expected; a wrong shape is a ValueError."""
    if result.shape != expected.shape:
        raise ValueError(f"the result is {result.shape}, not {expected.shape}")
    scale = float(np.max(np.abs(expected))) or 1.0
    return float(np.max(np.abs(result - expected))) / scale


def contest(
    contenders: Mapping[str, Contender],
    given: dict[str, Any],
    error_of: Callable[[str, np.ndarray], float],
    worker: Callable[[str], Worker],
    *,
    rounds: int,
    seconds: float,
    advance: Callable[[], None],
    near: float = math.inf,
) -> list[ContenderTime]:
    """Time the contenders on what is given, in alternating rounds, and check their results.

    `error_of(name, result)` gives a result's error; its ValueError says that the result is wrong.
    Contenders slower than `near` times the quickest have three rounds; if that would take seconds,
    their call before the rounds is their only sample.
    """
    rows: dict[str, ContenderTime] = {}
    samplers: dict[str, Callable[[], float]] = {}
    busy: dict[str, list[float]] = {}
    prepared: dict[str, float] = {}
    for name, contender in contenders.items():
        row = rows[name] = ContenderTime(name)
        if not version(contender.package):
            row.note = f"not installed: pip install {contender.package}"
            continue
        row.note = contender.why_not(**given)
        if row.note:
            row.able = False
            continue
        try:
            prepared[name], result = worker(name).prepare(given)
            row.error = error_of(name, result)
        except WorkerError as error:
            row.note = f"stopped: {error}"
            continue
        except ValueError as error:
            row.note = f"wrong: {error}"
            continue
        busy[name] = []
        samplers[name] = sampler(worker(name), busy[name])
    for name in hopeless({name: prepared[name] for name in samplers}, near):
        del samplers[name]
        row = rows[name]
        row.samples, row.seconds, row.quickest = [prepared[name]], prepared[name], prepared[name]
    timings = alternate(samplers, rounds=rounds, seconds=seconds, near=near, advance=advance)
    for name, timing in timings.items():
        row = rows[name]
        row.samples = timing.samples
        if timing.failure:
            row.note = f"stopped: {timing.failure}"
        else:
            row.seconds, row.cpus_busy = timing.seconds, median(busy[name])
            row.quickest = min(timing.samples)
    first = next(iter(rows.values()))
    for row in rows.values():
        row.ratio = row.seconds / first.seconds
    return list(rows.values())


def hopeless(seconds: Mapping[str, float], near: float) -> list[str]:
    """Pick those that are slow, and far from the quickest."""
    least = min(seconds.values(), default=0.0)
    return [name for name, each in seconds.items() if each > max(SLOW_SECONDS, near * least)]


def sampler(worker: Worker, busy: list[float]) -> Callable[[], float]:
    """Make a sampler that asks `worker` and notes in `busy` how many processors it used."""

    def sample() -> float:
        seconds, cpus_busy = worker.sample()
        busy.append(cpus_busy)
        return seconds

    return sample
