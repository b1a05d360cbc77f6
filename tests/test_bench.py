import json
import math
import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import npconv
from npconv.bench import app, commands, images, images_text, regret, regret_text, report, runner
from npconv.bench.arrays import layer_arrays
from npconv.bench.environment import environment
from npconv.bench.layers import NETWORKS, Layer
from npconv.bench.peers import CONTENDERS, Contender
from npconv.bench.processes import WorkerError, started
from npconv.bench.stats import distribution
from npconv.bench.stats import regret as regret_of

TINY = Layer("tiny", (1, 4, 9, 8), (6, 2, 3, 3), stride=2, padding=1, groups=2, count=3)


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


# ---- layer tables


@pytest.mark.parametrize(
    ("network", "total", "layers"),
    [
        ("alexnet", 655_566_528, 5),
        ("vgg16", 15_346_630_656, 13),
        ("googlenet", 1_581_647_872, 57),
        ("resnet50", 4_087_136_256, 53),
        ("mobilenetv2", 299_494_272, 52),
    ],
)
def test_tables_have_the_published_totals(network, total, layers):
    table = NETWORKS[network]
    assert sum(layer.count * macs(layer) for layer in table) == total
    assert sum(layer.count for layer in table) == layers


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        ("alexnet", 2_468_544),
        ("vgg16", 14_710_464),
        ("googlenet", 6_998_552 - 1_025_000 - 7_280),  # less the classifier and the biases
        ("audio", 4_199_424 + 4_718_592),
        ("volumes", 27_653_184),
        ("resnet50", 23_454_912),
        ("mobilenetv2", 2_189_760),
    ],
)
def test_tables_have_the_published_weights(network, parameters):
    assert (
        sum(each.count * math.prod(each.weight_shape) for each in NETWORKS[network]) == parameters
    )


def test_mobilenet_has_its_depthwise_layers():
    depthwise = [layer for layer in NETWORKS["mobilenetv2"] if layer.groups > 1]
    assert sum(layer.count for layer in depthwise) == 17
    assert all(layer.groups == layer.x_shape[1] for layer in depthwise)


def test_image_filters_keep_the_image_size():
    for layer in NETWORKS["images"]:
        assert layer.x_shape[2:] == (1080, 1920)
        assert out_size(layer) == (1080, 1920)
        assert layer.groups == layer.x_shape[1]


@pytest.mark.parametrize("network", NETWORKS)
def test_every_row_is_a_problem_of_its_own_that_can_be_planned(network):
    table = NETWORKS[network]
    assert len({layer.name for layer in table}) == len(table)
    assert len({replace(layer, name="", count=1) for layer in table}) == len(table)
    for layer in table:
        plan = npconv.plan(
            layer.x_shape,
            layer.weight_shape,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
        )
        assert tuple(plan.problem.out_size) == out_size(layer)
        assert plan.problem.macs == macs(layer)


# ---- statistics


def test_distribution_of_made_up_numbers():
    spread = distribution([1.0, 1.1, 1.15, 1.3, 2.0])
    assert spread.count == 5
    assert spread.median == 1.15
    assert spread.p75 == pytest.approx(1.3)
    assert spread.p90 == pytest.approx(1.72)
    assert spread.p95 == pytest.approx(1.86)
    assert spread.max == 2.0
    assert spread.within_1_15 == 0.6
    assert spread.within_1_3 == 0.8


def test_distribution_of_nothing():
    with pytest.raises(ValueError, match="no values to summarise"):
        distribution([])


def test_regret_is_one_for_the_best_and_a_ratio_otherwise():
    seconds = {"taps": 0.3, "fft": 0.1, "toeplitz": 0.1}
    assert regret_of(seconds, "fft") == ("fft", 1.0)
    assert regret_of(seconds, "toeplitz")[1] == 1.0
    assert regret_of(seconds, "taps") == ("fft", pytest.approx(3.0))


