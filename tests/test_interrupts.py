"""Ctrl-C while a kernel is compiled: it is felt afterwards, and the kernel is whole."""

import os
import signal
import threading

import numpy as np
import pytest

pytest.importorskip("numba")

from npconv.kernels import entry
from npconv.kernels.interrupts import interrupts_wait
from npconv.kernels.simd import write_int


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_it_comes_once_after_what_it_met():
    done = []
    with pytest.raises(KeyboardInterrupt, match="^$"), interrupts_wait():
        for _ in range(3):
            interrupt()
            done.append(len(done))
    assert done == [0, 1, 2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt, match="^$"):
        interrupt()


def test_what_goes_wrong_meanwhile_is_its_context():
    with pytest.raises(KeyboardInterrupt, match="^$") as caught, interrupts_wait():
        interrupt()
        raise ValueError("wrong")
    assert isinstance(caught.value.__context__, ValueError)


def test_a_handler_of_the_users_own():
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with interrupts_wait():
            interrupt()
            assert seen == []
        assert seen == [signal.SIGINT]
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with interrupts_wait():
            interrupt()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_leave_handlers_alone():
    def work():
        with interrupts_wait():
            handlers.append(signal.getsignal(signal.SIGINT))

    handlers = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]


def test_a_kernel_is_whole(monkeypatch):
    made = []

    class Interrupted(entry.CFunc):
        def compile(self):
            made.append(self)
            interrupt()
            super().compile()

    def fill(record, item, thread):
        write_int(record, item + thread)

    monkeypatch.setattr(entry, "CFunc", Interrupted)
    kernel = entry.Entry(fill, variant="of a test")
    with pytest.raises(KeyboardInterrupt, match="^$"):
        kernel.prepare()
    word = np.zeros(1, np.int64)
    kernel(word.ctypes.data, 3, 4)
    assert word[0] == 7
    assert len(made) == 1
