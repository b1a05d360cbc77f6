"""Where a training stands, in a file: enough to go on as if it had never stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from npconv import ProblemError
from npconv.nn.history import Record
from npconv.nn.layer import Layer
from npconv.nn.optimizer import Optimizer
from npconv.nn.weights import load_arrays, save_arrays

_KEY = "npconv_training"  # of the metadata
_PARTS = ("model", "optimizer", "best")


@dataclass
class Checkpoint:
    """Where a training stands, between two batches.

    Attributes
    ----------
    settings : dict
        What must be the same to go on: the seed, the batch size and so on.
    epoch, batch : int
        Epochs that are done, and batches that are done of the one under way.
    sums : dict
        What the epoch under way has added up.
    records : list of dict
        The history.
    model, optimizer, best : dict of arrays
        By the names of `state_dict`; best is the model at its lowest validation loss, or empty.
    """

    settings: dict[str, Any]
    epoch: int = 0
    batch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    model: dict[str, np.ndarray] = field(default_factory=dict)
    optimizer: dict[str, np.ndarray] = field(default_factory=dict)
    best: dict[str, np.ndarray] = field(default_factory=dict)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file; the one that was there stays until the new one is whole."""
        arrays = {
            f"{part}.{name}": array
            for part in _PARTS
            for name, array in getattr(self, part).items()
        }
        told = {name: value for name, value in vars(self).items() if name not in _PARTS}
        save_arrays(path, arrays, {_KEY: json.dumps(told)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Read what `save` wrote.

        Raises
        ------
        ProblemError
            Where the file is damaged, or not a checkpoint.
        OSError
            Where it cannot be read.
        """
        arrays, metadata = load_arrays(path)
        try:
            state = cls(**json.loads(metadata[_KEY]))
        except (KeyError, TypeError, ValueError):
            raise ProblemError(
                f"{os.fspath(path)} is not a checkpoint of a training.",
                fix="nn.load_weights reads weights alone",
                where="Checkpoint.load",
            ) from None
        for full, array in arrays.items():
            part, _, name = full.partition(".")
            if part not in _PARTS or not name:
                raise ProblemError(f"{os.fspath(path)} holds {full}.", where="Checkpoint.load")
            getattr(state, part)[name] = array
        return state

    def check(self, settings: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
        """Raise ProblemError where these settings would not go on with the same numbers."""
        other = [name for name in settings if settings[name] != self.settings.get(name)]
        if other:
            raise ProblemError(
                f"{os.fspath(path)} is of a training with other settings: {', '.join(other)}.",
                facts=tuple(
                    (name, f"{self.settings.get(name)} there, {settings[name]} here")
                    for name in other
                ),
                fix="give the same ones; or resume=False, which starts anew and replaces the file",
                where="fit",
            )

    def restore(self, model: Layer, optimizer: Optimizer) -> None:
        """Give model and optimizer their arrays, both or neither.

        Raises
        ------
        ProblemError
            Where names or shapes are others.
        """
        before = snapshot(model)
        put(model, self.model)
        try:
            optimizer.load_state_dict(self.optimizer)
        except ProblemError:
            put(model, before)
            raise


def snapshot(model: Layer) -> dict[str, np.ndarray]:
    """Return copies of a model's arrays."""
    return {name: array.copy(order="K") for name, array in model.state_dict().items()}


def put(model: Layer, state: Mapping[str, np.ndarray]) -> None:
    """Give a model its arrays, in the memory order that its own have.

    A matrix multiplication may round otherwise in another order, and resuming must not.
    """
    own = model.state_dict()
    ordered = {}
    for name, array in state.items():
        if name in own and own[name].shape == array.shape:
            ordered[name] = np.empty_like(own[name], array.dtype)
            ordered[name][...] = array
        else:
            ordered[name] = array  # load_state_dict says what is wrong
    model.load_state_dict(ordered)


def begin(
    path: Path | None, resume: bool, settings: dict[str, Any], model: Layer, optimizer: Optimizer
) -> tuple[Checkpoint, bool]:
    """Return where to go on, the file's place or the start, and whether it is the start.

    A seed of None is the file's, or drawn anew.
    """
    if path is not None and resume and path.exists():
        state = Checkpoint.load(path)
        if settings["seed"] is None:
            settings = {**settings, "seed": state.settings.get("seed")}
        state.check(settings, path)
        state.restore(model, optimizer)
        state.model, state.optimizer = {}, {}
        return state, False
    if settings["seed"] is None:
        settings = {**settings, "seed": int(np.random.SeedSequence().generate_state(1)[0])}
    return Checkpoint(settings), True
