"""What the tests of threads share: a number of them for a while, and Ctrl-C at any moment."""

import contextlib
import dis
import os
import signal
import sys
import threading
import time

import npconv


@contextlib.contextmanager
def shared_by(number):
    """Let so many threads share a call."""
    npconv.set_num_threads(number)
    try:
        yield
    finally:
        npconv.set_num_threads(None)


def until_interrupted(function, wait):
    """Call it again and again until a Ctrl-C, sent after `wait` seconds, comes out.

    Python ignores one that comes inside a weak reference's callback: then another is sent.  Return
    how long the last took to come out, and how many were lost.
    """
    sent, came = [], threading.Event()

    def send(wait=wait):
        while not came.wait(wait) and len(sent) < 20:
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)
            wait = 0.5

    sender = threading.Thread(target=send)
    try:
        sender.start()
        while len(sent) < 20:
            function()
    except KeyboardInterrupt:
        came.set()
        seconds = time.perf_counter() - sent[-1]
    assert came.is_set()
    sender.join()
    return seconds, len(sent) - 1


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
