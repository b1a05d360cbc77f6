"""BLAS has one thread while npconv's own share a call, and its own number after that."""

import gc
import threading

import pytest

from npconv import threads
from npconv.threads import blas
from thread_tools import interrupted


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
