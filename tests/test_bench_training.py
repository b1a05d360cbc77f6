"""The bench of training steps: its networks are PyTorch's, and what it says of them."""

import io
import math
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench_cases import timed
from npconv.bench import resident, training, worker
from npconv.bench.contest import ContenderTime
from npconv.bench.environment import environment
from npconv.bench.peers import TRAIN_CONTENDERS, Contender
from npconv.bench.peers.training import TrainCase, data, network, step
from npconv.cli import app

SMALL = TrainCase("lenet5", 3, 1, 12, classes=4)


def test_a_step_learns_and_tells_its_first_loss():
    run = step(SMALL)
    losses = [run() for _ in range(3)]
    assert losses[0] == losses[1] == losses[2]
    assert losses[0] == pytest.approx(step(SMALL, "float64")(), rel=1e-5)
    model, (x, labels) = network(SMALL), data(SMALL)
    scores = model(x).astype("f8")
    powers = np.exp(scores - scores.max(1, keepdims=True))
    shares = powers / powers.sum(1, keepdims=True)
    wanted = -np.log(shares[np.arange(3), labels]).mean()
    assert losses[0] == pytest.approx(wanted, rel=1e-5)


def test_nothing_is_dropped():
    case = TrainCase("mobilenet_v2", 1, 3, 32)
    drops = [m.p for _, m in network(case).modules() if type(m).__name__ == "Dropout"]
    assert drops
    assert set(drops) == {0.0}


def test_the_table():
    rows = [timed("npconv training", 0.01), timed("torch training NCHW", 0.02)]
    rows[1].ratio = 2.0
    made = training.TrainingResult(environment(), 3, [])
    made.cases.append(training.TrainResult(SMALL, rows, {"torch training NCHW": 12.6 * 2**20}))
    text = training.text(made)
    row = next(line.split() for line in text.splitlines() if "torch training NCHW" in line)
    assert row == [
        "lenet5",
        "3x1x12x12",
        *["torch", "training", "NCHW", "20.0", "20.0", "2.00", "1e-07", "13"],
    ]
    own = next(line.split() for line in text.splitlines() if "npconv training" in line)
    assert own[-1] == "-"
    assert "ratio: time over npconv's" in text
    assert "beyond what a tiny network's step left there" in text


def test_who_enters():
    assert list(TRAIN_CONTENDERS) == [
        "npconv training", "torch training NCHW", "torch training NHWC",
    ]  # fmt: skip
    made = CliRunner().invoke(app, ["bench", "training", "--network", "inception"])
    assert made.exit_code == 1
    assert "no network's name holds" in made.output
    assert "mobilenet_v2" in made.output


# Prepares a call that fills n bytes, beside n that stay; 2 n are gone before it.
FILLS = """
import numpy as np
from npconv.bench.resident import peak_beyond
def prepare(n):
    kept = np.ones(n, np.uint8)
    np.ones((2, n), np.uint8)
    return lambda: (kept, np.ones(n, np.uint8))
print(peak_beyond(prepare, {"n": 1}, {"n": 1 << 26}))
"""


def test_the_memory_of_a_call():
    found = float(subprocess.check_output([sys.executable, "-P", "-c", FILLS]))
    assert math.isnan(found) or found == pytest.approx(2 << 26, rel=0.2)
    assert not math.isnan(found) or not Path("/proc/self/clear_refs").exists()


def test_a_worker_tells_it(monkeypatch):
    calls = []
    contender = Contender("training", "numpy", lambda n: lambda: calls.append(n))
    monkeypatch.setitem(worker.TRAIN_CONTENDERS, "made up", contender)
    monkeypatch.setattr(resident, "_said", {"VmRSS": 10.0, "VmHWM": 17.0}.__getitem__)
    monkeypatch.setattr(resident, "open", lambda *given: io.StringIO(), raising=False)
    requests, replies = io.BytesIO(pickle.dumps(("memory", {"n": 1}, {"n": 2}))), io.BytesIO()
    worker.serve("made up", requests, replies)
    assert pickle.loads(replies.getvalue()) == (7.0,)
    assert calls == [1, *[2] * resident.CALLS]


@pytest.mark.parametrize("missing", ["/proc/self/clear_refs", "/proc/self/status"])
def test_a_system_that_does_not_tell_its_memory(missing, monkeypatch):
    def opened(name, *mode):
        if name == missing:
            raise FileNotFoundError(name)
        return open(name, *mode)

    monkeypatch.setattr(resident, "open", opened, raising=False)
    assert math.isnan(resident.peak_beyond(lambda: lambda: None, {}, {}))


def test_each_contender_is_measured_in_a_process_of_its_own(monkeypatch):
    asked = []

    class Alone:
        def memory(self, tiny, given):
            asked.append((tiny["case"].network, given["case"]))
            return 7.0

    class Started:
        def __init__(self, name):
            if name == "dead":
                raise training.WorkerError("no room")

        def __enter__(self):
            return Alone()

        def __exit__(self, *error):
            return None

    rows = [timed("own", 0.1), timed("dead", 0.1), ContenderTime("absent", note="not installed")]
    monkeypatch.setattr(training, "started", Started)
    monkeypatch.setattr(training, "contest", lambda *given, **limits: rows)
    found = training.measure_case(SMALL, {}, lambda name: Reference(), 3, 1.0, lambda: None)
    assert asked == [("lenet5", SMALL)]
    assert found.peak_nbytes == {"own": 7.0}
    assert [row.note for row in rows] == ["", "memory not measured: no room", "not installed"]


class Reference:
    """The worker of the float64 loss."""

    def prepare(self, given):
        return 1.0, np.zeros(())
