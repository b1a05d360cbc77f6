"""The subcommands of `npconv bench`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from npconv import ProblemError

from . import images as images_bench
from . import networks as networks_bench
from . import plots
from . import regret as regret_bench
from .images_text import markdown as images_markdown
from .images_text import text as images_text
from .layers import NETWORKS, Layer
from .networks_text import markdown as networks_markdown
from .networks_text import text as networks_text
from .regret_text import text as regret_text
from .report import check_marked, rewrite_marked, write_json

app = typer.Typer(help="Measure npconv on this machine.", add_completion=False)
README = Path("README.md")
MARKER = "bench:images"
LAYERS_MARKER = "bench:layers"


@contextmanager
def told() -> Iterator[None]:
    """Turn a bad README or file into one message and exit status 1."""
    try:
        yield
    except (ProblemError, OSError) as error:
        typer.echo(f"npconv bench: {error}", err=True)
        raise typer.Exit(1) from None


def check_writable(path: Path | None) -> None:
    """Refuse a file that could not be written, before minutes are spent on measuring."""
    if path is not None and not os.access(path.resolve().parent, os.W_OK):
        typer.echo(f"npconv bench: no file can be written in {path.resolve().parent}", err=True)
        raise typer.Exit(1)


def save(path: Path | None, result: object) -> None:
    """Write the raw numbers if a file was named."""
    if path is not None:
        with told():
            write_json(path, result)
        typer.echo(f"Every sample is in {path}.")


class Network(StrEnum):
    """The layer tables, and all of them."""

    alexnet = "alexnet"
    vgg16 = "vgg16"
    googlenet = "googlenet"
    resnet50 = "resnet50"
    mobilenetv2 = "mobilenetv2"
    unet = "unet"
    audio = "audio"
    volumes = "volumes"
    images = "images"
    all = "all"


def tables(networks: list[Network], only: str = "") -> dict[str, tuple[Layer, ...]]:
    """Give the layers of the networks asked for, those alone whose names hold `only`."""
    names = list(NETWORKS) if Network.all in networks else [each.value for each in networks]
    return {
        name: layers
        for name in names
        if (layers := tuple(layer for layer in NETWORKS[name] if only in layer.name))
    }


class Direction(StrEnum):
    """What `npconv.plan` takes as direction."""

    forward = "forward"
    input_grad = "input_grad"
    weight_grad = "weight_grad"


class Precision(StrEnum):
    """What `npconv.conv` takes as precision."""

    strict = "strict"
    fast = "fast"


class MemoryOrder(StrEnum):
    """Whether the channels axis of the arrays comes before the spatial axes or last."""

    channels_first = "channels_first"
    channels_last = "channels_last"


class Effort(StrEnum):
    """What `npconv.plan` takes as effort."""

    estimate = "estimate"
    measure = "measure"


@app.callback(invoke_without_command=True)
def overview(context: typer.Context) -> None:
    """Measure npconv on this machine. Every number comes with threads, versions and CPU."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


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
    readme: Annotated[
        bool, typer.Option(help="Write the table into README.md of the current folder.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every sample to this file.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Fewer rounds: a rough answer sooner.")] = False,
) -> None:
    """Time filters on a 1080p image beside SciPy and scikit-image, each in a process of its own."""
    check_writable(json_file)
    if readme:
        with told():
            check_marked(README, MARKER)
    result = images_bench.measure(rounds=3 if quick else 11)
    typer.echo(images_text(result))
    save(json_file, result)
    if readme:
        with told():
            rewrite_marked(README, MARKER, images_markdown(result))
        typer.echo(f"The table is in {README}.")


@app.command()
def layers(
    network: Annotated[
        list[Network] | None, typer.Option(help="Whose layers; may be given again. All without it.")
    ] = None,
    only: Annotated[str, typer.Option(help="Just the layers whose names hold this text.")] = "",
    direction: Annotated[
        Direction, typer.Option(help="The convolution, or one of its gradients.")
    ] = Direction.forward,
    precision: Annotated[Precision, typer.Option(help="What npconv may use.")] = Precision.strict,
    effort: Annotated[Effort, typer.Option(help="How npconv's planner chooses.")] = Effort.estimate,
    batch: Annotated[int, typer.Option(min=1, help="Images, sounds or clips at once.")] = 1,
    quick: Annotated[bool, typer.Option(help="Fewer rounds: a rough answer sooner.")] = False,
    readme: Annotated[
        bool, typer.Option(help="Write the totals into README.md of the current folder.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every sample to this file.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the totals in this file: PNG, SVG or PDF.")
    ] = None,
) -> None:
    """Time the layers of networks beside the libraries installed, each in a process of its own.

    Looked for: PyTorch, ONNX Runtime (with onnx), OpenVINO, ncnn, OpenCV, SciPy and JAX. Ctrl-C
    ends the run and shows what was measured.
    """
    check_writable(json_file)
    check_writable(picture)
    chosen = tables(network or [Network.all], only)
    with told():
        if not chosen:
            raise ProblemError(f"layers: no layer's name holds {only!r}.")
        if readme:
            check_marked(README, LAYERS_MARKER)
        if picture is not None:
            plots.check(picture)
    settings = networks_bench.Settings(
        direction=direction.value,
        precision=precision.value,
        effort=effort.value,
        batch=batch,
        rounds=3 if quick else 11,
        seconds_per_layer=2.0 if quick else 10.0,
    )
    result = networks_bench.measure(chosen, settings)
    typer.echo(networks_text(result))
    save(json_file, result)
    if picture is not None and result.totals:
        with told():
            plots.picture(picture, result)
        typer.echo(f"The picture is in {picture}.")
    if result.unmeasured:
        raise typer.Exit(130)
    if readme:
        with told():
            rewrite_marked(README, LAYERS_MARKER, networks_markdown(result))
        typer.echo(f"The table is in {README}.")
