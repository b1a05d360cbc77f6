"""Everything but the compiled kernels works where Numba cannot be imported."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import npconv
from npconv import compiler
from npconv.algorithms import ALGORITHMS

SOURCE = Path(npconv.__file__).parent
HOOK = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
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


def run(code):
    ran = subprocess.run(
        [sys.executable, "-c", HOOK + code], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def compiled_algorithms():
    """The algorithms whose files load kernels."""
    return {
        name
        for name in ALGORITHMS
        if re.search("npconv.*kernels", (SOURCE / "algorithms" / f"{name}.py").read_text())
    }


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
    assert compiler.missing.__wrapped__() == reason
