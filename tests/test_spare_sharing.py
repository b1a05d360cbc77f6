"""Memory that is kept, among threads, processes, and whoever interrupts."""

import gc
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import npconv
import spare_cases
from npconv import spare
from spare_cases import PAGE, make_small, waiting

pytestmark = pytest.mark.skipif(not spare._KEEPS, reason="memory is kept on Linux only")


@pytest.fixture(autouse=True)
def nothing_waits(monkeypatch):
    yield from spare_cases.nothing_waits(monkeypatch)


@pytest.fixture
def small(monkeypatch):
    make_small(monkeypatch)


def test_cycles_give_their_memory_back():
    class Holder:
        pass

    holder = Holder()
    holder.itself, holder.array = holder, spare.room(spare.LARGE)
    del holder
    gc.collect()
    assert waiting() == spare.LARGE


def lend_and_look(number, count):
    """Lend arrays of several sizes, and see that nobody else writes to them."""
    kept = []
    for i in range(count):
        array = spare.room((i * 7 % 5 + 1) * PAGE)
        array.fill(number)
        kept.append(array)
        if len(kept) > 3:
            assert np.all(kept.pop(i % 3) == number)
    assert all(np.all(array == number) for array in kept)


def test_threads_have_memory_of_their_own(small):
    wrong = []

    def work(number):
        try:
            lend_and_look(number, 400)
        except BaseException as error:  # noqa: BLE001, shown in the caller's thread
            wrong.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [threading.Thread(target=work, args=(n,)) for n in range(1, 7)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


def lend_in_many_ways():
    """Lend blocks that wait, new ones, and parts; yield all that is there, with its value."""
    kept = [(spare.room(n * PAGE), n) for n in (4, 6, 20)]
    for array, number in kept:
        array.fill(number)
    yield kept
    del array, kept[0]
    for n in (7, 2, 5, 10, 20, 60):
        array = spare.room(n * PAGE)
        array.fill(n)
        kept.append((array, n))
        del array
        yield kept
        if n != 2:
            del kept[0]


def test_anyone_may_lend_at_any_line(small):
    """As finalizers, signals' handlers and other threads do."""
    number, lines = 0, 1
    while number < lines:
        number, lines = number + 1, 0
        npconv.release_memory()
        spare._Most.nbytes = 0
        spare.room(12 * PAGE).fill(97)
        others, part = [], [spare.room(7 * PAGE)]  # of that block

        def at_line(frame, event, _, number=number, others=others, part=part):
            nonlocal lines
            if frame.f_code.co_filename != spare.__file__:
                return None
            lines += event == "line"
            if event == "line" and lines == number:
                before = sys.gettrace()
                sys.settrace(None)
                part.clear()
                others += [spare.room(n * PAGE) for n in (12, 4)]
                spare.room(6 * PAGE).fill(98)
                for array in others:
                    array.fill(99)
                sys.settrace(before)
            return at_line

        before = sys.gettrace()
        sys.settrace(at_line)
        try:
            for kept in lend_in_many_ways():
                assert all(np.all(array == value) for array, value in kept), number
                assert all(np.all(array == 99) for array in others), number
                del kept
        finally:
            sys.settrace(before)
    assert number > 300


def python(text):
    """Run a program; return what it printed and complained of."""
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=60
    )
    return ran.stdout.strip(), ran.stderr.strip(), ran.returncode


def test_a_forked_child_has_its_own():
    told = python("""
        import os
        from npconv import spare
        spare.room(spare.LARGE).fill(3)
        lent = spare.room(spare.LARGE)
        lent.fill(4)
        gone = spare.room(spare.LARGE)
        gone.fill(5)
        del gone
        child = os.fork()
        if child == 0:
            lent.fill(6)
            other = spare.room(spare.LARGE)
            other.fill(7)
            os._exit(not (lent == 6).all() or spare.release_memory() or len(spare._waiting))
        status = os.waitpid(child, 0)[1]
        print(status, (lent == 4).all(), len(spare._waiting))
    """)
    assert told == ("0 True 1", "", 0)


def test_the_interpreter_ends_in_silence():
    told = python("""
        import builtins, sys, threading
        from npconv import spare
        class Cycle: pass
        kept = spare.room(spare.LARGE)
        builtins.also = spare.room(spare.LARGE)
        sys.modules["also"] = also = Cycle()
        also.me, also.array = also, spare.room(spare.LARGE)
        spare.keeps = spare.room(spare.LARGE)
        threading.excepthook = None
        print(len(spare._lent))
    """)
    assert told == ("4", "", 0)
