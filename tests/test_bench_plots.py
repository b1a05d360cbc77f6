"""The picture of a bench."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bench_cases import networks_result
from npconv.bench import plots

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("kind", plots.KINDS)
def test_the_picture_is_a_file_of_its_kind(tmp_path, kind):
    path = tmp_path / f"bars{kind}"
    plots.check(path)
    plots.picture(path, networks_result("forward", "weight_grad"))
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[kind]
    assert path.read_bytes().startswith(start)


def luminance(channels):
    parts = np.asarray(channels) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("page", [(255, 255, 255), (13, 17, 23)])  # a light page, a dark one
def test_its_ink_shows_on_any_page(page):
    ink = [int(plots.INK[i : i + 2], 16) for i in (1, 3, 5)]
    low, high = sorted((luminance(ink), luminance(page)))
    assert (high + 0.05) / (low + 0.05) > 4


def test_the_page_shows_through_and_nothing_is_cut(tmp_path):
    result = networks_result()
    result.totals = [
        replace(total, network=name)
        for name in ("alexnet", "vgg16", "images")
        for total in result.totals
    ]
    path = tmp_path / "bars.png"
    plots.picture(path, result)
    opaque = np.asarray(Image.open(path).convert("RGBA"))[..., 3]
    edges = np.concatenate([opaque[0], opaque[-1], opaque[:, 0], opaque[:, -1]])
    assert edges.max() == 0
    assert opaque.max() == 255


def test_a_bar_beyond_the_axis_is_cut_and_keeps_its_number(tmp_path):
    result = networks_result()
    result.totals = [
        replace(total, ratios=dict.fromkeys(total.ratios, 500.0)) for total in result.totals
    ]
    path = tmp_path / "bars.svg"
    plots.picture(path, result)
    assert "<!-- 500.0 -->" in path.read_text()
