"""NumPy's .npz archives of images and labels, read without pickle."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from npconv import ProblemError
from npconv.nn.data.arrays import Dataset
from npconv.nn.data.parts import Part, train_and_test

_TRAIN = (("x_train", "y_train"), ("train_images", "train_labels"), ("train_x", "train_y"),
          ("images", "labels"), ("x", "y"), ("data", "target"), ("data", "labels"))  # fmt: skip
_TEST = ("x_test", "y_test"), ("test_images", "test_labels"), ("test_x", "test_y")
_RULE = "x_train, y_train and perhaps x_test, y_test; or images, labels; or x, y"
_CHANNELS = 1, 2, 3, 4
_DEFLATE = 1032  # no compressed byte can become more than these


def load_npz(path: str | os.PathLike[str], seed: int = 0) -> tuple[Dataset, Dataset]:
    """Return the training and the test part of an .npz file.

    Parameters
    ----------
    path : path
        Arrays named x_train, y_train, x_test, y_test, or train_images, train_labels, ..., or
        images, labels, or x, y. Images are (N, H, W), (N, H, W, C) or (N, C, H, W), where C is at
        most 4; labels (N,), whole numbers or text for classes, floats for values.
    seed : int
        Where there is no test part, a fifth is drawn by this seed.

    Returns
    -------
    train, test : Dataset

    Raises
    ------
    ProblemError
        Where the file is damaged, holds pickled objects, or lacks such arrays.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "small.npz")
    >>> np.savez(path, images=np.zeros((10, 8, 8), np.uint8), labels=[1, 7] * 5)
    >>> load_npz(path)
    (Dataset(8 images of 1 x 8 x 8, 2 classes), Dataset(2 images of 1 x 8 x 8, 2 classes))
    """
    where = f"load_npz: {path}"
    parts: list[Part] = []
    try:
        size = os.stat(path).st_size
        with zipfile.ZipFile(path) as archive:
            members = {
                Path(info.filename).stem.lower(): info
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            }
            for kinds in (_TRAIN, _TEST):
                pair = next((pair for pair in kinds if set(pair) <= members.keys()), None)
                if pair is not None:
                    x, y = (_array(archive, members[name], size, where) for name in pair)
                    parts.append((_images(x, pair[0], where), _labels(y, pair[1], where)))
                elif kinds is _TRAIN:
                    raise ProblemError(
                        "it holds no images and labels by known names.",
                        facts=(("arrays", ", ".join(sorted(members)) or "none"),),
                        rule=_RULE,
                        where=where,
                    )
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ProblemError(
            f"it is no .npz file, or is damaged or cut short: {error}.", where=where
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ProblemError(f"it cannot be read: {reason}.", where=where) from error
    return train_and_test(parts[0], parts[1] if len(parts) > 1 else None, where, seed=seed)


def _array(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, archive_size: int, where: str
) -> np.ndarray:
    """Return one array; its header is held to the member's size before memory is taken."""
    name = info.filename
    most = info.compress_size * (_DEFLATE if info.compress_type == zipfile.ZIP_DEFLATED else 1)
    if info.compress_size > archive_size or info.file_size > most:
        raise ProblemError(
            f"{name} claims {info.file_size:,} bytes that are not there.", where=where
        )
    try:
        with archive.open(info) as stream:
            version = npy.read_magic(stream)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(stream)
            begin = stream.tell()
    except ValueError as error:
        raise ProblemError(f"{name} is no array, or its header is damaged.", where=where) from error
    if dtype.hasobject:
        raise ProblemError(
            f"{name} holds Python objects, which only pickle could read.",
            fix="save arrays of numbers or of text",
            where=where,
        )
    claimed = dtype.itemsize
    for extent in shape:
        claimed *= extent
    if begin + claimed != info.file_size:
        raise ProblemError(
            f"{name} has {info.file_size - begin:,} bytes of numbers, its header says {shape} "
            f"{dtype}: {claimed:,}.",
            where=where,
        )
    with archive.open(info) as stream:
        return np.asarray(npy.read_array(stream, allow_pickle=False))


def _images(x: np.ndarray, name: str, where: str) -> np.ndarray:
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[3] in _CHANNELS:
        return np.moveaxis(x, -1, 1)
    if x.ndim == 4 and x.shape[1] in _CHANNELS:
        return x
    raise ProblemError(
        f"{name} has the shape {x.shape}.",
        rule="(N, H, W), (N, H, W, C) or (N, C, H, W) with at most 4 channels",
        where=where,
    )


def _labels(y: np.ndarray, name: str, where: str) -> np.ndarray:
    if y.ndim == 2 and (y.shape[1] == 1 or y.dtype.kind == "f"):
        return y[:, 0] if y.shape[1] == 1 else y
    if y.ndim != 1:
        raise ProblemError(f"{name} has the shape {y.shape}.", rule="(N,)", where=where)
    return y
