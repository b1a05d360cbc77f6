"""What the tests of kept kernels share: a small module of kernels, and what is kept of it."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("numba")
from npconv.kernels import compile as compiling
from npconv.kernels.compile import NotKept, compiled, only_loading

CALLS = {(3, 4): 11, (3, 4.5): 11.5}  # two signatures, and what twice_and gives


TINY = """
from npconv.kernels.compile import Tally, compiled

@compiled
def twice(a):
    return a + a

@compiled
def twice_and(a, b):
    return twice(a) + b

def warm(kind="int"):
    twice_and(3, {"int": 4, "float": 4.5}[kind])

print(twice_and(3, 4), twice_and(3, 4.5), "compiled", Tally.compiled, "loaded", Tally.loaded)
"""


def twice_and(a, b):
    return a + a + b + 1


def fill():
    """Keep one kernel, for both signatures; return its files."""
    kernel = compiled(twice_and)
    assert {call: kernel(*call) for call in CALLS} == CALLS
    kept = compiling.kept()
    assert len(kept) == 2
    return kept


def loads(call=(3, 4)):
    """Whether a new kernel is loaded for a call; its answer is right if so."""
    try:
        with only_loading():
            assert compiled(twice_and)(*call) == CALLS[call]
    except NotKept:
        return False
    return True


def run(code, **variables):
    """Run code in a process of its own; return its output, and its warnings."""
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.strip()


def other_version(place, name="kernels-" + "0" * 20):
    """A directory as another version of npconv leaves it."""
    old = place / name
    old.mkdir(mode=0o700)
    (old / compiling.TAG).write_bytes(compiling._TAG_TEXT)
    (old / f"direct_convolve-{'1' * 20}.kernel").write_bytes(b"code")
    (old / ".half.new").write_bytes(b"co")
    return old
