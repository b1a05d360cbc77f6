"""The command: its pages, plans and facts, and what it says when something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import npconv
from npconv import images
from npconv.cli import app
from npconv.cli.plans import parse_nbytes

RUNNER = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


def run(*words: str | Path) -> Result:
    return RUNNER.invoke(app, [str(word) for word in words], prog_name="npconv")


def run_process(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "npconv", *map(str, words)]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(command, input=stdin, capture_output=True, env=environment, check=False)


def test_version_and_help() -> None:
    assert run("--version").output == f"npconv {npconv.__version__}\n"
    for words in ((), ("--help",), ("-h",)):
        page = run(*words).output
        for command in ("filter", "gallery", "kernels", "plan", "info", "bench"):
            assert command in page
    for command in ("filter", "gallery", "kernels", "plan", "info", "bench"):
        assert run(command, "--help").exit_code == 0


def test_unknown_commands_options_and_kernels_have_suggestions() -> None:
    for words, suggestion in (
        (("fliter",), "did you mean 'filter'"),
        (("filter", "x.jpg", "shrapen"), "did you mean 'sharpen'"),
        (("kernels", "gausian"), "did you mean 'gaussian'"),
        (("filter", "--ouut", "x"), "--out"),
    ):
        result = run(*words)
        assert result.exit_code == 2
        assert suggestion in result.output.lower()


def test_kernels_table_has_every_kernel_and_its_numbers() -> None:
    page = run("kernels").output
    for kernel in images.kernels():
        assert kernel.name.partition(":")[0] in page
        assert " ".join(kernel.purpose.split()) in page
    assert "-1 -2 -1" in page
    assert "/ 9" in page


def test_one_kernel_in_full() -> None:
    page = run("kernels", "gaussian:0.5").output
    assert "5 x 5, sum 1, separable" in page
    assert len(page.splitlines()) == 9
    assert run("kernels", "sobel-magnitude").output.count("-1  0  1") == 2
    assert "1 -2" in run("kernels", "1 -2").output


def test_plan_prints_the_planners_table() -> None:
    result = run("plan", "8x64x56x56", "64x64x3x3", "--padding", "1")
    plan = npconv.plan((8, 64, 56, 56), (64, 64, 3, 3), padding=1)
    assert result.output.strip() == str(plan)
    for name in npconv.algorithms():
        assert name in result.output


def test_plan_takes_every_geometry() -> None:
    result = run(
        *("plan", "1x9x10x4", "3x3x2x8", "--layout", "NHWC", "--weight-layout", "HWIO"),
        *("--stride", "2,1", "--padding", "1:2,0:-1", "--dilation", "1,2", "--groups", "2"),
        *("--dtype", "float64", "--precision", "fast", "--padding-mode", "edge"),
    )
    plan = npconv.plan(
        (1, 9, 10, 4),
        (3, 3, 2, 8),
        "float64",
        layout="NHWC",
        weight_layout="HWIO",
        stride=(2, 1),
        padding=((1, 2), (0, -1)),
        dilation=(1, 2),
        groups=2,
        precision="fast",
        padding_mode="edge",
    )
    assert result.output.strip() == str(plan)
    same = run("plan", "6X6", "3x3", "--layout", "HW", "--padding", "same")
    assert same.output.strip() == str(npconv.plan((6, 6), (3, 3), layout="HW", padding="same"))


def test_plan_measures_and_limits_memory() -> None:
    assert "measured" in run("plan", "1x2x8x8", "2x2x3x3", "--measure").output
    words = ("plan", "1x8x32x32", "8x8x3x3", "--memory-limit", "4KB")
    limited = npconv.plan((1, 8, 32, 32), (8, 8, 3, 3), memory_limit=4000)
    assert run(*words).output.strip() == str(limited)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("plan", "8x3x9x9", "4x2x3x3"), 1, "3 channels"),
        (("plan", "8x3x9x9", "4x3x30x30"), 1, "error: plan:"),
        (("plan", "8xx9", "4x3x3x3"), 2, "'8xx9' is not a shape"),
        (("plan", "8x3x9x9", "4x3x3x3", "--padding", "some"), 2, "is not a padding"),
        (("plan", "8x3x9x9", "4x3x3x3", "--padding", "1:2:3,1:1"), 2, "is not a padding"),
        (("plan", "8x3x9x9", "4x3x3x3", "--stride", "a"), 2, "is not a stride"),
        (("plan", "8x3x9x9", "4x3x3x3", "--stride", "0"), 1, "stride"),
        (("plan", "8x3x9x9", "4x3x3x3", "--dtype", "flot"), 2, "'flot' is not a dtype"),
        (("plan", "8x3x9x9", "4x3x3x3", "--memory-limit", "lots"), 2, "no amount of memory"),
        (("plan", "8x3x9x9"), 2, "Missing argument"),
    ],
)
def test_bad_plans(words: tuple[str, ...], code: int, message: str) -> None:
    result = run(*words)
    assert result.exit_code == code
    assert message in result.output
    assert "Traceback" not in result.output


def test_amounts_of_memory() -> None:
    amounts = {"0": 0, "64MB": 64 * 10**6, "1GiB": 2**30, "1.5k": 1500, " 2 tb ": 2 * 10**12}
    assert {text: parse_nbytes(text) for text in amounts} == amounts


def test_info_names_versions_and_every_algorithm() -> None:
    page = run("info").output
    for word in (npconv.__version__, np.__version__, "BLAS", "memory", "plots"):
        assert word in page
    for name in npconv.algorithms():
        assert name in page
    assert "integers" in page


def test_info_gives_the_pip_line_of_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert 'pip install "npconv[plots]"' in run("info").output


def test_info_says_which_package_of_an_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"safetensors", "matplotlib", "torch", "autograd"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True if name in there else None)
    words = " ".join(run("info").output.split())
    assert 'safetensors present, scikit-learn missing: pip install "npconv[nn]"' in words
    assert "matplotlib present extra nn" in words


def test_python_dash_m_and_the_script_say_the_same() -> None:
    result = run_process("--version")
    assert (result.returncode, result.stdout) == (0, f"npconv {npconv.__version__}\n".encode())
    script = Path(sys.executable).with_name("npconv")
    if script.exists():
        assert subprocess.check_output([script, "--version"]) == result.stdout


def test_errors_are_one_message_in_a_real_process(tmp_path: Path) -> None:
    result = run_process("gallery", tmp_path / "none.jpg")
    assert result.returncode == 1
    assert result.stdout == b""
    assert result.stderr.decode().startswith("error: ")
    assert "no such file" in result.stderr.decode()
    assert "Traceback" not in result.stderr.decode()
    assert run_process("filter").returncode == 2


def test_an_image_through_a_pipe(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    images.write(tmp_path / "a.png", pixels)
    data = (tmp_path / "a.png").read_bytes()
    result = run_process("filter", "-", "blur", stdin=data)
    assert result.returncode == 0, result.stderr
    (tmp_path / "out.png").write_bytes(result.stdout)
    np.testing.assert_array_equal(images.read(tmp_path / "out.png"), images.apply(pixels, "blur"))
    broken = run_process("filter", "-", "blur", stdin=b"nothing")
    assert broken.returncode == 1
    assert b"standard input is not an image" in broken.stderr


def test_help_does_not_load_what_it_does_not_need() -> None:
    code = (
        "import sys\n"
        "from npconv.cli import app\n"
        "heavy = {'matplotlib', 'scipy', 'numba', 'sklearn', 'skimage'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
