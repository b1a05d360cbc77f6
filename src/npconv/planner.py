"""From a problem to a plan: ask each algorithm why not, what it costs, and take the cheapest."""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from npconv import compiler, directions, execution, wisdom
from npconv.algorithms import ALGORITHMS
from npconv.algorithms.contract import NOTHING, Cost, Ending
from npconv.dtypes import exact_float, largest_of
from npconv.errors import ProblemError, UnsupportedError
from npconv.memory import nbytes_text, physical_memory
from npconv.plan_text import Row, html, table
from npconv.problem import ConvProblem
from npconv.threads import forget_plans, forget_when_changed

EFFORTS = ("estimate", "measure")
_TIE = 1.05  # estimates this close say nothing: the leaner algorithm is taken
# What keeps a NaN in its place where nothing that does was planned.
_LEAN = {"forward": "im2col_tiled", "input_grad": "taps", "weight_grad": "im2col_tiled"}
_HOPELESS = 20  # times the best estimate: what measuring does not try


class Rate(NamedTuple):
    """What an algorithm reaches on this kind of machine: the slopes of its cost."""

    flops: float  # float32 flops a second; float64 has half of it
    nbytes: float  # bytes moved a second
    call: float  # seconds a step


# Fitted to the layers of `npconv bench regret` on 2 cores of an AVX-512 machine; only their
# ratios matter to a choice.
_RATES = {
    "naive": Rate(1e12, 10e9, 2e-6),
    "taps": Rate(90e9, 60e9, 1.3e-6),
    "im2col_loop": Rate(150e9, 7.7e9, 4e-7),
    "im2col_index": Rate(140e9, 14.5e9, 2e-6),
    "im2col_view": Rate(110e9, 30e9, 8e-7),
    "im2col_tiled": Rate(95e9, 26e9, 5.8e-7),
    "toeplitz": Rate(270e9, 155e9, 1.8e-5),
    "small": Rate(1.85e9, 10e9, 1e-6),
    "indirect": Rate(196e9, 26e9, 7.4e-7),
    "depthwise": Rate(150e9, 60e9, 1e-6),
    "stencil": Rate(250e9, 40e9, 1e-6),
    "winograd": Rate(230e9, 108e9, 1.3e-6),
    "fft": Rate(150e9, 12.7e9, 1.5e-6),
}


@dataclass(frozen=True)
class Plan:
    """A problem, what each algorithm said to it, and the one that was chosen.

    `rows` holds one `Row` an algorithm, in the table's order.  packed: whether the weight will come
    as `pack` returns it, so that packing counts nothing.
    """

    problem: ConvProblem
    rows: tuple[Row, ...]
    effort: str = "estimate"
    packed: bool = False

    @cached_property
    def algorithm(self) -> str:
        """Name of the chosen algorithm."""
        return next(row.algorithm for row in self.rows if row.chosen)

    @property
    def seconds(self) -> float | None:
        """Seconds that the chosen algorithm should take."""
        return next(row.seconds for row in self.rows if row.chosen)

    @property
    def workspace(self) -> int | None:
        """Bytes that the chosen algorithm holds beyond x, weight and out."""
        return next(row.workspace for row in self.rows if row.chosen)

    @cached_property
    def _direct(self) -> str:
        """The cheapest algorithm that keeps a NaN where it is."""
        able = [
            r
            for r in self.rows
            if not r.why_not and not directions.spreads(self.problem, r.algorithm)
        ]
        return (
            min(able, key=lambda r: r.seconds or 0.0).algorithm
            if able
            else _LEAN[self.problem.direction]
        )

    def pack(self, weight: np.ndarray) -> Any:
        """Return a canonical weight transformed for `run`, None where that takes it as it is."""
        module = ALGORITHMS[self.algorithm]
        packs = self.problem.direction == "forward" and hasattr(module, "pack_weight")
        if not packs or 0 in (*self.problem.x_shape, *weight.shape):
            return None
        with np.errstate(all="ignore"):
            return module.pack_weight(self.problem, weight)  # type: ignore[attr-defined]

    def run(
        self,
        first: np.ndarray,
        second: np.ndarray,
        out: np.ndarray,
        ending: Ending = NOTHING,
        packed: Any = None,
    ) -> None:
        """Write the result of two operands, canonical views, to out, a canonical view.

        `packed` is the second one as `pack` returned it.
        """
        names = self.algorithm, self._direct
        try:
            execution.run(self.problem, names, (first, second), out, ending, packed)
        except ImportError:
            if compiler.usable():
                raise
            forget_plans()
            raise UnsupportedError(
                f"{self.algorithm} cannot do this: {compiler.missing()}.",
                fix="make the plan anew, or take another algorithm",
            ) from None

    def __str__(self) -> str:
        return table(self.problem, self.rows, self.effort, self.packed)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html(self.problem, self.rows, self.effort, self.packed)


