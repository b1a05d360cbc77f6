"""How kernels are compiled, and how what was compiled is kept for the next process.

Numba's own cache would be stale when another file changes, raises where a file is damaged, and lies
in a directory that is set for everybody's functions at once.  Here each kernel has a cache object
of its own.  Its files lie in a directory whose name changes with all that machine code depends on.
"""

from __future__ import annotations

import hashlib
import pickle
import platform
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from npconv.kernels import Broken, files

try:
    import llvmlite
    import llvmlite.binding
    import numba
    from numba.core.compiler import CompileResult
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.dispatcher import Dispatcher
    from numba.core.serialize import dumps
except Exception as error:  # beside a NumPy that is too new for it Numba raises all sorts of things
    Broken.reason = f"Numba does not work here: {error}"
    raise ImportError(Broken.reason) from error

TAG = "CACHEDIR.TAG"
_TAG_TEXT = b"""Signature: 8a477f597d28d172789f06886806bc55
# Machine code of npconv's kernels, compiled on this machine; it may be removed at any time.
"""
_FOLDER = re.compile(r"kernels-[0-9a-f]{20}")
_OURS = re.compile(r"[\w.]+-[0-9a-f]{20}\.kernel|\..*\.new")
# What else changes the code that Numba makes.
_SETTINGS = (
    "CPU_NAME", "CPU_FEATURES", "ENABLE_AVX", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE",
    "BOUNDSCHECK", "DEBUGINFO_DEFAULT",
)  # fmt: skip
_here = threading.local()


class Tally:
    """How many kernels this process has compiled, and how many it has loaded."""

    compiled = 0
    loaded = 0


class NotKept(Exception):
    """A kernel would have to be compiled, where none may be."""


class Busy(Exception):
    """Another thread compiles or loads: what this one asks would have to wait for it."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a kernel on its first call, or load it: without the interpreter's lock or checks."""
    kernel = numba.njit(nogil=True, error_model="numpy")(function)
    if isinstance(kernel, Dispatcher):  # NUMBA_DISABLE_JIT leaves the function as it is
        kernel._cache = KernelCache(function)
    return kernel


def fingerprint(sources: Mapping[str, bytes], facts: Sequence[str]) -> str:
    """Return a name for machine code made of these sources under these circumstances."""
    digest = hashlib.sha256()
    for text in (*facts, *(f"{name}\n" for name in sorted(sources))):
        digest.update(b"%d %b" % (len(text.encode()), text.encode()))
    for name in sorted(sources):
        digest.update(hashlib.sha256(sources[name]).digest())
    return digest.hexdigest()[:20]


def circumstances() -> list[str]:
    """Return the versions, the CPU and the settings that machine code depends on."""
    try:
        cpu = llvmlite.binding.get_host_cpu_name()
        features = llvmlite.binding.get_host_cpu_features().flatten()
    except RuntimeError:  # a system that LLVM cannot ask
        cpu, features = platform.machine(), ""
    return [
        f"numba {numba.__version__}",
        f"llvmlite {llvmlite.__version__}",
        f"numpy {np.__version__}",
        f"{platform.python_implementation()} {platform.python_version()}",
        f"{platform.system()} {cpu} {features}",
        *(f"{name} {getattr(numba.config, name, None)}" for name in _SETTINGS),
    ]


def _sources() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(__file__).parent.glob("*.py")}


# Taken now: what is compiled later comes from the sources as they are today.
_SOURCES = _sources()
_FINGERPRINT = fingerprint(_SOURCES, circumstances())


def folder() -> Path | None:
    """Return where kernels are kept; None where they are not."""
    place = files.user_directory()
    return place / f"kernels-{_FINGERPRINT}" if place and _SOURCES else None


