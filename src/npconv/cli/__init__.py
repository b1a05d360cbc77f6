"""The command `npconv`: photographs, plans and facts, from a terminal."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from npconv import ProblemError, UnsupportedError, __version__
from npconv.bench import app as bench_app
from npconv.cli import learning
from npconv.cli.explain import explain
from npconv.cli.photos import filter_photos, list_kernels, make_gallery
from npconv.cli.plans import show_info, show_plan
from npconv.cli.warmup import warm_up
from npconv.cli.wisdom import show_wisdom


class _Readable(TyperGroup):
    """Turns the errors a person can cause into one message and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (ProblemError, UnsupportedError, OSError, MemoryError) as error:
            typer.secho("error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
            typer.echo(str(error) or type(error).__name__, err=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Readable,
    help="Convolution for NumPy arrays and photographs.",
    epilog="npconv filter photo.jpg sharpen      npconv gallery photo.jpg",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
app.command("filter")(filter_photos)
app.command("gallery")(make_gallery)
app.command("kernels")(list_kernels)
app.command("explain")(explain)
app.command("plan")(show_plan)
app.command("info")(show_info)
app.command("warmup")(warm_up)
app.command("wisdom")(show_wisdom)
for _command in (
    learning.train, learning.evaluate, learning.predict, learning.look, learning.summary,
):  # fmt: skip
    app.command(_command.__name__)(_command)
app.add_typer(bench_app, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"npconv {__version__}")
        raise typer.Exit()


@app.callback()
def _top(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say which npconv."),
    ] = False,
) -> None:
    """Convolution for NumPy arrays and photographs."""


def main() -> None:
    """Run the command line."""
    app(prog_name="npconv")
