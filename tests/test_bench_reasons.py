"""Why a row of npconv's is behind a peer's."""

import math

import numpy as np
import pytest

from bench_cases import timed, workers_without_kernels
from npconv.bench import pooling, pooling_text, signals, signals_text
from npconv.bench.contest import ContenderTime
from npconv.bench.peers import CONTENDERS, POOL_CONTENDERS, Contender
from npconv.bench.peers.pooling import PoolCase, pool_arrays
from npconv.bench.reasons import reasons


def same(name, peer):
    """Whether two names end alike."""
    return name.split()[-1] == peer.split()[-1]


def told(floors, *rows, nbytes=8000):
    """The reasons, with what was asked for."""
    asked = []

    def measured(names):
        asked.append(names)
        return floors

    return reasons(rows, nbytes, same, measured), asked


def test_who_is_ahead_is_asked_nothing():
    rows = timed("npconv NHWC", 1e-5), timed("torch NHWC", 2e-5), timed("torch NCHW", 1e-6)
    assert told([], *rows) == ({}, [])
    assert told([], ContenderTime("npconv NHWC"), timed("torch NHWC", 1e-5)) == ({}, [])
    assert told([], timed("npconv NHWC", 1e-5), ContenderTime("torch NHWC")) == ({}, [])


@pytest.mark.parametrize(
    ("floors", "why"),
    [
        ([8e-6, 3e-6], "a call takes 8.0 us to begin, the peer's 3.0"),
        ([1e-6, 1e-6], "0.008 MB at 0.9, 1.1 GB/s"),
        ([9e-6, 8e-6], "0.008 MB at 8.0 GB/s"),
        ([11e-6, 9e-6], "a call takes 11.0 us to begin, the peer's 9.0"),
    ],
)
def test_the_quickest_peer_of_its_kind_is_held_against_it(floors, why):
    rows = (
        timed("npconv NHWC", 1e-5), timed("npconv NCHW", 1e-5), timed("slow NHWC", 9e-6),
        timed("torch NHWC", 8e-6), timed("torch NCHW", 3e-5),
    )  # fmt: skip
    found, asked = told(floors, *rows)
    assert asked == [["npconv NHWC", "torch NHWC"]]
    assert found == {"npconv NHWC": f"0.80 of torch NHWC: {why}"}


@pytest.mark.parametrize("operation", ["max", "max with indices", "max backward", "unfold"])
def test_the_bytes_of_a_pooling(operation):
    case = PoolCase(operation, (2, 3, 8, 6), 2, 2, 0)
    x, grad, columns = (array.nbytes for array in pool_arrays(case))
    want = {
        "max": x + grad, "max with indices": x + 3 * grad, "max backward": x + 3 * grad,
        "unfold": x + columns,
    }  # fmt: skip
    assert pooling.nbytes(case) == want[operation]


def test_the_benches_say_it(monkeypatch):
    workers_without_kernels(monkeypatch)
    own, peer = "npconv pooling NCHW", "torch pooling NCHW"
    asked = []

    def contest(contenders, given, error_of, *more, **settings):
        asked.append(given)
        assert error_of(own, np.asarray(expected(given))) == 0
        return [timed(name, (1 + (name in (own, "npconv.signal"))) * 1e-3) for name in contenders]

    def expected(given):
        return pooling.oracle(given["case"]) if "case" in given else signals.oracle(given)

    case = PoolCase("max", (1, 2, 6, 6), 3, 1, 1)
    monkeypatch.setattr(pooling, "contest", contest)
    contenders = {own: POOL_CONTENDERS[own], peer: Contender("pool", "numpy", print)}
    result = pooling.measure_case(case, contenders, print, 3, 1.0, print)
    assert [one["case"].x_shape for one in asked] == [(1, 2, 6, 6), (1, 16, 3, 3)]
    why = f"0.50 of {peer}: a call takes 2000.0 us to begin, the peer's 1000.0"
    assert result.behind == {own: why}
    made = pooling.PoolingResult(pooling.environment(), 3, [result])
    assert why in pooling_text.text(made)

    asked.clear()
    monkeypatch.setattr(signals, "contest", contest)
    names = "npconv.signal", "scipy.signal"
    one = signals.SignalCase("batch", "fftconvolve", (5, 90), (1, 9), axis=1)
    entered = {name: CONTENDERS[name] for name in names}
    found = signals.measure_case(one, entered, print, 3, 1.0, print)
    assert [given["x"].shape for given in asked] == [(5, 90), (2, 2)]
    made = signals.SignalsResult(signals.environment("numpy"), 3, [found])
    assert "0.50 of scipy.signal: a call takes" in signals_text.text(made)
    assert not any(math.isnan(row.seconds) for row in found.contenders)
