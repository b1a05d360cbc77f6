"""The pool itself: how many threads, who works, what an error or an interrupt leaves behind."""

import contextlib
import dis
import gc
import sys
import threading
import time
import warnings
import weakref

import pytest

import npconv
from npconv import threads
from npconv.threads import blas, count, pool


@contextlib.contextmanager
def shared_by(number):
    """Let so many threads share a call."""
    npconv.set_num_threads(number)
    try:
        yield
    finally:
        npconv.set_num_threads(None)


def start_value(monkeypatch, text):
    """What NPCONV_NUM_THREADS makes of the number of threads."""
    monkeypatch.setenv("NPCONV_NUM_THREADS", text)
    npconv.set_num_threads(None)
    try:
        return npconv.get_num_threads()
    finally:
        monkeypatch.undo()
        npconv.set_num_threads(None)


def test_the_number_that_was_set_holds_until_it_is_taken_back(monkeypatch):
    monkeypatch.setattr(count, "_cpus", lambda: 3)
    npconv.set_num_threads(None)
    assert npconv.get_num_threads() == 3
    with shared_by(7):
        assert npconv.get_num_threads() == threads.num_threads() == 7
    assert npconv.get_num_threads() == 3


@pytest.mark.parametrize("n", [0, -1, 1025, 2.0, "2", True + 0.5, [2]])
def test_other_numbers_of_threads_are_errors(n):
    before = npconv.get_num_threads()
    with pytest.raises(npconv.ProblemError, match=r"set_num_threads: n is .*\n.* from 1 to 1024"):
        npconv.set_num_threads(n)
    assert npconv.get_num_threads() == before


@pytest.mark.parametrize(("text", "number"), [("5", 5), (" 2 ", 2), ("1", 1)])
def test_the_variable_is_the_start_value(monkeypatch, text, number):
    assert start_value(monkeypatch, text) == number


def test_without_the_variable_the_cpus_count(monkeypatch):
    monkeypatch.setattr(count, "_cpus", lambda: 11)
    assert start_value(monkeypatch, "") == 11


@pytest.mark.parametrize("text", ["0", "many", "-2", "1.5", "99999"])
def test_a_variable_that_is_no_number_of_threads_warns(monkeypatch, text):
    monkeypatch.setattr(count, "_cpus", lambda: 6)
    with pytest.warns(RuntimeWarning, match=f"6 threads: NPCONV_NUM_THREADS is '{text}'"):
        assert start_value(monkeypatch, text) == 6


V1 = "7:cpuset:/box\n4:{name}:/box/inner\n2:memory:/box\n"
QUOTAS = {
    "none": ("", {}, None),
    "v2": ("0::/\n", {"cpu.max": "250000 100000\n"}, 3),
    "v2, no limit": ("0::/\n", {"cpu.max": "max 100000\n"}, None),
    "v2, less than one": ("0::/\n", {"cpu.max": "1000 100000\n"}, 1),
    "v2, a group within": ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n"}, 4),
    "v2, the group above has less": (
        "0::/a/b\n",
        {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n", "cpu.max": "max 1\n"},
        2,
    ),
    "v2, a path outside of the container": ("0::/../x\n", {"cpu.max": "200000 100000\n"}, 2),
    "v2 beside v1": ("0::/\n", {"unified/cpu.max": "500000 100000\n"}, 5),
    "v1": (
        V1.format(name="cpu"),
        {"cpu/box/inner/cpu.cfs_quota_us": "200000\n", "cpu/box/inner/cpu.cfs_period_us": "50000"},
        4,
    ),
    "v1, another name, the root is the container's": (
        V1.format(name="cpu,cpuacct"),
        {"cpu,cpuacct/cpu.cfs_quota_us": "90000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
        1,
    ),
    "v1, no limit": (
        V1.format(name="cpu"),
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
        None,
    ),
    "nonsense": ("x\n0::/\n::\n:cpu:\n", {"cpu.max": "1 2 3", "cpu/cpu.cfs_quota_us": "?"}, None),
    "no period": ("0::/\n", {"cpu.max": "100000 0"}, None),
}


@pytest.mark.parametrize("name", QUOTAS)
def test_a_container_grants_so_many_cpus(tmp_path, name):
    groups, files, want = QUOTAS[name]
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for place, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert count._quota(tmp_path) == want


def test_cpus_are_those_of_affinity_and_quota(monkeypatch):
    monkeypatch.setattr(count.os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    for quota, want in ((None, 3), (2, 2), (9, 3), (1, 1)):
        monkeypatch.setattr(count, "_quota", lambda root, quota=quota: quota)
        assert count._cpus() == want


def test_a_plan_is_made_anew_for_another_number_of_threads():
    def held():
        plan = npconv.plan((1, 3, 200, 200), (8, 3, 7, 7))
        return next(row.workspace for row in plan.rows if row.algorithm == "im2col_tiled")

    with shared_by(1):
        one = held()
    with shared_by(3):
        assert held() > one
    with shared_by(1):
        assert held() == one


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


def interrupted(function, at, files):
    """Call it with Ctrl-C at the at-th moment inside `files` where CPython looks for it.

    That is after a call, a jump back, or a function's begin.  Return whether it came.
    """
    left, last = [at], {}

    def trace(frame, event, _):
        if frame.f_code.co_filename not in files:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            before = last.get(frame, "RESUME")
            last[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if before.startswith(("CALL", "JUMP_BACKWARD", "RESUME")):
                left[0] -= 1
                if left[0] == 0:
                    raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


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


def blas_numbers():
    return [library.get() for library in blas._libraries()]


@pytest.fixture
def two_blas_threads():
    before = blas_numbers()
    if not before:
        pytest.skip("no BLAS that threadpoolctl knows")
    for library in blas._libraries():
        library.set(2)
    if set(blas_numbers()) != {2}:
        pytest.skip("this BLAS has one thread")
    yield
    for library, number in zip(blas._libraries(), before, strict=True):
        library.set(number)


def in_a_thread(function):
    """Run it in a thread of its own and return what it returned."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join(20)
    return found[0]


@pytest.mark.usefixtures("two_blas_threads")
def test_blas_has_one_thread_whichever_thread_calls():
    def held():
        with threads.serial_blas():
            return blas_numbers()

    assert set(held()) == {1}
    assert set(in_a_thread(held)) == {1}
    assert set(held()) == {1}
    assert set(blas_numbers()) == {2}


@pytest.mark.usefixtures("two_blas_threads")
def test_blas_is_let_go_by_the_last_of_overlapping_calls():
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with threads.serial_blas():
            entered.set()
            assert leave.wait(20)

    other = threading.Thread(target=hold)
    with threads.serial_blas():
        other.start()
        assert entered.wait(20)
    assert set(blas_numbers()) == {1}
    leave.set()
    other.join(20)
    assert set(blas_numbers()) == {2}


@pytest.mark.usefixtures("two_blas_threads")
def test_an_interrupt_anywhere_lets_blas_go_with_the_next_call():
    def call():
        with threads.serial_blas():
            assert set(blas_numbers()) == {1}

    at = 1
    while interrupted(call, at, {blas.__file__}):
        gc.collect()  # the traceback is gone, and so is the call that was cut off
        call()
        assert set(blas_numbers()) == {2}, at
        at += 1
    assert at > 8


def test_no_warning_where_nothing_is_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        npconv.set_num_threads(None)
        assert npconv.get_num_threads() >= 1
