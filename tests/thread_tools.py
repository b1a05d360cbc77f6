"""What the tests of threads share: a number of them for a while, and Ctrl-C at any moment."""

import contextlib
import dis
import sys

import npconv


@contextlib.contextmanager
def shared_by(number):
    """Let so many threads share a call."""
    npconv.set_num_threads(number)
    try:
        yield
    finally:
        npconv.set_num_threads(None)


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
