"""`npconv bench layers` and `npconv bench show`."""

import json
import re
from dataclasses import replace
from importlib.util import find_spec

import pytest
from typer.testing import CliRunner

from bench_cases import FIRST, TINY, layer_result, networks_result, workers_without_kernels
from npconv.bench import app, layer_commands, networks, options, report, saved
from npconv.bench.peers import LAYER_CONTENDERS, Contender
from npconv.bench.processes import WorkerError

MARKED = "<!-- bench:layers -->\n<!-- /bench:layers -->\n"


@pytest.fixture
def two_layers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = (TINY, replace(TINY, name="second"))
    monkeypatch.setitem(options.NETWORKS, "alexnet", table)
    monkeypatch.setattr(networks, "compile_kernels", lambda: None)


@pytest.fixture
def measured(two_layers, monkeypatch):
    """The names of the layers that would be measured; each takes no time."""
    names = []

    def measure_layer(task, *rest):
        names.append(task.job.layer.name)
        return replace(layer_result(0.001, 0.003), job=task.job)

    monkeypatch.setattr(networks, "measure_layer", measure_layer)
    return names


def run(*arguments):
    return CliRunner().invoke(app, [*arguments])


def test_the_command_through_real_workers(two_layers, tmp_path, monkeypatch):
    workers_without_kernels(monkeypatch)  # they would all be compiled
    contenders = {name: LAYER_CONTENDERS[name] for name in (FIRST, "torch NCHW")}
    contenders["absent"] = Contender("layer", "no-such-package", print)
    monkeypatch.setattr(layer_commands, "LAYER_CONTENDERS", contenders)
    (tmp_path / "README.md").write_text(MARKED)
    arguments = ["layers", "--network", "alexnet", "--only", "tiny", "--quick", "--batch", "2"]
    done = run(*arguments, "--readme", "--json", "a.json")
    assert done.exit_code == 0, done.output
    assert "2x4x9x8" in done.output
    assert re.search(r"pip install .*no-such-package", done.output)  # and others that are not here
    assert "| alexnet | " in (tmp_path / "README.md").read_text()
    raw = json.loads((tmp_path / "a.json").read_text())
    (row,) = raw["layers"]
    for each in row["contenders"]:
        assert each["note"] == ""
        assert each["error"] < 1e-5
        assert each["quickest"] == min(each["samples"])
    assert row["ratios"][FIRST][FIRST] == 1.0
    assert row["peak_flops"] is None
    assert "which needs Numba" in done.output


def test_directions_and_networks_add_up(measured):
    done = run("layers", "--network", "alexnet", "--direction", "forward", "--direction",
               "input_grad", "--json", "a.json")  # fmt: skip
    assert done.exit_code == 0
    assert measured == ["tiny", "second"] * 2
    found = saved.load(layer_commands.Path("a.json"), networks.NetworksResult)
    assert [row.job.direction for row in found.layers] == ["forward"] * 2 + ["input_grad"] * 2


def test_the_gradients_of_filters_are_measured_where_they_are_asked_for(two_layers, monkeypatch):
    seen = []
    monkeypatch.setattr(networks, "measure", lambda tasks, *rest: seen.append(tasks) or 1 / 0)
    for more in ([], ["--network", "images"]):
        run("layers", "--direction", "forward", "--direction", "weight_grad", *more)
    found = [{(task.network, task.job.direction) for task in tasks} for tasks in seen]
    assert found[0] >= {("unet", "weight_grad"), ("images", "forward")}
    assert ("images", "weight_grad") not in found[0]
    assert found[1] == {("images", "forward"), ("images", "weight_grad")}


