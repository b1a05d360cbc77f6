"""The scripts of examples/ do what they say."""

import re
import runpy
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_digits_are_learnt_in_under_sixty_lines(capsys):
    script = EXAMPLES / "digits.py"
    assert len(script.read_text(encoding="utf-8").splitlines()) < 60
    runpy.run_path(str(script), run_name="__main__")
    shares = [float(share) for share in re.findall(r"([\d.]+)% correct", capsys.readouterr().out)]
    assert len(shares) == 15
    assert shares[-1] > 97


def test_a_kernel_is_recovered_through_autograd(capsys):
    runpy.run_path(str(EXAMPLES / "autograd_bridge.py"), run_name="__main__")
    assert capsys.readouterr().out
