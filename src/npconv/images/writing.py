"""Arrays into image files, written whole or not at all."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageColor

from npconv import ProblemError
from npconv.images.deep import write_deep
from npconv.images.files import plain_error
from npconv.replacing import check_free, replacing


@dataclass(frozen=True)
class _Format:
    name: str
    channels: dict[str, tuple[int, ...]]
    options: dict[str, Any]


_TIFF = _Format(
    "TIFF",
    {"uint8": (1, 2, 3, 4), "uint16": (1, 3, 4), "int32": (1,), "float32": (1,)},
    {"compression": "tiff_adobe_deflate"},
)
_JPEG = _Format("JPEG", {"uint8": (1, 3)}, {"quality": 95, "subsampling": 0})
_PPM = _Format("PPM", {"uint8": (1, 3), "uint16": (1,)}, {})
FORMATS = {
    ".png": _Format("PNG", {"uint8": (1, 2, 3, 4), "uint16": (1, 2, 3, 4)}, {}),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": _Format("WEBP", {"uint8": (1, 2, 3, 4)}, {"quality": 95}),
    ".bmp": _Format("BMP", {"uint8": (1, 3)}, {}),
    ".gif": _Format("GIF", {"uint8": (1, 3, 4)}, {}),
    ".pgm": _PPM,
    ".ppm": _PPM,
    ".pnm": _PPM,
}


def write(
    path: str | os.PathLike[str] | IO[bytes],
    image: Any,
    *,
    format: str | None = None,
    overwrite: bool = False,
    background: str | None = None,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    colours: int | None = None,
) -> None:
    """Write pixels to an image file, whole or not at all.

    The file is written under a temporary name in the same folder and moved into place.

    Parameters
    ----------
    path : path or binary file
        Its ending names the format: png, jpg, tif, webp, bmp, gif, pgm or ppm.
    image : array_like, shape (height, width) or (height, width, 1 to 4 channels)
        bool (written as grey of 0 and 255), uint8 or uint16; int32 and float32 grey for TIFF.
    format : str, optional
        An ending such as ``"png"``, to be used instead of path's own.
    overwrite : bool
        Replace a file that is there, keeping its permissions.
    background : str, optional
        A colour (``"white"``, ``"#ff8800"``) to lay transparent pixels on when the format
        has no transparency.
    icc_profile : bytes, optional
    dpi : tuple of float, optional
    colours : int, optional
        Keep so many colours, 2 to 256, in a palette: a far smaller PNG of an RGB image.

    Raises
    ------
    FileExistsError, FileNotFoundError, PermissionError, ...
        When the file cannot be put there.
    ProblemError
        When the ending is not known, or the format cannot hold such pixels.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> from npconv import images
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> images.write(folder / "see-through.jpg", np.zeros((2, 2, 4), dtype=np.uint8))
    Traceback (most recent call last):
    ...
    npconv.errors.ProblemError: images: JPEG has no transparency, and this image has alpha.
      fix  give a background colour, or write .png
    """
    pixels = _writable_pixels(image)
    target = _format_of(path, format)
    if background is not None and _depth(pixels) in (2, 4):
        channels = target.channels.get(pixels.dtype.name, ())
        if _depth(pixels) not in channels:
            pixels = _flattened(pixels, background)
    _check_holds(target, pixels)
    if colours is not None and (target.name != "PNG" or pixels.dtype != np.uint8):
        raise ProblemError("images: a palette of few colours goes into an 8-bit PNG only.")
    if not isinstance(path, (str, os.PathLike)):
        _encode(path, pixels, target, icc_profile, dpi, colours)
        return
    with _replacing(Path(path), overwrite) as stream:
        _encode(stream, pixels, target, icc_profile, dpi, colours)


def check_target(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Raise now what `write` would raise of its path: ending unknown, or a file there already.

    Examples
    --------
    >>> from npconv import images
    >>> images.check_target("photo.jgp")
    Traceback (most recent call last):
    ...
    npconv.errors.ProblemError: images: the ending '.jgp' names no format; did you mean '.jpg'?
      can  .png, .jpg, .jpeg, .tif, .tiff, .webp, .bmp, .gif, .pgm, .ppm, .pnm
    """
    _format_of(path, None)
    check_free(Path(path), overwrite)


