"""The command `npconv bench` itself."""

import subprocess
import sys

from typer.testing import CliRunner

from npconv.bench import app


def test_the_bench_alone_prints_what_there_is():
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert "regret" in result.output
    assert "images" in result.output


def test_the_bench_is_loaded_when_used():
    code = "import sys, npconv.bench; print('typer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