@lru_cache(maxsize=1024)
def choose(
    problem: ConvProblem,
    algorithm: str = "auto",
    memory_limit: int | None = None,
    packed: bool = False,
) -> Plan:
    """Return a plan: the cheapest algorithm by estimate (of equals the leanest), or the one named.

    What was measured for the problem and is remembered comes before estimates.

    Raises ProblemError for an unknown name, UnsupportedError where the named one cannot, and
    MemoryError where nothing fits.
    """
    working = _as_planned(problem)
    try:
        rows = [_row(working, name, memory_limit, packed) for name in ALGORITHMS]
    except ImportError:
        if compiler.usable():
            raise
        forget_plans()  # those who reckoned with a Numba that works
        rows = [_row(working, name, memory_limit, packed) for name in ALGORITHMS]
    able = [row for row in rows if not row.why_not]
    if algorithm == "auto":
        if not able:
            raise MemoryError(_no_room(working, memory_limit))
        if seconds := wisdom.recall(problem, _hopeful(rows), packed):
            return Plan(problem, _timed(rows, seconds), "remember", packed)
        quick = _TIE * min(row.seconds or 0.0 for row in able)
        ties = [row for row in able if (row.seconds or 0.0) <= quick]
        # What one thread holds: the choice is the same for any number of them.
        best = min(ties, key=lambda row: directions.cost(working, row.algorithm).workspace)[0]
    else:
        best = _named(algorithm, rows)
    chosen = tuple(row._replace(chosen=row.algorithm == best) for row in rows)
    return Plan(problem, chosen, packed=packed)


forget_when_changed(choose.cache_clear)


@cache
def compile_kernels() -> None:
    """Have every kernel compiled: a measured plan waits for them, once."""
    if not compiler.missing():
        compiler.warmup()
        forget_plans()


def measure(plan: Plan, first: np.ndarray, second: np.ndarray, out: np.ndarray) -> Plan:
    """Return the plan chosen anew by timing its candidates on these canonical arrays."""
    plan = replace(plan, rows=_estimated(plan))
    tried = [row.algorithm for row in _hopeful(plan.rows)]
    times: dict[str, list[float]] = {name: [] for name in tried}
    rounds = _rounds(plan)
    alone = {name: _only(plan, name) for name in tried}
    packs = {name: one.pack(second) if plan.packed else None for name, one in alone.items()}
    for _ in range(rounds):
        for name, one in alone.items():
            start = time.perf_counter()
            one.run(first, second, out, packed=packs[name])
            times[name].append(time.perf_counter() - start)
    # The quickest round: whatever else the machine does only adds to a time.
    rows = _timed(plan.rows, {name: min(t[1:] or t) for name, t in times.items()})
    wisdom.record(plan.problem, rows, plan.packed)
    return replace(plan, rows=rows, effort="measure")


def _hopeful(rows: Sequence[Row]) -> list[Row]:
    """Return those that may be the quickest, by estimate."""
    able = [row for row in rows if not row.why_not]
    hopeless = _HOPELESS * min(row.seconds or 0.0 for row in able)
    return [row for row in able if (row.seconds or 0.0) <= hopeless]


def _timed(rows: Sequence[Row], seconds: Mapping[str, float]) -> tuple[Row, ...]:
    """Return the rows with measured seconds, the quickest of them chosen."""
    best = min(seconds, key=lambda name: seconds[name])
    return tuple(
        row._replace(
            seconds=seconds.get(row.algorithm, row.seconds),
            measured=row.algorithm in seconds,
            chosen=row.algorithm == best,
        )
        for row in rows
    )


