"""`npconv bench layers`, `goals` and `show`: npconv's layers beside other libraries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from npconv import ProblemError

from . import goals as goals_bench
from . import networks as networks_bench
from . import plots
from .arrays import Job, batched
from .goals_text import text as goals_text
from .networks import LayerResult, NetworksResult, Settings, Task
from .networks_text import markdown, text
from .options import (
    README,
    Direction,
    Effort,
    Network,
    beside,
    check_writable,
    save,
    tables,
    told,
)
from .peers import GOAL_CONTENDERS, LAYER_CONTENDERS
from .report import check_marked, rewrite_marked, write_json
from .saved import load

MARKER = "bench:layers"

Only = Annotated[str, typer.Option(help="Just those whose names hold this text.")]
Peers = Annotated[
    list[str] | None,
    typer.Option("--peer", help="Just the libraries whose names begin so; may be given again."),
]
Json = Annotated[
    Path | None,
    typer.Option("--json", help="Write every sample to this file, after each layer."),
]
Resume = Annotated[
    bool, typer.Option(help="Take over what the --json file holds already of the same run.")
]
Quick = Annotated[bool, typer.Option(help="Fewer rounds: a rough answer sooner.")]
HowToPlan = Annotated[Effort, typer.Option(help="How npconv's planner chooses.")]
Picture = Annotated[
    Path | None, typer.Option(help="Draw the totals in this file: PNG, SVG or PDF.")
]
Readme = Annotated[
    bool, typer.Option(help="Write the totals into README.md of the current folder.")
]


def check_outputs(readme: bool, picture: Path | None, json_file: Path | None) -> None:
    """Refuse what could not be written, before minutes are spent on measuring."""
    check_writable(json_file)
    check_writable(picture)
    with told():
        if readme:
            check_marked(README, MARKER)
        if picture is not None:
            plots.check(picture)


def known_layers(
    resume: bool, path: Path | None, found: NetworksResult | None, now: NetworksResult
) -> list[LayerResult]:
    """Give what an earlier run has measured; a ProblemError where that was another kind of run."""
    if resume and path is None:
        raise ProblemError("resume: there is no file to go on with.\nName it by --json.")
    if found is None:
        return []
    for what, before, here in (
        ("settings", found.settings, now.settings),
        ("contenders", found.installed, now.installed),
        ("versions", found.environment.versions, now.environment.versions),
        ("CPU", found.environment.cpu, now.environment.cpu),
    ):
        if before != here:
            raise ProblemError(
                f"resume: {path} was measured with other {what}.\n  there    {before}\n"
                f"  now      {here}\nName another file, or measure anew without --resume."
            )
    return found.layers


def publish(result: NetworksResult, readme: bool, picture: Path | None) -> None:
    """Draw the picture and rewrite the README's part, as far as asked."""
    with told():
        if picture is not None and result.totals:
            plots.picture(picture, result)
            typer.echo(f"The picture is in {picture}.")
        if readme:
            rewrite_marked(README, MARKER, markdown(result, picture.as_posix() if picture else ""))
            typer.echo(f"The table is in {README}.")


def layers(
    network: Annotated[
        list[Network] | None,
        typer.Option(
            help="Whose layers; may be given again. All without it, save the gradients of "
            "image filters, which nobody trains."
        ),
    ] = None,
    only: Only = "",
    direction: Annotated[
        list[Direction] | None,
        typer.Option(help="The convolution, or one of its gradients; may be given again."),
    ] = None,
    effort: HowToPlan = Effort.estimate,
    peer: Peers = None,
    batch: Annotated[int, typer.Option(min=1, help="Images, sounds or clips at once.")] = 1,
    quick: Quick = False,
    readme: Readme = False,
    json_file: Json = None,
    resume: Resume = False,
    picture: Picture = None,
) -> None:
    """Time the layers of networks beside the libraries installed, each in a process of its own.

    npconv's own rows are of arrays in NHWC and in NCHW order, in fast and in strict precision.
    Looked for: PyTorch, ONNX Runtime (with onnx), OpenVINO, ncnn, OpenCV, SciPy and JAX. Ctrl-C
    ends the run and shows what was measured.
    """
    check_outputs(readme, picture, json_file)
    tasks = [
        Task(name, Job(batched(layer, batch), way.value, effort.value))
        for way in direction or [Direction.forward]
        for name, table in tables(network or [Network.all], only).items()
        for layer in table
        if way == Direction.forward or network or name != Network.images
    ]
    settings = Settings(effort.value, 3 if quick else 11, 2.0 if quick else 10.0)
    with told():
        if not tasks:
            raise ProblemError(f"layers: no layer's name holds {only!r}.")
        contenders = beside(LAYER_CONTENDERS, peer or [])
        there = resume and json_file is not None and json_file.exists()
        before = load(json_file, NetworksResult) if there and json_file else None
        now = networks_bench.begun(settings, contenders)
        known = known_layers(resume, json_file, before, now)

    def keep(result: NetworksResult) -> None:
        if json_file is not None:
            write_json(json_file, result)

    result = networks_bench.measure(tasks, settings, contenders, known, keep)
    typer.echo(text(result))
    save(json_file, result)
    if result.unmeasured:
        raise typer.Exit(130)
    publish(result, readme, picture)


def goals(
    only: Only = "",
    effort: HowToPlan = Effort.estimate,
    peer: Peers = None,
    quick: Quick = False,
    json_file: Json = None,
    resume: Resume = False,
) -> None:
    """Show which of npconv's goals are reached: ratios to other libraries, case by case.

    A goal is the least ratio of a library's time to npconv's. Those against libraries that are not
    installed have no numbers.
    """
    check_outputs(False, None, json_file)
    settings = Settings(effort.value, 3 if quick else 11, 2.0 if quick else 8.0)
    asked = goals_bench.chosen(only, peer or [])
    with told():
        if not asked:
            raise ProblemError(f"goals: none holds {only!r} and is against {peer or 'anyone'}.")
        contenders = beside(GOAL_CONTENDERS, peer or [])
        there = resume and json_file is not None and json_file.exists()
        judgement = load(json_file, goals_bench.GoalsResult) if there and json_file else None
        before = judgement.measured if judgement else None
        now = networks_bench.begun(settings, contenders)
        known = known_layers(resume, json_file, before, now)

    def judged(measured: NetworksResult) -> goals_bench.GoalsResult:
        alone = replace(measured, totals=[])  # cases, and no network's layers
        return goals_bench.GoalsResult(alone, goals_bench.judge(asked, measured))

    def keep(measured: NetworksResult) -> None:
        if json_file is not None:
            write_json(json_file, judged(measured))

    tasks = goals_bench.tasks(asked, effort.value)
    result = judged(networks_bench.measure(tasks, settings, contenders, known, keep))
    typer.echo(goals_text(result))
    save(json_file, result)
    if result.measured.unmeasured:
        raise typer.Exit(130)


def show(
    json_file: Annotated[Path, typer.Argument(help="What layers --json has written.")],
    readme: Readme = False,
    picture: Picture = None,
) -> None:
    """Print a run of layers again from its file, draw it, or write it into the README."""
    check_outputs(readme, picture, None)
    with told():
        result = load(json_file, NetworksResult)
    typer.echo(text(result))
    publish(result, readme, picture)
