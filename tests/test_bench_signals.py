"""`npconv bench signals`."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from npconv.bench import app, signal_commands, signals, signals_text
from npconv.bench.peers import CONTENDERS, Contender

FEW = (
    signals.SignalCase("long", "convolve", (300,), (7,), "float64"),
    signals.SignalCase("batch", "fftconvolve", (5, 90), (1, 9), axis=1),
    signals.SignalCase("plane", "convolve2d", (20, 31), (3, 4), "float64", "full"),
)


def summed(x, kernel, axis, mode):
    """The definition, element of the kernel by element."""
    axes = range(x.ndim) if axis is None else [axis]
    shape = np.maximum(x.shape, kernel.shape)
    for a in axes:
        shape[a] = x.shape[a] + kernel.shape[a] - 1
    full = np.zeros(shape)
    for at in np.ndindex(kernel.shape):
        where = tuple(slice(i, i + n) for i, n in zip(at, x.shape, strict=True))
        full[where] += x * kernel[at]
    if mode == "full":
        return full
    starts = [(n - m) // 2 for n, m in zip(full.shape, x.shape, strict=True)]
    return full[tuple(slice(a, a + n) for a, n in zip(starts, x.shape, strict=True))]


@pytest.mark.parametrize("case", FEW, ids=lambda case: case.name)
@pytest.mark.parametrize("mode", ["full", "same"])
def test_the_oracle_is_the_definition_and_all_contenders_give_it(case, mode):
    given = signals.arguments(replace(case, mode=mode))
    want = signals.oracle(given)
    np.testing.assert_allclose(
        want, summed(given["x"], given["kernel"], given["axis"], mode), atol=1e-5
    )
    ran = []
    for name, contender in CONTENDERS.items():
        if contender.operation == signals.OPERATION and not contender.why_not(**given):
            if contender.package == "scipy":
                pytest.importorskip("scipy")
            result = contender.prepare(**given)()
            np.testing.assert_allclose(result, want, atol=1e-5, err_msg=name)
            ran.append(name)
    assert ran[0] == "npconv.signal"
    assert ("numpy.convolve" in ran) == (len(case.x_shape) == 1)


def test_every_case_can_be_made_and_names_what_it_is():
    assert len({(c.function, c.name, c.dtype, c.mode) for c in signals.CASES}) == len(signals.CASES)
    by_name = {case.name: case for case in signals.CASES}
    assert "64x16384 by 1x129 along 1" in by_name
    assert "128x128x128 by 7x7x7" in by_name
    most = max(np.prod(c.x_shape) * np.prod(c.kernel_shape) for c in signals.CASES if c.x_shape[1:])
    assert most > 2e9
    given = signals.arguments(by_name["1000000 by 10000"])
    assert "every product" in CONTENDERS["numpy.convolve"].why_not(**given)


def test_a_small_run_through_real_workers():
    contenders = {name: CONTENDERS[name] for name in ("npconv.signal", "numpy.convolve")}
    contenders["absent"] = Contender("signal", "no-such-package", print)
    contenders["another's"] = Contender("correlate", "numpy", print)
    result = signals.measure(FEW[:2], contenders=contenders, rounds=2)
    first, second = ({row.contender: row for row in case.contenders} for case in result.cases)
    assert set(first) == {"npconv.signal", "numpy.convolve", "absent"}
    assert set(second) == {"npconv.signal", "absent"}
    for row in (*first.values(), *second.values()):
        if row.contender == "absent":
            assert row.note == "not installed: pip install no-such-package"
        else:
            assert row.note == ""
            assert len(row.samples) == 2
            assert row.error < 1e-6
    printed = signals_text.text(result)
    assert "5x90 by 1x9 along 1, same" in printed
    assert "pip install no-such-package" in printed
    written = signals_text.markdown(result)
    assert written.count("\n| --- ") == 1
    assert f"Least ratio: {first['numpy.convolve'].ratio:.2f}." in written


def test_the_command_picks_cases_and_writes_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    measured = []

    def measure(cases, rounds):
        measured.append((len(cases), rounds))
        return signals.SignalsResult(signals.environment("numpy"), rounds, [])

    monkeypatch.setattr(signals, "measure", measure)
    result = CliRunner().invoke(app, ["signals", "--only", "nothing such"])
    assert result.exit_code == 2
    result = CliRunner().invoke(app, ["signals", "--readme"])
    assert result.exit_code != 0
    assert measured == []
    marker = signal_commands.MARKER
    (tmp_path / "README.md").write_text(f"<!-- {marker} -->\nold\n<!-- /{marker} -->\n")
    result = CliRunner().invoke(
        app, ["signals", "--only", "thin", "--quick", "--readme", "--json", "a.json"]
    )
    assert result.exit_code == 0, result.output
    assert measured == [(2, 3)]
    assert "npconv bench signals --readme" in (tmp_path / "README.md").read_text()
    assert "old" not in (tmp_path / "README.md").read_text()
    assert json.loads((tmp_path / "a.json").read_text())["rounds"] == 3
