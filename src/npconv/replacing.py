"""Files that are written whole or not at all: under a temporary name, then moved into place."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def check_free(path: Path, overwrite: bool) -> None:
    """Raise where no file can go to a path: a folder, or a file that is not to be replaced."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file that can be written.")
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(
            f"{path} is there already; overwrite=True (--overwrite) would replace it."
        )


@contextlib.contextmanager
def replacing(path: Path, overwrite: bool) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` that takes its place when the block ends well.

    A file that is replaced gives its permissions.
    """
    check_free(path, overwrite)
    place = Path(os.path.realpath(path))
    temporary = place.with_name(f".{place.name[:200]}.{secrets.token_hex(4)}.tmp")
    stream = open(temporary, "xb")  # noqa: SIM115
    try:
        with stream:
            yield stream
        if place.exists():
            os.chmod(temporary, place.stat().st_mode & 0o7777)
        os.replace(temporary, place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
