"""Which files a command reads, and where each result goes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import typer

from npconv import ProblemError
from npconv.images import FORMATS

# What a folder is searched for; a file that is named is tried whatever its ending.
_IMAGE_ENDINGS = frozenset(FORMATS) | frozenset(
    [".jpe", ".jfif", ".jp2", ".avif", ".tga", ".ico", ".psd", ".mpo", ".apng"]
)


@dataclass(frozen=True)
class Job:
    """One image to read, and where to write what becomes of it."""

    source: Path
    target: Path


def plan_jobs(sources: list[Path], out: Path | None, label: str, recursive: bool) -> list[Job]:
    """Return a job for each image, or explain why the names do not add up.

    Without `out` a file's result stands beside it with `label` in its name, and a folder's
    results stand in a folder beside it, named likewise. With several images `out` is a folder.
    """
    jobs: list[Job] = []
    several = len(sources) > 1 or any(source.is_dir() for source in sources)
    for source in sources:
        if source.is_dir():
            named = source if source.name not in ("", "..") else source.resolve()
            into = out or named.with_name(f"{named.name}.{label}")
            found = [path for path in _images_in(source, recursive) if into not in path.parents]
            jobs += [Job(path, _writable(into / path.relative_to(source))) for path in found]
        elif out is None:
            jobs.append(
                Job(source, _writable(source.with_name(f"{source.stem}.{label}{source.suffix}")))
            )
        elif several or out.is_dir() or str(out).endswith(os.sep):
            jobs.append(Job(source, _writable(out / source.name)))
        else:
            jobs.append(Job(source, out))
    if several and out is not None and out.exists() and not out.is_dir():
        raise typer.BadParameter(f"{out} is a file; several images need a folder.")
    for target, count in Counter(job.target for job in jobs).items():
        if count > 1:
            raise typer.BadParameter(
                f"{count} images would all be written to {target}; "
                "give them different names, or filter their folders one by one."
            )
    return jobs


def make_folders(jobs: Iterable[Job]) -> None:
    """Make the folders that results go to, where they are new."""
    for folder in {job.target.parent for job in jobs}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise type(error)(f"{folder} cannot be made a folder: {error.strerror}.") from error


def _images_in(folder: Path, recursive: bool) -> list[Path]:
    inside = folder.rglob("*") if recursive else folder.iterdir()
    found = sorted(
        path
        for path in inside
        if path.suffix.lower() in _IMAGE_ENDINGS
        and not path.name.startswith(".")
        and path.is_file()
    )
    if not found:
        deeper = "" if recursive else " (--recursive looks into its subfolders too)"
        raise ProblemError(f"{folder} has no images{deeper}.")
    return found


def _writable(path: Path) -> Path:
    """Return the path, as a PNG where its own format cannot be written."""
    return path if path.suffix.lower() in FORMATS else path.with_suffix(".png")
