"""The team: each item of a kernel done once, by threads that do without the interpreter."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from npconv import threads
from npconv.threads import team
from thread_tools import shared_by

pytest.importorskip("numba")

from npconv.kernels import team as kernels
from npconv.kernels.entry import Entry
from npconv.kernels.simd import read_int, write_int

MOST = 64  # threads whose items are counted


@Entry
def count(record, item, thread):
    """Count an item, and the threads at work: record is (rounds, threads' items, items)."""
    at = record + 8 * (1 + thread)
    write_int(at, read_int(at) + 1)
    total = 0
    for i in range(read_int(record)):  # time passes, and no compiler may leave it out
        total = (total * 31 + read_int(record) + i) % 1000003
    at = record + 8 * (1 + MOST + item)
    write_int(at, read_int(at) + 1 + (total < 0))


def done(items, rounds=0, times=1):
    record = np.zeros(1 + MOST + max(items, 1), np.int64)
    record[0] = rounds
    for _ in range(times):
        threads.share(count, record, items)
    return record[1 : 1 + MOST], record[1 + MOST :]


@pytest.fixture(params=["team", "pool"], autouse=True)
def way(request, monkeypatch):
    """Share by the team, and as on systems where a kernel has nothing to wait in."""
    if request.param == "pool":
        monkeypatch.setattr(kernels, "why_not", lambda: "none here")
    monkeypatch.setattr(team._Team, "here", None)
    yield request.param
    ended = team._Team.here
    if ended is not None and ended.address:
        kernels.close_team(ended.address)
        for worker in ended.workers:
            worker.join(10)
            assert not worker.is_alive()


@pytest.mark.parametrize("number", [1, 2, 3, 7])
@pytest.mark.parametrize("items", [0, 1, 2, 16, 1000])
def test_each_item_is_done_once_by_a_thread_with_scratch(number, items):
    with shared_by(number):
        by_thread, by_item = done(items, times=20)
        assert not by_thread[threads.sharers(items) :].any()
    assert by_thread.sum() == 20 * items
    np.testing.assert_array_equal(by_item[:items], 20)


@pytest.mark.parametrize("number", [2, 5])
def test_others_take_part(number):
    with shared_by(number):
        by_thread, _ = done(400, rounds=20_000, times=50)
    assert np.count_nonzero(by_thread) > 1


def test_workers_that_fell_asleep_wake():
    with shared_by(2):
        done(4)
        helped, end = 0, time.monotonic() + 30  # a busy machine may run the worker late
        while helped < 5 and time.monotonic() < end:
            time.sleep(0.005)
            by_thread, by_item = done(40, rounds=20_000)
            np.testing.assert_array_equal(by_item, 1)
            helped += by_thread[1] > 0
    assert helped == 5


@pytest.mark.parametrize("number", [2, 4])
def test_callers_at_the_same_time_each_get_theirs(number):
    wrong = []

    def call(seed):
        for i in range(200):
            items = (seed * 7 + i) % 23
            _, by_item = done(items, rounds=i % 50)
            if (by_item[:items] != 1).any():
                wrong.append(by_item)

    with shared_by(number):
        callers = [threading.Thread(target=call, args=(seed,)) for seed in range(6)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert not wrong


def test_fewer_threads_from_one_call_to_the_next():
    with shared_by(6):
        done(100, rounds=1000)
    with shared_by(2):
        by_thread, _ = done(500, rounds=1000, times=5)
    assert not by_thread[2:].any()


def test_a_step_of_the_pool_shares_nothing_further():
    with shared_by(3):
        seen = []
        threads.for_each(range(4), lambda _: seen.append(done(10)))
    for by_thread, by_item in seen:
        assert by_thread[0] == 10
        np.testing.assert_array_equal(by_item, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_a_team_of_its_own(way):
    with shared_by(3):
        done(10)
        child = os.fork()
        if child == 0:
            by_thread, by_item = done(100, rounds=20_000, times=200)
            helped = np.count_nonzero(by_thread) > 1 or way == "pool"
            os._exit(0 if helped and (by_item == 200).all() else 1)
        assert os.waitpid(child, 0)[1] == 0
        np.testing.assert_array_equal(done(10)[1], 1)


@pytest.mark.parametrize("way", ["team"], indirect=True)
def test_a_long_job_is_left_for_ctrl_c(way):
    record = np.zeros(1 + MOST + 2000, np.int64)
    record[0] = 3_000_000  # some 10 ms an item
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    with shared_by(2):
        done(4)  # or it would come while that is compiled
        timer.start()
        began = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):  # noqa: PT011 it says nothing
            threads.share(count, record, 2000)
        assert time.perf_counter() - began < 10
        timer.join()
        finished = record[1 + MOST :].copy()
        assert set(finished) == {0, 1}
        time.sleep(0.1)  # nobody is at it any more
        np.testing.assert_array_equal(record[1 + MOST :], finished)
        np.testing.assert_array_equal(done(100)[1], 1)


def test_the_interpreter_exits_while_workers_wait():
    code = (
        "import numpy as np, npconv; npconv.set_num_threads(4);"
        "x = np.ones((4, 32, 24, 24), 'f4'); w = np.ones((32, 32, 3, 3), 'f4');"
        "npconv.conv(x, w, algorithm='indirect')"
    )
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert time.perf_counter() - began < 100


def test_no_more_threads_than_scratch_was_made_for():
    record = np.zeros(1 + MOST + 1000, np.int64)
    record[0] = 5000
    with shared_by(6):
        done(100)
        threads.share(count, record, 1000, 2)
    assert not record[3 : 1 + MOST].any()
    np.testing.assert_array_equal(record[1 + MOST :], 1)


def test_no_more_threads_than_a_team_has_room_for():
    with shared_by(1024):
        assert threads.sharers(100_000) == 1 + kernels.MOST


COLD = """
import threading, time
from numba.core.compiler_lock import global_compiler_lock
from npconv.kernels.entry import Entry
from npconv.kernels.simd import write_int

@Entry
def one(record, item, thread):
    write_int(record, 1)

@Entry
def two(record, item, thread):
    write_int(record, 2)

with global_compiler_lock:  # as who asks what is ready
    other = threading.Thread(target=one.prepare)
    other.start()
    time.sleep(0.5)
    two.prepare()
other.join()
print("done")
"""


@pytest.mark.parametrize("way", ["team"], indirect=True)
def test_who_holds_the_compiler_waits_for_nobody_who_waits_for_it(way):
    ran = subprocess.run(
        [sys.executable, "-c", COLD], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "done\n"
