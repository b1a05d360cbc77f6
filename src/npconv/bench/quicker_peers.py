"""Where a peer is quicker than npconv, and what npconv's time goes into there."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .arrays import out_shape
from .layers import shape_text
from .networks import LayerResult, NetworksResult, own
from .report import milliseconds, text_table

READ = 20e9  # bytes a second: arrays that another process's turn has put out of the caches
MOST = 0.6  # of the time, from which on one thing is why


class Behind(NamedTuple):
    """A layer on which a peer's quickest row is quicker than npconv's, in either memory order.

    ratio       the peer's time over npconv's
    arithmetic  seconds that the direct sum's multiply-adds take at the peak of the run
    memory      seconds that x, weight and out take once, at `READ`
    """

    layer: LayerResult
    ours: str
    peer: str
    seconds: float
    ratio: float
    arithmetic: float
    memory: float

    @property
    def why(self) -> str:
        """What most of the time goes into, as far as the row shows it."""
        work, moved = self.arithmetic / self.seconds, self.memory / self.seconds
        left = 1e6 * max(self.seconds - self.arithmetic - self.memory, 0.0)
        if work >= MOST:
            return f"arithmetic: {work:.0%} of the peak"
        if work + moved >= MOST:
            return f"{work:.0%} arithmetic, {moved:.0%} memory at {READ / 1e9:.0f} GB/s"
        return f"{left:.0f} us beside both: the call, its threads, packing"


def behind(result: NetworksResult) -> list[Behind]:
    """Find the layers with a quicker peer, the furthest behind first."""
    found = [_behind(layer, result.peak_flops) for layer in result.layers]
    return sorted((one for one in found if one is not None), key=lambda one: one.ratio)


def _behind(layer: LayerResult, peaks: dict[str, float]) -> Behind | None:
    times = {row.contender: row.seconds for row in layer.contenders if row.samples}
    mine = [name for name in own(times) if name.endswith("fast")] or own(times)
    peers = [name for name in times if name not in own(times)]
    if not mine or not peers:
        return None
    ours, peer = (min(names, key=times.__getitem__) for names in (mine, peers))
    ratio = times[peer] / times[ours]
    if not ratio < 1:
        return None
    job = layer.job
    shapes = job.layer.x_shape, job.layer.weight_shape, out_shape(job.layer)
    nbytes = sum(map(math.prod, shapes)) * np.dtype(job.dtype).itemsize
    peak = peaks.get(job.dtype, math.nan)
    return Behind(layer, ours, peer, times[ours], ratio, 2 * layer.macs / peak, nbytes / READ)


def text(result: NetworksResult) -> str:
    """Write a row a layer; say so where there is none."""
    rows = behind(result)
    measured = len(result.layers)
    if not rows:
        return f"No peer is quicker on any of {measured} layers."
    headers = (
        "network", "layer", "x weight", "direction", "npconv", "ms", "peer", "peer/npconv", "why",
    )  # fmt: skip
    table = text_table(
        headers,
        [
            (
                row.layer.network, row.layer.job.layer.name, shape_text(row.layer.job.layer),
                row.layer.job.direction, row.ours.removeprefix("npconv "),
                milliseconds(row.seconds), row.peer, f"{row.ratio:.2f}", row.why,
            )
            for row in rows
        ],
    )  # fmt: skip
    return f"A peer is quicker on {len(rows)} of {measured} layers:\n\n{table}"
