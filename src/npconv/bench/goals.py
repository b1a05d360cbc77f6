"""What npconv is to reach: least ratios of a library's median time over npconv's, case by case.

A goal names one case, one direction and two contenders, which are timed in the same rounds.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from .arrays import Job
from .contest import ContenderTime
from .layers import Layer
from .networks import LayerResult, NetworksResult, Task

SHARE = "float32's share of the peak"


@dataclass(frozen=True)
class Goal:
    """One thing to reach: `own` at least `least` times as quick as `peer` on the job.

    Where the peer is SHARE: `own`'s share of the peak over that of the same job in float32.
    """

    group: str
    job: Job
    own: str
    peer: str
    least: float


@dataclass(frozen=True)
class Verdict:
    """A goal and what was measured of it; `quickest` is the ratio of the quickest samples.

    `note` says why there is no ratio.
    """

    goal: Goal
    ratio: float = math.nan
    quickest: float = math.nan
    own_seconds: float = math.nan
    peer_seconds: float = math.nan
    error: float = math.nan
    share: float = math.nan
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the ratio is what it should be."""
        return self.ratio >= self.goal.least


@dataclass
class GoalsResult:
    """What `npconv bench goals` measured, and what it says of each goal."""

    measured: NetworksResult
    verdicts: list[Verdict]


