"""`npconv bench images`."""

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from npconv.bench import app, images, images_text
from npconv.bench.environment import environment
from npconv.bench.peers import CONTENDERS, Contender
from npconv.bench.processes import WorkerError


def brute_force(image, kernel):
    before = kernel.shape[0] // 2
    padded = np.pad(image.astype(float), before, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape)
    return np.einsum("hwij,ij->hw", windows, kernel)


def test_the_oracle_is_the_definition():
    case = images.ImageCase("5x5", "correlate", kernel_size=5)
    given = images.arguments(case, (12, 17))
    np.testing.assert_allclose(
        images.oracle(case, given), brute_force(given["image"], given["kernel"]), atol=1e-12
    )
    case = images.ImageCase("sigma", "gaussian", sigma=1.2)
    given = images.arguments(case, (12, 17))
    kernel = images.gaussian_kernel(1.2)
    assert kernel.shape == (11, 11)
    np.testing.assert_allclose(
        images.oracle(case, given), brute_force(given["image"], kernel), atol=1e-12
    )


def test_a_tiny_image_run_through_real_workers(tmp_path):
    some = ("npconv.conv", "scipy.ndimage.correlate", "npconv.ndimage.gaussian_filter")
    cases = [case for case in images.CASES if case.name in ("7x7", "Gaussian, sigma 1")]
    contenders = {name: CONTENDERS[name] for name in (*some, "skimage.filters.gaussian")}
    contenders["absent"] = Contender("correlate", "no-such-package", print)
    result = images.measure(cases, size=(32, 32), contenders=contenders, rounds=2)
    assert [len(case.contenders) for case in result.cases] == [3, 2]
    for case in result.cases:
        rows = {row.contender: row for row in case.contenders}
        absent = rows.pop("absent", None)
        if absent is not None:
            assert absent.note == "not installed: pip install no-such-package"
            assert absent.samples == []
        installed = [row for row in rows.values() if "not installed" not in row.note]
        assert case.contenders[0].ratio == 1.0
        for row in installed:
            assert row.note == ""
            assert len(row.samples) == 2
            assert 0 < row.seconds < 60
            assert row.ratio == row.seconds / case.contenders[0].seconds
            assert row.error < 2e-6
            assert row.cpus_busy > 0
    printed = images_text.text(result)
    assert "scipy.ndimage.correlate" in printed
    assert "pip install no-such-package" in printed
    written = images_text.markdown(result)
    assert written.count("\n| --- ") == 2
    assert "| 7x7 | " in written
    assert environment().cpu in written


def test_a_row_behind_another_library_says_why(monkeypatch):
    names = ("npconv.images.apply", "npconv.conv", "cv2.filter2D")

    def contest(contenders, given, error_of, worker, **limits):
        numbers = given["image"].size
        exact = images.oracle(images.CASES[0], given)
        for name in contenders:
            error_of(name, exact + (0.01 if name == names[2] else 1e-9))
        each = ((2e-9, 1e-9), (1e-9, 2e-9), (0.5e-9, 4e-3))
        return [
            images.ContenderTime(name, s * numbers, error=e, samples=[s * numbers])
            for name, (s, e) in zip(names, each, strict=True)
            if name in contenders
        ]

    monkeypatch.setattr(images, "contest", contest)
    contenders = {name: CONTENDERS[name] for name in names}
    result = images.measure(images.CASES[:1], size=(500, 600), contenders=contenders, rounds=2)
    (case,) = result.cases
    assert list(case.behind) == list(names[:2])
    for why in case.behind.values():
        assert " of cv2.filter2D: 2.4 MB at " in why
        assert why.endswith(" GB/s; its error is 2e-02")
        assert why in images_text.text(result)
        assert f"3x3: {why}." in images_text.markdown(result)


