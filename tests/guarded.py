"""Memory that faults where it may not be touched: pages without access on both sides of an array.

`Guarded` is one array in such memory.  Inside `workspaces` all memory that NumPy takes for arrays
is such memory, through the hooks that NumPy has for an allocator (NEP 49): full of NaN (bytes of
255) until it is written, gone when its array is, and flush against a page without access at its
begin or at its end.  The bytes between the other end and the next page are looked at when it is
given back.
"""

import contextlib
import ctypes
import mmap
import os

import numpy as np

from npconv import spare

PAGE = mmap.PAGESIZE
NO_ACCESS, READ_ONLY = 0, 1
_READ_WRITE, _PRIVATE = 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
_SOIL, _SLACK = 0xFF, 0xA5  # of floats a NaN; what stands beside an array
_ALIGNED = 64  # bytes, of what does not end at a page without access

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


class _Room:
    """Pages between two without access, with so many bytes flush against one of these."""

    def __init__(self, nbytes, at_end):
        self.pages = -(-max(nbytes, 1) // PAGE) * PAGE
        self.start = _libc.mmap(None, self.pages + 2 * PAGE, _READ_WRITE, _PRIVATE, -1, 0)
        assert self.start not in (None, ctypes.c_void_p(-1).value), "no more memory"
        self.nbytes = nbytes
        self.inside = self.start + PAGE
        self.address = self.inside + (self.pages - nbytes if at_end else 0)
        ctypes.memset(self.inside, _SLACK, self.pages)
        ctypes.memset(self.address, _SOIL, nbytes)
        for guard in (self.start, self.inside + self.pages):
            assert _libc.mprotect(guard, PAGE, NO_ACCESS) == 0

    def written_beside(self):
        """Whether the bytes on the other side, as far as the page goes, were written to."""
        before = self.address - self.inside
        slack = ctypes.string_at(self.inside, before)
        slack += ctypes.string_at(self.address + self.nbytes, self.pages - before - self.nbytes)
        return slack.count(_SLACK) != len(slack)

    def close(self):
        _libc.munmap(self.start, self.pages + 2 * PAGE)


class Guarded:
    """An array whose first byte follows, or whose last byte precedes, a page without access."""

    def __init__(self, values, at_end, read_only=False):
        values = np.asarray(values)
        self.room = _Room(values.nbytes, at_end)
        buffer = (ctypes.c_uint8 * values.nbytes).from_address(self.room.address)
        self.array = np.frombuffer(buffer, np.uint8).view(values.dtype).reshape(values.shape)
        self.array[...] = values
        if read_only:
            assert _libc.mprotect(self.room.inside, self.room.pages, READ_ONLY) == 0
            self.array.flags.writeable = False

    def close(self):
        """Give the pages back; raise AssertionError where something was written beside it."""
        beside = self.room.written_beside()
        self.array = None
        self.room.close()
        assert not beside, "written beside an array"


_malloc_type = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_calloc_type = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_size_t] * 2)
_realloc_type = ctypes.CFUNCTYPE(ctypes.c_void_p, *[ctypes.c_void_p] * 2, ctypes.c_size_t)
_free_type = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, ctypes.c_size_t)


class _Handler(ctypes.Structure):
    """PyDataMem_Handler of NumPy's C interface."""

    _fields_ = (
        ("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("context", ctypes.c_void_p),
        ("malloc", _malloc_type), ("calloc", _calloc_type), ("realloc", _realloc_type),
        ("free", _free_type),
    )  # fmt: skip


class _Workspaces:
    """The allocator: what it has given out, and what it found."""

    at_end = True
    rooms: dict = {}  # noqa: RUF012 - one for the process, as NumPy's allocator is
    taken = 0
    beside: list = []  # noqa: RUF012

    @classmethod
    def new(cls, nbytes, soil=True):
        try:
            room = _Room(nbytes, cls.at_end)
            if not soil:
                ctypes.memset(room.address, 0, nbytes)
            cls.rooms[room.address] = room
            cls.taken += 1
        except BaseException as error:  # noqa: BLE001 - C has no way to pass it on
            os.write(2, f"guarded.py: {error!r}\n".encode())
            return None
        return room.address

    @classmethod
    def drop(cls, address):
        room = cls.rooms.pop(address)
        if room.written_beside():
            cls.beside.append(room.nbytes)
        room.close()

    @classmethod
    def move(cls, address, nbytes):
        new = cls.new(nbytes)
        if address and new:
            ctypes.memmove(new, address, min(nbytes, cls.rooms[address].nbytes))
            cls.drop(address)
        return new


def _capsule():
    """The allocator as NumPy takes it; what it refers to lives as long as the process."""
    handler = _Handler(
        b"guarded", 1, None,
        _malloc_type(lambda _, nbytes: _Workspaces.new(nbytes)),
        _calloc_type(lambda _, count, size: _Workspaces.new(count * size, soil=False)),
        _realloc_type(lambda _, address, nbytes: _Workspaces.move(address, nbytes)),
        _free_type(lambda _, address, __: _Workspaces.drop(address) if address else None),
    )  # fmt: skip
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = (
        ctypes.py_object,
        (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p),
    )
    return handler, new(ctypes.addressof(handler), b"mem_handler", None)


def _set_handler():
    """PyDataMem_SetHandler, entry 304 of NumPy's C interface."""
    from numpy._core import _multiarray_umath

    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    table = ctypes.cast(get(_multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    return ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[304])


_KEPT, _OURS = _capsule()
_SET = _set_handler()


@contextlib.contextmanager
def workspaces(at_end):
    """Let NumPy take the memory of every new array, in this thread's context, from `_Workspaces`.

    Yields the class, whose `taken` counts arrays and whose `beside` has the bytes of those that
    something was written next to.
    """
    _Workspaces.at_end, _Workspaces.taken, _Workspaces.beside = at_end, 0, []
    before, keeps = _SET(_OURS), spare._KEEPS
    spare._KEEPS = False  # what is kept of large arrays is not NumPy's
    try:
        yield _Workspaces
    finally:
        spare._KEEPS = keeps
        _SET(before)
