"""Compiled kernels through forks, Ctrl-C and cold starts: answers stay right, to the bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cases
from npconv import compiler

pytestmark = pytest.mark.skipif(os.name != "posix", reason="fork and signals")
needs_numba = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")
PRELUDE = """
import os, random, signal, sys, threading, time
import numpy as np, npconv
sys.path.insert(0, {tests!r})
import cases, thread_tools
rng = np.random.default_rng(0)
x = cases.real(rng, (2, 33, 40, 40), "float32")
weight = cases.real(rng, (40, 33, 3, 3), "float32")
grad_out = cases.real(rng, (2, 40, 40, 40), "float32")
NAMES = ("small", "indirect", "winograd", "auto")
CALLS = dict(
    conv=lambda **how: npconv.conv(x, weight, **how),
    conv_input_grad=lambda **how: npconv.conv_input_grad(grad_out, weight, x.shape, **how),
    conv_weight_grad=lambda **how: npconv.conv_weight_grad(grad_out, x, weight.shape, **how),
    conv_transpose=lambda **how: npconv.conv_transpose(grad_out, weight, **how),
)

def jobs():
    "Each direction by each algorithm that can: (name, call, the bytes that come out)."
    found = []
    for name in NAMES:
        for what, call in CALLS.items():
            def run(call=call, name=name):
                return call(padding=1, algorithm=name, precision="fast").tobytes()
            try:
                found.append((what + " by " + name, run, run()))
            except npconv.UnsupportedError:
                pass
    assert len(found) >= 4
    return found
"""
FORKS = """
stop = threading.Event()
done = jobs()
def work():
    while not stop.is_set():
        for _, run, want in done:
            assert run() == want
            stop.wait(0.001)  # or the parent hardly comes to fork
others = [threading.Thread(target=work) for _ in range(2)]
for other in others:
    other.start()
for i in range({count}):
    name, run, want = done[i % len(done)]
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if run() == want and run() == want else 1)
    if i % 3:
        assert run() == want, name
    status = os.waitpid(child, 0)[1]
    assert status == 0, (i, name, status)
stop.set()
for other in others:
    other.join()
print("fine")
"""
FIRST_USE = """
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        signal.alarm(100)
        os._exit(0 if len(jobs()) >= 4 else 1)
    children.append(child)
print([os.waitpid(child, 0)[1] for child in children], len(jobs()) >= 4)
"""
INTERRUPTS = """
draw = random.Random(0)
done = jobs()
longest, lost = 0.0, 0
for i in range({count}):
    name, run, want = done[i % len(done)]
    seconds, more = thread_tools.until_interrupted(run, draw.random() * 0.02)
    longest, lost = max(longest, seconds), lost + more
    assert run() == want, name
from npconv import threads
barrier = threading.Barrier(3, timeout=20)
threads.for_each(range(3), lambda _: barrier.wait())  # all three are still there
assert not [t for t in threading.enumerate() if t.name.startswith("Thread-") and t.is_alive()]
assert lost <= {count} // 10, lost
print("fine", round(longest, 3), lost)
"""
COLD = """
from npconv.kernels.compile import Tally
digests = [hashlib.sha256(out).hexdigest()[:16] for _, _, out in jobs()]
print(*digests, Tally.compiled > 0)
"""


def start(code, **variables):
    """Start a script in a process of its own."""
    code = PRELUDE.format(tests=os.path.dirname(__file__)) + "import hashlib\n" + code
    environment = {**os.environ, "NPCONV_NUM_THREADS": "3", **variables}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process):
    """Return what it printed, where it ended well."""
    try:
        out, err = process.communicate(timeout=570)
    finally:
        process.kill()
    assert process.returncode == 0, err
    return out.strip()


def test_children_forked_during_work_give_the_same_bits():
    assert finish(start(FORKS.format(count=200 if cases.ALL else 20))) == "fine"


def test_children_are_the_first_to_use_kernels():
    assert finish(start(FIRST_USE)) == "[0, 0, 0, 0] True"


def test_results_are_right_after_every_ctrl_c():
    assert finish(start(INTERRUPTS.format(count=400 if cases.ALL else 40))).startswith("fine")


@needs_numba
@pytest.mark.skipif(not cases.ALL, reason="compiles all kernels nine times: NPCONV_TEST_ALL=1")
def test_eight_processes_start_together_on_an_empty_cache(tmp_path):
    where = {"NPCONV_CACHE_DIR": str(tmp_path / "kept")}
    started = [start(COLD, **where) for _ in range(8)]
    together = {finish(process) for process in started}
    assert len(together) == 1
    (line,) = together
    assert line.endswith("True")
    assert not list(Path(tmp_path, "kept").rglob("*.new"))
    assert finish(start(COLD, **where)) == line.replace("True", "False")
