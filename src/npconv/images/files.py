"""Image files into arrays: every depth kept, upright, and every broken file named."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from npconv import ProblemError
from npconv.images.deep import bits_per_channel, read_deep

MAX_PIXELS = 178_000_000
# Formats that hold several pictures but whose first one is the photograph itself.
_FIRST_IS_THE_IMAGE = ("MPO", "PSD", "ICO", "ICNS")
_ORIENTATION = 0x0112
_HEAD_BYTES = 4096
_PLAIN_MODES = ("L", "LA", "RGB", "RGBA", "I", "F")


@dataclass(frozen=True, eq=False)
class Photo:
    """An image file's pixels and what came with them.

    Attributes
    ----------
    pixels : ndarray, shape (height, width) or (height, width, channels)
        uint8, uint16, int32 or float32; channels are grey + alpha, RGB or RGBA.
    format : str
        Pillow's name of the format it was read from.
    icc_profile : bytes or None
        The colour profile that the numbers are to be read by.
    dpi : tuple of float, or None
    """

    pixels: np.ndarray
    format: str
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None


def read(
    path: str | os.PathLike[str] | IO[bytes],
    *,
    first_frame: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Return an image file's pixels, upright and at the depth it has.

    Parameters
    ----------
    path : path or binary file
    first_frame : bool
        Take the first picture of an animation or of several pages, instead of refusing.
    max_pixels : int
        The largest ``width * height``, checked in the header before anything is decoded.

    Returns
    -------
    ndarray, shape (height, width) or (height, width, channels)
        uint8 or uint16 (int32 and float32 from such TIFFs). One-bit images become grey of 0
        and 255; palettes become RGB, or RGBA if they have transparency; CMYK becomes RGB. EXIF's
        orientation is applied.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
        When there is nothing to read there.
    ProblemError
        When the file is not an image, is cut short or damaged, is animated, is larger than
        `max_pixels`, or has more than 8 bits a channel in a form that would be reduced.

    Notes
    -----
    `load` returns the colour profile and the resolution as well.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> from npconv import images
    >>> path = pathlib.Path(tempfile.mkdtemp(), "grey.png")
    >>> images.write(path, np.array([[0, 65535]], dtype=np.uint16))
    >>> images.read(path)
    array([[    0, 65535]], dtype=uint16)
    """
    return load(path, first_frame=first_frame, max_pixels=max_pixels).pixels


def load(
    path: str | os.PathLike[str] | IO[bytes],
    *,
    first_frame: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Photo:
    """Return an image file as a `Photo`: `read`, and the colour profile and resolution.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> from npconv import images
    >>> path = pathlib.Path(tempfile.mkdtemp(), "grey.png")
    >>> images.write(path, np.zeros((2, 3), dtype=np.uint8), dpi=(300, 300))
    >>> round(images.load(path).dpi[0])
    300
    """
    if not isinstance(path, (str, os.PathLike)):
        stream = path if path.seekable() else io.BytesIO(path.read())
        return _load(stream, getattr(path, "name", "the stream"), first_frame, max_pixels)
    try:
        stream = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise plain_error(error, os.fspath(path), "read") from error
    with stream:
        return _load(stream, os.fspath(path), first_frame, max_pixels)


def plain_error(error: OSError, name: str, verb: str) -> OSError:
    """Return the same kind of error, saying in words what could not be done to which file."""
    reason = (error.strerror or str(error)).lower()
    return type(error)(f"{name} cannot be {verb}: {reason}.")


def _load(data: IO[bytes], name: str, first_frame: bool, max_pixels: int) -> Photo:
    with _AnySize():
        return _load_any_size(data, name, first_frame, max_pixels)


def _load_any_size(data: IO[bytes], name: str, first_frame: bool, max_pixels: int) -> Photo:
    start = data.tell()
    head = data.read(_HEAD_BYTES)
    if not head:
        raise ProblemError(f"images: {name} is empty.")

    def reopen() -> ImageFile.ImageFile:
        data.seek(start)
        return Image.open(data)

    try:
        image = reopen()
        _check_size(image, name, max_pixels)
        frames = 1 if image.format in _FIRST_IS_THE_IMAGE else getattr(image, "n_frames", 1)
        if frames > 1 and not first_frame:
            raise ProblemError(
                f"images: {name} holds {frames} pictures (an animation or pages); "
                "a filter takes one.",
                fix="choose the first with first_frame=True (--first-frame)",
            )
        image.seek(0)
        return _decode(image, reopen, head, name)
    except ProblemError:
        raise
    except UnidentifiedImageError as error:
        raise ProblemError(
            f"images: {name} is not an image that can be read, or its header is damaged."
        ) from error
    except MemoryError:
        raise
    # Pillow's decoders raise every kind of exception on damaged files.
    except Exception as error:
        raise ProblemError(
            f"images: {name} is damaged or cut short: {str(error) or type(error).__name__}."
        ) from error


def _decode(
    image: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile], head: bytes, name: str
) -> Photo:
    bits = bits_per_channel(head, image)
    grey_16 = image.mode.startswith("I;16") or image.mode in ("I", "F")
    if bits > 8 and not grey_16:
        if bits != 16:
            raise ProblemError(
                f"images: {name} has {bits} bits a channel; reading it would keep only 8.",
                fix="save it as 16-bit PNG or TIFF, or as 8-bit",
            )
        pixels, image = read_deep(head, reopen, name)
    else:
        image.load()
        pixels = _array(image, bits)
    pixels = _with_transparent_colour(pixels, image)
    orientation = 1
    with contextlib.suppress(Exception):
        orientation = image.getexif().get(_ORIENTATION, 1)
    profile = image.info.get("icc_profile") if image.mode != "CMYK" else None
    return Photo(
        _upright(pixels, orientation), str(image.format), profile or None, _resolution(image)
    )


