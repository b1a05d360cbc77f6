"""CIFAR-10 and CIFAR-100 in their binary form."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from npconv import ProblemError
from npconv.nn.data.arrays import Dataset
from npconv.nn.data.parts import Part, train_and_test

_SIZE = 3, 32, 32
_PIXELS = 3 * 32 * 32
_RULE = "data_batch_1.bin ... and test_batch.bin (CIFAR-10), or train.bin and test.bin (CIFAR-100)"


def load_cifar(folder: str | os.PathLike[str], labels: str = "fine") -> tuple[Dataset, Dataset]:
    """Return the training and the test part of CIFAR's binary batches.

    Parameters
    ----------
    folder : path
        cifar-10-batches-bin or cifar-100-binary, as the archives unpack.
    labels : "fine" or "coarse"
        CIFAR-100's hundred classes or its twenty.

    Returns
    -------
    train, test : Dataset
        Images (N, 3, 32, 32). A fifth of the training part where there is no test part.

    Raises
    ------
    ProblemError
        Where files are missing, cut short, or hold a label out of range.

    Notes
    -----
    The "python version" is made of pickles, which are never opened: take the binary version.
    Source: cs.toronto.edu/~kriz/cifar.html.

    Examples
    --------
    >>> load_cifar("nowhere")
    Traceback (most recent call last):
        ...
    npconv.errors.ProblemError: load_cifar: nowhere holds no CIFAR batches.
      rule  data_batch_1.bin ... and test_batch.bin (CIFAR-10), or train.bin and ...
    """
    place = Path(folder)
    if labels not in ("fine", "coarse"):
        raise ProblemError(f"labels={labels!r}.", rule='"fine" or "coarse"', where="load_cifar")
    files = cifar_files(place)
    if not files:
        pickled = any(place.glob("data_batch_[0-9]")) if place.is_dir() else False
        raise ProblemError(
            f"{folder} holds no CIFAR batches.",
            rule=_RULE,
            fix='these are pickles: download the "binary version"' if pickled else "",
            where="load_cifar",
        )
    parts: list[Part] = []
    hundred = files[0].name == "train.bin"
    # Before its pixels a record has its label; CIFAR-100's first the coarse one.
    head, column, classes = 1, 0, 10
    if hundred:
        head, column, classes = (2, 1, 100) if labels == "fine" else (2, 0, 20)
    names = _names(place / (f"{labels}_label_names.txt" if hundred else "batches.meta.txt"))
    tests = [place / ("test.bin" if hundred else "test_batch.bin")]
    for paths in (files, [path for path in tests if path.is_file()]):
        rows = [_records(path, head, column, classes) for path in paths]
        if rows:
            whole = np.concatenate(rows) if len(rows) > 1 else rows[0]
            parts.append((whole[:, head:].reshape(-1, *_SIZE), whole[:, column]))
    test = parts[1] if len(parts) > 1 else None
    return train_and_test(parts[0], test, f"load_cifar: {folder}", names)


def cifar_files(folder: Path) -> list[Path]:
    """Return the files of a folder that hold CIFAR's training part, in order."""
    hundred = folder / "train.bin"
    return sorted(folder.glob("data_batch_*.bin")) or [hundred] * hundred.is_file()


def _records(path: Path, head: int, column: int, classes: int) -> np.ndarray:
    record = head + _PIXELS
    try:
        size = path.stat().st_size
        if size == 0 or size % record:
            raise ProblemError(
                f"{path} has {size:,} bytes: it is cut short or is no CIFAR batch.",
                rule=f"{record} bytes an image",
                where="load_cifar",
            )
        rows = np.fromfile(path, np.uint8).reshape(-1, record)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ProblemError(f"{path} cannot be read: {reason}.", where="load_cifar") from error
    most = int(rows[:, column].max())
    if most >= classes:
        raise ProblemError(
            f"{path} has an image of class {most}: it is damaged or is no CIFAR batch.",
            rule=f"classes 0 to {classes - 1}",
            where="load_cifar",
        )
    return rows


def _names(path: Path) -> list[str] | None:
    try:
        return path.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError):
        return None
