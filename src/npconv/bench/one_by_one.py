"""Cases timed one after the other, each contender in a process of its own, under a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Protocol, TypeVar

from .contest import workers
from .processes import Worker


class Named(Protocol):
    """What the bar shows of a case."""

    @property
    def name(self) -> str:
        """Its name."""


CaseT = TypeVar("CaseT", bound=Named)
ResultT = TypeVar("ResultT")


def one_by_one(
    cases: Sequence[CaseT],
    steps: Callable[[CaseT], int],
    measure: Callable[[CaseT, Callable[[str], Worker], Callable[[], None]], ResultT],
) -> list[ResultT]:
    """Return measure(case, worker, advance) of each case.

    steps: how often `advance` is called for a case, at most.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    results = []
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(console=console, disable=not console.is_terminal))
        worker = stack.enter_context(workers())
        for case in cases:
            total = steps(case)
            task = progress.add_task(case.name, total=total)

            def advance(task: Any = task) -> None:
                progress.advance(task)

            results.append(measure(case, worker, advance))
            progress.update(task, completed=total)
    return results
