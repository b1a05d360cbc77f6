"""Statistics, alternating rounds and the stopwatch, on made-up times."""

import math

import pytest

from npconv.bench import runner
from npconv.bench.stats import distribution
from npconv.bench.stats import regret as regret_of


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
