"""What `npconv bench layers` prints and writes into the README."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .contest import ContenderTime
from .layers import shape_text
from .networks import LayerResult, NetworksResult, Total, own
from .peers import MATMUL_SIZE
from .report import markdown_table, milliseconds, text_table


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
        result.layer.name,
        shape_text(result.layer),
        row.contender,
        milliseconds(row.seconds),
        milliseconds(row.quickest),
        *(ratio_text(ratios.get(name, math.nan)) for name in own(installed)),
        "-" if math.isnan(share) else f"{share:.0%}",
        f"{row.error:.1e}" if timed else "-",
        f"{row.cpus_busy:.1f}" if timed else "-",
        str(len(row.samples)),
        row.note,
    )


def bases(result: NetworksResult) -> list[str]:
    """Head the columns of ratios: what is divided by."""
    return [f"/ {name.removeprefix('npconv ')}" for name in own(result.installed)]


def text(result: NetworksResult) -> str:
    """Write a row a layer and contender, the totals of the networks, then the conditions."""
    headers = ("network", "layer", "x weight", "contender", "ms", "quickest", *bases(result))
    headers = (*headers, "of peak", "error", "CPUs busy", "rounds", "")
    rows = [
        layer_row(layer, row, result.installed)
        for layer in result.layers
        for row in layer.contenders
        if row.able
    ]
    parts = [text_table(headers, rows)]
    parts.append(
        text_table(
            ("network", "contender", "layers", "ms", *bases(result)),
            [total_row(total, result) for total in result.totals],
        )
    )
    notes = [
        f"{layer.network} {layer.layer.name}: {layer.note}" for layer in result.layers if layer.note
    ]
    notes += dict.fromkeys(
        f"{row.contender} {row.note}"
        for layer in result.layers
        for row in layer.contenders
        if not row.able
    )
    if result.absent:
        missing = " ".join(dict.fromkeys(result.absent.values()))
        notes.append(f"not installed: {', '.join(result.absent)} (pip install {missing})")
    if result.unmeasured:
        notes.append(f"stopped early: {result.unmeasured} layers are not measured")
    return "\n\n".join([*parts, "\n".join([*notes, conditions(result)])])


def layers_of(result: NetworksResult, network: str) -> int:
    """Count a network's measured rows."""
    return sum(row.network == network for row in result.layers)


def total_row(total: Total, result: NetworksResult) -> tuple[str, ...]:
    """Write one contender's sum over a network."""
    ratios = (ratio_text(total.ratios.get(name, math.nan)) for name in own(result.installed))
    of = f"{total.layers} of {layers_of(result, total.network)}"
    return (total.network, total.contender, of, milliseconds(total.seconds), *ratios)


def conditions(result: NetworksResult) -> str:
    """Say what the numbers are and where they were measured."""
    settings = result.settings
    return (
        f"{settings.direction}, float32, batch {settings.batch}, precision {settings.precision} "
        f"(npconv's), effort {settings.effort}. Medians of up to {settings.rounds} alternating "
        "rounds, each contender in a process of its own with the threads it takes by default; a "
        "total counts each layer as often as the network holds it, over the layers that the "
        "contender can do. Ratios: time over npconv's on arrays in NCHW or NHWC order, above 1 "
        "where npconv is quicker; of peak: 2 operations a multiplication of the direct sum over "
        f"what the quickest float32 matmul of {MATMUL_SIZE}x{MATMUL_SIZE} by NumPy's BLAS "
        f"reached in the same run, {result.peak_flops / 1e9:.0f} GFLOP/s; error: largest error "
        f"against a direct float64 sum over the largest value.\n{result.environment}"
    )


def markdown(result: NetworksResult) -> str:
    """Write the README's table: a row a network, a column a contender."""
    networks = list(dict.fromkeys(total.network for total in result.totals))
    totals = {(total.network, total.contender): total for total in result.totals}
    names = [name for name in result.installed if any((n, name) in totals for n in networks)]
    rows = []
    for network in networks:
        cells = []
        for name in names:
            total = totals.get((network, name))
            cells.append("-" if total is None else cell(total, layers_of(result, network)))
        rows.append([network, *cells])
    table = markdown_table(["", *(f"`{name}`" for name in names)], rows)
    ratios = " and ".join(f"`{name}`'s" for name in own(names))
    about = f"Each cell: the layers' total time, its ratios to {ratios}. " + conditions(result)
    return "\n\n".join(
        [table, about.replace("\n", "\n\n"), "Written by `npconv bench layers --readme`."]
    )


def cell(total: Total, layers: int) -> str:
    """Write a contender's total in one cell, and on how many layers where not on all."""
    ratios = " ".join(f"{ratio:.2f}x" for ratio in total.ratios.values())
    part = "" if total.layers == layers else f" ({total.layers} of {layers} layers)"
    return f"{milliseconds(total.seconds)} ms, {ratios}{part}"
