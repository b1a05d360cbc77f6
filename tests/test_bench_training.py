"""The bench of training steps: its networks are PyTorch's, and what it says of them."""

import numpy as np
import pytest
from typer.testing import CliRunner

from bench_cases import timed
from npconv.bench import training
from npconv.bench.environment import environment
from npconv.bench.peers import TRAIN_CONTENDERS
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
    made = training.TrainingResult(environment(), 3, [training.TrainResult(SMALL, rows)])
    text = training.text(made)
    row = next(line.split() for line in text.splitlines() if "torch training NCHW" in line)
    assert row == [
        "lenet5",
        "3x1x12x12",
        *["torch", "training", "NCHW", "20.0", "20.0", "2.00", "1e-07"],
    ]
    assert "ratio: time over npconv's" in text


def test_who_enters():
    assert list(TRAIN_CONTENDERS) == [
        "npconv training", "torch training NCHW", "torch training NHWC",
    ]  # fmt: skip
    made = CliRunner().invoke(app, ["bench", "training", "--network", "inception"])
    assert made.exit_code == 1
    assert "no network's name holds" in made.output
    assert "mobilenet_v2" in made.output