@contextlib.contextmanager
def _replacing(path: Path, overwrite: bool) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` in the end; what fails says so in plain words."""
    try:
        with replacing(path, overwrite) as stream:
            yield stream
    except OSError as error:
        if error.errno is None:
            raise
        raise plain_error(error, str(path), "written") from error


def _format_of(path: str | os.PathLike[str] | IO[bytes], given: str | None) -> _Format:
    if given is not None:
        ending = "." + given.lower().lstrip(".")
    elif isinstance(path, (str, os.PathLike)):
        ending = Path(path).suffix.lower()
    else:
        raise ProblemError("images: a stream has no name to tell the format; give format='png'.")
    if ending not in FORMATS:
        near = difflib.get_close_matches(ending, FORMATS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near and len(ending) > 1 else " to write."
        raise ProblemError(
            f"images: the ending {ending!r} names no format{hint}",
            facts=(("can", ", ".join(FORMATS)),),
        )
    return FORMATS[ending]


def _depth(pixels: np.ndarray) -> int:
    return 1 if pixels.ndim == 2 else pixels.shape[2]


def _writable_pixels(image: Any) -> np.ndarray:
    pixels = np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or pixels.size == 0 or not 1 <= _depth(pixels) <= 4:
        raise ProblemError(
            f"images: an array of shape {pixels.shape} is no image that a file can hold.",
            facts=(("can", "(height, width) or (height, width, 1 to 4 channels), none of them 0"),),
        )
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * 255
    native = pixels.dtype.newbyteorder("=")
    return np.ascontiguousarray(pixels, dtype=native)


def _check_holds(target: _Format, pixels: np.ndarray) -> None:
    dtype, depth = pixels.dtype.name, _depth(pixels)
    channels = target.channels.get(dtype)
    if channels is None:
        raise ProblemError(
            f"images: {target.name} cannot hold {dtype} pixels.",
            facts=(("can", ", ".join(target.channels)),),
            fix=_way_out(dtype),
        )
    if depth not in channels and depth in (2, 4) and depth - 1 in channels:
        raise ProblemError(
            f"images: {target.name} has no transparency, and this image has alpha.",
            fix="give a background colour, or write .png",
        )
    if depth not in channels:
        raise ProblemError(
            f"images: {target.name} cannot hold {depth} channels of {dtype}.",
            facts=(("can", ", ".join(map(str, channels)) + " channels"),),
            fix=_way_out(dtype),
        )


def _way_out(dtype: str) -> str:
    if dtype == "uint16":
        return "write .png or .tif, or reduce to 8 bits: (image // 257).astype(np.uint8)"
    if dtype in ("int32", "float32"):
        return "write .tif, one channel, or convert to uint8 or uint16"
    return "convert with image.astype(np.uint8), np.uint16 or, for grey TIFF, np.float32"


def _flattened(pixels: np.ndarray, background: str) -> np.ndarray:
    try:
        colour = np.array(ImageColor.getrgb(background)[:3], dtype=np.float64)
    except ValueError as error:
        raise ProblemError(
            f"images: background {background!r} is not a colour.",
            fix='write a name or a hash, such as "white" or "#ff8800"',
        ) from error
    if pixels.shape[2] == 2:
        colour = np.array([colour @ [0.299, 0.587, 0.114]])
    most = float(np.iinfo(pixels.dtype).max)
    share = pixels[:, :, -1:] / most
    mixed = pixels[:, :, :-1] * share + colour * (most / 255) * (1 - share)
    flat = np.rint(mixed).astype(pixels.dtype)
    return flat[:, :, 0] if flat.shape[2] == 1 else flat


def _encode(
    stream: IO[bytes],
    pixels: np.ndarray,
    target: _Format,
    icc_profile: bytes | None,
    dpi: tuple[float, float] | None,
    colours: int | None,
) -> None:
    if pixels.dtype == np.uint16 and pixels.ndim == 3:
        write_deep(stream, pixels, target.name, icc_profile, dpi)
        return
    options = dict(target.options)
    if icc_profile:
        options["icc_profile"] = icc_profile
    if dpi:
        options["dpi"] = dpi
    try:
        picture = Image.fromarray(pixels)
        if colours is not None:
            picture = picture.quantize(colours)
        picture.save(stream, format=target.name, **options)
    # An encoder's own limit, such as JPEG's 65,535 pixels a side, has no errno.
    except (OSError, ValueError, SystemError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        height, width = pixels.shape[:2]
        raise ProblemError(
            f"images: {target.name} cannot hold this image of {width} x {height} pixels: {error}."
        ) from error
