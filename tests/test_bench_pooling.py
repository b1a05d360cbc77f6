"""`npconv bench pooling`."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import oracle_pool
from bench_cases import workers_without_kernels
from npconv.bench import app, pooling, pooling_text
from npconv.bench.contest import ContenderTime
from npconv.bench.environment import environment
from npconv.bench.peers import POOL_CONTENDERS, Contender
from npconv.bench.peers import pooling as contenders
from npconv.bench.peers.pooling import PoolCase, pool_arrays

OPERATIONS = (
    "max", "max with indices", "max backward", "average", "average backward", "unfold", "fold"
)  # fmt: skip
SHAPES = (((2, 3, 7, 9), 3, 2, 1), ((1, 2, 6, 4), 2, 2, 0), ((2, 4, 5, 5), 5, 5, 0))


def defined(case):
    """A case by the window-by-window definition."""
    x, grad, columns = (array.astype(float) for array in pool_arrays(case))
    geometry = {"stride": case.stride, "padding": case.padding}
    along = oracle_pool.axes(case.x_shape, case.kernel_size, **geometry)
    largest, index = oracle_pool.max_pool(x, case.kernel_size, **geometry)
    counts = case.kernel_size**2
    if case.operation == "unfold":
        padded = np.pad(x, ((0, 0), (0, 0), *[(case.padding, case.padding)] * 2))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (case.kernel_size,) * 2, (2, 3))
        windows = windows[:, :, :: case.stride, :: case.stride]
        return windows.transpose(0, 1, 4, 5, 2, 3).reshape(columns.shape)
    return {
        "max": lambda: largest,
        "max with indices": lambda: largest,
        "max backward": lambda: oracle_pool.max_pool_grad(grad, index, x.shape),
        "average": lambda: oracle_pool.window_sums(x, along) / counts,
        "average backward": lambda: oracle_pool.spread(grad / counts, along, x.shape),
    }[case.operation]()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("operation", OPERATIONS[:-1])
def test_the_oracle_is_the_definition(operation, shape):
    case = PoolCase(operation, *shape)
    np.testing.assert_allclose(pooling.oracle(case), defined(case), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_oracle_of_fold_is_the_adjoint_of_that_of_unfold(shape):
    case = PoolCase("fold", *shape)
    x, _, columns = (array.astype(float) for array in pool_arrays(case))
    left = (pooling.oracle(replace(case, operation="unfold")) * columns).sum()
    np.testing.assert_allclose(left, (pooling.oracle(case) * x).sum(), rtol=1e-6)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_contender_agrees(operation, monkeypatch):
    monkeypatch.setattr(contenders, "compile_all", lambda: None)
    case = PoolCase(operation, *SHAPES[0])
    expected = pooling.oracle(case)
    contender = POOL_CONTENDERS["npconv pooling NCHW"]
    found = contender.array(contender.prepare(case=case)())
    np.testing.assert_allclose(found, expected, atol=1e-5)
    other = POOL_CONTENDERS["npconv pooling NHWC"]
    if reason := other.why_not(case=case):
        assert reason == f"the matrix of {operation} is channels first"
    else:
        found = other.array(other.prepare(case=case)())
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_tiny_case_run_through_a_real_worker(monkeypatch):
    workers_without_kernels(monkeypatch)
    entered = {
        "npconv pooling NCHW": POOL_CONTENDERS["npconv pooling NCHW"],
        "absent": Contender("pool", "no-such-package", print),
    }
    cases = [PoolCase(name, *SHAPES[0]) for name in ("max", "fold")]
    result = pooling.measure(cases, contenders=entered, rounds=2)
    for each in result.cases:
        first, absent = each.contenders
        assert (first.ratio, first.note, len(first.samples)) == (1.0, "", 2)
        assert first.error < 2e-6
        assert absent.note == "not installed: pip install no-such-package"
    printed = pooling_text.text(result)
    assert "2x3x7x9" in printed
    assert "3x3, stride 2, padding 1" in printed
    assert environment().cpu in printed


def test_the_command_prints_and_saves(tmp_path, monkeypatch):
    row = ContenderTime("npconv pooling NCHW", 0.005, 1.0, 1e-7, 2.0, [0.005], quickest=0.004)
    unable = ContenderTime("npconv pooling NHWC", note="cannot", able=False)
    case = pooling.PoolResult(pooling.CASES[0], [row, unable])
    made_up = pooling.PoolingResult(environment(), 3, [case])
    monkeypatch.setattr(pooling, "measure", lambda rounds: made_up)
    path = tmp_path / "saved.json"
    ran = CliRunner().invoke(app, ["pooling", "--quick", "--json", str(path)])
    assert ran.exit_code == 0
    assert "npconv pooling NCHW" in ran.output
    assert "cannot" not in ran.output
    assert json.loads(path.read_text())["cases"][0]["contenders"][0]["seconds"] == 0.005
