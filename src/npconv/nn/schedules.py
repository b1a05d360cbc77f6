"""Learning rates that change as training goes: ``schedule(time, lr)`` is the rate at a time.

time counts epochs from 0, and `fit` asks before every batch, with the part of the epoch that has
passed. lr is the optimizer's own rate. A schedule holds no state, so any function of these two is
one: ``lambda time, lr: lr * 0.95**time``. At whole times each equals PyTorch's of its name, stepped
once an epoch.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from npconv import ProblemError

Schedule = Callable[[float, float], float]


@dataclass(frozen=True)
class StepLR:
    """``lr * gamma ** floor(time / step_size)``.

    Examples
    --------
    >>> from npconv import nn
    >>> schedule = nn.StepLR(10, gamma=0.5)
    >>> schedule(9.9, 0.1), schedule(10, 0.1)
    (0.1, 0.05)
    """

    step_size: float
    gamma: float = 0.1

    def __post_init__(self) -> None:
        _positive(self, "step_size")

    def __call__(self, time: float, lr: float) -> float:
        """Return the rate at a time, from the optimizer's."""
        return lr * self.gamma ** math.floor(time / self.step_size)


@dataclass(frozen=True)
class CosineAnnealingLR:
    """Half a cosine from lr down to eta_min in T_max epochs; then up again, as PyTorch's.

    Examples
    --------
    >>> from npconv import nn
    >>> schedule = nn.CosineAnnealingLR(20)
    >>> schedule(0, 0.1), round(schedule(10, 0.1), 6), schedule(20, 0.1)
    (0.1, 0.05, 0.0)
    """

    T_max: float
    eta_min: float = 0.0

    def __post_init__(self) -> None:
        _positive(self, "T_max")

    def __call__(self, time: float, lr: float) -> float:
        """Return the rate at a time, from the optimizer's."""
        part = (1 + math.cos(math.pi * time / self.T_max)) / 2
        return self.eta_min + (lr - self.eta_min) * part


@dataclass(frozen=True)
class LinearLR:
    """Warm-up: from ``lr * start_factor`` in a line to ``lr * end_factor``, in total_iters epochs.

    Examples
    --------
    >>> from npconv import nn
    >>> schedule = nn.LinearLR(0.1, total_iters=2)
    >>> round(schedule(0, 0.1), 6), round(schedule(1, 0.1), 6), schedule(5, 0.1)
    (0.01, 0.055, 0.1)
    """

    start_factor: float = 1 / 3
    end_factor: float = 1.0
    total_iters: float = 5

    def __post_init__(self) -> None:
        _positive(self, "total_iters")

    def __call__(self, time: float, lr: float) -> float:
        """Return the rate at a time, from the optimizer's."""
        part = min(time / self.total_iters, 1.0)
        return lr * (self.start_factor + (self.end_factor - self.start_factor) * part)


@dataclass(frozen=True)
class SequentialLR:
    """One schedule after the other; each starts at its milestone, at time 0 of its own.

    Parameters
    ----------
    schedules : sequence of callables
    milestones : sequence of numbers
        When the second begins, the third, and so on.

    Examples
    --------
    Five epochs of warm-up, then a cosine to epoch 30.

    >>> from npconv import nn
    >>> schedule = nn.SequentialLR([nn.LinearLR(), nn.CosineAnnealingLR(25)], [5])
    >>> round(schedule(0, 0.3), 6), schedule(5, 0.3), schedule(30, 0.3)
    (0.1, 0.3, 0.0)
    """

    schedules: Sequence[Schedule]
    milestones: Sequence[float]

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip((0, *self.milestones), self.milestones, strict=False))
        if len(self.schedules) != len(self.milestones) + 1 or not rising:
            raise ProblemError(
                f"{len(self.schedules)} schedules, milestones {list(self.milestones)}.",
                rule="a milestone between any two schedules, rising from above 0",
                where="SequentialLR",
            )

    def __call__(self, time: float, lr: float) -> float:
        """Return the rate at a time, from the optimizer's."""
        place = bisect_right(self.milestones, time)
        begun = self.milestones[place - 1] if place else 0.0
        return self.schedules[place](time - begun, lr)


def _positive(schedule: object, name: str) -> None:
    value = getattr(schedule, name)
    if not value > 0:
        raise ProblemError(f"{name} is {value}.", rule="above 0", where=type(schedule).__name__)
