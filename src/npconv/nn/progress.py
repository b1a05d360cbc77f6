"""What training shows while it runs: a live bar, and a line for each epoch that is done."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from npconv.nn.history import VALIDATION, Record

if TYPE_CHECKING:
    from rich.console import Console

REFRESHES = 4  # a second: each takes some milliseconds from the training


class Display:
    """A training's bar: loss, accuracy, images a second, time left.

    Parameters
    ----------
    shown : bool or rich.console.Console
        False shows nothing; True writes to the error stream, the bar on a terminal alone.
    epochs : int
        Of the whole training.
    images : int
        In an epoch.
    done : int
        Epochs that are done already.
    """

    def __init__(self, shown: bool | Console, epochs: int, images: int, done: int = 0) -> None:
        self.epochs, self.images = epochs, images
        self.console: Any = None
        self._bar: Any = None
        if shown is False or shown is None:
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = Console(stderr=True) if shown is True else shown
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(24),
            TextColumn("{task.fields[told]}", markup=False),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=self.console,
            transient=True,
            refresh_per_second=REFRESHES,
            disable=not (self.console.is_terminal or self.console.is_jupyter),
        )
        total = max(epochs * images, 1)
        self._task = self._bar.add_task("", total=total, completed=done * images, told="")

    def __enter__(self) -> Display:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def batch(self, epoch: int, seen: int, record: Record) -> None:
        """Show how far an epoch (from 1) is: images seen, the means so far."""
        if self._bar is not None and not self._bar.disable:
            self._bar.update(
                self._task,
                completed=(epoch - 1) * self.images + min(seen, self.images),
                description=f"epoch {epoch}/{self.epochs}",
                told=told(record),
            )

    def checking(self, epoch: int) -> None:
        """Show that an epoch's batches are done and the validation runs."""
        if self._bar is not None and not self._bar.disable:
            self._bar.update(self._task, completed=epoch * self.images, told="validation")

    def epoch(self, record: Record, best: bool = False) -> None:
        """Write a finished epoch's line."""
        width = len(str(self.epochs))
        self.say(
            f"epoch {record['epoch']:{width}}/{self.epochs}  {told(record)}"
            + ("  best" if best else "")
        )

    def say(self, line: str) -> None:
        """Write a line above the bar."""
        if self.console is not None:
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def told(record: Record) -> str:
    """Return a record in words: `loss 0.1234  accuracy 96.20 %  1,234 images/s`."""
    parts = []
    for prefix, title in (("", ""), (VALIDATION, "validation ")):
        found = []
        for name, value in record.items():
            own = name.removeprefix(VALIDATION)
            if name.startswith(VALIDATION) == bool(prefix) and own not in _APART:
                found.append(f"{own} {_number(own, value)}")
        if found:
            parts.append(title + "  ".join(found))
    if "images_per_second" in record:
        parts.append(f"{record['images_per_second']:,.0f} images/s")
    return "  ".join(parts)


_APART = {"epoch", "lr", "seconds", "images_per_second"}


def _number(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if name == "accuracy" else f"{value:.4f}"


def now() -> float:
    """Return a clock's seconds."""
    return time.perf_counter()
