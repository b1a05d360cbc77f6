"""`npconv filter`, `npconv gallery` and `npconv kernels`."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from npconv import ProblemError, images
from npconv.cli.batch import Job, make_folders, plan_jobs
from npconv.cli.tables import kernel_details, kernels_table

_BorderOption = Annotated[images.Border, typer.Option(help="What lies outside the image.")]
_FirstFrameOption = Annotated[
    bool, typer.Option("--first-frame", help="Take an animation's or document's first picture.")
]
_OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are there.")
]
_MaxPixelsOption = Annotated[
    int, typer.Option(min=1, help="Refuse larger images before decoding them.")
]


def filter_photos(
    items: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE... KERNEL",
            help="Images or folders, then a kernel's name such as sharpen or gaussian:sigma=3 "
            "(see npconv kernels). '-' is standard input.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="The result's file, or with several images their folder; '-' is standard "
            "output. Otherwise photo.jpg gives photo.sharpen.jpg, photos/ gives photos.sharpen/.",
            show_default=False,
        ),
    ] = None,
    kernel: Annotated[
        str | None,
        typer.Option(
            "-k",
            "--kernel",
            help='The kernel itself instead of a name: "0 -1 0; -1 5 -1; 0 -1 0"; '
            "fractions such as 1/9 are welcome.",
            show_default=False,
        ),
    ] = None,
    border: _BorderOption = "symmetric",
    signed: Annotated[
        images.Signed | None,
        typer.Option(
            help="Results below zero: cut off, made positive, or lifted to mid-grey. "
            "By default as the kernel has it.",
            show_default=False,
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("-r", "--recursive", help="Look into folders' subfolders.")
    ] = False,
    background: Annotated[
        str | None,
        typer.Option(
            help="Colour for transparent pixels where the result's format has none.",
            show_default=False,
        ),
    ] = None,
    overwrite: _OverwriteOption = False,
    first_frame: _FirstFrameOption = False,
    max_pixels: _MaxPixelsOption = images.MAX_PIXELS,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say only what went wrong.")] = False,
) -> None:
    """Lay a kernel over photographs."""
    sources, chosen = _sources_and_kernel(items, kernel)

    def run(source: Any, target: Any) -> str:
        if isinstance(target, Path):
            images.check_target(target, overwrite=overwrite)
        photo = images.load(source, first_frame=first_frame, max_pixels=max_pixels)
        result = images.apply(photo.pixels, chosen, border=border, signed=signed)
        images.write(
            target,
            result,
            format=None if isinstance(target, Path) else _ending(photo.format),
            overwrite=overwrite,
            background=background,
            icc_profile=photo.icc_profile,
            dpi=photo.dpi,
        )
        return _described(result)

    if "-" in sources or str(out) == "-":
        _filter_stream(sources, out, run)
        return
    jobs = plan_jobs([Path(source) for source in sources], out, _label(chosen), recursive)
    make_folders(jobs)
    failed = _run_all(jobs, run, quiet)
    if failed:
        raise typer.Exit(1)


def make_gallery(
    photo: Annotated[Path, typer.Argument(metavar="IMAGE", help="The photograph.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="The picture; by default photo.gallery.png.", show_default=False
        ),
    ] = None,
    kernels: Annotated[
        list[str] | None,
        typer.Option(
            "-k",
            "--kernel",
            help="Show only this kernel; may be given again.",
            show_default=False,
        ),
    ] = None,
    width: Annotated[int, typer.Option(help="The picture's width in pixels.")] = 1800,
    colours: Annotated[
        int | None,
        typer.Option(
            min=2, max=256, help="Keep so many colours: a far smaller PNG.", show_default=False
        ),
    ] = None,
    border: _BorderOption = "symmetric",
    overwrite: _OverwriteOption = False,
    first_frame: _FirstFrameOption = False,
    max_pixels: _MaxPixelsOption = images.MAX_PIXELS,
) -> None:
    """Draw one picture of a photograph under every kernel."""
    chosen = [_known_kernel(name) for name in kernels] if kernels else None
    target = out or photo.with_name(f"{photo.stem}.gallery.png")
    images.check_target(target, overwrite=overwrite)
    pixels = images.read(photo, first_frame=first_frame, max_pixels=max_pixels)
    picture = images.gallery(pixels, chosen, width=width, title=photo.name, border=border)
    images.write(target, picture, overwrite=overwrite, colours=colours)
    typer.echo(f"{target}  {_described(picture)}")


def list_kernels(
    name: Annotated[
        str | None,
        typer.Argument(help="One kernel, to see all its numbers.", show_default=False),
    ] = None,
) -> None:
    """List the kernels: their numbers, and what each is for."""
    from rich.console import Console

    if name is None:
        Console().print(kernels_table(images.kernels()))
        typer.echo(
            "Settings follow a colon: gaussian:sigma=3, or just gaussian:3; unsharp:2,amount=1.5.\n"
            'Your own numbers: npconv filter photo.jpg --kernel "0 -1 0; -1 5 -1; 0 -1 0"'
        )
    else:
        typer.echo(kernel_details(_known_kernel(name)))


def _sources_and_kernel(items: list[str], typed: str | None) -> tuple[list[str], images.Kernel]:
    if typed is not None:
        return items, _known_kernel(typed)
    *sources, name = items
    if not sources:
        if Path(name).exists() or name == "-":
            raise typer.BadParameter(f"no kernel is named: write npconv filter {name} sharpen")
        raise typer.BadParameter(f"no image is named: write npconv filter photo.jpg {name}")
    if Path(name).exists() and not Path(items[0]).exists():
        raise typer.BadParameter(
            f"the kernel's name goes last: write npconv filter {' '.join(items[1:])} {items[0]}"
        )
    return sources, _known_kernel(name)


def _known_kernel(name: str) -> images.Kernel:
    try:
        return images.kernel(name)
    except ProblemError as error:
        raise typer.BadParameter(str(error).removeprefix("images: ")) from None


def _label(kernel: images.Kernel) -> str:
    name = kernel.name.partition(":")[0]
    return "filtered" if name == "typed" else name


def _described(pixels: Any) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}, {pixels.dtype}"


def _ending(format_name: str) -> str:
    endings = (ending for ending, known in images.FORMATS.items() if known.name == format_name)
    return next(endings, ".png")


def _filter_stream(sources: list[str], out: Path | None, run: Callable[[Any, Any], str]) -> None:
    if len(sources) > 1:
        raise typer.BadParameter("'-' stands alone: one image at a time.")
    source: Any = Path(sources[0])
    if sources[0] == "-":
        source = io.BytesIO(sys.stdin.buffer.read())
        source.name = "standard input"
    if out is not None and str(out) != "-":
        run(source, out)
        return
    buffer = io.BytesIO()
    run(source, buffer)
    sys.stdout.buffer.write(buffer.getvalue())
    sys.stdout.buffer.flush()


def _run_all(jobs: list[Job], run: Callable[[Path, Path], str], quiet: bool) -> int:
    """Run every job, saying a line for each; return how many failed."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console, complaints = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
    failed = 0
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    hidden = quiet or len(jobs) < 2 or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        task = progress.add_task("", total=len(jobs))
        for job in jobs:
            progress.update(task, description=job.source.name)
            start = time.perf_counter()
            try:
                told = run(job.source, job.target)
            except (ProblemError, OSError, MemoryError) as error:
                failed += 1
                message = str(error).removeprefix("images: ") or type(error).__name__
                complaints.print("failed:", style="red", end=" ", highlight=False)
                complaints.print(message, markup=False, highlight=False)
            else:
                if not quiet:
                    seconds = time.perf_counter() - start
                    line = f"{job.source} -> {job.target}  {told}, {seconds:.2f} s"
                    console.print(line, markup=False, highlight=False)
            progress.advance(task)
    if len(jobs) > 1 and not quiet:
        console.print(f"{len(jobs) - failed} written, {failed} failed", highlight=False)
    return failed