# ---- alternating rounds


def recorder(calls, seconds):
    def sampler(name):
        def sample():
            calls.append(name)
            value = seconds[name]
            if isinstance(value, Exception):
                raise value
            return value

        return sample

    return {name: sampler(name) for name in seconds}


def test_rounds_alternate_and_slow_contenders_sit_out():
    calls = []
    samplers = recorder(calls, {"a": 1.0, "b": 1.4, "c": 9.0, "d": 8.0})
    timings = runner.alternate(samplers, rounds=5, seconds=60, keep=("d",), near=1.5)
    assert calls[:8] == ["a", "b", "c", "d", "d", "c", "b", "a"]
    assert {name: len(timing.samples) for name, timing in timings.items()} == {
        "a": 5,
        "b": 5,
        "c": 3,
        "d": 5,
    }
    assert timings["b"].seconds == 1.4


def test_three_rounds_come_before_the_time_limit():
    samplers = recorder([], {"a": 1.0})
    assert len(runner.alternate(samplers, rounds=9, seconds=0.0)["a"].samples) == 3


def test_a_contender_that_breaks_is_dropped_with_its_reason():
    calls = []
    samplers = recorder(calls, {"a": 1.0, "b": RuntimeError("no luck\nat all")})
    timings = runner.alternate(samplers, rounds=4, seconds=60)
    assert timings["b"].failure == "no luck"
    assert math.isnan(timings["b"].seconds)
    assert len(timings["a"].samples) == 4
    assert calls.count("b") == 1


def test_stopwatch_repeats_quick_calls():
    calls = []
    sample = runner.stopwatch(lambda: calls.append(1), 1e-4)
    assert sample() > 0
    assert len(calls) == 20
    calls.clear()
    assert runner.stopwatch(lambda: calls.append(1), 1.0)() > 0
    assert len(calls) == 1


# ---- regret


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
def test_a_layers_arrays_are_the_layer(memory_order):
    arrays = layer_arrays(TINY, memory_order)
    first = layer_arrays(TINY)
    assert arrays.x.flags.c_contiguous
    assert arrays.weight.flags.c_contiguous
    expected = npconv.conv(first.x, first.weight, **first.geometry)
    found = npconv.conv(arrays.x, arrays.weight, **arrays.geometry)
    if memory_order == "channels_last":
        assert arrays.layout == "NHWC"
        assert arrays.x.shape == (1, 9, 8, 4)
        found = np.moveaxis(found, -1, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


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
    monkeypatch.setitem(commands.NETWORKS, "alexnet", layers)
    raw = tmp_path / "raw.json"
    result = CliRunner().invoke(
        app, ["regret", "--network", "alexnet", "--quick", "--json", str(raw)]
    )
    assert result.exit_code == 130
    assert "stopped early: 2 layers are not measured" in result.output
    assert [row["layer"]["name"] for row in json.loads(raw.read_text())["layers"]] == ["tiny"]


# ---- the report


def test_tables():
    assert report.text_table(("name", "ms"), [("a", "10.0"), ("bcd", "-")]) == (
        "name    ms\n----  ----\na     10.0\nbcd      -"
    )
    assert report.markdown_table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(1.234567, "1235"), (0.0123456, "12.3"), (0.0012345, "1.23"), (1.23e-6, "0.00123")],
)
def test_milliseconds_have_three_digits(seconds, written):
    assert report.milliseconds(seconds) == written


def test_milliseconds_of_nothing():
    assert report.milliseconds(math.nan) == "-"


def test_json_has_no_nan(tmp_path):
    report.write_json(tmp_path / "a.json", {"a": math.nan, "b": (1, TINY)})
    raw = json.loads((tmp_path / "a.json").read_text())
    assert raw["a"] is None
    assert raw["b"][1]["count"] == 3


README = b"# Title\r\n<!-- t -->\nold\n<!-- /t -->\nthe rest\n"


