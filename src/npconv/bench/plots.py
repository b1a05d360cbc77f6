"""The picture of a bench: bars by Matplotlib."""

from __future__ import annotations

import io
from pathlib import Path

from npconv import ProblemError

from .networks import NetworksResult, own
from .report import write_bytes

KINDS = (".png", ".svg", ".pdf")


def check(path: Path) -> None:
    """Raise what `picture` would raise, before minutes are spent on measuring."""
    if path.suffix.lower() not in KINDS:
        raise ProblemError(
            f"picture: {path} must end in one of {', '.join(KINDS)}.\n"
            "Name another file and run again."
        )
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ProblemError(
            "picture: Matplotlib is not installed.\nRun: pip install 'npconv[plots]'"
        ) from None


def picture(path: Path, result: NetworksResult) -> None:
    """Draw each network's total time by contender, over that of npconv's first row, in a file."""
    from matplotlib.figure import Figure

    networks = list(dict.fromkeys(total.network for total in result.totals))
    names = list(dict.fromkeys(total.contender for total in result.totals))
    base = own(result.installed)[0]
    height = {
        (total.network, total.contender): total.ratios[base]
        for total in result.totals
        if base in total.ratios
    }
    width = 0.8 / max(len(names), 1)
    figure = Figure(figsize=(max(6.0, 1.5 * len(networks) + 3), 4.5), layout="constrained")
    axes = figure.add_subplot()
    for index, name in enumerate(names):
        drawn = [place for place, network in enumerate(networks) if (network, name) in height]
        places = [place + (index - (len(names) - 1) / 2) * width for place in drawn]
        values = [height[networks[place], name] for place in drawn]
        bars = axes.bar(places, values, width, label=name)
        axes.bar_label(bars, fmt="%.2f", fontsize=6, rotation=90, padding=2)
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.margins(y=0.15)
    axes.set_xticks(range(len(networks)), networks)
    axes.set_ylabel(f"time / {base}'s time")
    settings = result.settings
    axes.set_title(
        f"Convolution layers: {settings.direction}, batch {settings.batch}, {settings.precision}\n"
        f"{result.environment.cpu}, {result.environment.cpus} CPUs; lower is quicker",
        fontsize=9,
    )
    figure.legend(loc="outside right upper", fontsize=7)
    drawing = io.BytesIO()
    figure.savefig(drawing, format=path.suffix.lower()[1:], dpi=150)
    write_bytes(path, drawing.getvalue())