def test_ctrl_c_keeps_the_layers_measured(measured, monkeypatch):
    gentle = networks.measure_layer

    def interrupted(task, *rest):
        if task.job.layer.name == "second":
            raise KeyboardInterrupt
        return gentle(task, *rest)

    arguments = ["layers", "--network", "alexnet", "--json", "a.json", "--resume"]
    with monkeypatch.context() as patch:
        patch.setattr(networks, "measure_layer", interrupted)
        done = run(*arguments)
    assert done.exit_code == 130
    assert "stopped early: 1 layers are not measured" in done.output
    done = run(*arguments)
    assert done.exit_code == 0
    assert measured == ["tiny", "second"]
    assert "stopped early" not in done.output
    absent = find_spec("torch") is None  # which a line of its own says
    assert done.output.count("torch NCHW") == 3 + absent  # two layers and their total


def test_what_failed_is_measured_again(measured):
    arguments = ["layers", "--network", "alexnet", "--json", "a.json", "--resume"]
    run(*arguments)
    path = layer_commands.Path("a.json")
    found = saved.load(path, networks.NetworksResult)
    found.layers[0].note = "the float64 result stopped: killed"
    report.write_json(path, found)
    run(*arguments)
    assert measured == ["tiny", "second", "tiny"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quick"], "was measured with other settings"),
        (["--peer", "torch"], "was measured with other contenders"),
    ],
)
def test_another_run_is_not_gone_on_with(measured, monkeypatch, arguments, message):
    contenders = {name: LAYER_CONTENDERS[name] for name in (FIRST, "torch NCHW", "jax")}
    contenders["jax"] = replace(contenders["jax"], package="numpy")  # as if it were here
    monkeypatch.setattr(layer_commands, "LAYER_CONTENDERS", contenders)
    base = ["layers", "--network", "alexnet", "--json", "a.json", "--resume"]
    assert run(*base).exit_code == 0
    done = run(*base, *arguments)
    assert done.exit_code == 1
    assert message in done.output
    assert measured == ["tiny", "second"]


@pytest.mark.parametrize("content", ["", "[]", '{"layers": 3}', '{"environment": {"cpu": 7}}'])
def test_a_file_that_holds_no_result(two_layers, content):
    layer_commands.Path("a.json").write_text(content)
    for command in (["show", "a.json"], ["layers", "--json", "a.json", "--resume"]):
        done = run(*command)
        assert done.exit_code == 1
        assert "a.json holds no result of this version's bench" in done.output


def test_a_result_comes_back_whole(tmp_path):
    result = networks_result("forward", "weight_grad")
    result.layers[0].job = replace(
        result.layers[0].job, layer=replace(TINY, padding=(1, 2), count=1)
    )
    report.write_json(tmp_path / "a.json", result)
    found = saved.load(tmp_path / "a.json", networks.NetworksResult)
    assert repr(found) == repr(result)


def test_show_prints_draws_and_writes_without_measuring(two_layers, tmp_path):
    pytest.importorskip("matplotlib")
    report.write_json(tmp_path / "a.json", networks_result())
    (tmp_path / "README.md").write_text(MARKED)
    done = run("show", "a.json", "--readme", "--picture", "bars.png")
    assert done.exit_code == 0, done.output
    assert "1x4x9x8 6x2x3x3 s2" in done.output
    assert "](bars.png)" in (tmp_path / "README.md").read_text()
    assert (tmp_path / "bars.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "nothing"], "no layer's name holds 'nothing'"),
        (["--picture", "a.txt"], "must end in one of .png, .svg, .pdf"),
        (["--json", "missing/a.json"], "no file can be written in"),
        (["--readme"], "README.md"),
        (["--resume"], "there is no file to go on with"),
        (["--peer", "tensorrt"], "no contender's name begins with 'tensorrt'"),
    ],
)
def test_what_cannot_work_is_refused_before_measuring(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(networks, "measure", None)
    done = run("layers", *arguments)
    assert done.exit_code == 1
    assert message in done.output


def test_a_compiler_that_fails_does_not_stop_the_bench(monkeypatch):
    def dead(name, seconds):
        raise WorkerError("no compiler")

    monkeypatch.setattr(networks, "started", dead)
    networks.compile_kernels()
