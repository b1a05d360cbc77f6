"""Under what measured times hold: the CPU, the versions, and the code that was timed."""

from __future__ import annotations

import hashlib
import platform
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

from npconv.version import __version__

_TIMED = ("algorithms", "kernels")  # the rooms whose code takes the time
_MODELS = ("model name", "CPU part", "cpu")  # as x86, ARM and POWER call it
_FEATURES = ("flags", "Features")


@lru_cache(maxsize=1)
def signature() -> str:
    """Return one line that is the same where measured times hold; takes some 15 ms once."""
    versions = f"npconv {__version__} {_code()}, numpy {np.__version__}, numba {_numba()}"
    return f"{_cpu(Path('/proc/cpuinfo'))}, {versions}"


def _numba() -> str:
    """Return Numba's version without importing it: the first plan would wait for that."""
    if "numba" in sys.modules:
        return str(getattr(sys.modules["numba"], "__version__", "missing"))
    from importlib import metadata

    try:
        return metadata.version("numba")
    except metadata.PackageNotFoundError:
        return "missing"


def _code() -> str:
    """Return a short digest of the sources of all that is timed."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for room in _TIMED:
        for path in sorted((root / room).rglob("*.py")):
            data = path.read_bytes()
            digest.update(b"%b %d\n%b" % (path.name.encode(), len(data), data))
    return digest.hexdigest()[:12]


def _cpu(told: Path) -> str:
    """Return the CPU's name and a digest of its features, as the system tells them."""
    facts: dict[str, str] = {}
    try:
        with told.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, fact = line.partition(":")
                if not fact:  # the first CPU's block ends
                    break
                facts.setdefault(name.strip(), fact.strip())
    except OSError:
        pass
    model = next((facts[name] for name in _MODELS if name in facts), "")
    features = next((facts[name] for name in _FEATURES if name in facts), "")
    model = model or platform.processor() or platform.system()
    mark = hashlib.sha256(features.encode()).hexdigest()[:8]
    return f"{model} ({platform.machine()} {mark})"
