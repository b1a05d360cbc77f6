"""`fit`: a model learns from data, shown as it goes, stopped and resumed at any moment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from npconv.nn import metrics as usual_metrics
from npconv.nn.batches import Data, as_data, whole
from npconv.nn.checkpoints import begin, put
from npconv.nn.cross_entropy import CrossEntropyLoss
from npconv.nn.history import History
from npconv.nn.layer import Layer
from npconv.nn.losses import Loss
from npconv.nn.metrics import Metrics
from npconv.nn.optimizer import Optimizer
from npconv.nn.optimizers import Adam
from npconv.nn.progress import Display
from npconv.nn.run import Run
from npconv.nn.schedules import Schedule


def fit(
    model: Layer,
    data: Data | tuple[ArrayLike, ArrayLike],
    epochs: int,
    *,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    batch_size: int = 32,
    validation: Data | tuple[ArrayLike, ArrayLike] | None = None,
    early_stopping: int | None = None,
    seed: int | None = None,
    clip: float | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    metrics: Metrics | None = None,
    progress: Any = True,
) -> History:
    """Train a model and return what happened.

    Parameters
    ----------
    model : Layer
        Changed in place.
    data : (x, target) arrays, or an object with ``batches()`` and ``len()``
        What is learnt from, anew in each epoch and in another order. Arrays are taken as they
        are; `Dataset` normalises them.
    epochs : int
        How often all of data is seen; of a resumed training, in all.
    loss : Loss, default CrossEntropyLoss()
        Its reduction is "mean" or "sum".
    optimizer : Optimizer, default Adam(model)
    schedule : callable, optional
        ``schedule(time, lr)`` is the learning rate, time being the epochs passed.
    batch_size : int
    validation : as data, optional
        What the model is tried on after each epoch.
    early_stopping : int, optional
        Stop after so many epochs without a lower validation loss. The model is then, and also when
        the epochs are over, what it was at the lowest.
    seed : int, optional
        Fixes order, augmentation and dropout (not the model's first weights: its layers' rng does).
    clip : float, optional
        The largest norm of all gradients together; larger ones are scaled down.
    checkpoint : path, optional
        Of a file that is written at the start, after each epoch, and once a minute within: all that
        is needed to go on.
    resume : bool
        Whether to go on where `checkpoint` stands, if it is there. The end is then, bit for bit,
        that of a training which was never stopped.
    metrics : mapping of name to ``metric(y, target)``, optional
        By default the accuracy, where the loss is a cross-entropy.
    progress : bool or rich.console.Console
        Whether to show a line an epoch, and on a terminal a bar, on the error stream; or where.

    Returns
    -------
    History
        A record an epoch.

    Raises
    ------
    ProblemError
        Where an argument does not fit, the file is of another training, a batch holds NaN or no
        examples, or the loss is no longer finite; the error names the batch.

    Notes
    -----
    Checkpoints are of moments between two batches and are replaced whole; so a kill costs at most a
    minute, or an epoch where that is shorter. An epoch resumed in its middle draws the batches that
    are done once more and leaves them out.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> x = np.random.default_rng(0).normal(size=(60, 1, 4, 4)).astype("float32")
    >>> target = (x.mean((1, 2, 3)) > 0).astype(int)
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, rng=0))
    >>> history = nn.fit(model, (x, target), 20, optimizer=nn.Adam(model, 0.05), seed=0,
    ...                  progress=False)
    >>> history["accuracy"][-1] > 0.95
    True
    """
    loss = CrossEntropyLoss() if loss is None else loss
    path = None if checkpoint is None else Path(checkpoint)
    run = Run(
        model=model,
        data=as_data(data, "fit"),
        loss=loss,
        optimizer=Adam(model) if optimizer is None else optimizer,
        schedule=schedule,
        batch_size=whole(batch_size, "batch_size", 1, "fit"),
        validation=None if validation is None else as_data(validation, "fit", "validation"),
        patience=None
        if early_stopping is None
        else whole(early_stopping, "early_stopping", 1, "fit"),
        clip=clip,
        path=path,
        metrics=usual_metrics.usual(loss) if metrics is None else dict(metrics),
    )
    run.check()
    epochs = whole(epochs, "epochs", 0, "fit")
    seed = None if seed is None else whole(seed, "seed", 0, "fit")
    state, new = begin(path, resume, run.settings(seed), model, run.optimizer)
    if new and path is not None:
        run.save(state)  # the first weights are part of what a stop must not lose
    with Display(progress, epochs, len(run.data), state.epoch) as display:
        try:
            while state.epoch < epochs and not run.enough(state.records):
                run.epoch(state, display)
        except KeyboardInterrupt:
            if path is not None and path.exists():
                display.say(f"stopped; resume=True goes on from {path}")
            raise
        if run.patience is not None and state.best:
            put(model, state.best)
    return History(state.records)
