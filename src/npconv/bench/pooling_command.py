"""The command `npconv bench pooling`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import pooling as pooling_bench
from .options import check_writable, save
from .pooling_text import text


def pooling(
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every sample to this file.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Fewer rounds: a rough answer sooner.")] = False,
) -> None:
    """Time pooling, unfold and fold beside PyTorch, each in a process of its own."""
    check_writable(json_file)
    result = pooling_bench.measure(rounds=3 if quick else 11)
    typer.echo(text(result))
    save(json_file, result)
