"""One picture of every kernel at work, labelled."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from npconv import ProblemError
from npconv.images.apply import Border, apply
from npconv.images.definition import Kernel
from npconv.images.filters import kernel as find_kernel
from npconv.images.filters import kernels as all_kernels

_PAPER = (17, 19, 24)
_INK = (236, 238, 242)
_QUIET = (142, 149, 163)
_EDGE = (44, 48, 58)
_WARM = (255, 158, 61)
_ZERO = np.array([38.0, 42, 51])
_BELOW = np.array([64.0, 146, 255])
_ABOVE = np.array(_WARM, dtype=np.float64)
_SMALLEST, _LARGEST = 480, 8000
_SHARPER = 4


def gallery(
    image: Any,
    kernels: Iterable[Any] | None = None,
    *,
    width: int = 1800,
    title: str = "",
    border: Border = "symmetric",
) -> np.ndarray:
    """Return one picture that shows `image` under every kernel, each with its name and purpose.

    The image is first made as small as its tile, so that a kernel of three pixels can be seen;
    beside each name stands the kernel itself, orange above zero and blue below.

    Parameters
    ----------
    image : array_like, shape (height, width) or (height, width, channels)
        Grey, RGB or either with alpha, which is laid on the paper's colour; bool, uint8,
        uint16, or floats from 0 to 1.
    kernels : iterable of str, array_like or Kernel, optional
        What to show; all of `npconv.images.kernels` by default.
    width : int
        The picture's width in pixels, 480 to 8000.
    title : str
        A heading, such as the photograph's name.
    border : str
        As in `apply`.

    Returns
    -------
    ndarray, shape (picture's height, width, 3), uint8

    Raises
    ------
    ProblemError
        When the image has other channels, or `width` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import images
    >>> photo = np.tile(np.arange(90, dtype=np.uint8), (60, 1))
    >>> images.gallery(photo, ["blur", "sobel"], width=480).shape[1:]
    (480, 3)
    """
    if not _SMALLEST <= width <= _LARGEST:
        raise ProblemError(
            f"images: a gallery is {_SMALLEST} to {_LARGEST} pixels wide, not {width}."
        )
    shown = [find_kernel(each) for each in (all_kernels() if kernels is None else kernels)]
    photo = _as_rgb(image)
    grid = _Grid(len(shown), width, photo.height / photo.width, bool(title))
    paper = Image.new("RGB", (width, grid.height), _PAPER)
    if title:
        _draw_heading(paper, grid, title, len(shown))
    left, top, hero_width, hero_height = grid.hero
    _paste_rounded(paper, _cropped(photo, hero_width, hero_height), left, top, grid.radius)
    caption_top = top + hero_height + grid.gap // 2
    _write(paper, (left, caption_top), "original", _INK, grid.name_size)
    size = f"{photo.width} x {photo.height} pixels"
    _write(paper, (left, caption_top + 1.4 * grid.name_size), size, _QUIET, grid.note_size)
    small = np.asarray(_cropped(photo, grid.tile_width, grid.tile_height))
    for kernel, (left, top) in zip(shown, grid.places, strict=True):
        tile = Image.fromarray(apply(small, kernel, border=border))
        _paste_rounded(paper, tile, left, top, grid.radius)
        _draw_caption(paper, grid, kernel, left, top + grid.tile_height + grid.gap // 2)
    return np.array(paper)


class _Grid:
    """Where everything lies: the original over two by two places, a tile for each kernel."""

    def __init__(self, count: int, width: int, aspect: float, titled: bool) -> None:
        columns = min(range(3, 7), key=lambda wanted: (self._empty(count, wanted), abs(wanted - 6)))
        if width < 900:
            columns = min(columns, 4)
        self.gap = max(width // 90, 8)
        margin = 2 * self.gap
        self.tile_width = (width - 2 * margin - (columns - 1) * self.gap) // columns
        self.tile_height = round(self.tile_width * min(max(aspect, 0.5), 1.4))
        self.name_size = max(self.tile_width // 17, 9)
        self.note_size = max(self.tile_width // 23, 8)
        self.title_size = max(width // 50, 16)
        self.radius = max(self.tile_width // 36, 3)
        caption = round(1.35 * self.name_size + 2.7 * self.note_size) + self.gap // 2
        step_across = self.tile_width + self.gap
        step_down = self.tile_height + caption + self.gap
        head = margin + (2 * self.title_size if titled else 0)
        rows = max(2, -(-(count + 4) // columns))
        self.margin = margin
        self.height = head + rows * step_down + margin - self.gap
        self.hero = (margin, head, 2 * self.tile_width + self.gap, step_down + self.tile_height)
        places = [
            (margin + column * step_across, head + row * step_down)
            for row in range(rows)
            for column in range(columns)
            if row > 1 or column > 1
        ]
        self.places = places[:count]

    @staticmethod
    def _empty(count: int, columns: int) -> int:
        return max(2 * columns, -(-(count + 4) // columns) * columns) - count - 4


def _as_rgb(image: Any) -> Image.Image:
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or pixels.size == 0:
        raise ProblemError(
            f"images: a gallery shows a grey or colour image, not an array of shape {pixels.shape}."
        )
    if pixels.dtype.kind == "f":
        levels = np.nan_to_num(pixels.astype(np.float64))
    elif pixels.dtype.name in ("bool", "uint8", "uint16"):
        most = 1 if pixels.dtype.kind == "b" else np.iinfo(pixels.dtype).max
        levels = pixels / float(most)
    else:
        raise ProblemError(f"images: a gallery cannot show pixels of dtype {pixels.dtype}.")
    if levels.shape[2] in (2, 4):
        share = levels[:, :, -1:]
        levels = levels[:, :, :-1] * share + np.array(_PAPER) / 255 * (1 - share)
    whole = np.rint(levels.clip(0, 1) * 255).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(whole, (*whole.shape[:2], 3)).copy())


def _cropped(photo: Image.Image, width: int, height: int) -> Image.Image:
    """Return the photo's middle, shaped and sized to the place it is for."""
    scale = max(width / photo.width, height / photo.height)
    across, down = width / scale, height / scale
    left, top = (photo.width - across) / 2, (photo.height - down) / 2
    box = (
        max(left, 0),
        max(top, 0),
        min(left + across, photo.width),
        min(top + down, photo.height),
    )
    return photo.resize((width, height), Image.Resampling.LANCZOS, box=box)


def _paste_rounded(paper: Image.Image, tile: Image.Image, left: int, top: int, radius: int) -> None:
    large = Image.new("L", (tile.width * _SHARPER, tile.height * _SHARPER), 0)
    corner = (large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, *corner), radius * _SHARPER, fill=255)
    paper.paste(tile, (left, top), large.resize(tile.size, Image.Resampling.BOX))