def square(
    images: int, channels: int, size: int, outputs: int, taps: int, stride: int = 1
) -> Layer:
    """Make a 2-D layer of square images and kernels, padded by half a kernel."""
    name = f"{taps}x{taps} s{stride} {size} px {channels} to {outputs}"
    shapes = (images, channels, size, size), (outputs, channels, taps, taps)
    return Layer(name, *shapes, stride=stride, padding=taps // 2)


STRIDE_1 = (
    square(1, 64, 224, 64, 3),
    square(1, 128, 112, 128, 3),
    square(8, 64, 56, 64, 3),
    square(8, 128, 28, 128, 3),
    square(8, 256, 14, 256, 3),
)
SEVEN_PIXELS = square(8, 512, 7, 512, 3)
FIRST = (square(8, 3, 224, 64, 3), square(8, 3, 224, 64, 7, 2))
ELEVEN = Layer("11x11 s4 224 px 3 to 64", (8, 3, 224, 224), (64, 3, 11, 11), stride=4, padding=2)
FIVES = (square(8, 64, 27, 192, 5), square(8, 32, 28, 96, 5))
STRIDE_2 = (
    square(8, 64, 112, 64, 3, 2),
    square(8, 128, 56, 128, 3, 2),
    square(8, 256, 28, 256, 3, 2),
)
LINES = (
    Layer("1x7 17 px 160 to 160", (8, 160, 17, 17), (160, 160, 1, 7), padding=(0, 3)),
    Layer("7x1 17 px 160 to 160", (8, 160, 17, 17), (160, 160, 7, 1), padding=(3, 0)),
)
SOUND = Layer("3 of 1024 128 to 128", (8, 128, 1024), (128, 128, 3), padding=1)
CLIP = Layer("3x3x3 16x28x28 64 to 64", (1, 64, 16, 28, 28), (64, 64, 3, 3, 3), padding=1)
ONES = (square(8, 64, 56, 256, 1), square(8, 256, 56, 64, 1), square(8, 512, 14, 1024, 1))
TINY = Layer("3x3 10 px 1 to 1", (1, 1, 10, 10), (1, 1, 3, 3))


def pairs(group: str, job: Job, *asked: tuple[str, str, float]) -> Iterator[Goal]:
    """Make the goals of one job, each of a row of npconv's, a peer and the least ratio."""
    for own, peer, least in asked:
        yield Goal(group, job, own, peer, least)


def orders(precision: str, least: float) -> tuple[tuple[str, str, float], ...]:
    """Ask for the same against PyTorch in either of the memory orders."""
    return tuple((f"npconv {order} {precision}", f"torch {order}", least)
                 for order in ("NHWC", "NCHW"))  # fmt: skip


def all_goals() -> Iterator[Goal]:
    """Give every goal, by group."""
    fast, strict = "npconv NHWC fast", "npconv NHWC strict"
    for layer in STRIDE_1:
        yield from pairs(
            "3x3 stride 1",
            Job(layer),
            (fast, "torch NHWC", 2.5),
            (fast, "ncnn", 1.1),
            ("npconv NCHW fast", "torch NCHW", 2.0),
            ("npconv NCHW fast", "ncnn", 0.95),
            *orders("strict", 1.6),
        )
    yield from pairs("7 px", Job(SEVEN_PIXELS), *orders("fast", 2.0))
    for direction, least in (("input_grad", 2.0), ("weight_grad", 1.5)):
        for layer in (*STRIDE_1, SEVEN_PIXELS):
            yield from pairs(direction, Job(layer, direction), *orders("fast", least))
    for layer in (*FIRST, ELEVEN):
        yield from pairs("first-layer input_grad", Job(layer, "input_grad"), *orders("fast", 2.0))
    for layer in FIVES:
        asked = ((strict, "torch NHWC", 2.0), (fast, "torch NHWC", 3.5))
        yield from pairs("5x5", Job(layer), *asked)
    for layer in STRIDE_2:
        asked = ((strict, "torch NHWC", 1.1), (fast, "torch NHWC", 1.25))
        yield from pairs("3x3 stride 2", Job(layer), *asked)
    for layer in LINES:
        yield from pairs("1x7 and 7x1", Job(layer), (fast, "torch NHWC", 1.4))
    yield from pairs("1-D", Job(SOUND), (fast, "torch NCHW", 1.3))
    yield from pairs("3-D", Job(CLIP), (fast, "torch NHWC", 2.0))
    for group, layers in (("1x1", ONES), ("first layer", FIRST), ("11x11", (ELEVEN,))):
        for layer in layers:
            asked = ((fast, "torch NHWC", 0.95), (fast, "onnxruntime", 1.0))
            yield from pairs(group, Job(layer), *asked)
    asked = (("npconv conv", "torch NCHW", 1.0), ("npconv NCHW strict", "torch NCHW", 2.0))
    yield from pairs("tiny", Job(TINY), *asked)
    for layer in (STRIDE_1[2], FIVES[0]):
        yield Goal("float64", Job(layer, dtype="float64"), "npconv direct", SHARE, 0.9)


GOALS = tuple(all_goals())


def held_against(goal: Goal) -> Goal:
    """Give the goal's job in float32: what a share is compared with."""
    return replace(goal, job=replace(goal.job, dtype="float32"))


def chosen(only: str = "", peers: Sequence[str] = ()) -> list[Goal]:
    """Pick the goals whose group or layer holds `only`, against the peers that begin so."""
    return [
        goal
        for goal in GOALS
        if only in f"{goal.group} {goal.job.layer.name}"
        and (not peers or goal.peer == SHARE or goal.peer.startswith(tuple(peers)))
    ]


def tasks(goals: Collection[Goal], effort: str) -> list[Task]:
    """Say what has to be measured: each job once, by all whom its goals name."""
    names: dict[Job, dict[str, None]] = {}
    for goal in goals:
        wanted = [goal] if goal.peer != SHARE else [goal, held_against(goal)]
        for each in wanted:
            entered = names.setdefault(replace(each.job, effort=effort), {})
            entered.update(dict.fromkeys(name for name in (each.own, each.peer) if name != SHARE))
    return [Task("goals", job, tuple(entered)) for job, entered in names.items()]


def judge(goals: Collection[Goal], measured: NetworksResult) -> list[Verdict]:
    """Hold what was measured against each goal."""
    rows = {replace(row.job, effort=Job.effort): row for row in measured.layers}
    return [judge_one(goal, rows, measured.absent) for goal in goals]


def judge_one(goal: Goal, rows: dict[Job, LayerResult], absent: Collection[str]) -> Verdict:
    """Hold what was measured against one goal."""
    if goal.peer in absent:
        return Verdict(goal, note="not installed")
    if goal.job not in rows:
        return Verdict(goal, note="not measured")
    row = rows[goal.job]
    mine = entry(row, goal.own)
    share = row.shares.get(goal.own, math.nan)
    common = {"own_seconds": mine.seconds, "error": mine.error, "share": share}
    if goal.peer == SHARE:
        against = rows.get(held_against(goal).job)
        base = against.shares.get(goal.own, math.nan) if against else math.nan
        return Verdict(goal, share / base, **common, note=row.note or mine.note)
    peer = entry(row, goal.peer)
    return Verdict(
        goal,
        peer.seconds / mine.seconds,
        peer.quickest / mine.quickest,
        peer_seconds=peer.seconds,
        **common,
        note=row.note or mine.note or peer.note,
    )


def entry(row: LayerResult, name: str) -> ContenderTime:
    """Find a contender's times; one without any where it did not enter."""
    found = (each for each in row.contenders if each.contender == name)
    return next(found, ContenderTime(name, note="did not enter"))
