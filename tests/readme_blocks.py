"""The README's examples, cut out so that tests can run them."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

README = Path(__file__).parents[1] / "README.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


class Block(NamedTuple):
    """One fenced block: Python source, or the npconv commands of a console block."""

    kind: str
    source: str
    output: str

    @property
    def commands(self) -> list[list[str]]:
        lines = [line[2:] for line in self.source.splitlines() if line.startswith("$ npconv")]
        return [shlex.split(line, comments=True) for line in lines]


def blocks(kind: str, page: Path = README) -> list[Block]:
    """A page's blocks of one kind; a `text` block right after one is what it prints."""
    found = [match.groups() for match in FENCE.finditer(page.read_text(encoding="utf-8"))]
    after = [*found, ("", "")][1:]
    return [
        Block(name, source, following[1] if following[0] == "text" else "")
        for (name, source), following in zip(found, after, strict=True)
        if name == kind
    ]


def furnish(folder: Path) -> None:
    """Put the reader's files there: a photograph, and a folder of them."""
    height, width = 48, 64
    ramp = np.add.outer(np.arange(height), np.arange(width))
    pixels = np.stack([ramp * 2, ramp[::-1], ramp[:, ::-1]], axis=-1).astype(np.uint8)
    photo = Image.fromarray(pixels)
    photo.save(folder / "photo.jpg")
    (folder / "holiday").mkdir()
    for name in ("beach.jpg", "hills.png"):
        photo.save(folder / "holiday" / name)


def run(argv: list[str], folder: Path) -> str:
    """Run one command in `folder`, as a reader would, and return what it printed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV_"))}
    environment |= {"COLUMNS": "100", "MPLBACKEND": "Agg", "NO_COLOR": "1", "BROWSER": "true"}
    done = subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{shlex.join(argv)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_python(block: Block, folder: Path, python: str = sys.executable) -> None:
    """Run a Python block and compare what it prints with the text block after it."""
    printed = run([python, "-W", "error", "-c", block.source], folder)
    if block.output:
        assert says_the_same(block.output, printed), (
            f"the README shows\n{block.output}\nand this was printed\n{printed}"
        )


def says_the_same(shown: str, printed: str) -> bool:
    """Equal but for spacing; estimated seconds and bytes may be another machine's."""
    if "(estimated)" in shown:
        shown, printed = (
            re.sub(r"\d\S*( ([KMGT]iB|B|[mun]?s)\b)?", "#", text) for text in (shown, printed)
        )
    return shown.split() == printed.split()
