"""Filter photographs, compute one layer every way npconv knows, and learn to read digits.

Run it with `make demo`, or::

    pip install "npconv[nn]"
    python examples/demo.py

It needs no network, and writes into ./demo-output/.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
import time
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import npconv
from npconv import images, nn

PATIENCE_SECONDS = 3.0
ROUNDS = 5
EPOCHS = 12
FILTER = "unsharp:sigma=2,amount=1.5"


@dataclass(frozen=True)
class Layer:
    """A convolution to compute: its shapes and its padding."""

    title: str
    x_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    padding: int = 1


@dataclass(frozen=True)
class Result:
    """What one algorithm did with a layer, or why it did not."""

    algorithm: str
    why_not: str = ""
    difference: float = math.nan
    seconds: float = math.nan
    peak_nbytes: int = 0


@dataclass(frozen=True)
class Comparison:
    """A layer and every algorithm's result."""

    layer: Layer
    chosen: str
    results: list[Result] = field(default_factory=list)


LAYERS = (
    Layer("A small layer", (1, 8, 16, 16), (8, 8, 3, 3)),
    Layer("A layer of ResNet-50", (1, 64, 56, 56), (64, 64, 3, 3)),
)


def photograph(name: str) -> Path:
    """Return the path of a photograph that scikit-learn ships, without importing it."""
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("The demo's photographs come with scikit-learn: pip install scikit-learn")
    return Path(found.submodule_search_locations[0], "datasets", "images", name)


def compare(layer: Layer) -> Comparison:
    """Compute a layer with every algorithm, against the same sum in float64."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(layer.x_shape, dtype=np.float32)
    weight = rng.standard_normal(layer.weight_shape, dtype=np.float32)
    plan = npconv.plan(x, weight, padding=layer.padding)
    expected = {row.algorithm: row.seconds or 0.0 for row in plan.rows}
    reference = npconv.conv(
        x.astype(np.float64), weight.astype(np.float64), padding=layer.padding, algorithm="taps"
    )
    results = []
    for algorithm in npconv.algorithms():
        if expected[algorithm] > PATIENCE_SECONDS:
            reason = f"left out: it would take some {expected[algorithm]:.0f} s"
            results.append(Result(algorithm, reason))
            continue
        try:
            results.append(_measure(algorithm, x, weight, layer.padding, reference))
        except npconv.UnsupportedError as error:
            results.append(Result(algorithm, str(error).splitlines()[0]))
    return Comparison(layer, plan.algorithm, results)


def table(comparison: Comparison) -> str:
    """Return a comparison as text."""
    layer = comparison.layer
    lines = [
        f"{layer.title}: {_described(layer)}",
        f"   {'algorithm':<14}{'time':>12}{'peak memory':>14}{'difference':>14}",
    ]
    for result in comparison.results:
        mark = "->" if result.algorithm == comparison.chosen else "  "
        if result.why_not:
            lines.append(f"{mark} {result.algorithm:<14}  {result.why_not}")
            continue
        lines.append(
            f"{mark} {result.algorithm:<14}{time_text(result.seconds):>12}"
            f"{memory_text(result.peak_nbytes):>14}{result.difference:>14.1e}"
        )
    lines.append("-> is the planner's choice; difference is the largest, from the sum in float64.")
    return "\n".join(lines)


def time_text(seconds: float) -> str:
    """Return seconds in the unit that suits them."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def memory_text(nbytes: float) -> str:
    """Return bytes in the unit that suits them."""
    return f"{nbytes / 2**20:.1f} MiB" if nbytes >= 2**20 else f"{nbytes / 2**10:.0f} KiB"


