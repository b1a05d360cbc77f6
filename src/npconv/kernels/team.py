"""Work that threads share without the interpreter: the numbered items of a job, in memory.

A job is a function of C, ``work(record, item, thread)``, and how many items it has.  Whoever takes
part adds 1 to a word to take an item; the word also holds the job's number, so that one who wakes
late takes nothing of another job's.  Workers wait for a job first awake, then in a semaphore.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npconv.kernels.compile import compiled
from npconv.kernels.entry import make_call
from npconv.kernels.inner import inner
from npconv.kernels.simd import INT, read_int, write_int

# Byte offsets in a team's memory, each group of them a cache line of its own.
_WORD, _DONE, _BUSY, _CLOSED = 0, 64, 128, 192
_COUNT, _WORK, _RECORD, _HELPERS = 256, 264, 272, 280
_WORKERS, _EACH, _SEMAPHORE = 320, 128, 64
_ITEMS = (1 << 32) - 1  # an item's number in the word; this one: no job is open
_SPINS = 6000  # pauses, some 0.1 ms: a call that follows at once finds the workers awake
_PATIENCE = 200_000_000  # ns after which a job is left, so that Ctrl-C is felt

MOST = 1023  # workers: with the caller as many threads as threads.share lets take part
NBYTES = _WORKERS + MOST * _EACH


def why_not() -> str:
    """Return "" where the system has what workers wait in."""
    return "" if sys.platform == "linux" else f"{sys.platform} has no semaphore in plain memory"


@intrinsic
def _atomic_load(context: Any, address: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        where = builder.inttoptr(given[0], INT.as_pointer())
        return builder.load_atomic(where, "seq_cst", 8)

    return types.int64(types.int64), emit


@intrinsic
def _atomic_store(context: Any, address: Any, value: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        where = builder.inttoptr(given[0], INT.as_pointer())
        builder.store_atomic(given[1], where, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@intrinsic
def _atomic_add(context: Any, address: Any, value: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        where = builder.inttoptr(given[0], INT.as_pointer())
        return builder.atomic_rmw("add", where, given[1], "seq_cst")

    return types.int64(types.int64, types.int64), emit


@intrinsic
def _exchanged(context: Any, address: Any, old: Any, new: Any) -> Any:
    """Write `new` where `old` stands, and return whether it stood there."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        where = builder.inttoptr(given[0], INT.as_pointer())
        pair = builder.cmpxchg(where, given[1], given[2], "seq_cst", "seq_cst")
        return builder.extract_value(pair, 1)

    return types.boolean(types.int64, types.int64, types.int64), emit


