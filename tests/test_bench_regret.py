"""`npconv bench regret`."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import npconv
from bench_cases import TINY, macs
from npconv.bench import app, options, regret, regret_text, report
from npconv.bench.environment import environment


def made_up_plan():
    def row(algorithm, why_not="", seconds=None, workspace=None):
        return SimpleNamespace(
            algorithm=algorithm, why_not=why_not, seconds=seconds, workspace=workspace
        )

    rows = (
        row("naive", seconds=0.5, workspace=0),
        row("taps", seconds=0.01, workspace=0),
        row("im2col_view", seconds=0.02, workspace=600),
        row("fft", why_not="integers are exact"),
    )
    return SimpleNamespace(algorithm="taps", rows=rows)


def test_what_is_far_or_too_large_is_skipped_by_rule():
    entries = regret.sort_out(made_up_plan(), regret.Settings(far=20.0), memory=1000)
    assert [entry.status for entry in entries] == ["skipped", "measured", "skipped", "cannot"]
    assert entries[0].note == "estimated at over 20x the best estimate"
    assert entries[2].note == "needs 600 bytes, 1000 are free"
    assert entries[3].note == "integers are exact"
    generous = regret.sort_out(made_up_plan(), regret.Settings(far=60.0), memory=2000)
    assert [entry.status for entry in generous] == ["measured"] * 3 + ["cannot"]


def entry(name, estimated):
    return regret.AlgorithmTime(name, estimated, 0, "measured")


def test_warm_up_notes_failures_slow_ones_and_differences(monkeypatch):
    clock = iter([0.0, 0.1, 0.2, 0.3, 1.0, 5.0, 6.0, 10.0, 11.0, 12.0])
    monkeypatch.setattr(regret.time, "perf_counter", lambda: next(clock))

    def run(name, out):
        if name == "broken":
            raise MemoryError("8 TiB")
        value = np.array([2.0, 4.0])
        if name == "slow":
            value[1] = 5.0
        if out is None:
            return value
        out[...] = value
        return out

    entries = [entry("broken", 0.3), entry("slow", 0.1), entry("chosen", 0.2)]
    samplers = regret.warm_up(entries, run, "chosen", regret.Settings(far=20.0))
    assert list(samplers) == ["chosen"]
    broken, slow, chosen = entries
    assert (broken.status, broken.note) == ("failed", "8 TiB")
    assert (slow.status, slow.note) == ("skipped", "one call took 40x the fastest")
    assert slow.seconds == pytest.approx(4.0)
    assert slow.difference == 0.25
    assert (chosen.status, chosen.difference) == ("measured", 0.0)


@pytest.mark.parametrize("memory_order", ["channels_first", "channels_last"])
def test_a_tiny_regret_run(memory_order, tmp_path):
    settings = regret.Settings(
        memory_order=memory_order, rounds=3, seconds_per_layer=0.0, far=1e9, cap_seconds=60.0
    )
    result = regret.measure({"small": (TINY,)}, settings)
    assert result.failures == []
    (row,) = result.layers
    assert {each.algorithm for each in row.algorithms} == set(npconv.algorithms())
    measured = {each.algorithm: each for each in row.algorithms if each.status == "measured"}
    assert row.chosen in measured
    assert len(measured) > 3
    for each in measured.values():
        assert len(each.samples) == 3
        assert each.seconds == sorted(each.samples)[1]
        assert each.difference < 1e-5
    assert row.best_seconds == min(each.seconds for each in measured.values())
    assert row.regret == row.chosen_seconds / row.best_seconds >= 1.0
    assert row.macs == macs(TINY)
    quickest = {name: min(each.samples) for name, each in measured.items()}
    assert row.regret_of_quickest == quickest[row.chosen] / min(quickest.values())
    assert result.totals["small"].chosen_seconds == 3 * row.chosen_seconds

    printed = regret_text.text(result)
    assert "tiny" in printed
    assert "regret over 1 layers: median" in printed
    assert environment().cpu in printed
    report.write_json(tmp_path / "raw.json", result)
    raw = json.loads((tmp_path / "raw.json").read_text())
    assert raw["layers"][0]["layer"]["weight_shape"] == [6, 2, 3, 3]
    assert raw["layers"][0]["algorithms"][0]["algorithm"] == row.algorithms[0].algorithm


def test_a_choice_that_fails_is_reported(monkeypatch):
    def broken(*args, **kwargs):
        raise npconv.ProblemError("conv: no")

    monkeypatch.setattr(npconv, "conv", broken)
    result = regret.measure({"small": (TINY,)}, regret.Settings(rounds=3))
    assert result.layers == []
    assert len(result.failures) == 1
    assert "small tiny" in result.failures[0]
    assert "conv: no" in regret_text.text(result)


def test_ctrl_c_keeps_what_was_measured(tmp_path, monkeypatch):
    real = regret.measure_layer

    def interrupted(network, layer, settings):
        if layer.name == "second":
            raise KeyboardInterrupt
        return real(network, layer, settings)

    monkeypatch.setattr(regret, "measure_layer", interrupted)
    layers = (TINY, replace(TINY, name="second"), replace(TINY, name="third"))
    monkeypatch.setitem(options.NETWORKS, "alexnet", layers)
    raw = tmp_path / "raw.json"
    result = CliRunner().invoke(
        app, ["regret", "--network", "alexnet", "--quick", "--json", str(raw)]
    )
    assert result.exit_code == 130
    assert "stopped early: 2 layers are not measured" in result.output
    assert [row["layer"]["name"] for row in json.loads(raw.read_text())["layers"]] == ["tiny"]


def test_regret_command_writes_the_raw_numbers(tmp_path, monkeypatch):
    monkeypatch.setitem(options.NETWORKS, "alexnet", (TINY,))
    raw = tmp_path / "raw.json"
    arguments = ["regret", "--network", "alexnet", "--quick", "--save", str(raw)]
    result = CliRunner().invoke(app, [*arguments, "--memory-order", "channels_last"])
    assert result.exit_code == 0
    assert "alexnet  tiny" in result.output
    settings = json.loads(raw.read_text())["settings"]
    assert (settings["memory_order"], settings["rounds"]) == ("channels_last", 5)
