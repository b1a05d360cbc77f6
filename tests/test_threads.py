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

# The parent's threads compute meanwhile; a child that waits for one of them is ended by its alarm.
FORKS = """
import os, signal, sys, threading
import numpy as np, npconv
sys.path.insert(0, {tests!r})
import cases
x, weight = np.ones((1, 2, 60, 60), "float32"), np.ones((2, 2, 5, 5), "float32")
names = [name for name, _ in cases.each(x, weight, skip=("naive", "im2col_loop"))]
stop = threading.Event()
def run(name):
    return npconv.conv(x, weight, algorithm=name)
with cases.small_tiles(1 << 14):
    want = {{name: run(name) for name in names}}
    def work():
        while not stop.is_set():
            for name in names:
                run(name)
                stop.wait(0.001)  # or the parent hardly comes to fork
    others = [threading.Thread(target=work) for _ in range(2)]
    for other in others:
        other.start()
    for i in range(200 if os.environ.get("NPCONV_TEST_ALL") == "1" else 60):
        name = names[i % len(names)]
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            same = np.array_equal(run(name), want[name])
            os._exit(0 if same else 1)
        for _ in range(i % 3):
            run(name)
        status = os.waitpid(child, 0)[1]
        assert status == 0, (i, name, status)
    stop.set()
    for other in others:
        other.join()
print("fine")
"""

EXIT = """
import sys, threading
import numpy as np, npconv
sys.path.insert(0, {tests!r})
import cases
x, weight = np.ones((1, 2, 300, 300), "float32"), np.ones((2, 2, 5, 5), "float32")
with cases.small_tiles(1 << 14):
    npconv.conv(x, weight)
    go = threading.Semaphore(0)
    def for_ever():
        while True:
            npconv.conv(x, weight, algorithm="taps")
            go.release()
    def for_long():
        for i in range(30):
            out = npconv.conv(x, weight, algorithm="im2col_tiled")
            go.release()
            if i == 29:
                print(out[0, 0, 0, 0])
    threading.Thread(target=for_ever, daemon=True).start()
    threading.Thread(target=for_long).start()
    for _ in range(5):
        go.acquire()
    cases.forget_plans = lambda: None  # the tiles stay small for those who go on
    cases.arrays.TILE_NBYTES = 1 << 14
"""

# Ctrl-C at random moments: out it comes, and the next call is right.
INTERRUPTS = """
import os, random, signal, sys, threading, time
import numpy as np, npconv
sys.path.insert(0, {tests!r})
import cases, thread_tools
rng = random.Random(0)
x, weight = np.ones((2, 2, 90, 90), "float32"), np.ones((2, 2, 5, 5), "float32")
grad_out = np.ones((2, 2, 86, 86), "float32")
names = [name for name, _ in cases.each(x, weight, skip=("naive", "im2col_loop"))]
def run(name):
    return npconv.conv(x, weight, algorithm=name)
def grad(name):
    return npconv.conv_weight_grad(grad_out, x, weight.shape, algorithm=name)
longest, lost = 0.0, 0
with cases.small_tiles(1 << 15):
    jobs = [(run, name, run(name)) for name in names]
    jobs += [(grad, name, grad(name)) for name in names]
    for i in range(5 * len(jobs)):
        call, name, want = jobs[i % len(jobs)]
        seconds, more = thread_tools.until_interrupted(lambda: call(name), rng.random() * 0.02)
        longest, lost = max(longest, seconds), lost + more
        assert call(name).tobytes() == want.tobytes(), name
    assert lost <= len(jobs) // 2, lost
print("fine", round(longest, 3))
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
    one, seven = (
        json.loads(script(HASHES, NPCONV_NUM_THREADS=ours, OPENBLAS_NUM_THREADS=blas))
        for ours, blas in (("1", "1"), ("7", "2"))
    )
    assert len(one) > 20
    assert one == seven


@pytest.mark.parametrize("users", [4, 32])
def test_many_threads_at_once(users):
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

    npconv.set_num_threads(3)
    try:
        with cases.small_tiles(1 << 12), ThreadPoolExecutor(users) as pool:
            list(pool.map(run, jobs))
    finally:
        npconv.set_num_threads(None)


def test_callers_error_state_holds_in_every_thread():
    x = np.full((1, 1, 400, 500), 3e38, np.float32)
    weight = np.full((1, 1, 3, 3), 3e38, np.float32)
    with np.errstate(all="raise"):
        for name, out in cases.each(x, weight, skip=("naive", "im2col_loop")):
            assert np.isposinf(out).all(), name


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_children_forked_during_work_compute():
    assert script(FORKS, NPCONV_NUM_THREADS="3").strip() == "fine"


def test_the_interpreter_ends_with_calls_under_way():
    assert script(EXIT, NPCONV_NUM_THREADS="3") == "50.0\n"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_comes_out_and_the_next_call_is_right():
    assert script(INTERRUPTS, NPCONV_NUM_THREADS="3").startswith("fine")


def test_same_call_many_times_from_threads_gives_the_same_bits():
    rng = np.random.default_rng(2)
    x, weight = cases.real(rng, (2, 8, 64, 64), "float32"), cases.real(rng, (8, 8, 5, 5), "float32")
    with ThreadPoolExecutor(4) as pool:
        for name in cases.able(x, weight):
            if name in ("naive", "im2col_loop"):
                continue
            runs = pool.map(lambda _, n=name: conv(x, weight, algorithm=n).tobytes(), range(6))
            assert len(set(runs)) == 1, name
