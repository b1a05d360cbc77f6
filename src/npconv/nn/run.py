"""A training's epochs and batches.

Every random number comes from the seed: those of an epoch's order and augmentation from a stream
of the epoch's own, those of a batch's layers from one of the batch's. So a checkpoint needs no
generator's state, and what is done again after a stop is done with the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv import ProblemError
from npconv.nn.batches import Data, dtype_of, is_finite, pair_ready
from npconv.nn.checkpoints import Checkpoint, snapshot
from npconv.nn.clipping import clip_grad_norm
from npconv.nn.evaluation import Means, evaluate
from npconv.nn.history import VALIDATION, Record
from npconv.nn.layer import Layer
from npconv.nn.losses import Loss
from npconv.nn.metrics import Metrics
from npconv.nn.optimizer import Optimizer
from npconv.nn.progress import Display, now
from npconv.nn.schedules import Schedule

SAVE_SECONDS = 60.0  # in an epoch that takes longer, between two checkpoints
_TAKEN = {"epoch", "loss", "images", "lr", "seconds", "images_per_second"}


@dataclass
class Run:
    """What stays the same in a training."""

    model: Layer
    data: Data
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule | None
    batch_size: int
    validation: Data | None
    patience: int | None
    clip: float | None
    path: Path | None
    metrics: Metrics

    def check(self) -> None:
        """Raise ProblemError where two arguments do not go together."""
        own = {id(each) for each in self.model.parameters()}
        if not own & {id(each) for each in self.optimizer.parameters.values()}:
            raise _error("the optimizer has none of the model's parameters.")
        if self.loss.reduction == "none":
            raise _error('the loss has reduction="none".', rule='one number: "mean" or "sum"')
        if self.patience is not None and self.validation is None:
            raise _error("early_stopping has nothing to look at.", fix="pass validation=")
        taken = _TAKEN & set(self.metrics)
        if taken:
            raise _error(f"a metric is named {taken.pop()!r}.", fix="give it another name")

    def settings(self, seed: int | None) -> dict[str, Any]:
        """Return what must be the same for a training to go on with the same numbers."""
        return {
            "seed": seed,
            "batch_size": self.batch_size,
            "examples": len(self.data),
            "loss": _words(self.loss),
            "optimizer": _words(self.optimizer),
            "schedule": _words(self.schedule),
            "clip": self.clip,
            "metrics": sorted(self.metrics),
            "validation": 0 if self.validation is None else len(self.validation),
            "keeps_best": self.patience is not None,
        }

    def enough(self, records: list[Record]) -> bool:
        """Return whether the validation loss has not become lower for long enough."""
        return self.patience is not None and len(records) - _best_epoch(records) >= self.patience

    def epoch(self, state: Checkpoint, display: Display) -> None:
        """Learn from all batches that are left of an epoch, and try the model."""
        number = state.epoch + 1
        begun, saved = now() - state.sums.get("seconds", 0.0), now()
        means = Means(self.loss, self.metrics, state.sums)
        rng = _stream(state, 0)
        self.model.zero_grad()
        for index, (x, target) in enumerate(self.data.batches(self.batch_size, rng, True)):
            if index < state.batch:  # done before the stop
                continue
            self.batch(state, means, x, target)
            state.batch, state.sums["seconds"] = index + 1, now() - begun
            display.batch(number, int(state.sums["images"]), self._told(means))
            if self.path is not None and now() - saved > SAVE_SECONDS:
                self.save(state)
                saved = now()
        if not state.batch:
            raise _error(f"data gives no batches in epoch {number}.")
        record: Record = {"epoch": number, **means.read()}
        told = self._told(means)
        if self.validation is not None:
            display.checking(number)
            found = self.evaluated(number)
            record |= {VALIDATION + name: value for name, value in found.items()}
        record["lr"] = self.rate(state, state.batch - 1)
        record |= {name: told[name] for name in ("seconds", "images_per_second")}
        state.records.append(record)
        best = self.validation is not None and _best_epoch(state.records) == number
        if best and self.patience is not None:
            state.best = snapshot(self.model)
        state.epoch, state.batch, state.sums = number, 0, {}
        if self.path is not None:
            self.save(state)
        display.epoch(record, best)

    def batch(self, state: Checkpoint, means: Means, x: ArrayLike, target: ArrayLike) -> None:
        """Learn from one batch."""
        where = f"fit, epoch {state.epoch + 1}, batch {state.batch + 1}"
        array, wanted = pair_ready(x, target, dtype_of(self.model), where)
        y, backprop = self.model.forward(array, _stream(state, state.batch + 1))
        value, grad_y = self.loss(y, wanted)
        if not math.isfinite(value):
            cause = "the target is not finite" if not is_finite(wanted) else "the training diverges"
            raise ProblemError(
                f"the loss is {value}: {cause}.",
                fix="a lower learning rate, a warm-up, or clip=1.0",
                where=where,
            )
        backprop(grad_y, False)
        if self.clip is not None:
            clip_grad_norm(self.optimizer.parameters.values(), self.clip)
        self.optimizer.step(self.rate(state, state.batch))
        self.model.zero_grad()
        means.add(y, wanted, value)

    def rate(self, state: Checkpoint, batch: int) -> float:
        """Return the learning rate of one of the epoch's batches."""
        if self.schedule is None:
            return self.optimizer.lr
        passed = batch / math.ceil(len(self.data) / self.batch_size)
        return float(self.schedule(state.epoch + passed, self.optimizer.lr))

    def evaluated(self, number: int) -> dict[str, float]:
        """Return the validation's loss and metrics."""
        assert self.validation is not None
        try:
            return evaluate(
                self.model, self.validation, self.batch_size, loss=self.loss, metrics=self.metrics
            )
        except ProblemError as error:
            where = f"fit, validation of epoch {number}: {error.where}"
            raise error.at(where, error.facts) from None

    def save(self, state: Checkpoint) -> None:
        """Write where the training stands."""
        assert self.path is not None
        state.model, state.optimizer = self.model.state_dict(), self.optimizer.state_dict()
        state.save(self.path)
        state.model, state.optimizer = {}, {}  # copies, in part

    def _told(self, means: Means) -> Record:
        seconds = means.sums["seconds"]
        rate = means.sums["images"] / max(seconds, 1e-9)
        return {**means.read(), "seconds": seconds, "images_per_second": rate}


def _stream(state: Checkpoint, part: int) -> np.random.Generator:
    """Return the random numbers of the epoch under way: 0 for its data, 1 up for its batches."""
    key = (state.epoch, part)
    return np.random.default_rng(np.random.SeedSequence(state.settings["seed"], spawn_key=key))


def _best_epoch(records: list[Record]) -> int:
    """Return the number of the first epoch with the lowest validation loss; 0 for none."""
    key = VALIDATION + "loss"
    found = [record for record in records if not math.isnan(record.get(key, math.nan))]
    return int(min(found, key=lambda record: record[key])["epoch"]) if found else 0


def _words(thing: Any) -> str:
    """Return what tells an object apart in another process."""
    text = repr(thing)
    return getattr(thing, "__qualname__", type(thing).__qualname__) if " at 0x" in text else text


def _error(sentence: str, **parts: Any) -> ProblemError:
    return ProblemError(sentence, where="fit", **parts)
