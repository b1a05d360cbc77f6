"""The built wheel, installed alone into an empty environment, works as the README says."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import npconv
import readme_blocks

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "npconv"
    ignore = shutil.ignore_patterns("*.egg-info", "__pycache__")
    shutil.copytree(ROOT / "src", copy / "src", ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*build, str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def install(wheel, folder):
    """Install the wheel, with what it asks for, in a fresh environment; return its commands."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", str(commands / "python"), "install"]
    done = subprocess.run([*pip, str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return commands


def test_it_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name.split("/")[0] for name in names if ".dist-info/" in name)
        metadata = archive.read(f"{info}/METADATA").decode()
    sources = {
        p.relative_to(ROOT / "src").as_posix() for p in (ROOT / "src").rglob("npconv/**/*.py")
    }
    page = ROOT / "src" / "npconv" / "explain" / "page"
    sources |= {
        p.relative_to(ROOT / "src").as_posix() for p in page.rglob("*") if p.suffix and p.is_file()
    }
    files = {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "top_level.txt")}
    files |= {f"{info}/entry_points.txt", f"{info}/licenses/LICENSE", "npconv/py.typed"}
    assert names == sources | files
    assert "License-Expression: BSD-3-Clause" in metadata
    always = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    always = sorted(line.split()[1].split(">")[0] for line in always if "extra ==" not in line)
    assert always == ["numba", "numpy", "pillow", "rich", "threadpoolctl", "typer"]


def test_installed_alone_it_does_what_the_readme_says(wheel, tmp_path):
    commands = install(wheel, tmp_path / "environment")
    home = tmp_path / "home"
    home.mkdir()
    readme_blocks.furnish(home)
    for check in (
        comes_from_there, stands_alone, command_answers, readme_holds, training_asks_for_its_extra,
    ):  # fmt: skip
        check(commands, home)


def comes_from_there(commands, home):
    code = "import npconv; print(npconv.__version__, npconv.__file__)"
    version, path = readme_blocks.run([str(commands / "python"), "-c", code], home).split()
    assert version == npconv.__version__
    assert Path(path).is_relative_to(commands.parent)


def stands_alone(commands, home):
    for package in ("scipy", "matplotlib", "sklearn", "pytest", "autograd", "torch"):
        code = f"import importlib.util as u; print(u.find_spec({package!r}))"
        assert readme_blocks.run([str(commands / "python"), "-c", code], home) == "None\n"


def command_answers(commands, home):
    def npconv_says(*arguments):
        return readme_blocks.run([str(commands / "npconv"), *arguments], home)

    assert npconv.__version__ in npconv_says("--version")
    assert "sharpen" in npconv_says("kernels")
    table = npconv_says("plan", "8x64x56x56", "64x64x3x3", "--padding", "1")
    assert all(name in table for name in npconv.algorithms())
    npconv_says("filter", "photo.jpg", "sharpen", "-o", "sharper.png")
    assert (home / "sharper.png").read_bytes().startswith(b"\x89PNG")
    npconv_says("explain", "photo.jpg", "--no-open", "-o", "its.html")
    assert (home / "its.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def readme_holds(commands, home):
    """Run the README's examples, but for those of what the extra `nn` brings."""
    whole = [block for block in readme_blocks.blocks("python") if " nn\n" not in block.source]
    assert len(whole) >= 5
    for block in whole:
        readme_blocks.run_python(block, home, python=str(commands / "python"))
    for block in readme_blocks.blocks("console"):
        for _, name, *arguments in block.commands:
            if name not in ("train", "evaluate", "predict", "look"):
                readme_blocks.run([str(commands / "npconv"), name, *arguments], home)


def training_asks_for_its_extra(commands, home):
    argv = [str(commands / "npconv"), "train", "digits"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=home)
    assert done.returncode == 1
    assert "pip install 'npconv[nn]'" in done.stderr
    assert "Traceback" not in done.stderr
