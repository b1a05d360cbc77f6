"""Each rule between the rooms sees what breaks it, planted in a small house."""

from pathlib import Path

import pytest

from test_rooms import (
    MAX_LINES,
    RULES,
    Source,
    algorithms_apart,
    algorithms_whole,
    arrows_back,
    kernels_alone,
    one_file_each,
    public_only,
    read,
    short_files,
)

ALGORITHM = "NAME = 'fft'\ndef why_not(p): ...\ndef cost(p): ...\ndef forward(p): ...\n"
HOUSE = {
    "__init__.py": '__all__ = ["conv", "signal"]\n',
    "errors.py": "",
    "problem.py": "from npconv.errors import ProblemError\n",
    "arrays.py": "import numpy as np\nfrom .problem import ConvProblem\n",
    "kernels/__init__.py": "",
    "kernels/tile.py": "import numba\n",
    "algorithms/__init__.py": "from . import taps, fft\n_MODULES = taps, fft\nALGORITHMS = {}\n",
    "algorithms/taps.py": "from ..arrays import pad\n" + ALGORITHM.replace("fft", "taps"),
    "algorithms/contract.py": "from npconv.problem import ConvProblem\n",
    "algorithms/fft.py": "from npconv.kernels import tile\nfrom .contract import Cost\n"
    + ALGORITHM,
    "planner.py": "from npconv import algorithms\nfrom .algorithms import ALGORITHMS\n",
    "api.py": "from .planner import Plan\n",
    "signal.py": "from npconv import conv\n",
    "images/__init__.py": "from .files import load\n",
    "images/files.py": "import npconv\nimport PIL.Image\nnpconv.conv\n",
    "bench/plots.py": "import matplotlib.pyplot\n",
    "cli.py": "from npconv.images import load\n",
}


def build(root: Path, house: dict[str, str]) -> list[Source]:
    for name, text in house.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read(root)


def test_a_house_in_order_passes(tmp_path):
    sources = build(tmp_path, HOUSE)
    assert [problem for rule in RULES for problem in rule(sources)] == []


@pytest.mark.parametrize(
    ("rule", "place", "planted", "message"),
    [
        (arrows_back, "planner.py", "from .api import conv", "planner imports api"),
        (arrows_back, "problem.py", "if 1:\n import npconv.api", "problem imports api"),
        (arrows_back, "algorithms/fft.py", "from npconv import planner", "imports planner"),
        (arrows_back, "arrays.py", "from npconv import conv", "through the front door"),
        (arrows_back, "api.py", "from .signal import correlate", "api imports signal"),
        (arrows_back, "cellar.py", "from .algorithms import fft", "imports algorithms above it"),
        (algorithms_apart, "algorithms/fft.py", "from .taps import NAME", "another algorithm"),
        (algorithms_apart, "algorithms/fft.py", "from . import taps", "another algorithm"),
        (algorithms_apart, "algorithms/fft.py", "from ..layout import axes", "imports layout"),
        (kernels_alone, "kernels/tile.py", "import npconv.problem", "a kernel imports"),
        (kernels_alone, "algorithms/fft.py", "from numba import njit", "outside kernels"),
        (kernels_alone, "arrays.py", "import llvmlite.ir", "outside kernels"),
        (public_only, "signal.py", "from npconv.arrays import pad", "uses npconv.arrays.pad"),
        (public_only, "signal.py", "from .problem import ConvProblem", "which is not public"),
        (public_only, "signal.py", "from npconv import _secret", "signal uses npconv._secret"),
        (public_only, "images/files.py", "npconv.planner.Plan", "images uses npconv.planner"),
        (public_only, "bench/plots.py", "from npconv.cli import main", "its neighbour cli"),
        (
            public_only,
            "cli.py",
            "from npconv.images.files import load",
            "behind a front door",
        ),
        (public_only, "images/files.py", "from ..cli import main", "its neighbour cli"),
        (public_only, "cli.py", "from npconv import signal", "cli imports its neighbour signal"),
        (one_file_each, "cli.py", "import matplotlib", "matplotlib is imported in 2 files"),
        (one_file_each, "cli.py", "import requests", "requests is no dependency"),
        (algorithms_whole, "algorithms/new.py", "NAME = 'new'", "cost is missing"),
        (algorithms_whole, "algorithms/new.py", "", "listed 0 times in _MODULES"),
        (algorithms_whole, "algorithms/fft.py", "def input_grad(): ...", "come together"),
        (algorithms_whole, "algorithms/new.py", "NAME = 'old'", "NAME is not 'new'"),
        (short_files, "cli.py", "\n" * MAX_LINES, "cli.py: 321 lines"),
    ],
)
def test_a_planted_violation_is_seen(tmp_path, rule, place, planted, message):
    house = {**HOUSE, place: HOUSE.get(place, "") + planted}
    problems = list(rule(build(tmp_path, house)))
    assert any(message in problem for problem in problems), problems


def test_a_peer_of_the_bench_is_imported_once_more_there(tmp_path):
    bridge = {"bridges/torch.py": "import torch\n"}
    house = {**HOUSE, **bridge, "bench/peers/torch.py": "import torch\n"}
    assert list(one_file_each(build(tmp_path / "once", house))) == []
    house["bench/peers/other.py"] = "import torch\n"
    (problem,) = one_file_each(build(tmp_path / "twice", house))
    assert "torch is imported in 2 files: bench/peers/other.py, bench/peers/torch.py" in problem


def test_the_table_must_exist(tmp_path):
    house = {**HOUSE, "algorithms/__init__.py": ""}
    assert "ALGORITHMS is missing" in "".join(algorithms_whole(build(tmp_path, house)))
