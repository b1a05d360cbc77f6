"""Draw the pictures of the book into docs/figures, by npconv.explain: `make docs`.

Each is a row of FIGURES: its name, then what is drawn.  The numbers are small on purpose, so that
a reader can check a sum in the head.  The same pictures come out each time, byte for byte.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

import npconv

FOLDER = Path(__file__).with_name("figures")
DPI = 110

RAMP = np.arange(36).reshape(6, 6)
IMAGE = np.random.default_rng(3).integers(0, 10, (6, 6))
TALL = np.random.default_rng(6).integers(0, 10, (10, 12))
SMALL = np.array([[1, 0, 2, 1], [0, 1, 3, 0], [1, 1, 2, 1], [0, 1, 3, 0]])
COLOURS = np.random.default_rng(4).integers(0, 6, (1, 3, 5, 5))
KERNELS = np.random.default_rng(5).integers(-2, 3, (2, 3, 3, 3))
SOBEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
SQUARE = np.array([[0, 1], [2, 0]])

FIGURES: dict[str, dict[str, Any]] = {
    "operation": {"x": IMAGE, "weight": SOBEL, "padding": 1, "at": (1, 4)},
    "operation-reflect": {
        "x": SMALL, "weight": SOBEL, "padding": 2, "padding_mode": "reflect", "at": (0, 0),
    },
    "operation-strided": {"x": IMAGE, "weight": SOBEL, "stride": 2, "padding": 1, "at": (0, 2)},
    "operation-wrap": {
        "x": IMAGE, "weight": SOBEL, "padding": [(0, 2), (0, 2)], "padding_mode": "wrap",
        "at": (2, 5),
    },
    "receptive-field-tile": {
        "x": IMAGE, "weight": SOBEL, "show": "receptive field", "at": (0, 1),
        "layers": [{"kernel_size": 2, "stride": 2}],
    },
    "receptive-field-layers": {
        "x": TALL, "weight": SOBEL, "padding": 1, "show": "receptive field", "at": (1, 2),
        "layers": [{"kernel_size": 2, "stride": 2}, {"kernel_size": 3, "padding": 1}],
    },
    "patches": {"x": SMALL, "weight": SQUARE, "show": "patches", "at": (1, 1)},
    "patches-strided": {
        "x": IMAGE, "weight": SQUARE, "stride": 2, "show": "patches", "at": (1, 2),
    },
    "patches-dilated": {
        "x": IMAGE, "weight": SQUARE, "stride": 2, "dilation": 3, "show": "patches", "at": (0, 1),
    },
    "patches-channels": {
        "x": COLOURS[:, :2, :4, :4], "weight": KERNELS[:, :2, :2, :2], "show": "patches",
        "at": (0, 1, 1),
    },
    "products": {"x": COLOURS, "weight": KERNELS, "show": "products", "at": (0, 1, 1)},
    "products-groups": {
        "x": COLOURS, "weight": KERNELS[:, :1].repeat(2, 0)[:3], "groups": 3, "show": "products",
        "at": (1, 1, 1),
    },
    "gradients": {"x": RAMP, "weight": np.arange(9).reshape(3, 3), "show": "gradients"},
    "gradients-strided": {
        "x": RAMP, "weight": np.arange(9).reshape(3, 3), "stride": 2, "show": "gradients",
    },
}  # fmt: skip


def draw(name: str) -> None:
    """Draw one picture, in 64 colours, which are enough and take a third of the room."""
    drawn = {**FIGURES[name]}
    layout = None if drawn["x"].ndim == 4 else "HW"
    figure = npconv.explain.figure(drawn.pop("x"), drawn.pop("weight"), layout=layout, **drawn)
    whole = io.BytesIO()
    figure.savefig(whole, dpi=DPI)
    picture = Image.open(whole).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    picture.save(FOLDER / f"{name}.png", optimize=True)


def film() -> None:
    """Draw the window sliding; played once, for what moves for ever is hard to read beside."""
    path = FOLDER / "sliding.gif"
    npconv.explain.animation(SMALL, SQUARE, path=path, layout="HW", padding=1, dpi=90)
    with Image.open(path) as made:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(made)]
    palette = frames[-1].quantize(24, method=Image.Quantize.MAXCOVERAGE)
    few = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    for frame in few:
        frame.info.pop("loop", None)
    few[0].save(path, save_all=True, append_images=few[1:], duration=700, optimize=True)


def main() -> None:
    """Draw them all, or those that are named."""
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or FIGURES:
        draw(name)
    if not sys.argv[1:]:
        film()


if __name__ == "__main__":
    main()
