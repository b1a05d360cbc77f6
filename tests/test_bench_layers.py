import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from npconv.bench import app, commands, networks, networks_text, plots
from npconv.bench.arrays import Job, batched, channels_first, operands, result_shape
from npconv.bench.contest import ContenderTime, relative_error
from npconv.bench.environment import environment, version
from npconv.bench.layers import NETWORKS, Layer
from npconv.bench.peers import LAYER_CONTENDERS, YARDSTICKS, Contender
from npconv.bench.processes import WorkerError
from oracle import direct

TINY = Layer("tiny", (1, 4, 9, 8), (6, 2, 3, 3), stride=2, padding=1, groups=2, count=3)
FILTER = Layer("filter", (2, 3, 9, 8), (3, 1, 3, 5), padding=(1, 2), groups=3)
SOUND = Layer("sound", (2, 4, 20), (6, 4, 3), stride=2, dilation=2, padding=1)
CLIP = Layer("clip", (1, 2, 4, 6, 5), (3, 2, 2, 3, 3), padding=1)
DIRECTIONS = ("forward", "input_grad", "weight_grad")
HERE = ("npconv NCHW", "npconv NHWC", "torch NCHW", "torch NHWC", "scipy.ndimage")


def test_every_contender_of_layers_is_eligible_where_it_says():
    def able(layer, direction="forward"):
        job = Job(layer, direction)
        return {name for name, each in LAYER_CONTENDERS.items() if not each.why_not(job=job)}

    everywhere = {"npconv NCHW", "npconv NHWC", "torch NCHW", "jax"}
    assert able(TINY) == {*everywhere, "torch NHWC", "onnxruntime", "openvino", "ncnn"}
    assert able(FILTER) == set(LAYER_CONTENDERS)
    assert able(SOUND) == {*everywhere, "onnxruntime", "openvino"}
    assert able(replace(FILTER, padding=0)) == able(TINY)
    assert able(CLIP) == {*everywhere, "torch NHWC", "onnxruntime", "openvino"}
    for direction in DIRECTIONS[1:]:
        assert able(FILTER, direction) == {*everywhere, "torch NHWC"}
    assert "no gradients" in LAYER_CONTENDERS["ncnn"].why_not(job=Job(TINY, "input_grad"))


def test_the_reference_is_the_definition():
    x, weight = operands(Job(TINY))
    expected = direct(x.astype(float), weight.astype(float), stride=2, padding=1, groups=2)
    found = YARDSTICKS["reference"].prepare(job=Job(TINY))()
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("layer", [TINY, FILTER, SOUND, CLIP], ids=lambda layer: layer.name)
def test_every_contender_computes_the_layer(layer, direction):
    job = Job(layer, direction)
    expected = YARDSTICKS["reference"].prepare(job=job)()
    assert expected.shape == result_shape(job)
    for name in HERE:
        contender = LAYER_CONTENDERS[name]
        if contender.why_not(job=job) or not version(contender.package):
            continue
        found = contender.prepare(job=job)()
        if contender.channels_last:
            found = channels_first(found, direction)
        assert relative_error(found, expected) < 1e-5, name


def made_up(own_seconds, peer_seconds):
    peer = ContenderTime("peer", peer_seconds, samples=[peer_seconds], error=1e-7, cpus_busy=1.0)
    mine = ContenderTime("npconv NCHW", own_seconds, samples=[own_seconds], error=1e-7)
    unable = ContenderTime("other", note="has no gradients", able=False)
    row = networks.LayerResult("alexnet", TINY, 1000, [mine, peer, unable])
    row.ratios = {"npconv NCHW": {"npconv NCHW": 1.0}, "peer": {"npconv NCHW": 2.0}, "other": {}}
    return row


@pytest.fixture
def result():
    second = made_up(0.002, float("nan"))
    second.layer = replace(TINY, name="second", count=1)
    made = networks.NetworksResult(
        environment(), networks.Settings(), ["npconv NCHW", "peer", "other"], {"jax": "jax"}
    )
    made.layers = [made_up(0.001, 0.003), second]
    return networks.finished(made, [0.01, float("nan")])


