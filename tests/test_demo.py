"""The demo runs anywhere, and its table has every algorithm."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import cases
import npconv
from npconv import compiler, images

pytest.importorskip("sklearn", reason="the demo's photographs come with scikit-learn")
pytest.importorskip("matplotlib", reason="the demo's picture is drawn by matplotlib")


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    path = Path(__file__).parent.parent / "examples" / "demo.py"
    spec = importlib.util.spec_from_file_location("npconv_demo", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_demo_writes_and_names_everything(
    demo: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo, "LAYERS", (demo.Layer("A tiny layer", (1, 2, 6, 6), (3, 2, 3, 3)),))
    monkeypatch.setattr(demo, "EPOCHS", 1)
    for _ in range(2):
        demo.main(["-o", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    for path in (tmp_path / "out").iterdir():
        assert str(path) in printed
    text = (tmp_path / "out" / "algorithms.txt").read_text()
    assert text in printed
    for name in npconv.algorithms():
        assert name in text
    assert images.read(tmp_path / "out" / "gallery.png").shape[1] == 1800
    filtered = images.read(tmp_path / "out" / "flower.unsharp.png")
    original = images.read(demo.photograph("flower.jpg"))
    np.testing.assert_array_equal(filtered, images.apply(original, demo.FILTER))
    picture = images.read(tmp_path / "out" / "algorithms.png")
    assert picture.shape[1] > 1000
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 50


def test_every_algorithm_gives_the_same_answer(demo: ModuleType) -> None:
    comparison = demo.compare(demo.Layer("A tiny layer", (2, 3, 7, 6), (4, 3, 3, 3)))
    assert [result.algorithm for result in comparison.results] == list(npconv.algorithms())
    assert sum(result.algorithm == comparison.chosen for result in comparison.results) == 1
    missing = compiler.missing()
    for result in comparison.results:
        if result.algorithm in ("depthwise", "stencil") or (missing and missing in result.why_not):
            continue
        assert result.why_not == ""
        assert result.difference < 1e-4
        assert result.seconds > 0
        assert result.peak_nbytes > 0


def test_an_algorithm_that_would_take_too_long_says_so(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "PATIENCE_SECONDS", 0.0)
    comparison = demo.compare(demo.Layer("A tiny layer", (1, 2, 6, 6), (3, 2, 3, 3)))
    reasons = {result.algorithm: result.why_not for result in comparison.results}
    refused = {name for name, reason in reasons.items() if "left out" not in reason}
    assert refused == {"depthwise", "stencil", *cases.absent()}
    assert "left out" in demo.table(comparison)


def test_digits_are_read(demo: ModuleType, tmp_path: Path) -> None:
    assert demo.learn(tmp_path / "digits.safetensors") > 0.97
