"""What the tests of image files share: pixels, and PNG files made by hand."""

from __future__ import annotations

import struct
import zlib

import numpy as np

RNG = np.random.default_rng(11)


GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)


COLOUR = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)


DEEP = RNG.integers(0, 65536, (5, 7, 4), dtype=np.uint16)


def png_chunks(header: bytes, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    parts = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def png_header(height: int, width: int, depth: int, colour: int, interlaced: int = 0) -> bytes:
    return struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)


def filtered_rows(pixels: np.ndarray, kinds: list[int]) -> bytes:
    """Encode 16-bit rows with the PNG filters named, straight from the specification."""
    step = 2 * pixels.shape[2]
    above, out = bytes(pixels.shape[1] * step), b""
    for row, kind in zip(pixels.astype(">u2"), kinds, strict=True):
        raw, line = row.tobytes(), bytearray()
        for i, value in enumerate(raw):
            a = raw[i - step] if i >= step else 0
            b, c = above[i], above[i - step] if i >= step else 0
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line.append((value - (0, a, b, (a + b) // 2, nearest)[kind]) % 256)
        out += bytes([kind]) + bytes(line)
        above = raw
    return out
