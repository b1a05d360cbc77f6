"""The subcommands of `npconv bench`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from . import images as images_bench
from . import regret as regret_bench
from .images_text import markdown as images_markdown
from .images_text import text as images_text
from .layer_commands import goals, layers, show
from .options import (
    README,
    Direction,
    Effort,
    MemoryOrder,
    Network,
    PixelDtype,
    Precision,
    Size,
    check_writable,
    save,
    tables,
    told,
)
from .pooling_command import pooling, training
from .regret_text import text as regret_text
from .report import check_marked, rewrite_marked
from .signal_commands import signals

app = typer.Typer(help="Measure npconv on this machine.", add_completion=False)
app.command()(layers)
app.command()(goals)
app.command()(show)
app.command()(pooling)
app.command()(training)
app.command()(signals)
MARKER = "bench:images"
_WISDOM = "NPCONV_WISDOM"


@app.callback(invoke_without_command=True)
def overview(context: typer.Context) -> None:
    """Measure npconv on this machine. Every number comes with threads, versions and CPU."""
    context.with_resource(_without_wisdom())
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@contextmanager
def _without_wisdom() -> Iterator[None]:
    """Have this process, and those it starts, neither take nor keep what was measured before."""
    before = os.environ.get(_WISDOM)
    os.environ[_WISDOM] = "off"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_WISDOM]
        else:
            os.environ[_WISDOM] = before


@app.command()
def regret(
    network: Annotated[Network, typer.Option(help="Whose layers to time.")] = Network.all,
    direction: Annotated[
        Direction, typer.Option(help="The convolution, or one of its gradients.")
    ] = Direction.forward,
    precision: Annotated[Precision, typer.Option(help="What conv may use.")] = Precision.strict,
    memory_order: Annotated[
        MemoryOrder, typer.Option(help="How the arrays lie in memory.")
    ] = MemoryOrder.channels_first,
    effort: Annotated[Effort, typer.Option(help="How the planner chooses.")] = Effort.estimate,
    far: Annotated[
        float, typer.Option(min=1.0, help="Skip what is estimated this many times the best.")
    ] = 20.0,
    quick: Annotated[bool, typer.Option(help="Fewer rounds: a rough answer sooner.")] = False,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", "--save", help="Write every sample and estimate to this file."),
    ] = None,
) -> None:
    """Show how far the planner's choice is from the best algorithm, layer by layer."""
    check_writable(json_file)
    settings = regret_bench.Settings(
        direction=direction.value,
        precision=precision.value,
        memory_order=memory_order.value,
        effort=effort.value,
        far=far,
        rounds=5 if quick else 11,
        seconds_per_layer=1.0 if quick else 4.0,
    )
    result = regret_bench.measure(tables([network]), settings)
    typer.echo(regret_text(result))
    save(json_file, result)
    if result.unmeasured:
        raise typer.Exit(130)
    if result.failures:
        raise typer.Exit(1)


@app.command()
def images(
    size: Annotated[Size, typer.Option(help="How large the image is.")] = Size.full_hd,
    dtype: Annotated[PixelDtype, typer.Option(help="What its pixels are.")] = PixelDtype.float32,
    colour: Annotated[bool, typer.Option(help="Three channels side by side, not one.")] = False,
    readme: Annotated[
        bool, typer.Option(help="Write the table into README.md of the current folder.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every sample to this file.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Fewer rounds: a rough answer sooner.")] = False,
) -> None:
    """Time filters on an image beside OpenCV, SciPy and scikit-image, each in its own process."""
    check_writable(json_file)
    if readme:
        with told():
            check_marked(README, MARKER)
    result = images_bench.measure(
        size=images_bench.SIZES[size.value],
        pixels=images_bench.Pixels(dtype.value, 3 if colour else 1),
        rounds=3 if quick else 11,
    )
    typer.echo(images_text(result))
    save(json_file, result)
    if readme:
        with told():
            rewrite_marked(README, MARKER, images_markdown(result))
        typer.echo(f"The table is in {README}.")
