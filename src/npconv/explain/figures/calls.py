"""The two calls: figure draws one of SHOWS, animation lets the window slide."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from npconv import ProblemError

from . import field, gradients, matrix, moving, operation, products
from .board import LARGEST, SMALLEST, Style
from .case import make_case

SHOWS = ("operation", "receptive field", "patches", "products", "gradients")


def figure(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    show: str = "operation",
    at: Sequence[int] | None = None,
    image: int = 0,
    grad_out: ArrayLike | None = None,
    layers: Sequence[Any] = (),
    title: str = "",
    colours: str = "RdBu_r",
    values: bool | None = None,
    cell: float | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str | None = None,
    weight_layout: str | None = None,
    padding_mode: str = "zeros",
) -> Any:
    """Draw a convolution of your own arrays, every number of it computed by npconv.

    Parameters
    ----------
    x, weight, bias
        As in `conv`, of one or two spatial axes.  x may have 8 channels and 64 cells an axis with
        its padding.
    show : {"operation", "receptive field", "patches", "products", "gradients"}
        "operation": padded x, kernel and out beside each other, one window marked.
        "receptive field": the elements of x that one element reaches back to, through `layers` too.
        "patches": im2col; the patch matrix, and its product with the kernels.
        "products": one window, what each channel's products are, and their sum.
        "gradients": grad_out, and what it gives in x, weight and bias.
    at : sequence of int, optional
        The element of out that is marked: (channel, row, column), without the axes that x lacks;
        by default the middle of the first channel.  With `layers`, of the last layer's output.
    image : int
        Which one of the batch is shown.
    grad_out : array_like, optional
        What is poured into out for "gradients", of out's shape; ones by default.
    layers : sequence, optional
        Further layers for "receptive field", each (kernel_size, stride, dilation, padding) as far
        as needed, or a dict of these.
    title : str
    colours : str
        A Matplotlib colour map, diverging round 0.
    values : bool, optional
        Whether numbers are written in the cells; by default where they can be read.
    cell : float, optional
        Inches of a cell's side; by default as large as fits a page.
    stride, padding, dilation, groups, layout, weight_layout, padding_mode
        As in `conv`.

    Returns
    -------
    matplotlib.figure.Figure
        Without a window of its own: save it by ``savefig`` (PNG, PDF, SVG); a notebook shows it.

    Raises
    ------
    ProblemError
        Where the arguments are no convolution, something is unknown, or x is too large to draw (the
        message offers a crop); where Matplotlib is not installed.

    Notes
    -----
    The colours are told apart without red-green vision, and all cells of a figure are of one size.
    Each artist carries in its gid what it shows, as "x[0]" or "window of x[0]".

    Examples
    --------
    >>> import numpy as np, npconv
    >>> x, weight = np.arange(25).reshape(5, 5), [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    >>> drawn = npconv.explain.figure(x, weight, layout="HW", padding=1, at=(2, 4))
    >>> drawn.savefig("laplace.pdf")                                     # doctest: +SKIP
    """
    where = "explain.figure"
    if show not in SHOWS:
        near = difflib.get_close_matches(str(show), SHOWS, n=1)
        raise ProblemError(
            f"show {show!r} is not known.", rule=", ".join(SHOWS),
            fix=f"did you mean {near[0]!r}?" if near else "", where=where,
        )  # fmt: skip
    style = _style(where, colours, values, cell)
    _only_for(
        where,
        show,
        {
            "grad_out": (grad_out is not None, "gradients"),
            "layers": (len(layers) > 0, "receptive field"),
        },
    )
    geometry = _geometry(stride, padding, dilation, groups, layout, weight_layout, padding_mode)
    case = make_case(where, x, weight, bias, None if layers else at, image, geometry)
    if show == "receptive field":
        return field.draw(case, style, title, layers, at)
    if show == "gradients":
        return gradients.draw(case, style, title, grad_out)
    draws = {"operation": operation.draw, "patches": matrix.draw, "products": products.draw}
    return draws[show](case, style, title)


def animation(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    path: str | Path | None = None,
    *,
    channel: int = 0,
    image: int = 0,
    fps: float = 2.0,
    dpi: float = 110.0,
    title: str = "",
    colours: str = "RdBu_r",
    values: bool | None = None,
    cell: float | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str | None = None,
    weight_layout: str | None = None,
    padding_mode: str = "zeros",
) -> Any:
    """Let the window slide over x, one element of out a frame, and write that as a film.

    Parameters
    ----------
    x, weight, bias, image, title, colours, values, cell
        As in `figure`.
    path : str or Path, optional
        A file that ends in ".gif" (written by Pillow) or ".mp4" (by ffmpeg, where there is one).
        What stood there is replaced once the film is whole.
    channel : int
        The channel of out that is filled.
    fps : float
        Windows a second.
    dpi : float
        Dots an inch.
    stride, padding, dilation, groups, layout, weight_layout, padding_mode
        As in `conv`.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        In a notebook, ``IPython.display.HTML(film.to_jshtml())`` plays it.

    Raises
    ------
    ProblemError
        As in `figure`; where there are more than 400 windows; where the file's name ends otherwise,
        or nothing can write it.

    Examples
    --------
    >>> import numpy as np, npconv, pathlib, tempfile
    >>> x, weight = np.arange(9).reshape(3, 3), np.ones((2, 2), int)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "slide.gif"
    >>> film = npconv.explain.animation(x, weight, path=path, layout="HW", dpi=40)
    >>> path.read_bytes()[:6]
    b'GIF89a'
    """
    where = "explain.animation"
    style = _style(where, colours, values, cell)
    target = moving.check(where, path, fps, dpi)
    geometry = _geometry(stride, padding, dilation, groups, layout, weight_layout, padding_mode)
    case = make_case(where, x, weight, bias, None, image, geometry, channel)
    return moving.draw(case, style, title, moving.Film(target, float(fps), float(dpi)))


def _geometry(
    stride: Any, padding: Any, dilation: Any, groups: int, layout: str | None,
    weight_layout: str | None, padding_mode: str,
) -> dict[str, Any]:  # fmt: skip
    return {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "layout": layout,
        "weight_layout": weight_layout,
        "padding_mode": padding_mode,
    }


def _style(where: str, colours: str, values: bool | None, cell: float | None) -> Style:
    if cell is not None and not SMALLEST <= cell <= 2:
        raise ProblemError(
            f"cell is {cell} inches.", rule=f"from {SMALLEST} to 2; by default up to {LARGEST}",
            where=where,
        )  # fmt: skip
    return Style(colours, values, cell)


def _only_for(where: str, show: str, given: dict[str, tuple[bool, str]]) -> None:
    """Raise where something was given that this figure does not show."""
    for name, (is_given, belongs) in given.items():
        if is_given and show != belongs:
            raise ProblemError(
                f"{name} is shown by {belongs!r} alone, and show is {show!r}.",
                fix=f'show="{belongs}"', where=where,
            )  # fmt: skip
