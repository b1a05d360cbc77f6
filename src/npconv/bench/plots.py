"""The picture of a bench: bars by Matplotlib, to be read on a light page and on a dark one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from npconv import ProblemError
from npconv.figures import figure

from .networks import NetworksResult, own
from .networks_text import DIRECTION_TITLES
from .report import write_bytes

KINDS = (".png", ".svg", ".pdf")
INK = "#7a7a7a"  # contrast above 4 against white and against black alike, as the page shows through
# A colour a family, its members told apart by how opaque they are.
COLOURS = {
    "npconv": "#2f8fd8",
    "torch": "#e8622c",
    "onnxruntime": "#3aa66a",
    "openvino": "#9b6fd0",
    "ncnn": "#c9a227",
    "opencv": "#d0528e",
    "scipy.ndimage": "#2ab0b0",
    "jax": "#a8744a",
}
MOST = 32.0  # the axis ends here: who takes longer is cut and labelled


def check(path: Path) -> None:
    """Raise what `picture` would raise, before minutes are spent on measuring."""
    if path.suffix.lower() not in KINDS:
        raise ProblemError(
            f"picture: {path} must end in one of {', '.join(KINDS)}.\n"
            "Name another file and run again."
        )
    figure(1, 1, "picture")


def picture(path: Path, result: NetworksResult) -> None:
    """Draw each network's total time by contender, over that of npconv's first row, in a file."""
    directions = list(dict.fromkeys(total.direction for total in result.totals))
    networks = list(dict.fromkeys(total.network for total in result.totals))
    width, height = max(9.0, 1.25 * len(networks) + 2), 1.0 + 2.3 * len(directions)
    drawn = figure(width, height, "picture")
    panels = drawn.subplots(len(directions), 1, squeeze=False, sharex=True)[:, 0]
    for axes, direction in zip(panels, directions, strict=True):
        draw(axes, result, direction, networks)
    handles = {
        text: handle
        for axes in panels
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    names = [name for name in result.installed if name in handles]
    drawn.legend(
        [handles[name] for name in names],
        names,
        loc="outside lower center",
        ncols=6,
        fontsize=8,
        frameon=False,
        labelcolor=INK,
    )
    drawn.suptitle(
        f"Time of the convolutions over npconv's ({own(result.installed)[0]}); above 1: npconv is "
        f"quicker\n{result.environment.cpu}, {result.environment.cpus} CPUs",
        fontsize=9,
        color=INK,
    )
    drawing = io.BytesIO()
    drawn.savefig(drawing, format=path.suffix.lower()[1:], dpi=130, transparent=True)
    write_bytes(path, drawing.getvalue())


def look(name: str, names: list[str]) -> tuple[str, float]:
    """Give a contender's colour and how opaque it is."""
    family = name.partition(" ")[0]
    members = [each for each in names if each.partition(" ")[0] == family]
    return COLOURS.get(family, INK), 1.0 - 0.65 * members.index(name) / len(members)


def draw(axes: Any, result: NetworksResult, direction: str, networks: list[str]) -> None:
    """Draw one direction: a group a network, a bar a contender, up or down from 1."""
    totals = [total for total in result.totals if total.direction == direction]
    base = own(result.installed)[0]
    height = {(t.network, t.contender): t.ratios[base] for t in totals if base in t.ratios}
    names = [name for name in result.installed if any(name == t.contender for t in totals)]
    rivals = [name for name in names if name != base]
    width = 0.85 / max(len(rivals), 1)
    for index, name in enumerate(rivals):
        drawn = [place for place, network in enumerate(networks) if (network, name) in height]
        places = [place + (index - (len(rivals) - 1) / 2) * width for place in drawn]
        values = [height[networks[place], name] for place in drawn]
        colour, opaque = look(name, names)
        bars = axes.bar(
            places,
            [min(value, MOST) - 1 for value in values],
            width,
            bottom=1.0,
            label=name,
            color=colour,
            alpha=opaque,
        )
        axes.bar_label(
            bars,
            [f"{value:.1f}" for value in values],
            fontsize=6,
            rotation=90,
            padding=2,
            color=INK,
        )
    axes.set_yscale("log", base=2)
    axes.axhline(1.0, color=INK, linewidth=1.2)
    least, most = (limit(height.values()) for limit in (min, max))
    axes.set_ylim(min(0.7, 0.7 * least), 1.7 * min(MOST, max(most, 2.0)))
    ticks = [tick for tick in (0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32) if tick >= 0.9 * least]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks(range(len(networks)), networks)
    axes.minorticks_off()
    axes.set_title(DIRECTION_TITLES[direction], fontsize=9, color=INK, loc="left")
    axes.tick_params(colors=INK, labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "left")
        spine.set_color(INK)