def test_totals_count_each_layer_as_often_as_it_occurs(result):
    mine, peer = result.totals
    assert mine.seconds == pytest.approx(3 * 0.001 + 0.002)
    assert (peer.layers, peer.seconds) == (1, pytest.approx(0.009))
    assert peer.ratios == {"npconv NCHW": pytest.approx(3.0)}
    assert result.peak_flops == pytest.approx(2 * 512**3 / 0.01)
    shares = result.layers[0].shares
    assert shares["peer"] == pytest.approx(2000 / 0.003 / result.peak_flops)


def test_the_report_says_what_was_measured(result):
    result.unmeasured = 4
    printed = networks_text.text(result)
    assert "1x4x9x8 6x2x3x3 s2" in printed
    assert "other has no gradients" in printed
    assert "not installed: jax (pip install jax)" in printed
    assert "stopped early: 4 layers are not measured" in printed
    assert "alexnet  peer         1 of 2  9.00    3.00" in printed
    assert environment().cpu in printed
    written = networks_text.markdown(result)
    assert "| alexnet | 5.00 ms, 1.00x | 9.00 ms, 3.00x (1 of 2 layers) |" in written


@pytest.mark.parametrize("kind", plots.KINDS)
def test_the_picture_is_a_file_of_its_kind(tmp_path, result, kind):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"bars{kind}"
    plots.check(path)
    plots.picture(path, result)
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[kind]
    assert path.read_bytes().startswith(start)


def test_a_layer_without_a_reference_is_noted():
    class Dead:
        def prepare(self, given):
            raise WorkerError("out of memory")

    row, matmul = networks.measure_layer(
        "alexnet", TINY, networks.Settings(), {}, lambda name: Dead(), lambda: None
    )
    assert row.note == "the float64 result stopped: out of memory"
    assert matmul != matmul


def test_the_command_through_real_workers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(commands.NETWORKS, "alexnet", (TINY, replace(TINY, name="unwanted")))
    contenders = {name: LAYER_CONTENDERS[name] for name in HERE[:2]}
    contenders["absent"] = Contender("layer", "no-such-package", print)
    monkeypatch.setattr(networks.measure, "__defaults__", (contenders,))
    (tmp_path / "README.md").write_text("<!-- bench:layers -->\n<!-- /bench:layers -->\n")
    arguments = ["layers", "--network", "alexnet", "--only", "tiny", "--quick", "--batch", "2"]
    done = CliRunner().invoke(app, [*arguments, "--readme", "--json", "a.json"])
    assert done.exit_code == 0, done.output
    assert "2x4x9x8" in done.output
    assert "pip install no-such-package" in done.output
    assert "| alexnet | " in (tmp_path / "README.md").read_text()
    raw = json.loads((tmp_path / "a.json").read_text())
    (row,) = raw["layers"]
    for each in row["contenders"]:
        assert each["note"] == ""
        assert each["error"] < 1e-5
        assert each["quickest"] == min(each["samples"])
    assert row["ratios"]["npconv NCHW"]["npconv NCHW"] == 1.0


def test_ctrl_c_keeps_the_layers_measured(monkeypatch):
    def measured(network, layer, *rest):
        if layer.name == "second":
            raise KeyboardInterrupt
        return made_up(0.001, 0.003), 0.01

    monkeypatch.setattr(networks, "measure_layer", measured)
    monkeypatch.setitem(commands.NETWORKS, "alexnet", (TINY, replace(TINY, name="second")))
    done = CliRunner().invoke(app, ["layers", "--network", "alexnet"])
    assert done.exit_code == 130
    assert "stopped early: 1 layers are not measured" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "nothing"], "no layer's name holds 'nothing'"),
        (["--picture", "a.txt"], "must end in one of .png, .svg, .pdf"),
        (["--json", "missing/a.json"], "no file can be written in"),
        (["--readme"], "README.md"),
    ],
)
def test_what_cannot_work_is_refused_before_measuring(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(networks, "measure", None)
    done = CliRunner().invoke(app, ["layers", *arguments])
    assert done.exit_code == 1
    assert message in done.output


def test_a_batch_is_as_many_images():
    for layers in NETWORKS.values():
        assert batched(layers[0], 8).x_shape == (8, *layers[0].x_shape[1:])