def test_how_far_off_the_quickest_is():
    rows = [images.ContenderTime(name, s, samples=[s]) for name, s in (("npconv", 2), ("cv2", 1))]

    def said(own, peer, whole=True):
        return images.less_exact(rows, "npconv", {"npconv": own, "cv2": peer}, whole)

    assert said(0.001, 0.25) == "; 25% of its pixels are not the rounded sum, 0.1% here"
    assert said(1e-7, 1e-2, whole=False) == "; its error is 1e-02"
    assert said(0.1, 0.3) == said(0.3, 0.1) == said(0.0, 0.0) == ""
    assert images.less_exact(rows, "npconv", {}, True) == ""


@pytest.mark.parametrize("dtype", ["float32", "uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_of_ours_filters_every_kind_of_image(dtype, channels):
    pixels = images.Pixels(dtype, channels)
    for case in images.CASES[:1] + images.CASES[-2:-1]:
        given = images.arguments(case, (40, 50), pixels)
        expected = images.oracle(case, given)
        ran = 0
        for contender in CONTENDERS.values():
            if contender.operation != case.operation or contender.package != "npconv":
                continue
            if not contender.why_not(**given):
                result = contender.prepare(**given)()
                assert result.dtype == dtype
                assert np.abs(result - expected).max() <= (1e-6 if dtype == "float32" else 1)
                ran += 1
        assert ran


def test_colours_are_filtered_one_by_one():
    case = images.CASES[1]
    given = images.arguments(case, (12, 17), images.Pixels("uint16", 3))
    whole = images.oracle(case, given)
    for channel in range(3):
        alone = brute_force(given["image"][:, :, channel], given["kernel"])
        want = np.clip(np.rint(alone), 0, 65535)
        np.testing.assert_array_equal(whole[:, :, channel], want)


def test_a_wrong_result_and_a_worker_that_stops_say_so_in_their_rows():
    class Wrong:
        def prepare(self, given):
            return 0.1, np.zeros((3, 3))

    class Stopped:
        def prepare(self, given):
            raise WorkerError("out of luck")

    class Late:
        def prepare(self, given):
            return 0.1, images.oracle(images.CASES[0], given)

        def sample(self):
            raise WorkerError("killed")

    workers = {"wrong": Wrong(), "stopped": Stopped(), "late": Late()}
    contenders = {name: Contender("correlate", "numpy", print) for name in workers}
    result = images.measure_case(
        images.CASES[0], (8, 9), images.GREY, contenders, workers.__getitem__, 3, 1.0, lambda: None
    )
    assert [row.note for row in result.contenders] == [
        "wrong: the result is (3, 3), not (8, 9)",
        "stopped: out of luck",
        "stopped: killed",
    ]
    assert all(math.isnan(row.ratio) for row in result.contenders)


def test_images_command_writes_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = images.ContenderTime("npconv.conv", 0.005, 1.0, 1e-7, 2.0, [0.005])
    made_up = images.ImagesResult(
        environment(), (8, 8), 3, images.GREY, [images.CaseResult(images.CASES[0], [row])]
    )
    monkeypatch.setattr(images, "measure", None)
    result = CliRunner().invoke(app, ["images", "--readme"])
    assert result.exit_code == 1
    assert "README.md" in result.output

    readme = tmp_path / "README.md"
    readme.write_text("top\n")
    result = CliRunner().invoke(app, ["images", "--readme"])
    assert result.exit_code == 1
    assert "<!-- bench:images -->" in result.output

    monkeypatch.setattr(images, "measure", lambda **settings: made_up)
    readme.write_text("top\n<!-- bench:images -->\n<!-- /bench:images -->\nend\n")
    result = CliRunner().invoke(app, ["images", "--readme", "--json", "a.json"])
    assert result.exit_code == 0
    assert "| 3x3 | 5.00 ms, 1.00x, 1e-07 |" in readme.read_text()
    assert readme.read_text().startswith("top\n<!-- bench:images -->\n|")
    assert json.loads((tmp_path / "a.json").read_text())["rounds"] == 3


def test_an_unwritable_file_is_refused_before_measuring(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "measure", None)
    target = tmp_path / "missing" / "a.json"
    result = CliRunner().invoke(app, ["images", "--json", str(target)])
    assert result.exit_code == 1
    assert "no file can be written in" in result.output
