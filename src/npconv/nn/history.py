"""What happened in training, epoch by epoch: data, JSON, a plot."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from npconv import ProblemError
from npconv.figures import figure

Record = dict[str, float]
VALIDATION = "validation_"  # what names begin with that were measured on the validation data


class History:
    """A record for each epoch: its number, its loss, its metrics, its seconds.

    Attributes
    ----------
    records : list of dict
        ``epoch`` (from 1), ``loss`` and the metrics, the mean over the epoch's batches as they
        were learnt from; ``validation_loss`` and so on, after the epoch; ``lr``, the last
        batch's; ``seconds`` and ``images_per_second``, of the learning alone.

    Examples
    --------
    >>> from npconv import nn
    >>> history = nn.History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"], history[-1], len(history)
    ([0.5, 0.25], {'epoch': 2, 'loss': 0.25}, 2)
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.records = [dict(record) for record in records]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __getitem__(self, what: str | int) -> Any:
        """Return a name's numbers, one an epoch, or an epoch's record by its place."""
        if isinstance(what, str):
            return [record[what] for record in self.records]
        return self.records[what]

    def best(self, name: str = VALIDATION + "loss", most: bool = False) -> Record:
        """Return the first record whose number of this name is the least, or the most; no NaN."""
        sign = -1 if most else 1
        found = [record for record in self.records if not math.isnan(record.get(name, math.nan))]
        if not found:
            raise ProblemError(f"no epoch has a {name}.", where="History.best")
        return min(found, key=lambda record: sign * record[name])

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the records as JSON, and write them to a file where one is named."""
        text = json.dumps(self.records, indent=1)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    @classmethod
    def from_json(cls, text: str) -> History:
        """Return the history that `to_json` made the text of."""
        return cls(json.loads(text))

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw a panel a quantity: the training's line and the validation's.

        Parameters
        ----------
        path : path, optional
            Of a picture to be written (.png, .svg, .pdf).

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ProblemError
            Where there are no epochs, or Matplotlib is not installed.
        """
        if not self.records:
            raise ProblemError("there are no epochs to draw.", where="History.plot")
        apart = {"epoch", "seconds", "images_per_second", "lr"}
        names = [n for n in self.records[0] if n not in apart and not n.startswith(VALIDATION)]
        drawing = figure(4.5 * len(names), 3.2, "History.plot")
        panels = drawing.subplots(1, len(names), squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            for key, label in ((name, "training"), (VALIDATION + name, "validation")):
                drawn = [(r["epoch"], r[key]) for r in self.records if key in r]
                if drawn:
                    axes.plot(*zip(*drawn, strict=True), ".-", label=label)
            axes.set(title=name, xlabel="epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
            axes.legend(frameon=False)
        if path is not None:
            drawing.savefig(path, dpi=130)
        return drawing

    def __repr__(self) -> str:
        last = self.records[-1] if self.records else {}
        told = [f"{name} {value:.4g}" for name, value in last.items() if name != "epoch"]
        return f"History({len(self)} epochs{'; ' if told else ''}{', '.join(told)})"