def draw(comparisons: list[Comparison], path: Path) -> None:
    """Draw the comparisons as bars: time and peak memory, each on a logarithmic scale."""
    try:
        import matplotlib
    except ImportError:
        raise SystemExit(
            'The demo\'s picture needs matplotlib: pip install "npconv[plots]"'
        ) from None
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    paper, ink, quiet, bar, best = "#111318", "#eceef2", "#8e95a3", "#3a6fb5", "#ff9e3d"
    rows = len(comparisons[0].results)
    with plt.rc_context({"text.color": ink, "font.size": 10, "figure.facecolor": paper}):
        figure, grid = plt.subplots(
            len(comparisons), 2, figsize=(12, (0.42 * rows + 1.5) * len(comparisons)), squeeze=False
        )
        for (left, right), comparison in zip(grid, comparisons, strict=True):
            ran = [result for result in comparison.results if not result.why_not]
            colours = [best if r.algorithm == comparison.chosen else bar for r in ran]
            names = [result.algorithm for result in ran]
            times = [result.seconds for result in ran]
            memory = [max(result.peak_nbytes, 1) for result in ran]
            for axis, values, spell in ((left, times, time_text), (right, memory, memory_text)):
                axis.set_facecolor(paper)
                axis.barh(names, values, color=colours, height=0.66)
                axis.set_xscale("log")
                axis.set_xlim(min(values) / 2, max(values) * 4)
                axis.invert_yaxis()
                axis.tick_params(axis="x", which="both", length=0, labelbottom=False)
                axis.tick_params(axis="y", length=0, colors=ink)
                axis.spines[:].set_visible(False)
                axis.grid(axis="x", color="#2c303a", linewidth=0.8)
                axis.set_axisbelow(True)
                for place, value in enumerate(values):
                    axis.text(value * 1.1, place, spell(value), va="center", fontsize=9)
            right.tick_params(labelleft=False)
            worst = max(result.difference for result in ran)
            left.set_title(f"{comparison.layer.title}: time", loc="left", fontsize=13, pad=24)
            right.set_title("peak memory", loc="left", fontsize=13, pad=24)
            left.text(0, 1.03, _described(comparison.layer), transform=left.transAxes, color=quiet)
            same = f"all {len(ran)} agree with float64 to {worst:.0e}"
            right.text(0, 1.03, same, transform=right.transAxes, color=quiet)
            left_out = [result for result in comparison.results if result.why_not]
            note = "\n".join(f"{result.algorithm}: {result.why_not}" for result in left_out)
            left.set_xlabel(note, loc="left", color=quiet)
        figure.text(0.995, 0.004, "orange: the planner's choice", ha="right", color=best)
        figure.tight_layout(h_pad=2.0, w_pad=2.0)
        figure.savefig(path, dpi=130)
        plt.close(figure)


def learn(path: Path) -> float:
    """Train LeNet on scikit-learn's digits, save it, and return its accuracy on the test part."""
    train, test = (_larger(part) for part in nn.load_data("digits"))
    model = nn.models.lenet5(image_size=train.shape[1:], rng=0)
    nn.fit(
        model,
        train.augmented(nn.RandomShift(2), nn.RandomRotation(8)),
        EPOCHS,
        optimizer=nn.Adam(model, 3e-3),
        schedule=nn.CosineAnnealingLR(EPOCHS),
        seed=0,
    )
    nn.Recognizer.of(model, train).save(path)
    return nn.evaluate(model, test)["accuracy"]


def _larger(data: nn.Dataset) -> nn.Dataset:
    """Return images of 8 x 8 pixels three times as large: LeNet halves them twice."""
    sides = [3 * side for side in data.shape[1:]]
    return nn.Dataset(nn.resized(data.images, sides), data.targets, mean=data.mean, std=data.std)


def _measure(
    algorithm: str, x: np.ndarray, weight: np.ndarray, padding: int, reference: np.ndarray
) -> Result:
    def run() -> np.ndarray:
        return npconv.conv(x, weight, padding=padding, algorithm=algorithm)

    times: list[float] = []
    while len(times) < ROUNDS and sum(times) < PATIENCE_SECONDS / 3:
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
    tracemalloc.start()
    run()
    _, peak_nbytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    difference = float(np.abs(result - reference).max())
    return Result(algorithm, "", difference, min(times), peak_nbytes)


def _described(layer: Layer) -> str:
    sizes = ("x".join(map(str, shape)) for shape in (layer.x_shape, layer.weight_shape))
    return f"x {next(sizes)}, weight {next(sizes)}, padding {layer.padding}, float32"


def main(arguments: list[str] | None = None) -> None:
    """Write the gallery, a filtered photograph, the algorithms' table and a model; say where."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=Path("demo-output"))
    out = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)

    china = images.read(photograph("china.jpg"))
    images.write(out / "gallery.png", images.gallery(china, title="china.jpg"), overwrite=True)
    flower = images.read(photograph("flower.jpg"))
    images.write(out / "flower.unsharp.png", images.apply(flower, FILTER), overwrite=True)

    comparisons = [compare(layer) for layer in LAYERS]
    text = "\n\n".join(table(comparison) for comparison in comparisons)
    (out / "algorithms.txt").write_text(text + "\n", encoding="utf-8")
    draw(comparisons, out / "algorithms.png")

    print(text)
    print()
    begun = time.perf_counter()
    accuracy = learn(out / "digits.safetensors")
    seconds = time.perf_counter() - begun
    print(
        f"LeNet on handwritten digits: {accuracy:.2%} of 359 unseen ones right, in {seconds:.1f} s"
    )
    print()
    for name, what in (
        ("gallery.png", "every kernel over china.jpg"),
        ("flower.unsharp.png", f"flower.jpg under {FILTER}"),
        ("algorithms.png", "the table above as a picture"),
        ("algorithms.txt", "and as text"),
        (
            "digits.safetensors",
            "what was learnt: npconv predict demo-output/digits.safetensors FILE",
        ),
    ):
        print(f"{out / name}  {what}")


if __name__ == "__main__":
    main(sys.argv[1:])
