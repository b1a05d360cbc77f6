"""No pooling, unfold or fold reads or writes outside of its arrays and workspaces."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cases
from npconv import compiler

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mmap and mprotect"),
    pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba"),
]
GEOMETRIES = 20_000 if cases.ALL else 60
SECONDS = 7200 if cases.ALL else 300


def test_random_geometries_in_guarded_memory(tmp_path):
    """In a process of its own: what faults there is named here."""
    script, last = Path(__file__).with_name("guarded_pools.py"), tmp_path / "last"
    seed = int.from_bytes(os.urandom(4), "big") if cases.ALL else 1
    ran = subprocess.run(
        [sys.executable, script, str(seed), str(GEOMETRIES), last],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    call = last.read_text().strip(" \0") if last.exists() else "before the first call"
    done = re.search(r"^(\d+) calls, (\d+) by kernels, 0 wrong$", ran.stdout, re.MULTILINE)
    assert ran.returncode == 0, f"{ran.returncode}: seed {seed}, {call}\n{ran.stdout}{ran.stderr}"
    assert done
    assert int(done[1]) > 16 * GEOMETRIES
    assert int(done[2]) > 0.7 * int(done[1])
