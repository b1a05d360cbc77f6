"""conv from many threads and processes at once; the same bits however many share the work."""

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import cases
import npconv
import oracle
from npconv import conv

HASHES = """
import hashlib, json, sys
import numpy as np, npconv
sys.path.insert(0, {tests!r})
import test_threads
print(json.dumps(test_threads.hashes()))
"""

FORKS = """
import os
import numpy as np, npconv
x, weight = np.ones((1, 1, 700, 700), "float32"), np.ones((1, 1, 9, 9), "float32")
want = npconv.conv(x, weight, algorithm="toeplitz")
for _ in range(3):
    child = os.fork()
    if child == 0:
        same = np.array_equal(npconv.conv(x, weight, algorithm="toeplitz"), want)
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
print("fine")
"""


def hashes():
    """A digest of every algorithm's result on problems of several tiles."""
    rng = np.random.default_rng(0)
    found = {}
    for x_shape, weight_shape, geometry in (
        ((2, 16, 60, 60), (16, 16, 3, 3), {"padding": 1}),
        ((1, 1, 400, 500), (1, 1, 9, 9), {}),
        ((2, 4, 20000), (4, 4, 9), {"stride": 2}),
    ):
        for dtype in ("float32", "float64"):
            x, weight = cases.real(rng, x_shape, dtype), cases.real(rng, weight_shape, dtype)
            for name, out in cases.each(x, weight, skip=("naive", "im2col_loop"), **geometry):
                digest = hashlib.sha256(out.tobytes()).hexdigest()
                found[f"{name} {x_shape} {dtype}"] = digest
    return found


def script(text, **variables):
    """Run a script in a process of its own and return what it prints."""
    ran = subprocess.run(
        [sys.executable, "-c", text.format(tests=os.path.dirname(__file__))],
        env={**os.environ, **variables}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_same_bits_for_any_number_of_threads():
    one, three = (
        json.loads(script(HASHES, NPCONV_NUM_THREADS=ours, OPENBLAS_NUM_THREADS=blas))
        for ours, blas in (("1", "1"), ("3", "2"))
    )
    assert len(one) > 20
    assert one == three


def test_many_threads_at_once():
    rng = np.random.default_rng(1)
    jobs = []
    for i in range(40):
        shape = (1 + i % 2, 2, 30 + i, 25 + i)
        x = oracle.small_integers(rng, shape, "float32")
        weight = oracle.small_integers(rng, (3, 2, 1 + i % 4, 1 + i % 3), "float32")
        jobs.append((x, weight, oracle.direct(x, weight, padding=i % 3), i))

    def run(job):
        x, weight, want, i = job
        for name, out in cases.each(x, weight, skip=("naive", "im2col_loop"), padding=i % 3):
            cases.same_numbers(name, out, want)

    with cases.small_tiles(1 << 12), ThreadPoolExecutor(8) as pool:
        list(pool.map(run, jobs))


def test_an_error_in_one_tile_reaches_the_caller(monkeypatch):
    from npconv import threads

    monkeypatch.setenv("NPCONV_NUM_THREADS", "3")
    threads.num_threads.cache_clear()
    done = []

    def step(item):
        if item == 5:
            raise KeyError(item)
        done.append(item)

    with pytest.raises(KeyError, match="5"):
        threads.for_each(range(100), step)
    threads.for_each(range(100), done.append)
    assert set(done) == set(range(100))
    monkeypatch.undo()
    threads.num_threads.cache_clear()


def test_callers_error_state_holds_in_every_thread():
    x = np.full((1, 1, 400, 500), 3e38, np.float32)
    weight = np.full((1, 1, 3, 3), 3e38, np.float32)
    with np.errstate(all="raise"):
        for name, out in cases.each(x, weight, skip=("naive", "im2col_loop")):
            assert np.isposinf(out).all(), name


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_has_threads_of_its_own():
    assert script(FORKS, NPCONV_NUM_THREADS="3").strip() == "fine"


def test_same_call_many_times_from_threads_gives_the_same_bits():
    rng = np.random.default_rng(2)
    x, weight = cases.real(rng, (2, 8, 64, 64), "float32"), cases.real(rng, (8, 8, 5, 5), "float32")
    with ThreadPoolExecutor(4) as pool:
        for name in npconv.algorithms():
            if name in ("naive", "im2col_loop"):
                continue
            runs = pool.map(lambda _, n=name: conv(x, weight, algorithm=n).tobytes(), range(6))
            assert len(set(runs)) == 1, name
