"""Wisdom is written whole or not at all, by any number of threads and processes."""

import errno
import os
import subprocess
import sys
import threading

import pytest

from npconv import plan, wisdom
from npconv.kernels import files
from npconv.wisdom import book, text
from npconv.wisdom.signature import signature
from wisdom_cases import SHAPES, another_process, entry, teach, user_file

PROCESS = """
import sys, npconv
from npconv.wisdom import book, text
print("ready", flush=True)
sys.stdin.readline()
for i in range(25):
    book.remember(text.Entry(f"{sys.argv[1]} {i}", {"taps": 1.0}, text.now()))
"""
FORK = """
import os, threading
from npconv.wisdom import book, text
book.known()
held, done = threading.Event(), threading.Event()
def hold():
    with book._Memory.lock:
        held.set()
        done.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    book.remember(text.Entry("child", {"taps": 1.0}, text.now()))
    os._exit(0)
print(os.waitpid(child, 0)[1])
done.set()
thread.join()
print(len(book.known()), book.load().taken)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The user's file, of a process that knows nothing."""
    yield from user_file(tmp_path, monkeypatch)


def test_a_directory_that_cannot_be_written_to(place, monkeypatch):
    winner = teach(plan(*SHAPES))
    whole = place.read_bytes()
    another_process(monkeypatch)

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.warns(RuntimeWarning, match=r"cannot be kept in .*wisdom\.json .*denied") as told:
        other = teach(plan(*SHAPES, padding=1))
    teach(plan(*SHAPES, padding=2))
    assert len(told) == 1
    assert (plan(*SHAPES).algorithm, plan(*SHAPES, padding=1).algorithm) == (winner, other)
    with pytest.raises(PermissionError, match="denied"):
        wisdom.save()
    assert place.read_bytes() == whole


@pytest.mark.parametrize("step", ["write", "replace"])
def test_a_write_that_fails_leaves_the_old_file(place, monkeypatch, step):
    teach(plan(*SHAPES))
    whole = place.read_bytes()

    class Full:
        def __init__(self, handle, mode):
            self.file = os.fdopen(handle, mode)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, data):
            self.file.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if step == "write":
            opened = open
            patch.setattr(
                files, "open", lambda a, m: (Full if m == "wb" else opened)(a, m), raising=False
            )
        else:
            patch.setattr(files.os, "replace", refuse)
        with pytest.warns(RuntimeWarning, match="No space left"):
            winner = teach(plan(*SHAPES, padding=1))
    assert plan(*SHAPES, padding=1).algorithm == winner
    assert place.read_bytes() == whole
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    assert wisdom.save() == 2


def test_threads_that_measure_at_once_lose_nothing(place):
    often = sys.getswitchinterval()
    book._Memory.measured.update((str(i), entry(i)) for i in range(1000))

    def work(worker):
        for i in range(5):
            book.remember(entry(10_000 + 100 * worker + i))
            wisdom.entries()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(often)
    assert len(text.parse(place.read_bytes())[0][signature()]) == 1040


def test_processes_that_measure_at_once_leave_a_whole_file(place):
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(i)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for i in range(4)
    ]  # fmt: skip
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        assert process.communicate(timeout=60)[1] == ""
        assert process.returncode == 0
    found, left = text.parse(place.read_bytes())
    assert not left
    # One that replaces the file last may miss what others added while it wrote.
    assert 90 <= len(found[signature()]) <= 100
    assert [path.name for path in place.parent.iterdir()] == [place.name]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_while_another_thread_holds_the_lock(place):
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert (ran.stdout, ran.stderr) == ("0\n0 1\n", "")
