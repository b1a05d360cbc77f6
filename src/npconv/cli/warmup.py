"""`npconv warmup`: compile the kernels now, so that no call waits for them later."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from npconv import UnsupportedError
from npconv.compiler import kept, missing, remove_old, usable, warmup


def warm_up(
    clear: Annotated[
        bool,
        typer.Option("--clear", help="First remove the kernels of other versions and other CPUs."),
    ] = False,
) -> None:
    """Compile the kernels for this machine and keep them for every later process."""
    if not usable():
        raise UnsupportedError(
            f"{missing()}; nothing can be compiled.",
            fix="pip install numba, or leave it: npconv works without, more slowly",
        )
    if clear:
        for old in remove_old():
            typer.echo(f"removed   {old}")
    began = time.perf_counter()
    done = warmup()
    seconds = time.perf_counter() - began
    for module in done:
        typer.echo(
            f"{module.module:<10}compiled {module.compiled}, loaded {module.loaded}"
            f", {module.seconds:.2f} s"
        )
    typer.echo(f"together  {seconds:.2f} s")
    place, files = kept()
    if place is None:
        typer.echo("cache     off: every process compiles for itself")
    else:
        size = sum(path.stat().st_size for path in files) / 1e6
        typer.echo(f"cache     {place} ({len(files)} files, {size:.1f} MB)")