class KernelCache:
    """What Numba asks for a kernel's machine code, and gives it to: its interface of a cache.

    variant: says all that a function made inside another one computes beside what its source says.
    """

    def __init__(self, function: Callable[..., Any], variant: str = "") -> None:
        code = function.__code__
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
        self._stamp = [
            f"{function.__module__}.{function.__qualname__} {code.co_firstlineno}",
            hashlib.sha256(code.co_code).hexdigest(),
            _source_digest(code.co_filename),
            variant,
        ]
        # What a function made inside another one computes is not known by its source.
        self._keeps = bool(variant) or "<locals>" not in function.__qualname__

    @property
    def cache_path(self) -> str:
        """Where the kernel's files lie, as Numba's statistics report it."""
        return str(self._folder() or "")

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the kernel for a signature, or None where it has to be compiled."""
        target_context.refresh()
        found = self._load(sig, target_context)
        if found is not None:
            Tally.loaded += 1
        elif getattr(_here, "only_loading", False):
            raise NotKept(self._name)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a kernel that was compiled."""
        Tally.compiled += 1
        place = self._folder()
        if place is None or data.lifted or data.library.has_dynamic_globals:
            return
        trouble = ""
        try:
            meaning = self._meaning(sig, data.codegen)
            sealed = files.seal(dumps(data._reduce()), meaning)
            for directory in (place.parent, place):
                files.make_private(directory)
            if not (place / TAG).exists():
                files.replace(place / TAG, _TAG_TEXT)
            files.replace(place / self._file_name(meaning), sealed)
        except Exception as error:  # noqa: BLE001 a kernel that cannot be kept works all the same
            trouble = f"{place} cannot be written ({_said(error)})"
        if trouble:
            files.warn_once(trouble)

    def enable(self) -> None:
        """Do nothing: the variable NPCONV_CACHE_DIR decides."""

    def disable(self) -> None:
        """Do nothing: the variable NPCONV_CACHE_DIR decides."""

    def flush(self) -> None:
        """Do nothing: `npconv warmup --clear` removes files."""

    def _folder(self) -> Path | None:
        return folder() if self._keeps else None

    def _load(self, sig: Any, target_context: Any) -> Any:
        place = self._folder()
        if place is None:
            return None
        codegen = target_context.codegen()
        meaning = self._meaning(sig, codegen)
        path = place / self._file_name(meaning)
        try:
            if not path.exists():
                return None
            for directory in (place.parent, place):
                files.check_private(directory)
            reduced = pickle.loads(files.unseal(files.read(path), meaning))
            return CompileResult._rebuild(target_context, *reduced)
        except FileNotFoundError:  # another process has removed it meanwhile
            return None
        except Exception as error:  # noqa: BLE001 whatever a file holds, the kernel can be compiled
            trouble = f"{path} cannot be used ({_said(error)})"
        files.warn_once(trouble)
        return None

    def _meaning(self, sig: Any, codegen: Any) -> str:
        return "\n".join([*self._stamp, str(sig), str(codegen.magic_tuple())])

    def _file_name(self, meaning: str) -> str:
        name = re.sub(r"\W", "_", self._name)[:60]
        return f"{name}-{hashlib.sha256(meaning.encode()).hexdigest()[:20]}.kernel"


@lru_cache(maxsize=64)
def _source_digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:  # typed at a prompt
        return ""


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


@contextmanager
def only_loading() -> Iterator[None]:
    """Raise NotKept in this thread where a kernel would have to be compiled.

    Raises Busy, at once, where another thread holds the compiler.
    """
    if not global_compiler_lock._lock.acquire(blocking=False):
        raise Busy
    _here.only_loading = True
    try:
        yield
    finally:
        _here.only_loading = False
        global_compiler_lock._lock.release()


def kept() -> list[Path]:
    """Return the files of kernels that this npconv may load here."""
    place = folder()
    try:
        return sorted(place.glob("*.kernel")) if place else []
    except OSError:
        return []


def remove_old() -> list[Path]:
    """Remove the directories of other versions and CPUs; return those that are gone.

    Only what npconv has written is removed: a directory with its name and its tag, and in there
    files with its names.  A directory that holds anything else stays, with that in it.
    """
    here = folder()
    if here is None or not here.parent.is_dir():
        return []
    files.check_private(here.parent)
    removed = []
    for place in sorted(here.parent.iterdir()):
        if place != here and _is_ours(place):
            for path in place.iterdir():
                if _OURS.fullmatch(path.name):
                    path.unlink(missing_ok=True)
            if [path.name for path in place.iterdir()] == [TAG]:
                (place / TAG).unlink()
                place.rmdir()
                removed.append(place)
    return removed


def _is_ours(place: Path) -> bool:
    if not _FOLDER.fullmatch(place.name) or place.is_symlink() or not place.is_dir():
        return False
    try:
        files.check_private(place)
        return files.read(place / TAG) == _TAG_TEXT
    except OSError:
        return False
