"""`npconv plan`: the planner's table. `npconv info`: this machine, and the algorithms' limits."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import math
import os
import platform
import re
from typing import Annotated, Any, Literal

import numpy as np
import typer

import npconv
from npconv.cli.spelling import read_axes, read_padding, read_shape

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_EXTRAS = {  # what each brings, by the names that Python imports
    "plots": {"matplotlib": "matplotlib"},
    "nn": {"safetensors": "safetensors", "scikit-learn": "sklearn"},
    "autograd": {"autograd": "autograd"},
    "torch": {"torch": "torch"},
}
# Small problems that between them meet every limit an algorithm may have.
_PROBES: dict[str, dict[str, Any]] = {
    "an image": {"dtype": "float32"},
    "float16": {"dtype": "float16"},
    "integers": {"dtype": "int32"},
    "bool": {"dtype": "bool"},
    "complex": {"dtype": "complex128"},
    "stride": {"stride": 2},
    "dilation": {"dilation": 2},
    "groups": {"weight_shape": (4, 1, 3, 3), "groups": 4},
    "negative padding": {"padding": -1},
    "1-D": {"x_shape": (1, 4, 16), "weight_shape": (4, 4, 3)},
    "3-D": {"x_shape": (1, 4, 8, 8, 8), "weight_shape": (4, 4, 3, 3, 3)},
    "4-D": {"x_shape": (1, 4, 5, 5, 5, 5), "weight_shape": (4, 4, 3, 3, 3, 3), "layout": "NCABDE"},
}

PaddingMode = Literal["zeros", "edge", "reflect", "symmetric", "wrap"]
Precision = Literal["strict", "fast"]
Direction = Literal["forward", "input_grad", "weight_grad"]


def show_plan(
    x: Annotated[str, typer.Argument(metavar="X", help="The input's shape: 8x64x56x56.")],
    weight: Annotated[str, typer.Argument(metavar="WEIGHT", help="The weight's: 64x64x3x3.")],
    stride: Annotated[str, typer.Option(help="2, or one an axis: 2,1.")] = "1",
    padding: Annotated[
        str,
        typer.Option(
            help="1, or one an axis: 1,0, or before:after an axis: 1:2,0:0, "
            "or valid, same, same_lower, full."
        ),
    ] = "0",
    dilation: Annotated[str, typer.Option(help="2, or one an axis: 2,1.")] = "1",
    groups: Annotated[int, typer.Option()] = 1,
    layout: Annotated[
        str | None, typer.Option(help="X's axes: NCHW, NHWC, HW ...", show_default=False)
    ] = None,
    weight_layout: Annotated[
        str | None, typer.Option(help="WEIGHT's axes: OIHW, HWIO ...", show_default=False)
    ] = None,
    padding_mode: Annotated[PaddingMode, typer.Option()] = "zeros",
    direction: Annotated[
        Direction, typer.Option(help="The convolution, its input's gradient, or its weight's.")
    ] = "forward",
    dtype: Annotated[str, typer.Option(help="float32, float64, int64, complex64 ...")] = "float32",
    precision: Annotated[
        Precision,
        typer.Option(
            help="strict: as near as the direct sum; fast: also algorithms that round more."
        ),
    ] = "strict",
    measure: Annotated[
        bool, typer.Option("--measure", help="Time the algorithms instead of estimating.")
    ] = False,
    packed: Annotated[
        bool, typer.Option("--packed", help="The weight is packed once for many calls.")
    ] = False,
    memory_limit: Annotated[
        str | None,
        typer.Option(help="Most workspace an algorithm may hold: 64MB, 1GiB.", show_default=False),
    ] = None,
) -> None:
    """Show which algorithm computes a convolution, and why not the others."""
    plan = npconv.plan(
        read_shape(x),
        read_shape(weight),
        _dtype(dtype),
        stride=read_axes(stride, "stride"),
        padding=read_padding(padding),
        dilation=read_axes(dilation, "dilation"),
        groups=groups,
        layout=layout,
        weight_layout=weight_layout,
        padding_mode=padding_mode,
        direction=direction,
        precision=precision,
        effort="measure" if measure else "estimate",
        memory_limit=None if memory_limit is None else parse_nbytes(memory_limit),
        packed=packed,
    )
    typer.echo(str(plan))


def show_info() -> None:
    """Show versions, this machine, and what each algorithm cannot do."""
    import rich.box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="bold cyan", no_wrap=True)
    facts.add_column()
    for name, fact in _facts():
        facts.add_row(name, Text(fact))
    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("algorithm", style="bold cyan", no_wrap=True)
    table.add_column("cannot do")
    for algorithm, limits in _limits().items():
        table.add_row(algorithm, Text("\n".join(limits) or "(no limits)"))
    console = Console()
    console.print(facts, highlight=False)
    console.print()
    console.print(table, highlight=False)


def parse_nbytes(text: str) -> int:
    """Read bytes with a unit: 64MB is 64 million, 64MiB is 64 * 2**20.

    Examples
    --------
    >>> from npconv.cli.plans import parse_nbytes
    >>> parse_nbytes("64MB"), parse_nbytes("1.5 KiB"), parse_nbytes("100")
    (64000000, 1536, 100)
    """
    found = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,6})?)\s*([KMGT]?)(i?)B?\s*", text, re.IGNORECASE)
    if not found:
        raise typer.BadParameter(f"{text!r} is no amount of memory; write 64MB or 1GiB.")
    number, unit, binary = found.groups()
    power = list(_UNITS).index(unit.upper())
    return math.floor(float(number) * (1024**power if binary else _UNITS[unit.upper()]))


def _dtype(text: str) -> np.dtype[Any]:
    try:
        return np.dtype(text)
    except TypeError:
        raise typer.BadParameter(f"{text!r} is not a dtype; write float32 or int64.") from None


def _facts() -> list[tuple[str, str]]:
    versions = [f"Python {platform.python_version()}"]
    for package in ("numpy", "numba", "pillow", "typer", "rich"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{package} missing")
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    facts = [
        ("npconv", npconv.__version__),
        ("with", ", ".join(versions)),
        ("processor", f"{_processor()}, {_cpu_count()} for this process"),
        ("memory", _memory()),
        ("BLAS", f"{blas.get('name', 'unknown')} {blas.get('version', '')}, {_blas_threads()}"),
    ]
    for extra, packages in _EXTRAS.items():
        found = {name: importlib.util.find_spec(module) for name, module in packages.items()}
        words = [f"{name} {'present' if spec else 'missing'}" for name, spec in found.items()]
        advice = "" if all(found.values()) else f': pip install "npconv[{extra}]"'
        facts.append((f"extra {extra}", ", ".join(words) + advice))
    return facts


def _cpu_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                name, _, model = line.partition(":")
                if name.strip() == "model name":
                    return model.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        free, total = (os.sysconf(name) * page for name in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return "unknown"
    return f"{total / 2**30:.1f} GiB, {free / 2**30:.1f} free"


def _blas_threads() -> str:
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(variable):
            return f"{variable}={os.environ[variable]}"
    return f"as many threads as processors ({_cpu_count()})"


def _limits() -> dict[str, list[str]]:
    """Return each algorithm's reasons, learned by asking it for plans of small problems."""
    limits: dict[str, list[str]] = {name: [] for name in npconv.algorithms()}
    for what, probe in _PROBES.items():
        settings = {"x_shape": (1, 4, 16, 16), "weight_shape": (4, 4, 3, 3), **probe}
        for row in npconv.plan(**settings).rows:
            if row.why_not:
                limits[row.algorithm].append(f"{what}: {row.why_not}")
    return limits
