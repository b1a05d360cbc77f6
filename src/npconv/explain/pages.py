"""The explain page: one self-contained HTML file about one convolution."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import npconv
from npconv import ProblemError, UnsupportedError
from npconv.explain import asked as asking
from npconv.explain.assembling import assemble
from npconv.explain.classics import classics
from npconv.explain.given import given
from npconv.explain.pictures import photo_data
from npconv.explain.sources import Source, draw_x, lay_kernels, read_weight, read_x
from npconv.replacing import check_free, replacing

_TITLE = "A convolution, cell by cell"
_SHOWN = ("x", "weight", "out")


def page(
    x: ArrayLike | str | os.PathLike[str] | None = None,
    weight: Any = None,
    bias: ArrayLike | None = None,
    *,
    grad_out: ArrayLike | None = None,
    stride: Any = 1,
    padding: Any = None,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str | None = None,
    weight_layout: str | None = None,
    padding_mode: str = "zeros",
    transposed: bool = False,
    size: Sequence[int] | None = None,
    crop: Sequence[int] | None = None,
    batch: int = 1,
    photo: Any = None,
    title: str | None = None,
) -> str:
    """Return an HTML page that shows a convolution, cell by cell, to look at and to change.

    The page needs no network and no other file.  It holds the arrays, npconv's result and both
    gradients, what every algorithm does and spends, and a photo to lay kernels over.

    Parameters
    ----------
    x : array_like or path, optional
        Real and finite, at most 24 x 24 cells in 8 channels and 8 images; its axes are N, C, H and
        W, or N, C and W.  Or a file: an image, .npy or .npz; of a larger image the liveliest piece
        is shown, and the whole as the photo.  By default a picture of whole numbers in 3 channels.
    weight : array_like, kernel, or list of kernels, optional
        A weight as `npconv.conv` takes it.  Or kernels for every channel alike, an output each:
        names that `npconv.images.kernel` knows, numbers such as ``"1 0 -1; 2 0 -2; 1 0 -1"``, or
        .npy files.  By default an edge and a blur of 3 x 3.
    bias : array_like, optional
        Shape (O,), or a single number.
    grad_out : array_like, optional
        The gradient poured into out, (N, O, OH, OW); by default small whole numbers.
    padding : int, sequence, or str, optional
        As in `npconv.conv`; by default 0, and beside kernels half their extent: at stride 1 that
        keeps x's size.
    stride, output_padding, dilation, groups, layout, weight_layout, padding_mode
        As in `npconv.conv` and `npconv.conv_transpose`.  An image file is "HWC", or "HW".
    transposed : bool
        Show the transposed convolution.
    size : (rows, columns), optional
        Of the picture that is drawn, or of the liveliest piece of x that is taken.
    crop : (row, column, height, width), optional
        Take this piece of x alone.
    batch : int
        Images of the picture that is drawn.
    photo : path or array_like, optional
        For the photo panel, shown with at most 512 pixels a side: a file, or pixels as
        `npconv.images.read` gives them.
    title : str, optional
        The page's title.

    Returns
    -------
    str
        The HTML: less than 1 MB, and what the photo takes.

    Raises
    ------
    ProblemError
        Where shapes or geometry do not fit, where numbers are complex or not finite, or where there
        is more than can be drawn: then it names a crop.
    OSError
        Where a file cannot be read.

    Notes
    -----
    Everything in it is computed by npconv, in float64 from the numbers as they are written (9
    significant digits); costs are those of float32 arrays.  The page computes on by the definition
    when something is changed there, and holds that to npconv's numbers once, when it opens.
    For a picture in a paper see `npconv.explain.figure`.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import explain
    >>> html = explain.page(np.eye(6), [[1, 0], [0, 1]], layout="HW", title="A diagonal")
    >>> html.startswith("<!doctype html>"), "A diagonal" in html, len(html) < 1_000_000
    (True, True, True)
    >>> html = explain.page(weight=["sobel", "gaussian:sigma=1"], stride=2)
    """
    return _made(
        x, weight, bias, grad_out=grad_out, stride=stride, padding=padding,
        output_padding=output_padding, dilation=dilation, groups=groups, layout=layout,
        weight_layout=weight_layout, padding_mode=padding_mode, transposed=transposed, size=size,
        crop=crop, batch=batch, photo=photo, title=title,
    )[0]  # fmt: skip


def write_page(
    path: str | os.PathLike[str], *args: Any, overwrite: bool = False, **keywords: Any
) -> str:
    """Write `page` of these arguments to a file, whole or not at all; say in a line what it shows.

    It is written under a temporary name in the same folder and moved into place.

    Parameters
    ----------
    path : path
    overwrite : bool
        Replace a file that is there, keeping its permissions.
    *args, **keywords
        Those of `page`.

    Returns
    -------
    str
        What the page shows: x, the crop that was taken, and the shapes.

    Raises
    ------
    FileExistsError
        Where the file is there already; nothing is computed then.
    OSError
        Where it cannot be written.
    ProblemError
        As `page` does.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from npconv import explain
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "page.html"
    >>> explain.write_page(file, stride=2)
    'a drawn picture: x 1x3x8x8, weight 2x3x3x3, out 1x2x4x4'
    >>> file.read_text(encoding="utf-8")[:15]
    '<!doctype html>'
    """
    check_free(Path(path), overwrite)
    text, words = _made(*args, **keywords)
    with replacing(Path(path), overwrite) as stream:
        stream.write(text.encode("utf-8"))
    return words


def _made(
    x: Any = None,
    weight: Any = None,
    bias: Any = None,
    *,
    grad_out: Any = None,
    padding: Any = None,
    groups: Any = 1,
    layout: str | None = None,
    weight_layout: str | None = None,
    transposed: bool = False,
    size: Sequence[int] | None = None,
    crop: Sequence[int] | None = None,
    batch: int = 1,
    photo: Any = None,
    title: str | None = None,
    stride: Any = 1,
    output_padding: Any = 0,
    dilation: Any = 1,
    padding_mode: str = "zeros",
) -> tuple[str, str]:
    """Return the page, and in a line what it shows."""
    try:
        groups = _count(groups, "groups")
        source, held = read_x(x, layout, size, crop), read_weight(weight, weight_layout)
        array, layout = source.x, source.layout
        if array is None:
            channels = held.channels(groups, transposed)
            array = draw_x(layout, size, _count(batch, "batch"), channels)
        numbers, letters = held.array, held.layout
        if numbers is None:
            numbers, letters = lay_kernels(held.kernels, array, layout, groups, transposed)
        if padding is None:
            padding = 0 if held.array is not None else _half(numbers, letters, dilation)
        asked = asking.read(
            array, numbers, bias, stride=stride, padding=padding, output_padding=output_padding,
            dilation=dilation, groups=groups, layout=layout, weight_layout=letters,
            padding_mode=padding_mode, transposed=transposed,
        )  # fmt: skip
        data = given(asked, None if grad_out is None else np.asarray(grad_out, np.float64))
        shown = title or _TITLE
        words = {"title": shown, "shown": source.words}
        pictured = {"photo": _photo(photo, source), "kernels": classics()}
        html = assemble({**data, **words, **pictured}, shown)
        sizes = (f"{name} {'x'.join(map(str, data[name]['shape']))}" for name in _SHOWN)
        return html, f"{source.words}: {', '.join(sizes)}"
    except (ProblemError, UnsupportedError) as error:
        raise error.at("explain", error.facts) from None


def _count(value: Any, name: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise ProblemError(f"{name} is {value!r}, not an integer.") from None
    if number < 1:
        raise ProblemError(f"{name} is {number}, and must be at least 1.")
    return number


def _half(weight: np.ndarray, letters: str | None, dilation: Any) -> list[int]:
    """Return the padding that centres a kernel of odd size, an axis."""
    sizes = [n for n, letter in zip(weight.shape, letters or "", strict=False) if letter in "HW"]
    steps = dilation if isinstance(dilation, (list, tuple)) else [dilation] * len(sizes)
    return [_count(d, "dilation") * (k - 1) // 2 for d, k in zip(steps, sizes, strict=False)]


def _photo(photo: Any, source: Source) -> dict[str, Any] | None:
    """Return the photo for the page: the one given, or what x is a crop of; None without any."""
    if isinstance(photo, (str, os.PathLike)):
        return photo_data(npconv.images.read(photo), Path(photo).name)
    if photo is not None:
        return photo_data(np.asarray(photo))
    if source.photo is None:
        return None
    crop = None if source.crop is None else list(source.crop)
    return {**photo_data(source.photo, source.name), "crop": crop}
