"""`npconv explain`: one convolution as a page to look at."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Literal

import typer

from npconv.cli.spelling import read_axes, read_integers, read_padding

PaddingMode = Literal["zeros", "edge", "reflect", "symmetric", "wrap"]


def explain(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="IMAGE_OR_ARRAY",
            help="An image, .npy or .npz; by default a small picture is drawn. Of a large image "
            "the liveliest cells are taken, and the whole for the kernels to be tried on.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="The page; by default photo.explain.html beside photo.jpg, or explain.html.",
            show_default=False,
        ),
    ] = None,
    kernel: Annotated[
        list[str] | None,
        typer.Option(
            "-k",
            "--kernel",
            help='A name (see npconv kernels), numbers as in "1 0 -1; 2 0 -2; 1 0 -1", or an '
            ".npy file; may be given again, an output each. By default an edge and a blur.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Cells to show, rows x columns; by default 8x8.",
            show_default=False,
        ),
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option(
            metavar="ROW,COLUMN,HEIGHT,WIDTH", help="Show this piece alone.", show_default=False
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images of the picture drawn.")] = 1,
    stride: Annotated[str, typer.Option(help="2, or one an axis: 2,1.")] = "1",
    padding: Annotated[
        str | None,
        typer.Option(
            help="1, or one an axis: 1,0, or before:after an axis: 1:2,0:0, or valid, same, "
            "same_lower, full; negative numbers crop. By default half the kernel.",
            show_default=False,
        ),
    ] = None,
    padding_mode: Annotated[PaddingMode, typer.Option()] = "zeros",
    dilation: Annotated[str, typer.Option(help="2, or one an axis: 2,1.")] = "1",
    groups: Annotated[int, typer.Option(min=1, help="Splits the channels.")] = 1,
    layout: Annotated[
        str | None,
        typer.Option(help="The array's axes: NCHW, HWC, HW, NCW ...", show_default=False),
    ] = None,
    transposed: Annotated[
        bool, typer.Option("--transposed", help="Show the transposed convolution.")
    ] = False,
    output_padding: Annotated[str, typer.Option(help="Of a transposed one: 1, or 1,0.")] = "0",
    photo: Annotated[
        Path | None,
        typer.Option(help="An image to try kernels on; by default IMAGE.", show_default=False),
    ] = None,
    title: Annotated[str | None, typer.Option(show_default=False)] = None,
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
) -> None:
    """Explain a convolution: a page that shows every cell, every algorithm and both gradients."""
    from npconv.explain import write_page

    words = write_page(
        target := out or _beside(source),
        source,
        kernel or None,
        overwrite=overwrite,
        size=None if size is None else read_integers(size, "x", "a size", "12x12"),
        crop=None if crop is None else read_integers(crop, ",", "a crop", "96,120,12,12"),
        batch=batch,
        stride=read_axes(stride, "stride"),
        padding=None if padding is None else read_padding(padding),
        padding_mode=padding_mode,
        dilation=read_axes(dilation, "dilation"),
        groups=groups,
        layout=layout,
        transposed=transposed,
        output_padding=read_axes(output_padding, "output_padding"),
        photo=photo,
        title=title,
    )
    typer.echo(f"{target}  {words}")
    if show and not _open(target):
        typer.echo("No browser was found: open the file in one.")


def _beside(source: Path | None) -> Path:
    if source is None:
        return Path("explain.html")
    return source.with_name(f"{source.stem}.explain.html")


def _open(target: Path) -> bool:
    """Open a file in the browser; not in one that takes the terminal, where there is no screen."""
    screen = any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))
    if sys.platform.startswith("linux") and not screen:
        return False
    return webbrowser.open(target.resolve().as_uri())
