"""The pool itself: who works, what an error or an interrupt leaves behind."""

import gc
import threading
import time
import weakref

import pytest

from npconv import threads
from npconv.threads import pool
from thread_tools import interrupted, shared_by


@pytest.mark.parametrize("number", [1, 2, 7])
@pytest.mark.parametrize("items", [0, 1, 2, 3, 100])
def test_every_item_is_done_once(number, items):
    with shared_by(number):
        for _ in range(20):
            done = []
            threads.for_each(range(items), done.append)
            assert sorted(done) == list(range(items))


def meet(number):
    """A step that so many threads have to be in at once, and the threads that were."""
    barrier = threading.Barrier(number, timeout=20)
    seen = set()

    def step(_):
        seen.add(threading.current_thread())
        barrier.wait()

    return step, seen


@pytest.mark.parametrize("number", [2, 3, 7])
def test_so_many_threads_share_a_call(number):
    with shared_by(number):
        for _ in range(3):
            step, seen = meet(number)
            threads.for_each(range(number), step)
            assert len(seen) == number
            assert threading.current_thread() in seen


def test_one_thread_is_the_caller():
    with shared_by(1):
        seen = set()
        threads.for_each(range(50), lambda _: seen.add(threading.current_thread()))
    assert seen == {threading.current_thread()}


def test_one_level_of_parallelism():
    both, outer, inner = threading.Barrier(2, timeout=20), {}, {}

    def work(i, j):
        inner[i, j] = threading.current_thread()
        time.sleep(0.001)

    def step(i):
        outer[i] = threading.current_thread()
        both.wait()
        threads.for_each(range(20), lambda j: work(i, j))

    with shared_by(3):
        threads.for_each(range(3), meet(3)[0])  # the third has nothing to do in what follows
        threads.for_each(range(2), step)
    assert len(inner) == 40
    assert all(inner[i, j] is outer[i] for i, j in inner)


def test_a_busy_pool_means_the_second_caller_works_alone():
    go_on, entered = threading.Event(), threading.Semaphore(0)

    def wait(_):
        entered.release()
        assert go_on.wait(20)

    with shared_by(3):
        first = threading.Thread(target=threads.for_each, args=(range(3), wait))
        first.start()
        try:
            for _ in range(3):
                assert entered.acquire(timeout=20)
            seen = set()
            threads.for_each(range(50), lambda _: seen.add(threading.current_thread()))
            assert seen == {threading.current_thread()}
            assert all(worker.jobs.empty() for worker in pool._Pool.workers[:2])
        finally:
            go_on.set()
            first.join(20)
    assert not first.is_alive()


def test_where_the_system_starts_no_more_threads_those_there_are_do(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(pool._Pool, "workers", ())
    monkeypatch.setattr(pool._Worker, "start", refuse)
    with shared_by(4):
        done = []
        threads.for_each(range(30), done.append)
    assert sorted(done) == list(range(30))


@pytest.mark.parametrize("thread", ["caller", "helper"])
def test_an_error_stops_the_others_and_is_raised_with_its_own_traceback(thread):
    main, done = threading.current_thread(), []
    met = threading.Barrier(2, timeout=20)

    def step(item):
        if item < 2:
            met.wait()
            if (threading.current_thread() is main) == (thread == "caller"):
                raise KeyError("planted")
        else:
            done.append(item)
            time.sleep(0.001)

    with shared_by(2):
        with pytest.raises(KeyError, match="planted") as caught:
            threads.for_each(range(10_000), step)
        assert caught.traceback[-1].name == "step"
        assert len(done) < 9_000
        again = []
        threads.for_each(range(100), again.append)
    assert sorted(again) == list(range(100))


def test_nothing_of_a_call_is_kept_after_it():
    class Array:
        pass

    gc.disable()
    try:
        with shared_by(3):
            array = Array()
            gone = weakref.ref(array)
            barrier = threading.Barrier(3, timeout=20)
            threads.for_each(range(3), lambda _, array=array: array and barrier.wait())
            del array
            deadline = time.monotonic() + 20
            while gone() is not None and time.monotonic() < deadline:
                time.sleep(0.001)
        assert gone() is None
    finally:
        gc.enable()


def test_an_interrupt_anywhere_leaves_no_helper_at_work():
    active = set()
    caller, helped = threading.current_thread(), threading.Event()

    def step(item):
        if threading.current_thread() is caller:
            helped.wait(0.05)
            return
        active.add(item)
        helped.set()
        time.sleep(0.01)
        active.discard(item)

    with shared_by(2):
        at = 1
        while interrupted(lambda: threads.for_each(range(3), step), at, {pool.__file__}):
            assert not active, at
            helped.clear()
            meeting, seen = meet(2)
            threads.for_each(range(2), meeting)
            assert len(seen) == 2, at
            at += 1
    assert at > 15
