"""The contenders of layers, and what is made of their times."""

from dataclasses import replace

import numpy as np
import pytest

from bench_cases import FIRST, TINY, layer_result, networks_result, workers_without_kernels
from npconv.bench import networks, networks_text
from npconv.bench.arrays import Job, channels_first, operands, result_shape
from npconv.bench.contest import relative_error
from npconv.bench.environment import environment, version
from npconv.bench.layers import Layer
from npconv.bench.peers import GOAL_CONTENDERS, LAYER_CONTENDERS, OWN, YARDSTICKS, own
from npconv.bench.processes import WorkerError, started
from npconv.compiler import missing
from oracle import direct

FILTER = Layer("filter", (2, 3, 9, 8), (3, 1, 3, 5), padding=(1, 2), groups=3)
SOUND = Layer("sound", (2, 4, 20), (6, 4, 3), stride=2, dilation=2, padding=1)
CLIP = Layer("clip", (1, 2, 4, 6, 5), (3, 2, 2, 3, 3), padding=1)
DIRECTIONS = ("forward", "input_grad", "weight_grad")
HERE = (*OWN, "torch NCHW", "torch NHWC", "scipy.ndimage")


@pytest.fixture(autouse=True)
def kernels_as_they_are_used(monkeypatch):
    """Compile what a test calls, and not all there is."""
    monkeypatch.setattr(own, "compile_all", lambda: None)


def test_every_contender_of_layers_is_eligible_where_it_says():
    def able(layer, direction="forward"):
        job = Job(layer, direction)
        return {name for name, each in LAYER_CONTENDERS.items() if not each.why_not(job=job)}

    everywhere = {*OWN, "torch NCHW", "jax"}
    assert len(OWN) == 4
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


def check(name, job, expected):
    contender = GOAL_CONTENDERS[name]
    found = contender.array(contender.prepare(job=job)())
    if contender.channels_last:
        found = channels_first(found, job.direction)
    assert relative_error(found, expected) < 1e-5, name


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("layer", [TINY, FILTER, SOUND, CLIP], ids=lambda layer: layer.name)
def test_every_contender_computes_the_layer(layer, direction):
    job = Job(layer, direction)
    expected = YARDSTICKS["reference"].prepare(job=job)()
    assert expected.shape == result_shape(job)
    for name in HERE:
        contender = LAYER_CONTENDERS[name]
        if not contender.why_not(job=job) and version(contender.package):
            check(name, job, expected)


