"""Folders of pictures: a folder for each class."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from npconv import ProblemError
from npconv.nn.data.arrays import Dataset
from npconv.nn.data.parts import Part, train_and_test

_SUFFIXES = {
    ".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff",
    ".webp",
}  # fmt: skip
_TRAIN, _TEST = ("train", "training"), ("test", "testing", "val", "valid", "validation")
_GREY = "1", "L", "I;16", "I;16B", "I;16L", "I", "F"
_MAX_PIXELS = 178_000_000


def load_folder(
    path: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    seed: int = 0,
) -> tuple[Dataset, Dataset]:
    """Return the training and the test part of a folder that has a folder for each class.

    Parameters
    ----------
    path : path
        path/cat/1.png, path/dog/2.jpg, ...; or such folders within path/train and path/test.
        Pictures may lie deeper; other files are passed over.
    size : int or (int, int), optional
        Height and width that all are resized to; without, all must be of one size.
    channels : 1 or 3, optional
        Grey or colour; by default grey only where every picture is.
    seed : int
        Where there is no test folder, a fifth is drawn by this seed.

    Returns
    -------
    train, test : Dataset

    Raises
    ------
    ProblemError
        Where a picture cannot be read (it is named), sizes differ, or there are fewer than two
        classes.

    Notes
    -----
    All pictures are held in memory, one byte a channel; of sixteen bits the upper eight are kept.

    Examples
    --------
    >>> load_folder("nowhere")
    Traceback (most recent call last):
        ...
    npconv.errors.ProblemError: load_folder: nowhere is no folder.
    """
    folder, where = Path(path), "load_folder"
    if not folder.is_dir():
        raise ProblemError(f"{path} is no folder.", where=where)
    train, test = _part(folder, _TRAIN), _part(folder, _TEST)
    places = [train, test] if train and test else [train or folder]
    groups = [_pictures(place) for place in places]
    for place, pictures in zip(places, groups, strict=True):
        if not pictures:
            raise ProblemError(
                f"{place} has no folders with pictures.",
                rule="a folder for each class, with pictures in it",
                where=where,
            )
    every = [picture for pictures in groups for _, picture in pictures]
    if channels is None:
        channels = 1 if all(_header(picture)[0] in _GREY for picture in every) else 3
    target = (size, size) if isinstance(size, int) else size or _one_size(every)
    parts: list[Part] = []
    for pictures in groups:
        pixels = np.stack([read_picture(picture, channels, target) for _, picture in pictures])
        parts.append((pixels, np.array([label for label, _ in pictures])))
    found = parts[1] if len(parts) > 1 else None
    return train_and_test(parts[0], found, f"{where}: {path}", seed=seed)


def read_picture(
    path: str | os.PathLike[str], channels: int, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Return a picture as a model of so many channels takes it.

    Parameters
    ----------
    path : path
    channels : 1 or 3
        Grey or colour.
    size : (int, int), optional
        Height and width to resize to.

    Returns
    -------
    ndarray of uint8, shape (channels, height, width), channels-last in memory

    Raises
    ------
    ProblemError
        Where the file, which is named, cannot be read as a picture.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> path = pathlib.Path(tempfile.mkdtemp(), "grey.png")
    >>> Image.fromarray(np.full((4, 6), 200, np.uint8)).save(path)
    >>> read_picture(path, 1, (2, 2)).tolist()
    [[[200, 200], [200, 200]]]
    """
    from PIL import ImageOps

    if channels not in (1, 3):
        raise ProblemError(f"channels={channels}.", rule="1 (grey) or 3", where="read_picture")
    with _opened(path) as image:
        upright: Any = _eight_bits(ImageOps.exif_transpose(image))
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")  # or a palette's transparency would be lost below
        upright = upright.convert("L" if channels == 1 else "RGB")
        if size is not None and upright.size != size[::-1]:
            upright = upright.resize(size[::-1])
        pixels = np.array(upright)
    return np.moveaxis(pixels[..., None] if pixels.ndim == 2 else pixels, -1, 0)


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    from PIL import Image

    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")  # of large pictures; the largest are refused below
            if image.width * image.height > _MAX_PIXELS:
                raise ProblemError(f"{path} is {image.width} x {image.height}: too large.")
            yield image
    except (ProblemError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise ProblemError(f"{path} cannot be read: no such file.", where="load_folder") from error
    # Pillow's decoders raise every kind of exception on damaged files.
    except Exception as error:
        raise ProblemError(
            f"{path} cannot be read as a picture: {str(error) or type(error).__name__}.",
            fix="mend it or take it away",
            where="load_folder",
        ) from error


def _eight_bits(image: Any) -> Any:
    """Return sixteen grey bits as their upper eight."""
    from PIL import Image

    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.clip(np.asarray(image), 0, 65535) >> 8).astype(np.uint8))


def _header(path: Path) -> tuple[str, tuple[int, int]]:
    """Return a picture's mode, and its height and width when upright."""
    with _opened(path) as image:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        width, height = image.size
        return image.mode, (width, height) if turned else (height, width)


def _one_size(pictures: list[Path]) -> tuple[int, int]:
    first = _header(pictures[0])[1]
    for picture in pictures:
        height, width = _header(picture)[1]
        if (height, width) != first:
            raise ProblemError(
                f"{picture} is {height} x {width}, {pictures[0]} {first[0]} x {first[1]}.",
                rule="one height and width",
                fix=f"resize all: size=({first[0]}, {first[1]})",
                where="load_folder",
            )
    return first


def _part(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _pictures(folder: Path) -> list[tuple[str, Path]]:
    """Return (class, path) of all pictures, in order."""
    return [
        (place.name, path)
        for place in sorted(folder.iterdir())
        if place.is_dir() and not place.name.startswith(".")
        for path in sorted(place.rglob("*"))
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
