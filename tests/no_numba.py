"""A Python in which Numba is not installed, for this process or for those that it starts."""

import os
import sys
from pathlib import Path

HOOK = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
"""


def hide(folder: Path) -> None:
    """Hide Numba from this process, and by a file in `folder` from every Python it starts."""
    folder.mkdir(parents=True, exist_ok=True)
    begun = folder / f".{os.getpid()}"
    begun.write_text(HOOK)
    begun.replace(folder / "sitecustomize.py")  # several workers write it at once
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    assert "numba" not in sys.modules
    exec(HOOK, {})
