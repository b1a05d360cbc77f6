"""The commands `npconv bench pooling` and `npconv bench training`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from npconv import ProblemError

from . import pooling as pooling_bench
from . import training as training_bench
from .options import check_writable, save, told
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


def training(
    network: Annotated[
        list[str] | None,
        typer.Option(help="Just those whose names hold this text; may be given again."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every sample to this file.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Fewer rounds: a rough answer sooner.")] = False,
) -> None:
    """Time training steps of whole networks beside PyTorch, each in a process of its own."""
    check_writable(json_file)
    cases = [
        case
        for case in training_bench.CASES
        if not network or any(text in case.network for text in network)
    ]
    with told():
        if not cases:
            known = ", ".join(case.network for case in training_bench.CASES)
            raise ProblemError(f"training: no network's name holds {network}.", rule=known)
    result = training_bench.measure(cases, rounds=3 if quick else 11)
    typer.echo(training_bench.text(result))
    save(json_file, result)
