"""The process of a contender, and how it may end."""

import io
import os
import pickle
import signal

import numpy as np
import pytest

from npconv.bench import images
from npconv.bench import worker as worker_process
from npconv.bench.contest import contest
from npconv.bench.peers import Contender
from npconv.bench.processes import WorkerError, started


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


class Slow:
    """A worker whose call takes so long."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.samples = 0

    def prepare(self, given):
        return self.seconds, np.zeros(1)

    def sample(self):
        self.samples += 1
        return self.seconds, 2.0


def test_who_is_slow_and_far_behind_keeps_one_sample():
    workers = {"quick": Slow(0.3), "far": Slow(0.9), "slow": Slow(1.4), "hopeless": Slow(1.6)}
    contenders = {name: Contender("layer", "numpy", print) for name in workers}
    rows = contest(
        contenders, {}, lambda *given: 0.0, workers.__getitem__,
        rounds=3, seconds=60, advance=lambda: None, near=5.0,
    )  # fmt: skip
    assert [worker.samples for worker in workers.values()] == [3, 3, 3, 0]
    last = rows[-1]
    assert (last.samples, last.seconds, last.quickest) == ([1.6], 1.6, 1.6)
    assert rows[0].cpus_busy == 2.0


@pytest.mark.parametrize(
    ("seconds", "timed", "calls"), [(1.0, True, 2), (6.0, True, 1), (1.0, False, 1)]
)
def test_how_often_a_call_is_made_to_be_ready(monkeypatch, seconds, timed, calls):
    made = []
    contender = Contender("layer", "numpy", lambda: lambda: made.append(1) or 7, timed=timed)
    monkeypatch.setitem(worker_process.CONTENDERS, "made up", contender)
    clock = iter(np.arange(20) * seconds)
    monkeypatch.setattr(worker_process.time, "perf_counter", lambda: next(clock))
    requests, replies = io.BytesIO(pickle.dumps(("prepare", {}))), io.BytesIO()
    worker_process.serve("made up", requests, replies)
    assert len(made) == calls
    found = pickle.loads(replies.getvalue())
    assert found[0] == seconds
    assert found[1] == 7