def _draw_heading(paper: Image.Image, grid: _Grid, title: str, count: int) -> None:
    size, note = grid.title_size, f"{count} kernels, drawn by npconv"
    note_size = round(0.55 * size)
    note_width = _text_width(note, note_size)
    room = paper.width - 2 * grid.margin - note_width - size
    while len(title) > 4 and _text_width(title, size) > room:
        title = title[:-4] + "..."
    top = grid.hero[1] - 1.75 * size
    _write(paper, (grid.margin, top), title, _INK, size)
    _write(
        paper,
        (paper.width - grid.margin - note_width, top + size - note_size),
        note,
        _QUIET,
        note_size,
    )


def _draw_caption(paper: Image.Image, grid: _Grid, kernel: Kernel, left: int, top: int) -> None:
    side = round(2.2 * grid.name_size)
    numbers = kernel.numbers if kernel.cross is None else kernel.numbers + kernel.cross
    glyph = _glyph(numbers, side)
    outline = (left - 1, top + 1, left + glyph.width, top + 2 + glyph.height)
    ImageDraw.Draw(paper).rectangle(outline, outline=_EDGE, width=1)
    paper.paste(glyph, (left, top + 2))
    left += side + grid.gap // 2
    room = grid.tile_width - side - grid.gap // 2
    name, _, settings = kernel.name.partition(":")
    _write(paper, (left, top), name, _INK, grid.name_size)
    if settings:
        beside = left + _text_width(name, grid.name_size) + grid.note_size / 2
        place = (beside, top + grid.name_size - grid.note_size)
        _write(paper, place, settings.replace(",", ", "), _WARM, grid.note_size)
    for number, line in enumerate(_wrapped(kernel.purpose, room, grid.note_size)[:2]):
        below = top + 1.4 * grid.name_size + 1.3 * grid.note_size * number
        _write(paper, (left, below), line, _QUIET, grid.note_size)


def _glyph(numbers: np.ndarray, side: int) -> Image.Image:
    """Draw the kernel's numbers as colours, the largest at full strength."""
    strength = numbers / (np.abs(numbers).max() or 1)
    strength = np.sign(strength) * np.sqrt(np.abs(strength))
    towards = np.where(strength[:, :, None] > 0, _ABOVE, _BELOW)
    colours = _ZERO + np.abs(strength[:, :, None]) * (towards - _ZERO)
    rows, columns = numbers.shape
    scale = side / max(rows, columns)
    size = (max(round(columns * scale), 1), max(round(rows * scale), 1))
    picture = Image.fromarray(np.rint(colours).astype(np.uint8))
    return picture.resize(size, Image.Resampling.NEAREST)


def _wrapped(text: str, room: float, size: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _text_width(longer, size) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _write(
    paper: Image.Image,
    place: tuple[float, float],
    text: str,
    colour: tuple[int, int, int],
    size: int,
) -> None:
    """Write one line of text, drawn large and made small: small letters keep their spacing."""
    width, height = round(_text_width(text, size)) + size, 2 * size
    large = Image.new("L", (width * _SHARPER, height * _SHARPER), 0)
    ImageDraw.Draw(large).text((0, 0), text, 255, _font(size * _SHARPER))
    mask = large.resize((width, height), Image.Resampling.BOX)
    paper.paste(colour, (round(place[0]), round(place[1])), mask)


def _text_width(text: str, size: int) -> float:
    return _font(size * _SHARPER).getlength(text) / _SHARPER


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
