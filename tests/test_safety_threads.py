"""Compiled kernels by many users and threads: right, the same bits, the processor as it was."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import cases
import grad_cases
import npconv
import random_calls
from npconv import arrays, threads
from thread_tools import shared_by


def results(drawn, names, values=None):
    """Yield (what, which answer, result) of every call of a geometry."""
    operands = random_calls.laid(drawn, values or random_calls.integers(drawn))
    shapes = {"input_grad": drawn.x_shape, "weight_grad": drawn.weight_shape}
    shapes["conv"] = npconv.conv(
        operands["x"], operands["weight"], algorithm="taps",
        **cases.Case(drawn.x_shape, drawn.weight_shape, {}, 0).letters, **drawn.geometry,
    ).shape  # fmt: skip
    for name in names:
        for what, which, call in random_calls.calls(drawn, operands, name):
            out = np.full(shapes[which], np.nan, drawn.dtype)
            try:
                call(out)
            except npconv.UnsupportedError:
                continue
            yield f"{what} by {name}", which, out


@pytest.mark.parametrize("users", [4, 32])
def test_users_at_once(users):
    """More threads than cores, each with geometries of its own."""
    rng = random.Random(users)
    jobs = [random_calls.draw(rng) for _ in range(1600 if cases.ALL else 32)]

    def run(drawn):
        values = random_calls.integers(drawn)
        answers = random_calls.answers(drawn, values)
        for what, which, out in results(drawn, random_calls.COMPILED):
            name = what.rpartition(" ")[2]
            found = random_calls.complaint(drawn, name, which, out, answers[which], values)
            assert not found, (what, found, drawn)

    with shared_by(9), cases.small_tiles(1 << 12), ThreadPoolExecutor(users) as pool:
        list(pool.map(run, jobs))


@pytest.mark.parametrize("nbytes", [0, 1 << 12])
def test_the_same_bits_for_1_2_3_and_9_threads(nbytes, monkeypatch):
    """Every algorithm, every direction, on real numbers."""
    rng = random.Random(7)
    names = [name for name in npconv.algorithms() if name not in grad_cases.SLOW] + ["auto"]
    drawn = [random_calls.draw(rng) for _ in range(300 if cases.ALL else 8)]
    seen = {}
    for name in ("WORTH_SHARING", "WORTH_POOLING"):
        monkeypatch.setattr(arrays, name, 64)
    for number in (1, 2, 3, 9):
        with shared_by(number):
            for i, one in enumerate(drawn):
                draw = np.random.default_rng(i)
                values = {
                    name: draw.standard_normal(array.shape)
                    for name, array in random_calls.integers(one).items()
                }
                if nbytes:
                    with cases.small_tiles(nbytes):
                        found = [(k, o.tobytes()) for k, _, o in results(one, names, values)]
                else:
                    found = [(k, o.tobytes()) for k, _, o in results(one, names, values)]
                assert found == seen.setdefault(i, found), (number, one)
    assert len({what for found in seen.values() for what, _ in found}) > 30


def float_mode():
    """What this thread's processor makes of tiny numbers and of halves: a tuple of bits."""
    tiny = np.array([1e-310, 5e-324, -1e-310])
    small = np.array([1e-40, 1e-45, -1e-40], np.float32)
    one, half = np.array([1.0, -1.0]), np.array([2.0**-53, 2.0**-53 * 1.5])
    found = (
        tiny * np.array(1.0), tiny + tiny, tiny * np.array(0.5), np.array([2e-308]) / 16,
        small * np.float32(1), small + small, np.array([2e-38], np.float32) / np.float32(16),
        one + half[0], one - half[0], one + half[1], one - half[1], one + half[0] / 4096,
        np.rint(np.array([0.5, 1.5, -0.5, 2.5])), np.array([1.0]) / 3, np.array([-1.0]) / 3,
    )  # fmt: skip
    return tuple(array.tobytes() for array in found)


def in_workers(number):
    """float_mode of this thread and of so many others of the pool."""
    barrier, found = threading.Barrier(number, timeout=60), {}

    def step(_):
        barrier.wait()
        found[threading.get_ident()] = float_mode()
        barrier.wait()

    threads.for_each(range(number), step)
    assert len(found) == number
    return set(found.values())


def test_the_processor_rounds_as_before_in_every_thread():
    before = float_mode()
    assert np.frombuffer(before[0])[1] == 5e-324  # subnormal numbers are numbers
    assert (np.frombuffer(before[7]) == [1, -1 + 2.0**-53]).all()  # to nearest, ties to even
    rng = random.Random(3)
    with shared_by(3):
        assert in_workers(3) == {before}
        for _ in range(200 if cases.ALL else 10):
            drawn = random_calls.draw(rng)
            with cases.small_tiles(1 << 10):
                for what, _, _ in results(drawn, random_calls.COMPILED):
                    assert float_mode() == before, (what, drawn)
                assert in_workers(3) == {before}, drawn
    assert in_workers(1) == {before}


@pytest.mark.parametrize(("dtype", "tiny"), [("float32", 1e-42), ("float64", 1e-315)])
def test_kernels_compute_with_subnormal_numbers(dtype, tiny):
    x = np.full((1, 20, 12, 12), tiny, dtype)
    weight = np.ones((34, 20, 3, 3), dtype)
    unit = np.nextafter(np.zeros(1, dtype), 1)[0]
    want = np.float64(x[0, 0, 0, 0] / unit) * 180  # in units: a whole number
    for name in random_calls.COMPILED:
        try:
            out = npconv.conv(x, weight, algorithm=name)
        except npconv.UnsupportedError:
            continue
        steps = np.asarray(out / unit, np.float64)
        # A transform rounds to whole units as it goes; with none but zeros nothing would be left.
        loose = 0 if name == "indirect" else 0.5
        assert np.abs(steps / want - 1).max() <= loose, name