def _array(image: ImageFile.ImageFile, bits: int) -> np.ndarray:
    mode = image.mode
    if mode.startswith("I;16"):
        pixels = np.asarray(image).astype(np.uint16)
        white_is_zero = image.format == "TIFF" and image.tag_v2.get(262) == 0  # type: ignore[attr-defined]
        return 65535 - pixels if white_is_zero else pixels
    if mode == "I" and image.format in ("PNG", "PPM"):
        return np.asarray(image).astype(np.uint16)
    if mode in _PLAIN_MODES:
        return np.array(image)
    return np.array(image.convert(_plain_mode(image)))


def _plain_mode(image: Image.Image) -> str:
    if image.mode == "1":
        return "L"
    if image.mode in ("P", "PA"):
        return "RGBA" if image.has_transparency_data else "RGB"
    return {"La": "LA", "RGBa": "RGBA"}.get(image.mode, "RGB")


def _with_transparent_colour(pixels: np.ndarray, image: ImageFile.ImageFile) -> np.ndarray:
    """Turn PNG's one transparent grey or colour into an alpha channel."""
    colour = image.info.get("transparency")
    if image.mode not in ("1", "L", "I;16", "RGB") or not isinstance(colour, (int, tuple)):
        return pixels
    solid = (pixels if pixels.ndim == 3 else pixels[:, :, None]) != np.array(colour)
    most = np.iinfo(pixels.dtype).max
    return np.dstack([pixels, solid.any(axis=2).astype(pixels.dtype) * most])


def _upright(pixels: np.ndarray, orientation: Any) -> np.ndarray:
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _resolution(image: ImageFile.ImageFile) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def _check_size(image: ImageFile.ImageFile, name: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ProblemError(
            f"images: {name} is {width} x {height} = {width * height:,} pixels, "
            f"more than the {max_pixels:,} allowed; nothing was decoded.",
            fix="raise max_pixels (--max-pixels) if you trust the file",
        )
    if width * height == 0:
        raise ProblemError(f"images: {name} is {width} x {height}: it has no pixels.")


class _AnySize:
    """Lifts Pillow's own cap, which is one for the whole process, while ours is the one checked."""

    _lock = threading.Lock()
    _inside = 0
    _before: int | None = None

    def __enter__(self) -> None:
        with self._lock:
            if _AnySize._inside == 0:
                _AnySize._before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            _AnySize._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            _AnySize._inside -= 1
            if _AnySize._inside == 0:
                Image.MAX_IMAGE_PIXELS = _AnySize._before
