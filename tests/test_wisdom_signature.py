"""Under what measured times hold, and what it costs to ask where nothing was measured."""

import os
import subprocess
import sys

import numpy as np
import pytest

import npconv
from npconv.wisdom import signature


def run(code, **variables):
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, **variables},
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.strip()


def test_no_file_costs_nothing(tmp_path):
    code = (
        "import sys, npconv; from npconv.wisdom import book, signature\n"
        "print('json' in sys.modules, book._Memory.read); book.known()\n"
        "loaded = [m for m in ('json', 'importlib.metadata') if m in sys.modules]\n"
        "print(loaded, book._Memory.read)\n"
        "print(signature.signature() != '', 'numba' in sys.modules)\n"
        "import numba; signature.signature.cache_clear(); print(numba.__version__)\n"
        "print(signature.signature())"
    )
    pytest.importorskip("numba")
    first, second, third, version, signed = run(
        code, NPCONV_WISDOM=str(tmp_path / "w.json")
    ).splitlines()
    assert (first, second, third) == ("False False", "[] True", "True False")
    assert signed == signature.signature()
    assert signed.endswith(f", numba {version}")
    assert f"npconv {npconv.__version__} " in signed
    assert f"numpy {np.__version__}," in signed


def test_the_signature_names_the_cpu_and_the_code(tmp_path, monkeypatch):
    told = tmp_path / "cpuinfo"
    signatures = set()
    for model, flags in (("Fast", "avx2"), ("Fast", "avx2 avx512f"), ("Slow", "avx2")):
        told.write_text(
            f"processor\t: 0\nmodel name\t: {model} 9\nflags\t\t: {flags}\n\nprocessor\t: 1\n"
        )
        assert signature._cpu(told).startswith(f"{model} 9 (")
        signatures.add(signature._cpu(told))
    told.write_text("processor\t: 0\nFeatures\t: neon\nCPU part\t: 0xd40\n")
    signatures.add(signature._cpu(told))
    assert len(signatures) == 4
    assert "()" not in signature._cpu(tmp_path / "missing")
    codes = set()
    (tmp_path / "wisdom").mkdir()
    monkeypatch.setattr(signature, "__file__", str(tmp_path / "wisdom" / "signature.py"))
    for room in ("algorithms/deep", "kernels"):
        (tmp_path / room).mkdir(parents=True)
        for source in ("a = 1\n", "a = 2\n"):
            (tmp_path / room / "file.py").write_text(source)
            codes.add(signature._code())
    assert len(codes) == 4
