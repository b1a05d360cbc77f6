"""Alternating rounds: every contender is timed once a round, so a slow spell hits all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from statistics import median

MIN_ROUNDS = 3
SAMPLE_SECONDS = 2e-3
SAMPLE_ERRORS = (ArithmeticError, MemoryError, RuntimeError, ValueError)


def reason(error: BaseException) -> str:
    """Give the first line of the error's message, or its type where it has none."""
    return (str(error) or type(error).__name__).splitlines()[0]


@dataclass
class Timing:
    """The samples of one contender, in seconds a call, and the reason if it broke down."""

    samples: list[float] = field(default_factory=list)
    failure: str = ""

    @property
    def seconds(self) -> float:
        """The median sample, in seconds."""
        return median(self.samples) if self.samples else math.nan


def stopwatch(call: Callable[[], object], seconds_each: float) -> Callable[[], float]:
    """Make a sampler of `call`: repeated to fill two milliseconds, it gives seconds a call."""
    repeats = min(1000, max(1, math.ceil(SAMPLE_SECONDS / max(seconds_each, 1e-7))))

    def sample() -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        return (time.perf_counter() - start) / repeats

    return sample


def alternate(
    samplers: Mapping[str, Callable[[], float]],
    *,
    rounds: int,
    seconds: float,
    keep: Collection[str] = (),
    near: float = math.inf,
    advance: Callable[[], None] | None = None,
) -> dict[str, Timing]:
    """Time all contenders in alternating rounds.

    After three rounds a contender slower than `near` times the fastest median sits out, unless it
    is in `keep`, and the rest go on until `rounds` are done or `seconds` have passed. Every other
    round runs in reverse order. A sampler that raises is dropped and its message is kept.
    `advance` is called after each sample.
    """
    timings = {name: Timing() for name in samplers}
    started = time.perf_counter()
    for done in range(rounds):
        if done >= MIN_ROUNDS and time.perf_counter() - started > seconds:
            break
        active = [name for name, timing in timings.items() if not timing.failure]
        if done >= MIN_ROUNDS and active:
            limit = near * min(timings[name].seconds for name in active)
            active = [name for name in active if name in keep or timings[name].seconds <= limit]
        for name in active if done % 2 == 0 else reversed(active):
            try:
                timings[name].samples.append(samplers[name]())
            except SAMPLE_ERRORS as error:
                timings[name].failure = reason(error)
            if advance is not None:
                advance()
    return timings
