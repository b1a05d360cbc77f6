"""Colour images of 16 bits a channel, which Pillow alone would reduce to 8.

Pillow's decoders find all the bytes of such an image and keep half of them: asked for
``RGB;16B`` it keeps each sample's first byte, asked for ``RGB;16L`` the second. So the image is
decoded twice, once for each half, and the halves are joined. Writing is a plain PNG or TIFF.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from PIL import ImageFile

from npconv import ProblemError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_BIT_DEPTH, _COLOUR_TYPE = 24, 25
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_PLANES = 258, 262, 284
_METRE = 0.0254


def bits_per_channel(head: bytes, image: ImageFile.ImageFile) -> int:
    """Return the bits the file holds a channel, read from its header; 8 where it cannot tell.

    Parameters
    ----------
    head : bytes
        The file's first few hundred bytes.
    image : PIL.Image.Image
        The opened, not yet decoded image.
    """
    if head.startswith(_PNG_SIGNATURE):
        return head[_BIT_DEPTH]
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_TIFF_BITS, (1,))))  # type: ignore[attr-defined]
    if head[:2] in (b"P5", b"P6", b"P2", b"P3"):
        fields = b" ".join(line.partition(b"#")[0] for line in head.split(b"\n")).split()
        return 16 if len(fields) > 3 and int(fields[3]) > 255 else 8
    if head[:2] == b"\x01\xda":
        return 8 * head[3]
    size_marker = head.find(b"\xff\x4f\xff\x51")
    if image.format == "JPEG2000" and size_marker >= 0:
        return (head[size_marker + 42] & 0x7F) + 1
    pixel_box = head.find(b"pixi")
    if image.format == "AVIF" and pixel_box >= 0:
        return head[pixel_box + 9]
    return 8


def read_deep(
    head: bytes, reopen: Callable[[], ImageFile.ImageFile], name: str
) -> tuple[np.ndarray, ImageFile.ImageFile]:
    """Decode a 16-bit colour PNG or TIFF.

    Parameters
    ----------
    head : bytes
        The file's first few hundred bytes.
    reopen : callable
        Opens the same file afresh.
    name : str
        The file's name, for messages.

    Returns
    -------
    pixels : ndarray, shape (height, width, 2, 3 or 4), uint16
    image : PIL.Image.Image
        The decoded image, whose info holds what came with the pixels.

    Raises
    ------
    ProblemError
        When the file keeps its samples in a way this cannot decode.
    """
    if head.startswith(_PNG_SIGNATURE) and head[_COLOUR_TYPE] == 4:
        image = _decoded(reopen(), "RGBA")
        pairs = np.asarray(image).astype(np.uint16)
        return pairs[:, :, 0::2] << 8 | pairs[:, :, 1::2], image
    image = reopen()
    raw_modes = {_raw_mode(tile) for tile in image.tile}
    raw_mode = next(iter(raw_modes)) if len(raw_modes) == 1 else ""
    layout, _, order = raw_mode.partition(";")
    planes = image.format == "TIFF" and image.tag_v2.get(_TIFF_PLANES) == 2  # type: ignore[attr-defined]
    if image.format not in ("PNG", "TIFF") or layout not in ("RGB", "RGBA") or planes:
        raise ProblemError(
            f"images: {name} has 16 bits a channel, kept as {image.format} "
            f"{'planes' if planes else raw_mode or image.mode}; reading would lose half of them.",
            fix="save it as 16-bit RGB in PNG or TIFF, or as 8-bit",
        )
    # "N" is the machine's own order, which TIFF's compressed forms are decoded to.
    big_first = order == "16B" or (order == "16N" and sys.byteorder == "big")
    first = np.asarray(_decoded(image, f"{layout};16B")).astype(np.uint16)
    again = _decoded(reopen(), f"{layout};16L")
    second = np.asarray(again).astype(np.uint16)
    return (first << 8 | second if big_first else second << 8 | first), again


def write_deep(
    stream: IO[bytes],
    pixels: np.ndarray,
    format_name: str,
    icc_profile: bytes | None,
    dpi: tuple[float, float] | None,
) -> None:
    """Write 16-bit samples as a PNG (1 to 4 channels) or TIFF (3 or 4 channels).

    Parameters
    ----------
    stream : binary file
    pixels : ndarray, shape (height, width, channels), uint16
    format_name : {"PNG", "TIFF"}
    icc_profile : bytes, optional
    dpi : tuple of float, optional
    """
    if format_name == "PNG":
        _write_png(stream, pixels, icc_profile, dpi)
    else:
        _write_tiff(stream, pixels, icc_profile, dpi)


def _raw_mode(tile: tuple[Any, ...]) -> str:
    arguments = tile[3]
    return str(arguments if isinstance(arguments, str) else arguments[0])


def _decoded(image: ImageFile.ImageFile, raw_mode: str) -> ImageFile.ImageFile:
    """Decode with another raw mode, one that takes the same number of bytes a pixel."""
    tiles = []
    for codec, box, offset, arguments in image.tile:
        changed = (raw_mode, *arguments[1:]) if isinstance(arguments, tuple) else raw_mode
        tiles.append(type(image.tile[0])(codec, box, offset, changed))
    image.tile = tiles
    image.load()
    return image


def _write_png(
    stream: IO[bytes],
    pixels: np.ndarray,
    icc_profile: bytes | None,
    dpi: tuple[float, float] | None,
) -> None:
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    # Each row as the difference from the one above: PNG's filter 2.
    changes = np.diff(rows, axis=0, prepend=np.zeros((1, rows.shape[1]), np.uint8))
    filtered = np.insert(changes, 0, 2, axis=1)
    stream.write(_PNG_SIGNATURE)
    header = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOUR_TYPE[channels], 0, 0, 0)
    _write_chunk(stream, b"IHDR", header)
    if icc_profile:
        _write_chunk(stream, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))
    if dpi:
        per_metre = [min(round(value / _METRE), 2**31 - 1) for value in dpi]
        _write_chunk(stream, b"pHYs", struct.pack(">IIB", *per_metre, 1))
    _write_chunk(stream, b"IDAT", zlib.compress(filtered.tobytes(), 6))
    _write_chunk(stream, b"IEND", b"")


def _write_chunk(stream: IO[bytes], name: bytes, body: bytes) -> None:
    stream.write(struct.pack(">I", len(body)) + name + body)
    stream.write(struct.pack(">I", zlib.crc32(name + body)))


def _write_tiff(
    stream: IO[bytes],
    pixels: np.ndarray,
    icc_profile: bytes | None,
    dpi: tuple[float, float] | None,
) -> None:
    height, width, channels = pixels.shape
    # Each sample as the difference from its left neighbour: TIFF's predictor 2.
    changes = np.diff(pixels, axis=1, prepend=np.zeros((height, 1, channels), np.uint16))
    strip = zlib.compress(changes.astype("<u2").tobytes(), 6)
    resolution = [struct.pack("<II", round(value * 1000), 1000) for value in dpi or (72, 72)]
    tags: list[tuple[int, int, int, bytes]] = [
        (256, 4, 1, struct.pack("<I", width)),
        (257, 4, 1, struct.pack("<I", height)),
        (_TIFF_BITS, 3, channels, struct.pack(f"<{channels}H", *[16] * channels)),
        (259, 3, 1, struct.pack("<H", 8)),
        (_TIFF_PHOTOMETRIC, 3, 1, struct.pack("<H", 2)),
        (273, 4, 1, struct.pack("<I", 8)),
        (277, 3, 1, struct.pack("<H", channels)),
        (278, 4, 1, struct.pack("<I", height)),
        (279, 4, 1, struct.pack("<I", len(strip))),
        (282, 5, 1, resolution[0]),
        (283, 5, 1, resolution[1]),
        (296, 3, 1, struct.pack("<H", 2)),
        (317, 3, 1, struct.pack("<H", 2)),
    ]
    if channels == 4:
        tags.append((338, 3, 1, struct.pack("<H", 2)))
    if icc_profile:
        tags.append((34675, 7, len(icc_profile), icc_profile))
    directory_at = 8 + len(strip) + len(strip) % 2
    extra_at = directory_at + 2 + 12 * len(tags) + 4
    directory, extra = struct.pack("<H", len(tags)), b""
    for tag, kind, count, value in tags:
        if len(value) <= 4:
            place = value.ljust(4, b"\0")
        else:
            place = struct.pack("<I", extra_at + len(extra))
            extra += value + b"\0" * (len(value) % 2)
        directory += struct.pack("<HHI", tag, kind, count) + place
    stream.write(b"II*\0" + struct.pack("<I", directory_at))
    stream.write(strip + b"\0" * (len(strip) % 2))
    stream.write(directory + struct.pack("<I", 0) + extra)
