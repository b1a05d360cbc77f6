"""What the subcommands of `npconv bench` share: choices, files, messages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import typer

from npconv import ProblemError

from .layers import NETWORKS, Layer
from .peers import OWN, Contender
from .report import write_json

README = Path("README.md")


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


class Size(StrEnum):
    """Sizes of images."""

    full_hd = "1080p"
    ultra_hd = "4k"


class PixelDtype(StrEnum):
    """What pixels are."""

    float32 = "float32"
    uint8 = "uint8"
    uint16 = "uint16"


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


def beside(contenders: Mapping[str, Contender], peers: Sequence[str]) -> dict[str, Contender]:
    """Pick npconv's own contenders, and of the others those whose names begin as asked, or all."""
    picked = {
        name: each
        for name, each in contenders.items()
        if not peers or each.package == "npconv" or name.startswith(tuple(peers))
    }
    for peer in peers:
        if not any(name.startswith(peer) for name in picked if name not in OWN):
            names = ", ".join(name for name, each in contenders.items() if each.package != "npconv")
            raise ProblemError(
                f"peer: no contender's name begins with {peer!r}.\n  known    {names}"
            )
    return picked


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