@intrinsic
def _pause(context: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        if "x86" in builder.module.triple:
            kind = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse2.pause"
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        else:
            builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit


_call = make_call(3)


def _of_libc(name: str, *fixed: int) -> Any:
    """Return an intrinsic that calls a function of C with an address, and numbers after it."""

    @intrinsic
    def call(context: Any, address: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            small = ir.IntType(32)
            kind = ir.FunctionType(small, [INT, *[small] * len(fixed)])
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            numbers = [ir.Constant(small, value) for value in fixed]
            return builder.sext(builder.call(function, [given[0], *numbers]), INT)

        return types.int64(types.int64), emit

    return call


_sem_init = _of_libc("sem_init", 0, 0)
_sem_post = _of_libc("sem_post")
_sem_wait = _of_libc("sem_wait")


@intrinsic
def _yield(context: Any) -> Any:
    """Let another thread have this CPU."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), emit


@intrinsic
def _now(context: Any) -> Any:
    """Return the nanoseconds of a clock that only goes forward."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        small = ir.IntType(32)
        room = cgutils.alloca_once(builder, ir.ArrayType(INT, 2))
        kind = ir.FunctionType(small, [small, room.type])
        function = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
        builder.call(function, [ir.Constant(small, 1), room])  # CLOCK_MONOTONIC
        pair = builder.load(room)
        seconds = builder.mul(builder.extract_value(pair, 0), ir.Constant(INT, 10**9))
        return builder.add(seconds, builder.extract_value(pair, 1))

    return types.int64(), emit


@compiled
def open_team(team):
    """Make zeroed memory, NBYTES of it, a team's."""
    _atomic_store(team + _WORD, _ITEMS)
    for i in range(MOST):
        _sem_init(team + _WORKERS + i * _EACH + _SEMAPHORE)


@inner
def _wake(team, helpers):
    """Wake those workers who sleep."""
    for i in range(helpers):
        worker = team + _WORKERS + i * _EACH
        if _atomic_load(worker) == 1 and _exchanged(worker, 1, 0):
            _sem_post(worker + _SEMAPHORE)


@compiled
def share(team, work, record, first, last, helpers):
    """Do items `first` to `last` - 1 of a job; return the first that was left for another call.

    `helpers` workers may help; where they are at another job, nobody does.
    """
    begun = _now()
    if helpers < 1 or last - first < 2 or not _exchanged(team + _BUSY, 0, 1):
        while first < last:
            _call(work, record, first, 0)
            first += 1
            if _now() - begun > _PATIENCE:
                break
        return first
    number = (_atomic_load(team + _WORD) >> 32) + 1 & 0x3FFFFFFF
    write_int(team + _COUNT, last)
    write_int(team + _WORK, work)
    write_int(team + _RECORD, record)
    write_int(team + _HELPERS, helpers)
    _atomic_store(team + _DONE, first)
    _atomic_store(team + _WORD, (number << 32) + first)
    _wake(team, helpers)
    taken = _atomic_load(team + _WORD)
    while taken & _ITEMS < last:
        if _exchanged(team + _WORD, taken, taken + 1):
            _call(work, record, taken & _ITEMS, 0)
            _atomic_add(team + _DONE, 1)
            if _now() - begun > _PATIENCE:
                break
        taken = _atomic_load(team + _WORD)
    # Nobody takes an item from here on, nor believes what the next job writes before it is open.
    taken = _atomic_load(team + _WORD)
    while not _exchanged(team + _WORD, taken, (number << 32) + _ITEMS):
        taken = _atomic_load(team + _WORD)
    end = taken & _ITEMS
    spins = 0
    while _atomic_load(team + _DONE) < end:
        _pause()
        spins += 1
        if spins > _SPINS:
            _yield()
    _atomic_store(team + _BUSY, 0)
    return end


@compiled
def serve(team, number):
    """Help with one job after another, as worker `number` from 0 on, until the team is closed."""
    worker = team + _WORKERS + number * _EACH
    while True:
        spins = 0
        while spins < _SPINS and not _help(team, number):
            _pause()
            spins += 1
        if spins < _SPINS:
            continue
        if _atomic_load(team + _CLOSED):
            return
        _atomic_store(worker, 1)
        # A job that was opened, or a team closed, before its caller could see that 1.
        if _helps(team, number) or _atomic_load(team + _CLOSED) != 0:  # noqa: SIM102
            if _exchanged(worker, 1, 0):
                continue
        while _sem_wait(worker + _SEMAPHORE) != 0:  # a signal
            _pause()


@compiled
def _helps(team, number):
    """Return whether there is an item for a worker."""
    taken = _atomic_load(team + _WORD)
    return number < read_int(team + _HELPERS) and taken & _ITEMS < read_int(team + _COUNT)


@compiled
def _help(team, number):
    """Do items of the open job; return whether there was one."""
    helped = False
    while True:
        taken = _atomic_load(team + _WORD)
        count, helpers = read_int(team + _COUNT), read_int(team + _HELPERS)
        work, record = read_int(team + _WORK), read_int(team + _RECORD)
        if number >= helpers or taken & _ITEMS >= count:
            return helped
        # What was read is this job's where the word is still the same.
        if _exchanged(team + _WORD, taken, taken + 1):
            helped = True
            _call(work, record, taken & _ITEMS, number + 1)
            _atomic_add(team + _DONE, 1)


@compiled
def close_team(team):
    """Have the workers return; none may be at a job."""
    _atomic_store(team + _CLOSED, 1)
    _wake(team, MOST)


def warm() -> None:
    """Run each kernel once, on a team of its own."""
    if why_not():
        return
    memory = np.zeros(NBYTES, np.uint8)
    team = memory.ctypes.data
    open_team(team)
    share(team, 0, 0, 0, 0, 0)
    close_team(team)
    serve(team, 0)
