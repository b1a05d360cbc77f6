"""Every example of the README runs and prints what the README says it prints."""

import sys
from pathlib import Path

import pytest

import cases
import readme_blocks

NPCONV = str(Path(sys.executable).with_name("npconv"))


@pytest.fixture
def home(tmp_path):
    readme_blocks.furnish(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", readme_blocks.blocks("python"), ids=lambda b: b.source[:40])
def test_python_examples_run(block, home):
    if any(name in block.output for name in cases.absent()):
        pytest.skip("the README shows what is planned where Numba is installed")
    readme_blocks.run_python(block, home)


@pytest.mark.parametrize("block", readme_blocks.blocks("console"), ids=lambda b: b.source[:40])
def test_commands_run(block, home):
    for _, *arguments in block.commands:
        readme_blocks.run([NPCONV, *arguments], home)


def test_the_readme_has_examples():
    assert len(readme_blocks.blocks("python")) >= 3
    assert any(block.output for block in readme_blocks.blocks("python"))
    assert sum(len(block.commands) for block in readme_blocks.blocks("console")) >= 3


def test_links_lead_somewhere():
    text = readme_blocks.README.read_text(encoding="utf-8")
    targets = readme_blocks.LINK.findall(text)
    missing = [
        t for t in targets if ":" not in t and not (readme_blocks.README.parent / t).exists()
    ]
    assert targets
    assert missing == []


def test_a_wrong_output_is_seen(home):
    block = readme_blocks.Block("python", "print(1 + 1)", "3")
    with pytest.raises(AssertionError, match="the README shows"):
        readme_blocks.run_python(block, home)


def test_an_estimate_may_differ_in_its_numbers_alone():
    shown = "conv: x 3x3 (estimated)\n-> taps  1.5 ms  3 MiB\n   fft  0.9 s  0 B"
    assert readme_blocks.says_the_same(shown, shown.replace("1.5 ms  3 MiB", "2e+03 s  7 KiB"))
    assert not readme_blocks.says_the_same(shown, shown.replace("taps", "naive"))
    assert not readme_blocks.says_the_same("1 2", "1 3")


def test_a_failing_example_is_seen(home):
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        readme_blocks.run_python(readme_blocks.Block("python", "1 / 0", ""), home)
