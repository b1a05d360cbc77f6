"""Files that npconv keeps for a user: in a directory of their own, whole or not used at all.

What a file holds may be run as machine code, so it is read only from a directory that nobody else
can write to, and only where its digest says that it is what was written.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

VARIABLE = "NPCONV_CACHE_DIR"
LARGEST = 1 << 26  # bytes: what is longer was not written by npconv
_MAGIC = b"npconv kept 1\n"
_DIGEST = hashlib.sha256().digest_size


class Warned:
    """Whether this process has been told that files cannot be kept."""

    already = False


def user_directory() -> Path | None:
    """Return the directory of this user's files; None where they are switched off."""
    place = _place(sys.platform, os.environ)
    return Path(place) if place else None


def _place(platform: str, variables: Mapping[str, str]) -> str:
    chosen = variables.get(VARIABLE)
    if chosen is not None:
        off = chosen.strip().lower() in ("", "off")
        return "" if off else os.path.abspath(os.path.expanduser(chosen))
    home = os.path.expanduser("~")
    if platform == "win32":
        parent = variables.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif platform == "darwin":
        parent = os.path.join(home, "Library", "Caches")
    else:
        parent = variables.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(parent):  # the XDG rule: a relative path is ignored
            parent = os.path.join(home, ".cache")
    return os.path.join(parent, "npconv") if os.path.isabs(parent) else ""


def make_private(path: Path) -> None:
    """Make a directory that only this user may enter, or raise OSError with a reason."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(f"{path} is not a directory") from None
    check_private(path)


def check_private(path: Path) -> None:
    """Raise OSError where a directory is somebody else's, or where others may write to it."""
    facts = path.stat()
    if not stat.S_ISDIR(facts.st_mode):
        raise NotADirectoryError(f"{path} is not a directory")
    _check_owner(path, facts)


def _check_owner(path: Path, facts: os.stat_result) -> None:
    if not hasattr(os, "geteuid"):
        return
    if facts.st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to another user")
    if facts.st_mode & stat.S_IWOTH:
        raise PermissionError(f"{path} may be written to by every user")


def read(path: Path) -> bytes:
    """Return what a file holds; raise OSError where that cannot be trusted or is too long."""
    with _opened(path) as file:
        facts = os.fstat(file.fileno())
        _check_owner(path, facts)
        if facts.st_size > LARGEST:
            raise OSError(f"{path} is damaged: it has {facts.st_size} bytes")
        return file.read()


def contents(path: Path, most: int) -> bytes:
    """Return the first bytes of a file, whoever wrote it: what harms nobody if it is wrong."""
    with _opened(path) as file:
        return file.read(most)


def _opened(path: Path) -> BinaryIO:
    # A pipe in the file's place would otherwise be waited for.
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"{path} is not a file")
    return open(handle, "rb")


def replace(path: Path, data: bytes, check: Callable[[], object] = lambda: None) -> None:
    """Write a whole file under another name, then move it into place: readers see all or none.

    `check` is called in between: where it raises, what is in the place stays.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".new")
    try:
        with open(handle, "wb") as file:
            file.write(data)
        check()
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def seal(data: bytes, meaning: str) -> bytes:
    """Return data behind a digest of itself and of what it stands for."""
    return _MAGIC + _digest(data, meaning) + data


def unseal(sealed: bytes, meaning: str) -> bytes:
    """Return the data that `seal` was given; raise ValueError where a single bit differs."""
    begin = len(_MAGIC) + _DIGEST
    data = sealed[begin:]
    if sealed[:begin] != _MAGIC + _digest(data, meaning):
        raise ValueError("its digest is wrong")
    return data


def _digest(data: bytes, meaning: str) -> bytes:
    name = meaning.encode()
    return hashlib.sha256(b"%d %b%b" % (len(name), name, data)).digest()


def warn_once(problem: str) -> None:
    """Tell the user, once in a process, what is wrong with the files and what to do."""
    if not Warned.already:
        Warned.already = True
        warnings.warn(
            f"{problem}, so that npconv compiles its kernels again, which takes seconds; "
            f"set {VARIABLE} to a directory of your own, or to 'off' to keep none.",
            RuntimeWarning,
            stacklevel=2,
        )
