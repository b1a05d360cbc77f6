"""`npconv bench signals`: npconv's signal functions beside SciPy's and NumPy's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import signals as bench
from .options import README, check_writable, save, told
from .report import check_marked, rewrite_marked
from .signals_text import markdown, text

MARKER = "bench:signals"


def signals(
    only: Annotated[
        str, typer.Option(help="Just the cases whose function, arrays or group hold this text.")
    ] = "",
    readme: Annotated[
        bool, typer.Option(help="Write the table into README.md of the current folder.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every sample to this file.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Fewer rounds: a rough answer sooner.")] = False,
) -> None:
    """Time convolutions of lines, planes and volumes beside scipy.signal and numpy.convolve."""
    check_writable(json_file)
    if readme:
        with told():
            check_marked(README, MARKER)
    cases = [c for c in bench.CASES if only in f"{c.group} {c.function} {c.name} {c.dtype}"]
    if not cases:
        raise typer.BadParameter(f"no case holds {only!r}.", param_hint="--only")
    result = bench.measure(cases, rounds=3 if quick else 11)
    typer.echo(text(result))
    save(json_file, result)
    if readme:
        with told():
            rewrite_marked(README, MARKER, markdown(result))
        typer.echo(f"The table is in {README}.")
