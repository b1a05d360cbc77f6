"""IDX files: MNIST and its family, as they are handed out, gzipped or not."""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from npconv import ProblemError
from npconv.nn.data.arrays import Dataset
from npconv.nn.data.parts import Part, train_and_test

_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_NAME = re.compile(
    r"(?P<prefix>.*?)(?P<part>train|t10k|test)[-_.](?P<what>images|labels)[-_.]idx[13]-ubyte(\.gz)?"
)
_BLOCK = 1 << 20


def load_idx(folder: str | os.PathLike[str], prefix: str | None = None) -> tuple[Dataset, Dataset]:
    """Return the training and the test part of a folder of IDX files.

    Parameters
    ----------
    folder : path
        Holds train-images-idx3-ubyte, train-labels-idx1-ubyte and, for the test part, the two of
        t10k-... or test-..., each gzipped (.gz) or not: MNIST, Fashion-MNIST, KMNIST, EMNIST.
    prefix : str, optional
        What the names begin with ("emnist-letters-"), where the folder holds several sets.

    Returns
    -------
    train, test : Dataset
        A fifth of the training part where there is no test part.

    Raises
    ------
    ProblemError
        Where a file is missing, damaged, or shorter or longer than its header says.

    Notes
    -----
    EMNIST's images lie on their side, as its files hold them.
    Source: the format, yann.lecun.com/exdb/mnist.

    Examples
    --------
    >>> load_idx("nowhere")
    Traceback (most recent call last):
        ...
    npconv.errors.ProblemError: load_idx: nowhere holds no train-images-idx3-ubyte.
      rule  train-images-idx3-ubyte and train-labels-idx1-ubyte, with .gz or without
    """
    found = idx_files(Path(folder))
    prefixes = sorted({before for before, _, _ in found})
    if prefix is None and len(prefixes) > 1:
        raise ProblemError(
            f"{folder} holds {len(prefixes)} sets of IDX files.",
            facts=(("sets", ", ".join(repr(each) for each in prefixes)),),
            fix=f"name one: prefix={prefixes[-1]!r}",
            where="load_idx",
        )
    before = prefix if prefix is not None else "".join(prefixes)
    parts: dict[str, Part] = {}
    for part in ("train", "test"):
        images, labels = found.get((before, part, "images")), found.get((before, part, "labels"))
        if images and labels:
            parts[part] = _images(images), _labels(labels)
        elif images or labels or part == "train":
            missing = "labels-idx1-ubyte" if images else "images-idx3-ubyte"
            raise ProblemError(
                f"{folder} holds no {before}{part}-{missing}.",
                rule="train-images-idx3-ubyte and train-labels-idx1-ubyte, with .gz or without",
                where="load_idx",
            )
    return train_and_test(parts["train"], parts.get("test"), f"load_idx: {folder}")


def idx_files(folder: Path) -> dict[tuple[str, str, str], Path]:
    """Return a folder's IDX files by (prefix, "train" or "test", "images" or "labels")."""
    found = {}
    # Reversed: of two the one without .gz stays.
    for path in sorted(folder.iterdir(), reverse=True) if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match:
            part = "train" if match["part"] == "train" else "test"
            found[match["prefix"], part, match["what"]] = path
    return found


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the array of one IDX file, gzipped if its name ends in .gz.

    Raises
    ------
    ProblemError
        Where the file is no IDX file, is damaged, or its size is not what its header says; nothing
        is allocated by what the header says alone.
    """
    path = Path(path)
    packed = path.suffix == ".gz"
    try:
        stream: Any = gzip.open(path) if packed else open(path, "rb")  # noqa: SIM115
        with stream:
            return _read(stream, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _bad(path, f"is damaged or cut short: {error}.") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _bad(path, f"cannot be read: {reason}.") from error


def _read(stream: IO[bytes], path: Path) -> np.ndarray:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or not 1 <= head[3] <= 4:
        raise _bad(path, f"is no IDX file: it begins with {head.hex(' ') or 'nothing'}.")
    dtype, rank = np.dtype(_TYPES[head[2]]), head[3]
    sizes = stream.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise _bad(path, "is cut short in its header.")
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    nbytes = math.prod(shape) * dtype.itemsize
    claim = f"its header says {' x '.join(map(str, shape))} of {dtype.itemsize} bytes"
    content = bytearray()  # which grows by what is there, not by what the header claims
    while block := stream.read(min(_BLOCK, nbytes + 1 - len(content))):
        content += block  # one byte more than it should hold is enough to know
    if len(content) != nbytes:
        word = "is cut short" if len(content) < nbytes else "holds more than it should"
        raise _bad(path, f"{word}: {claim}.")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _images(path: Path) -> np.ndarray:
    array = read_idx(path)
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise _bad(path, f"holds an array {array.shape}, not images (N, height, width).")
    return array[:, None] if array.ndim == 3 else np.moveaxis(array, -1, 1)


def _labels(path: Path) -> np.ndarray:
    array = read_idx(path)
    if array.ndim != 1:
        raise _bad(path, f"holds an array {array.shape}, not labels (N,).")
    return array


def _bad(path: Path, what: str) -> ProblemError:
    return ProblemError(f"{path} {what}", where="load_idx")