@pytest.mark.parametrize("name", ["npconv conv", "npconv direct"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_contenders_of_goals_compute_the_layer(name, dtype):
    if "direct" in name and missing():
        pytest.skip("the direct algorithm needs Numba")
    job = Job(CLIP, dtype=dtype)
    check(name, job, YARDSTICKS["reference"].prepare(job=job)())
    assert GOAL_CONTENDERS[name].prepare(job=job)().dtype == dtype


def test_a_packed_weight_is_packed_before_the_clock_runs(monkeypatch):
    import npconv

    packed = []
    real = npconv.planner.Plan.pack
    monkeypatch.setattr(
        npconv.planner.Plan, "pack", lambda *given: packed.append(1) or real(*given)
    )
    call = LAYER_CONTENDERS[FIRST].prepare(job=Job(CLIP))
    assert packed == [1]
    call()
    assert packed == [1]


def test_totals_count_each_layer_as_often_as_it_occurs():
    result = networks_result("forward", "weight_grad")
    mine, peer, *rest = result.totals
    assert mine.seconds == pytest.approx(3 * 0.001 + 0.002)
    assert (peer.layers, peer.seconds) == (1, pytest.approx(0.009))
    assert peer.ratios == {FIRST: pytest.approx(3.0)}
    assert [(total.direction, total.contender) for total in rest] == [
        ("weight_grad", FIRST),
        ("weight_grad", "torch NCHW"),
    ]


def test_shares_are_of_the_best_peak_of_the_run_in_the_same_dtype():
    made = networks_result()
    double = layer_result(0.001, 0.003)
    double.job, double.peak_flops = replace(double.job, dtype="float64"), 5e8
    made.layers.append(double)
    made.layers[0].peak_flops = 4e9
    result = networks.finished(made)
    assert result.peak_flops == {"float32": 4e9, "float64": 5e8}
    assert result.layers[0].shares["torch NCHW"] == pytest.approx(2000 / 0.003 / 4e9)
    assert result.layers[2].shares["torch NCHW"] == pytest.approx(2000 / 0.003 / 5e8)


def test_contenders_may_enter_only_some_layers():
    made = networks_result()
    other = layer_result(0.004, 0.005, layer=replace(TINY, name="third"))
    other.contenders = other.contenders[1:]
    made.layers = [other, *made.layers]
    peer = next(t for t in networks.totals_of(made.layers) if t.contender == "torch NCHW")
    assert peer.seconds == pytest.approx(3 * 0.005 + 3 * 0.003)
    assert peer.ratios == {FIRST: pytest.approx(3.0)}


def test_the_report_says_what_was_measured():
    result = networks_result("forward", "input_grad")
    result.unmeasured = 4
    printed = networks_text.text(result)
    assert "1x4x9x8 6x2x3x3 s2" in printed
    assert "ncnn has no gradients" in printed
    assert "not installed: jax (pip install jax)" in printed
    assert "stopped early: 4 layers are not measured" in printed
    assert "input_grad  alexnet  torch NCHW        1 of 2  9.00         3.00" in printed
    assert "1 GFLOP/s in float32" in printed
    assert environment().cpu in printed
    written = networks_text.markdown(result, "docs/bench.png")
    assert "](docs/bench.png)" in written
    assert "| Gradient of the input | npconv NHWC fast | torch NCHW |" in written
    row = "| alexnet | 5.00 ms, 1.00x | 9.00 ms, 3.00x (1 of 2 layers) |"
    assert written.count(row) == 2


def test_a_layer_without_a_reference_is_noted():
    class Dead:
        def prepare(self, given):
            raise WorkerError("out of memory")

    task = networks.Task("alexnet", Job(TINY))
    row = networks.measure_layer(task, networks.Settings(), {}, lambda name: Dead(), lambda: None)
    assert row.note == "the float64 result stopped: out of memory"
    assert row.peak_flops != row.peak_flops


def test_a_result_that_no_rounding_explains_is_wrong_and_not_timed():
    class Worker:
        def __init__(self, error):
            self.error = error

        def prepare(self, given):
            return 0.001, YARDSTICKS["reference"].prepare(**given)() * (1 + self.error)

        def sample(self):
            return 0.001, 1.0

    workers = {"reference": Worker(0), "good": Worker(1e-4), "bad": Worker(1e-2)}
    workers["nan"] = Worker(np.nan)
    names = ("good", "bad", "nan")
    row = networks.measure_layer(
        networks.Task("alexnet", Job(TINY)),
        networks.Settings(rounds=3),
        {name: replace(LAYER_CONTENDERS["torch NCHW"], package="numpy") for name in names},
        lambda name: workers.get(name) or dead(),
        lambda: None,
    )
    assert [each.note for each in row.contenders] == [
        "",
        "wrong: the largest error is 0.01 of the largest value",
        "wrong: the largest error is nan of the largest value",
    ]
    assert [len(each.samples) for each in row.contenders] == [3, 0, 0]


def dead():
    raise WorkerError("not here")


def test_the_peak_is_the_quickest_of_its_samples():
    class Peak:
        times = iter([0.5, 0.2, 0.4, 0.3])

        def prepare(self, given):
            return 9.0, np.asarray(1000)

        def sample(self):
            return next(self.times), 2.0

    assert networks.peak_flops(Job(TINY), lambda name: Peak()) == 5000


@pytest.mark.skipif(bool(missing()), reason="kernels need Numba")
def test_the_peak_by_its_real_worker():
    with started("peak") as worker:
        assert networks.peak_flops(Job(TINY, dtype="float64"), lambda name: worker) > 1e8


def test_without_a_peak_there_is_no_share(monkeypatch):
    workers_without_kernels(monkeypatch)
    with started("peak") as worker:
        found = networks.peak_flops(Job(TINY), lambda name: worker)
    assert found != found
