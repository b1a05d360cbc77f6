"""Layers small enough for every contender, and results made up of them."""

import math
import os
import subprocess
from dataclasses import replace
from functools import partial

from npconv.bench import networks
from npconv.bench.arrays import Job
from npconv.bench.contest import ContenderTime
from npconv.bench.environment import environment
from npconv.bench.layers import Layer

TINY = Layer("tiny", (1, 4, 9, 8), (6, 2, 3, 3), stride=2, padding=1, groups=2, count=3)
FIRST = "npconv NHWC fast"  # the row that the picture and the README divide by


def out_size(layer):
    spatial = len(layer.x_shape) - 2
    padding = layer.padding if isinstance(layer.padding, tuple) else (layer.padding,) * spatial
    return tuple(
        (size + 2 * before - layer.dilation * (kernel - 1) - 1) // layer.stride + 1
        for size, before, kernel in zip(
            layer.x_shape[2:], padding, layer.weight_shape[2:], strict=True
        )
    )


def macs(layer):
    return layer.x_shape[0] * math.prod(out_size(layer)) * math.prod(layer.weight_shape)


def workers_without_kernels(monkeypatch):
    """Have no kernels in the workers that are started; this process keeps its own."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    monkeypatch.setattr(subprocess, "Popen", partial(subprocess.Popen, env=environment))


def timed(name, seconds):
    """A contender's row with one sample."""
    return ContenderTime(name, seconds, 1.0, 1e-7, 1.0, [seconds], quickest=seconds)


def layer_result(own_seconds, peer_seconds, direction="forward", layer=TINY):
    """A layer with npconv, a peer and one who cannot; the peak is 1 GFLOP/s."""
    unable = ContenderTime("ncnn", note="has no gradients", able=False)
    row = networks.LayerResult("alexnet", Job(layer, direction), 1000, [], peak_flops=1e9)
    row.contenders = [timed(FIRST, own_seconds), timed("torch NCHW", peer_seconds), unable]
    row.ratios = {
        FIRST: {FIRST: 1.0},
        "torch NCHW": {FIRST: peer_seconds / own_seconds},
        "ncnn": {},
    }
    return row


def networks_result(*directions):
    """A whole result: TINY three times and a second layer that the peer was not timed on."""
    made = networks.NetworksResult(
        environment(), networks.Settings(), [FIRST, "torch NCHW", "ncnn"], {"jax": "jax"}
    )
    for direction in directions or ("forward",):
        second = layer_result(0.002, math.nan, direction, replace(TINY, name="second", count=1))
        made.layers += [layer_result(0.001, 0.003, direction), second]
    return networks.finished(made)
