"""Everything but the compiled kernels works where Numba cannot be imported."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import npconv
from no_numba import HOOK
from npconv import compiler
from npconv.algorithms import ALGORITHMS

SOURCE = Path(npconv.__file__).parent
BEGIN = """
import numpy as np, npconv
rng = np.random.default_rng(0)
x = rng.integers(-9, 9, (2, 4, 9, 8)).astype("float32")
weight = rng.integers(-9, 9, (6, 4, 3, 3)).astype("float32")
"""
NUMBERS = """
y = npconv.conv(x, weight, padding=1, stride=2)
padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
assert np.array_equal(y, np.einsum("nchwrs,ocrs->nohw", windows, weight))
grad_out = rng.integers(-9, 9, y.shape).astype("float32")
grads = npconv.conv_grad(grad_out, x, weight, padding=1, stride=2)
assert np.vdot(grads.x, x) == np.vdot(grad_out, y) == np.vdot(grads.weight, weight)
assert np.array_equal(grads.bias, grad_out.sum((0, 2, 3)))
assert npconv.conv_transpose(grad_out, weight, padding=1, stride=2).shape == (2, 4, 9, 7)
assert np.array_equal(npconv.max_pool(x, 3), x[:, :, :9, :6].reshape(2, 4, 3, 3, 2, 3).max((3, 5)))
assert npconv.fold(npconv.unfold(x, 2, stride=2), (9, 8), 2, stride=2).shape == x.shape
from npconv import images, ndimage, signal
image = np.arange(81.0).reshape(9, 9)
assert signal.correlate2d(image, np.ones((3, 3)), mode="valid")[0, 0] == 90
assert ndimage.correlate(image, np.ones((3, 3)))[1, 1] == 90
assert images.apply(image.astype("uint8"), "blur").shape == (9, 9)
print("fine")
"""
REASONS = """
for direction in ("forward", "input_grad", "weight_grad"):
    plan = npconv.plan((1, 16, 32, 32), (16, 16, 3, 3), padding=1, direction=direction)
    for row in plan.rows:
        print(direction, row.algorithm, row.algorithm == plan.algorithm, row.why_not, sep="|")
    assert "Numba is not installed" in str(plan)
"""


def run(code, hook=HOOK):
    ran = subprocess.run(
        [sys.executable, "-c", hook + BEGIN + code], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def compiled_algorithms():
    """The algorithms whose files load kernels, and that have no other way."""
    found = {
        name
        for name in ALGORITHMS
        if re.search(r"npconv.*kernels|lines\.template", source_of(name))
    }
    return found - {"fft"}  # NumPy transforms there


def source_of(name):
    """The text of an algorithm's file, or of its files."""
    place = SOURCE / "algorithms" / name
    files = sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    return "".join(path.read_text() for path in files)


def test_every_call_works():
    assert run(NUMBERS) == "fine"


def test_every_compiled_algorithm_says_why_not():
    needs = compiled_algorithms()
    assert needs
    said = set()
    for line in run(REASONS).splitlines():
        _, name, chosen, why_not = line.split("|")
        if name in needs:
            assert why_not
            assert chosen == "False"
        if why_not == "Numba is not installed":
            said.add(name)
    assert said == needs


def test_a_compiled_algorithm_that_is_named_gives_the_reason():
    name = sorted(compiled_algorithms())[0]
    code = f"""
try:
    npconv.conv(x, weight, algorithm={name!r})
except npconv.UnsupportedError as error:
    print(str(error).splitlines()[0])
"""
    assert run(code) == f"conv: {name} cannot do this: Numba is not installed."


def test_the_compiler_says_so_and_nothing_is_ready():
    code = "from npconv import compiler; print(compiler.missing(), compiler.ready('direct'))"
    assert run(code) == "Numba is not installed False"


def test_the_commands_work():
    code = """
from typer.testing import CliRunner
from npconv.cli import app
for words in (["info"], ["plan", "1x4x9x9", "4x4x3x3"], ["kernels"], ["warmup"]):
    result = CliRunner().invoke(app, words)
    print(words[0], result.exit_code, "Numba is not installed" in result.output)
"""
    assert run(code).splitlines() == [
        "info 0 True",
        "plan 0 True",
        "kernels 0 False",
        "warmup 1 True",
    ]


@pytest.mark.parametrize(
    ("value", "reason"), [("0", ""), ("1", "Numba's compiler is switched off by NUMBA_DISABLE_JIT")]
)
def test_a_compiler_that_is_switched_off_is_missing(monkeypatch, value, reason):
    pytest.importorskip("numba")
    monkeypatch.setenv("NUMBA_DISABLE_JIT", value)
    assert compiler._absent.__wrapped__() == reason


REFUSES = """raise ImportError("Numba needs NumPy 1.0 or less. Got NumPy 9.9.")"""
REFUSED = "Numba does not work here: Numba needs NumPy 1.0 or less. Got NumPy 9.9."
SHOW = """
import sys
from npconv import compiler
def show(*size):
    plan = npconv.plan((1, 64, *size), (64, 64, 3, 3), padding=1)
    reasons = {row.why_not for row in plan.rows if "Numba" in row.why_not}
    print(plan.algorithm, sorted(reasons), [compiler.missing()], "numba" in sys.modules)
"""


@pytest.fixture
def broken(tmp_path):
    """What makes Python find a Numba that cannot be imported."""
    pytest.importorskip("llvmlite")
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text(REFUSES)
    begin = f"import os, sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    return begin + "os.environ['NPCONV_CACHE_DIR'] = 'off'\n"  # what is kept would be tried


def test_every_call_works_beside_a_numba_that_does_not(broken):
    assert run(NUMBERS, broken) == "fine"


def test_little_work_does_not_find_out_and_much_work_does(broken):
    little, much, again = run(SHOW + "show(3, 3); show(90, 90); show(3, 3)", broken).splitlines()
    assert little.endswith("[] [''] False")
    for line in (much, again):
        assert line.endswith(f"['{REFUSED}'] ['{REFUSED}'] False")
    assert little.split()[0] == again.split()[0]


@pytest.mark.parametrize("name", sorted(compiled_algorithms()))
def test_a_named_algorithm_gives_what_numba_said(broken, name):
    each = "x, weight[:4, :1], groups=4" if name in ("depthwise", "stencil") else "x, weight"
    code = f"""
for _ in range(2):
    try:
        npconv.conv({each}, algorithm={name!r})
    except npconv.UnsupportedError as error:
        print(str(error).splitlines()[0])
assert npconv.conv(x, weight).shape == (2, 6, 7, 6)
"""
    said = f"conv: {name} cannot do this: {REFUSED}"
    assert [line.rstrip(".") for line in run(code, broken).splitlines()] == [said.rstrip(".")] * 2


def test_nothing_is_warmed_up_measured_or_ready(broken):
    code = """
from npconv import compiler
print(compiler.ready("direct"), compiler.warmup(), compiler.usable())
plan = npconv.plan(x, weight, effort="measure")
assert plan(x, weight).shape == (2, 6, 7, 6)
from typer.testing import CliRunner
from npconv.cli import app
result = CliRunner().invoke(app, ["warmup"])
print(result.exit_code, "Numba does not work here" in result.output)
"""
    assert run(code, broken).splitlines() == ["False [] False", "1 True"]
