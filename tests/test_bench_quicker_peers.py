"""Where a peer is quicker, and what the bench says of it."""

from dataclasses import replace

import pytest

from bench_cases import FIRST, TINY, layer_result, networks_result
from npconv.bench import networks, networks_text
from npconv.bench.quicker_peers import READ, behind, text

# TINY: x of 288 elements, weight of 108, out of 120, so 2064 bytes; 1000 multiply-adds are 2 us at
# the 1 GFLOP/s of the results made here.
NBYTES = 4 * (288 + 108 + 120)


def result(*pairs):
    """A run with a layer for each pair of npconv's and the peer's seconds."""
    made = networks_result()
    made.layers = [
        layer_result(ours, peer, layer=replace(TINY, name=f"layer{i}"))
        for i, (ours, peer) in enumerate(pairs)
    ]
    return networks.finished(made)


def test_only_layers_with_a_quicker_peer_and_the_furthest_first():
    made = result((1e-3, 2e-3), (1e-3, 0.9e-3), (1e-3, 0.5e-3), (1e-3, 1e-3))
    found = behind(made)
    assert [(one.layer.job.layer.name, round(one.ratio, 3)) for one in found] == [
        ("layer2", 0.5),
        ("layer1", 0.9),
    ]
    assert {(one.ours, one.peer) for one in found} == {(FIRST, "torch NCHW")}
    assert found[0].memory == pytest.approx(NBYTES / READ)
    assert found[0].arithmetic == pytest.approx(2e-6)


def test_strict_rows_and_rows_without_samples_count_nothing():
    made = result((1e-3, 0.5e-3))
    row = made.layers[0].contenders[0]
    made.layers[0].contenders.append(
        replace(row, contender="npconv NHWC strict", seconds=1e-4, samples=[1e-4])
    )
    assert [one.ours for one in behind(made)] == [FIRST]
    made.layers[0].contenders[1].samples = []
    assert behind(made) == []


@pytest.mark.parametrize(
    ("seconds", "why"),
    [
        (2.5e-6, "arithmetic: 80% of the peak"),
        (3.4e-6, "59% arithmetic, 3% memory at 20 GB/s"),
        (1e-4, "98 us beside both: the call, its threads, packing"),
    ],
)
def test_why(seconds, why):
    assert behind(result((seconds, seconds / 2)))[0].why == why


def test_the_table_and_where_there_is_none():
    made = result((1e-3, 0.5e-3))
    assert "A peer is quicker on 1 of 1 layers:" in text(made)
    row = next(line for line in text(made).splitlines() if "layer0" in line)
    assert row.split()[:2] == ["alexnet", "layer0"]
    assert "torch NCHW         0.50  998 us beside both" in row
    assert text(made) in networks_text.text(made)
    assert text(result((1e-3, 2e-3))) == "No peer is quicker on any of 1 layers."
