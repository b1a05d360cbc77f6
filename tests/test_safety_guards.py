"""No call reads or writes outside of its arrays and workspaces, reads old memory, or is wrong."""

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cases

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mmap and mprotect")
GEOMETRIES = 20_000 if cases.ALL else 100
PROCESSES = 2
SECONDS = 7200 if cases.ALL else 500
TOUCH = """
import ctypes, faulthandler, sys
import numpy as np
faulthandler.enable()
sys.path.insert(0, {tests!r})
import guarded
values = np.ones(300, "float32")
if {workspace}:
    with guarded.workspaces({at_end}):
        array = values.copy()
else:
    array = guarded.Guarded(values, {at_end}, read_only={read_only}).array
print("touches", flush=True)
ctypes.memset(array.ctypes.data + {offset}, 0, 1)
print("survived", flush=True)
import os
os._exit(0)
"""


def touch(offset, at_end, workspace=False, read_only=False):
    """Write one byte so far from an array's begin; return whether that faulted."""
    code = TOUCH.format(
        tests=os.path.dirname(__file__), offset=offset, at_end=at_end, workspace=workspace,
        read_only=read_only,
    )  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.stdout.startswith("touches")
    return "survived" not in ran.stdout


@pytest.mark.parametrize("workspace", [False, True])
def test_one_byte_outside_faults(workspace):
    assert touch(1200, at_end=True, workspace=workspace)
    assert touch(-1, at_end=False, workspace=workspace)
    assert not touch(1199, at_end=True, workspace=workspace)
    assert not touch(0, at_end=False, workspace=workspace)


def test_what_is_read_only_faults_when_it_is_written():
    assert touch(0, at_end=True, read_only=True)


@pytest.mark.parametrize("at_end", [False, True])
def test_workspaces_are_soiled_counted_and_looked_beside(at_end):
    import guarded

    with guarded.workspaces(at_end) as memory:
        array, zeros = np.empty((3, 5), "float32"), np.zeros(7)
        assert np.isnan(array).all()
        assert not zeros.any()
        assert memory.taken >= 2
        first = array.ctypes.data
        assert (first + at_end * array.nbytes) % guarded.PAGE == 0
        del zeros
        assert memory.beside == []
        ctypes.memset(first - 1 if at_end else first + array.nbytes, 0, 1)
        del array
        assert memory.beside == [60]


def test_small_tiles_reach_every_limit():
    named = {name for room in cases.cutting_rooms() for name in vars(room)}
    ours = {*cases.IN_BYTES, *cases.SMALL}
    assert ours - named == set()
    limits = {name for name in named if re.fullmatch("[A-Z_]*(NBYTES|WORKSPACE|HELD|BLOCK)", name)}
    assert limits - ours == {"FILLED_NBYTES"}  # what an estimate adds


@pytest.mark.parametrize("seed", range(PROCESSES))
def test_random_geometries_in_guarded_memory(seed, tmp_path):
    """Each in a process of its own: what faults there is named here."""
    script, last = Path(__file__).with_name("guarded_calls.py"), tmp_path / "last"
    seed = int.from_bytes(os.urandom(4), "big") if cases.ALL else seed
    ran = subprocess.run(
        [sys.executable, script, str(seed), str(GEOMETRIES // PROCESSES), last],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    call = last.read_text().strip(" \0") if last.exists() else "before the first call"
    done = re.search(r"^(\d+) calls, 0 wrong$", ran.stdout, re.MULTILINE)
    assert ran.returncode == 0, f"{ran.returncode}: seed {seed}, {call}\n{ran.stdout}{ran.stderr}"
    assert done
    assert int(done[1]) > 2 * 4 * GEOMETRIES // PROCESSES