def test_only_the_marked_part_of_the_readme_is_rewritten(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_bytes(README)
    readme.chmod(0o640)
    for _ in range(2):
        report.rewrite_marked(readme, "t", "new\n")
    assert readme.read_bytes() == README.replace(b"old", b"new")
    assert stat.S_IMODE(readme.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["README.md"]


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "<!-- t --> open",
        "<!-- /t --> closed",
        "<!-- /t --> backwards <!-- t -->",
        "<!-- t --><!-- /t --><!-- t --><!-- /t -->",
    ],
)
def test_missing_markers_leave_the_readme_alone(tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(npconv.ProblemError, match=r"needs one <!-- t --> and, after it, one"):
        report.rewrite_marked(readme, "t", "new")
    with pytest.raises(npconv.ProblemError, match="needs one"):
        report.check_marked(readme, "t")
    assert readme.read_text() == text


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_bytes(README)

    def full(*args):
        raise OSError("disk full")

    monkeypatch.setattr(report.os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        report.rewrite_marked(readme, "t", "new")
    assert readme.read_bytes() == README
    assert os.listdir(tmp_path) == ["README.md"]


# ---- images, with worker processes


def brute_force(image, kernel):
    before = kernel.shape[0] // 2
    padded = np.pad(image.astype(float), before, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape)
    return np.einsum("hwij,ij->hw", windows, kernel)


def test_the_oracle_is_the_definition():
    case = images.ImageCase("5x5", "correlate", kernel_size=5)
    given = images.arguments(case, (12, 17))
    np.testing.assert_allclose(
        images.oracle(case, given), brute_force(given["image"], given["kernel"]), atol=1e-12
    )
    case = images.ImageCase("sigma", "gaussian", sigma=1.2)
    given = images.arguments(case, (12, 17))
    kernel = images.gaussian_kernel(1.2)
    assert kernel.shape == (11, 11)
    np.testing.assert_allclose(
        images.oracle(case, given), brute_force(given["image"], kernel), atol=1e-12
    )


def test_a_tiny_image_run_through_real_workers(tmp_path):
    contenders = {**CONTENDERS, "absent": Contender("correlate", "no-such-package", print)}
    result = images.measure(
        (images.CASES[1], images.CASES[3]), size=(32, 32), contenders=contenders, rounds=2
    )
    assert [len(case.contenders) for case in result.cases] == [6, 3]
    for case in result.cases:
        rows = {row.contender: row for row in case.contenders}
        absent = rows.pop("absent", None)
        if absent is not None:
            assert absent.note == "not installed: pip install no-such-package"
            assert absent.samples == []
        installed = [row for row in rows.values() if "not installed" not in row.note]
        assert case.contenders[0].ratio == 1.0
        for row in installed:
            assert row.note == ""
            assert len(row.samples) == 2
            assert 0 < row.seconds < 60
            assert row.ratio == row.seconds / case.contenders[0].seconds
            assert row.error < 2e-6
            assert row.cpus_busy > 0
    printed = images_text.text(result)
    assert "npconv.ndimage.correlate" in printed
    assert "pip install no-such-package" in printed
    written = images_text.markdown(result)
    assert written.count("\n| --- ") == 2
    assert "| 7x7 | " in written
    assert environment().cpu in written


def test_a_wrong_result_and_a_worker_that_stops_say_so_in_their_rows():
    class Wrong:
        def prepare(self, given):
            return 0.1, np.zeros((3, 3))

    class Stopped:
        def prepare(self, given):
            raise WorkerError("out of luck")

    class Late:
        def prepare(self, given):
            return 0.1, images.oracle(images.CASES[0], given)

        def sample(self):
            raise WorkerError("killed")

    workers = {"wrong": Wrong(), "stopped": Stopped(), "late": Late()}
    contenders = {name: Contender("correlate", "numpy", print) for name in workers}
    result = images.measure_case(
        images.CASES[0], (8, 9), contenders, workers.__getitem__, 3, 1.0, lambda: None
    )
    assert [row.note for row in result.contenders] == [
        "wrong: the result is (3, 3), not (8, 9)",
        "stopped: out of luck",
        "stopped: killed",
    ]
    assert all(math.isnan(row.ratio) for row in result.contenders)


def test_a_worker_tells_why_it_died():
    with (
        started("no such contender") as worker,
        pytest.raises(WorkerError, match="KeyError: 'no such contender'"),
    ):
        worker.prepare({})
    assert not worker.alive


def test_a_worker_that_is_killed():
    with started("npconv.conv") as worker:
        worker.prepare(images.arguments(images.CASES[0], (8, 8)))
        os.kill(worker.process.pid, signal.SIGTERM)
        with pytest.raises(WorkerError, match="ended with status -15"):
            worker.sample()


def test_a_worker_that_does_not_answer_in_time():
    with (
        started("npconv.conv", timeout_seconds=0.01) as worker,
        pytest.raises(WorkerError, match=r"no answer in 0\.01 s"),
    ):
        worker.prepare(images.arguments(images.CASES[0], (8, 8)))


def test_ctrl_c_leaves_no_worker():
    with pytest.raises(KeyboardInterrupt, match="now"), started("npconv.conv") as worker:
        raise KeyboardInterrupt("now")
    assert worker.process.returncode == -signal.SIGKILL


# ---- the command


def test_the_bench_alone_prints_what_there_is():
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert "regret" in result.output
    assert "images" in result.output


def test_the_command_offers_every_table():
    assert {network.value for network in commands.Network} == {*NETWORKS, "all"}


def test_regret_command_writes_the_raw_numbers(tmp_path, monkeypatch):
    monkeypatch.setitem(commands.NETWORKS, "alexnet", (TINY,))
    raw = tmp_path / "raw.json"
    arguments = ["regret", "--network", "alexnet", "--quick", "--save", str(raw)]
    result = CliRunner().invoke(app, [*arguments, "--memory-order", "channels_last"])
    assert result.exit_code == 0
    assert "alexnet  tiny" in result.output
    settings = json.loads(raw.read_text())["settings"]
    assert (settings["memory_order"], settings["rounds"]) == ("channels_last", 5)


def test_images_command_writes_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = images.ContenderTime("npconv.conv", 0.005, 1.0, 1e-7, 2.0, [0.005])
    made_up = images.ImagesResult(
        environment(), (8, 8), 3, [images.CaseResult(images.CASES[0], [row])]
    )
    monkeypatch.setattr(images, "measure", None)
    result = CliRunner().invoke(app, ["images", "--readme"])
    assert result.exit_code == 1
    assert "README.md" in result.output

    readme = tmp_path / "README.md"
    readme.write_text("top\n")
    result = CliRunner().invoke(app, ["images", "--readme"])
    assert result.exit_code == 1
    assert "<!-- bench:images -->" in result.output

    monkeypatch.setattr(images, "measure", lambda **settings: made_up)
    readme.write_text("top\n<!-- bench:images -->\n<!-- /bench:images -->\nend\n")
    result = CliRunner().invoke(app, ["images", "--readme", "--json", "a.json"])
    assert result.exit_code == 0
    assert "| 3x3 | 5.00 ms, 1.00x, 1e-07 |" in readme.read_text()
    assert readme.read_text().startswith("top\n<!-- bench:images -->\n|")
    assert json.loads((tmp_path / "a.json").read_text())["rounds"] == 3


def test_an_unwritable_file_is_refused_before_measuring(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "measure", None)
    target = tmp_path / "missing" / "a.json"
    result = CliRunner().invoke(app, ["images", "--json", str(target)])
    assert result.exit_code == 1
    assert "no file can be written in" in result.output


def test_the_bench_is_loaded_when_used():
    code = "import sys, npconv.bench; print('typer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
