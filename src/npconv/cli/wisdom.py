"""`npconv wisdom`: what was measured and is remembered, or to forget it."""

from __future__ import annotations

from typing import Annotated

import typer

from npconv import wisdom


def show_wisdom(
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget it all, and remove the file.")
    ] = False,
) -> None:
    """Show what plan --measure has left for later plans: where it is kept, and how much."""
    place = wisdom.path()
    if forget:
        wisdom.forget()
        typer.echo("forgotten: plans are estimated again")
    known = wisdom.entries()
    there = "" if place is None or place.exists() else " (not there yet)"
    typer.echo(f"file     {f'{place}{there}' if place else 'none: every process for itself'}")
    typer.echo(f"entries  {len(known)} for this machine and these versions")
    if known:
        typer.echo(f"latest   {known[0].when}: {known[0].algorithm} for {known[0].problem}")
