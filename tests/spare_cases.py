"""What tests of memory that is kept look at: how much waits, and who has it."""

import gc
import mmap
import resource

import npconv
from npconv import spare

PAGE = mmap.PAGESIZE
MIB = 1 << 20


def nothing_waits(monkeypatch):
    """Each test begins with no block waiting, and none that was ever lent."""
    gc.collect()
    monkeypatch.setattr(spare, "_lent", {})
    monkeypatch.setattr(spare._Most, "nbytes", 0)
    npconv.release_memory()
    yield
    gc.collect()
    npconv.release_memory()


def make_small(monkeypatch):
    """Blocks of a page and more are kept, 40 pages at most."""
    monkeypatch.setattr(spare, "LARGE", 1)
    monkeypatch.setattr(spare, "_HUGE", PAGE)
    monkeypatch.setattr(spare, "_UNIT", PAGE)
    monkeypatch.setattr(spare, "_HOT", 10 * PAGE)
    monkeypatch.setattr(spare, "_MOST", 40 * PAGE)


def address(array):
    return array.__array_interface__["data"][0]


def waiting():
    return sum(block.nbytes for block in spare._waiting.values())


def held():
    return waiting() + sum(lent.held for lent in spare._lent.values())


def faults(call):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    call()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
