"""What `npconv bench layers` prints and writes into the README."""

from __future__ import annotations

import math
from collections.abc import Sequence

from . import quicker_peers
from .contest import ContenderTime
from .layers import shape_text
from .networks import LayerResult, NetworksResult, Total, own
from .report import markdown_table, milliseconds, text_table

DIRECTION_TITLES = {
    "forward": "Forward",
    "input_grad": "Gradient of the input",
    "weight_grad": "Gradient of the weight",
}


def ratio_text(ratio: float) -> str:
    """Write a ratio with two digits; "-" where a time is missing."""
    return "-" if math.isnan(ratio) else f"{ratio:.2f}"


def layer_row(result: LayerResult, row: ContenderTime, installed: Sequence[str]) -> tuple[str, ...]:
    """Write one contender's numbers on one layer."""
    ratios = result.ratios.get(row.contender, {})
    timed = bool(row.samples)
    share = result.shares.get(row.contender, math.nan)
    return (
        result.network,
        result.job.layer.name,
        shape_text(result.job.layer),
        result.job.direction,
        row.contender,
        milliseconds(row.seconds),
        milliseconds(row.quickest),
        *(ratio_text(ratios.get(name, math.nan)) for name in own(installed)),
        "-" if math.isnan(share) else f"{share:.0%}",
        f"{row.error:.1e}" if timed else "-",
        "-" if math.isnan(row.cpus_busy) else f"{row.cpus_busy:.1f}",
        row.note,
    )


def bases(result: NetworksResult) -> list[str]:
    """Head the columns of ratios: what is divided by."""
    return [f"/ {name.removeprefix('npconv ')}" for name in own(result.installed)]


def text(result: NetworksResult) -> str:
    """Write a row a layer and contender, the totals of the networks, then the conditions."""
    what = ("network", "layer", "x weight", "direction", "contender")
    headers = (*what, "ms", "quickest", *bases(result), "of peak", "error", "CPUs busy", "")
    rows = [
        layer_row(layer, row, result.installed)
        for layer in result.layers
        for row in layer.contenders
        if row.able
    ]
    parts = [text_table(headers, rows)]
    parts.append(
        text_table(
            ("direction", "network", "contender", "layers", "ms", *bases(result)),
            [(total.direction, *total_row(total, result)) for total in result.totals],
        )
    )
    if result.layers:
        parts.append(quicker_peers.text(result))
    return "\n\n".join([*parts, "\n".join([*notes(result), conditions(result)])])


def notes(result: NetworksResult) -> list[str]:
    """Say who is missing where, and why."""
    found = [f"{row.network} {row.job.layer.name}: {row.note}" for row in result.layers if row.note]
    found += dict.fromkeys(
        f"{row.contender} {row.note}"
        for layer in result.layers
        for row in layer.contenders
        if not row.able
    )
    if result.absent:
        missing = " ".join(dict.fromkeys(result.absent.values()))
        found.append(f"not installed: {', '.join(result.absent)} (pip install {missing})")
    if result.unmeasured:
        found.append(f"stopped early: {result.unmeasured} layers are not measured")
    return found


def layers_of(result: NetworksResult, direction: str, network: str) -> int:
    """Count a network's measured rows."""
    return sum((row.job.direction, row.network) == (direction, network) for row in result.layers)


def total_row(total: Total, result: NetworksResult) -> tuple[str, ...]:
    """Write one contender's sum over a network."""
    ratios = (ratio_text(total.ratios.get(name, math.nan)) for name in own(result.installed))
    of = f"{total.layers} of {layers_of(result, total.direction, total.network)}"
    return (total.network, total.contender, of, milliseconds(total.seconds), *ratios)


def how(result: NetworksResult) -> str:
    """Say how it was measured, and where."""
    settings = result.settings
    peaks = " and ".join(
        f"{peak / 1e9:.0f} GFLOP/s in {dtype}" for dtype, peak in result.peak_flops.items()
    )
    return (
        f"Medians of up to {settings.rounds} alternating rounds, each contender in a process of "
        "its own with the threads it takes by default. Forward weights are constants, transformed "
        "beforehand by npconv (`plan.pack`), ONNX Runtime, OpenVINO and ncnn; PyTorch and JAX take "
        f"them as they are. npconv's planner: effort {settings.effort}. Of peak: 2 operations a "
        "multiplication of the direct sum, however many were done, over the most that "
        "multiply-adds in registers reached in the same run, "
        f"{peaks or 'which needs Numba'}. Error: the largest against a direct float64 sum, over "
        f"the largest value.\n{result.environment}"
    )


def conditions(result: NetworksResult) -> str:
    """Say what the numbers are and where they were measured."""
    batches = sorted({row.job.layer.x_shape[0] for row in result.layers})
    return (
        f"float32, batch {' and '.join(map(str, batches))}. A total counts each layer as often as "
        "the network holds it, over the layers that the contender can do. Ratios: time over "
        "npconv's on arrays in NHWC or NCHW order, in either precision; above 1 where npconv is "
        f"quicker. {how(result)}"
    )


def markdown(result: NetworksResult, picture: str = "") -> str:
    """Write the README's part: the picture, then a table a direction, a row a network."""
    parts = []
    if picture:
        parts.append(f"![Time of each network's convolutions over npconv's]({picture})")
    totals = {(t.direction, t.network, t.contender): t for t in result.totals}
    for direction in dict.fromkeys(total.direction for total in result.totals):
        networks = list(dict.fromkeys(t.network for t in result.totals if t.direction == direction))
        entered = {name for way, _, name in totals if way == direction}
        names = [name for name in result.installed if name in entered]
        rows = []
        for network in networks:
            found = [totals.get((direction, network, name)) for name in names]
            count = layers_of(result, direction, network)
            rows.append([network, *("-" if t is None else cell(t, count) for t in found)])
        parts.append(markdown_table([DIRECTION_TITLES[direction], *names], rows))
    base = own(result.installed)[0]
    about = f"Each cell: the layers' total time, and how often `{base}`'s that is. "
    parts.append((about + conditions(result)).replace("\n", "\n\n"))
    return "\n\n".join([*parts, "Written by `npconv bench show --readme`."])


def cell(total: Total, layers: int) -> str:
    """Write a contender's total in one cell, and on how many layers where not on all."""
    ratio = next(iter(total.ratios.values()), math.nan)
    part = "" if total.layers == layers else f" ({total.layers} of {layers} layers)"
    return f"{milliseconds(total.seconds)} ms, {ratio_text(ratio)}x{part}"