def _estimated(plan: Plan) -> tuple[Row, ...]:
    """Return the plan's rows with estimates in the place of what was remembered."""
    working = _as_planned(plan.problem)
    costs = {r.algorithm: directions.cost(working, r.algorithm) for r in plan.rows if r.measured}
    return tuple(
        row._replace(
            seconds=seconds_of(working, row.algorithm, costs[row.algorithm], plan.packed),
            measured=False,
        )
        if row.measured
        else row
        for row in plan.rows
    )


def _rounds(plan: Plan) -> int:
    """Return how often to time each candidate: about half a second in all, 3 to 20 rounds."""
    return int(min(max(0.5 / max(plan.seconds or 0.0, 1e-6) / len(plan.rows), 3), 20))


def _only(plan: Plan, name: str) -> Plan:
    rows = tuple(row._replace(chosen=row.algorithm == name) for row in plan.rows)
    return Plan(plan.problem, rows, packed=plan.packed)


def _row(problem: ConvProblem, name: str, memory_limit: int | None, packed: bool = False) -> Row:
    if reason := directions.why_not(problem, name):
        return Row(name, reason, None, None)
    cost = directions.cost(problem, name)
    workspace = cost.held
    if problem.dtype.kind == "f" and problem.dtype != problem.compute_dtype:
        workspace += math.prod(problem.result_shape) * problem.itemsize
    if memory_limit is not None and workspace > memory_limit:
        needs, has = nbytes_text(workspace), nbytes_text(memory_limit)
        return Row(name, f"needs {needs} of workspace, memory_limit is {has}", None, workspace)
    if workspace + problem.result_nbytes > physical_memory():
        needs, has = nbytes_text(workspace + problem.result_nbytes), nbytes_text(physical_memory())
        return Row(name, f"needs {needs}, this machine has {has}", None, workspace)
    return Row(name, "", seconds_of(problem, name, cost, packed), workspace)


def seconds_of(problem: ConvProblem, name: str, cost: Cost, packed: bool = False) -> float:
    """Return the seconds that a cost comes to, at what its algorithm reaches."""
    rate = _RATES[name]
    slow = {"f": 1, "d": 2, "F": 4, "D": 8}.get((cost.dtype or problem.compute_dtype).char, 60)
    nbytes = cost.nbytes - cost.packing if packed else cost.nbytes
    return cost.flops * slow / rate.flops + nbytes / rate.nbytes + cost.calls * rate.call


def _as_planned(problem: ConvProblem) -> ConvProblem:
    """Return the problem as it will most likely be computed: integers as exact floats."""
    if problem.dtype.kind not in "iu":
        return problem
    bounds = [largest_of(dtype) for dtype in problem.operand_dtypes]
    dtype = exact_float(problem.summands, *bounds) or np.dtype(np.float64)
    return replace(problem, compute_dtype=dtype)


def _named(algorithm: str, rows: list[Row]) -> str:
    by_name = {row.algorithm: row for row in rows}
    if algorithm not in by_name:
        near = difflib.get_close_matches(str(algorithm), [*by_name, "auto"], n=1)
        raise ProblemError(
            f"algorithm {algorithm!r} is not known.",
            rule="auto, " + ", ".join(by_name),
            fix=f"did you mean {near[0]!r}?" if near else 'algorithm="auto"',
        )
    row = by_name[algorithm]
    if row.why_not and row.workspace is not None:
        raise MemoryError(f"{algorithm} {row.why_not}.")
    if row.why_not:
        able = [r.algorithm for r in rows if not r.why_not]
        raise UnsupportedError(
            f"{algorithm} cannot do this: {row.why_not}.",
            fix=f"take one of {', '.join(able)}" if able else "no algorithm can",
        )
    return algorithm


def _no_room(problem: ConvProblem, memory_limit: int | None) -> str:
    rows = [_row(problem, name, memory_limit) for name in ALGORITHMS]
    needs = [r for r in rows if r.workspace is not None]
    least = min(needs, key=lambda r: r.workspace or 0)
    return (
        f"the leanest algorithm, {least.algorithm}, {least.why_not}; "
        f"the result alone takes {nbytes_text(problem.result_nbytes)}."
    )
