"""How much memory there is, and how to say an amount of it."""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np

LINE = 64  # bytes of a cache line


def shown(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return what has the strides of a new array, and no memory: to read it may be a fault."""
    steps = [dtype.itemsize]
    for n in shape[:0:-1]:
        steps.append(steps[-1] * n)
    return np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, steps[::-1], writeable=False)


def address(array: np.ndarray) -> int:
    """Return where an array's first element lies."""
    return int(array.__array_interface__["data"][0])


def whole_lines(nbytes: int) -> int:
    """Return the bytes of as many cache lines as hold so many."""
    return -(-nbytes // LINE) * LINE


def nbytes_text(nbytes: int) -> str:
    """Return bytes as a short text, in powers of 1024."""
    if nbytes < 1024:
        return f"{nbytes} B"
    if nbytes.bit_length() > 80:
        return f"2^{nbytes.bit_length() - 1} B"
    power = min((nbytes.bit_length() - 1) // 10, 6)
    return f"{nbytes / (1 << 10 * power):.3g} {' KMGTPE'[power]}iB"


@lru_cache(maxsize=1)
def physical_memory() -> int:
    """Return the bytes of memory this process may have: the machine's, or its container's."""
    limits = []
    try:
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        limits.append(1 << 40)
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path) as file:
                limits.append(int(file.read()))
        except (OSError, ValueError):
            continue
    return min(limits)


def check_fits(nbytes: int, what: str) -> None:
    """Raise MemoryError, with the bytes, where an array is larger than all memory."""
    if nbytes > physical_memory():
        has = nbytes_text(physical_memory())
        raise MemoryError(f"{what} takes {nbytes_text(nbytes)}, this machine has {has}.")
