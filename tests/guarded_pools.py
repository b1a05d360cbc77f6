"""Random poolings, unfolds and folds in guarded memory, held to NumPy's passes: run as a script.

    python guarded_pools.py SEED COUNT LAST

Draws COUNT geometries.  Of each every result is computed by kernels, in one item and in many, with
every array and every workspace flush against a page without access; and once more, which goes the
quick way.  The file LAST names the call that was made last: after a fault, the one that faulted.
"""

import faulthandler
import os
import random
import sys
import traceback
from dataclasses import dataclass

import numpy as np

import guarded
import npconv
import oracle
import pool_cases
import random_calls

ORDERS = ("first", "last", "reversed", "strided")
LETTERS = {1: "NCW", 2: "NCHW", 3: "NCDHW"}


@dataclass
class Drawn:
    """A geometry, and how arrays lie."""

    shape: tuple
    kernel: tuple
    geometry: dict
    mode: str
    orders: tuple
    dtype: str
    counts: bool
    seed: int


def draw(rng):
    """Draw one that has windows, and none that are empty."""
    while True:
        d = rng.choice((1, 2, 2, 3))
        pick = [
            (rng.randint(1, (40, 13, 7)[d - 1]), rng.randint(1, 4), rng.randint(1, 4),
             rng.choice((1, 1, 2, 3)), (rng.randint(-2, 4), rng.randint(-2, 4)))
            for _ in range(d)
        ]  # fmt: skip
        size, kernel, stride, dilation, padding = zip(*pick, strict=True)
        channels = rng.choice((1, 3, 7, 8, 15, 16, 17, 40, 64, 70, 130))
        drawn = Drawn(
            (rng.randint(1, 3), channels, *size), kernel,
            {"stride": stride, "dilation": dilation, "padding": padding},
            rng.choice(("zeros", "zeros", "reflect", "edge", "wrap")),
            (rng.choice(ORDERS), rng.choice(ORDERS)), rng.choice(("float32", "float64")),
            rng.random() < 0.5, rng.getrandbits(32),
        )  # fmt: skip
        keywords = {"layout": LETTERS[d], **drawn.geometry}
        try:
            for ceil in (False, True):
                npconv.max_pool(np.zeros((1, 1, *size)), kernel, ceil_mode=ceil, **keywords)
        except npconv.ProblemError:
            continue
        return drawn


def calls(drawn, x, grad, columns):
    """Yield (name, call) of each that the geometry allows.

    columns: a matrix of unfold's shape, channels first, or None.
    """
    keywords = {"layout": LETTERS[len(drawn.kernel)], **drawn.geometry}
    kernel, ceil = drawn.kernel, {"ceil_mode": True}
    mean = {"count_include_pad": drawn.counts, **keywords}
    yield "max_pool", lambda: npconv.max_pool(x, kernel, **keywords)
    yield "ceil_mode", lambda: npconv.max_pool(x, kernel, **keywords, **ceil)
    yield "indices", lambda: npconv.max_pool(x, kernel, return_indices=True, **keywords)[1]
    yield "avg_pool", lambda: npconv.avg_pool(x, kernel, **mean)
    yield "global_avg_pool", lambda: npconv.global_avg_pool(x, layout=keywords["layout"])
    yield "max_pool_grad", lambda: npconv.max_pool_grad(grad, x, kernel, **keywords)
    _, index = npconv.max_pool(x, kernel, return_indices=True, **keywords)
    yield "by indices", lambda: npconv.max_pool_grad(grad, x, kernel, indices=index, **keywords)
    yield "avg_pool_grad", lambda: npconv.avg_pool_grad(grad, x, kernel, **mean)
    if columns is None:
        return
    keywords["padding_mode"] = drawn.mode
    yield "unfold", lambda: npconv.unfold(x, kernel, **keywords)
    yield "fold", lambda: npconv.fold(columns, x.shape[2:], kernel, **keywords)
    last = np.moveaxis(x, 1, -1)
    turned = "N" + keywords.pop("layout")[2:] + "C"
    yield "unfold, last", lambda: npconv.unfold(last, kernel, layout=turned, **keywords)
    yield "fold, last", lambda: npconv.fold(
        columns.reshape(len(x), -1, columns.shape[1]), x.shape[2:], kernel, layout=turned,
        **keywords,
    )  # fmt: skip


def values(drawn):
    """Small integers for x, for grad and for a matrix; this is None where there is none."""
    rng = np.random.default_rng(drawn.seed)
    layout = LETTERS[len(drawn.kernel)]
    x = oracle.small_integers(rng, drawn.shape, drawn.dtype)
    shape = npconv.max_pool(x, drawn.kernel, layout=layout, **drawn.geometry).shape
    try:
        matrix = npconv.unfold(
            x, drawn.kernel, layout=layout, padding_mode=drawn.mode, **drawn.geometry
        ).shape
    except npconv.ProblemError:
        matrix = None
    grad = oracle.small_integers(rng, shape, drawn.dtype)
    return x, grad, matrix and oracle.small_integers(rng, matrix, drawn.dtype)


def near(found, want):
    """Whether numbers are the same but for the order of some sums of quotients."""
    allowed = 200 * np.finfo(want.dtype).eps if want.dtype.kind == "f" else 0
    return (np.abs(found - want) <= allowed * np.abs(want).max()).all()


def run(drawn, way, at_end, note):
    """Make every call; return how many were made, and complaints."""
    x, grad, columns = values(drawn)
    with pool_cases.way("NumPy"):
        want = {name: call() for name, call in calls(drawn, x, grad, columns)}
    owners, made, wrong = [], 0, []

    def store(dense):
        owners.append(guarded.Guarded(dense, at_end, True))
        return owners[-1].array

    given = [random_calls.lay(a, order, store)
             for a, order in zip((x, grad), drawn.orders, strict=True)]  # fmt: skip
    given.append(None if columns is None else store(columns))
    with pool_cases.way(way):
        for name, call in calls(drawn, *given):
            made += 1
            for turn in ("first", "again"):
                told = f"{name} by {way}, {turn}, at_end={at_end}: {drawn}"
                note(told)
                with guarded.workspaces(at_end) as memory:
                    found = call()
                    beside = list(memory.beside)
                if beside or found.dtype != want[name].dtype or not near(found, want[name]):
                    wrong.append(f"beside {beside}: {told}")
                del found
    given.clear()
    while owners:
        owners.pop().close()
    return made, wrong


def main(seed, count, last):
    """Run them all, with arrays that begin, and again with arrays that end, at such a page."""
    faulthandler.enable()
    sheet = os.open(last, os.O_WRONLY | os.O_CREAT)

    def note(text):
        os.pwrite(sheet, text.encode()[:4095].ljust(4096), 0)

    rng, made, wrong, kernels = random.Random(seed), 0, [], 0
    for i in range(count):
        if i % 16 == 0:
            npconv.set_num_threads(rng.choice((1, 2, 3)))
        drawn = draw(rng)
        try:
            with pool_cases.answered() as answers:
                for at_end in (False, True):
                    way = rng.choice(("kernels", "kernels in bands"))
                    calls_made, complaints = run(drawn, way, at_end, note)
                    made, wrong = made + calls_made, wrong + complaints
            kernels += sum(answers)
        except Exception:  # noqa: BLE001 - whatever it is, it is this geometry's
            wrong.append(f"{drawn}: {traceback.format_exc()}")
        if len(wrong) > 10:
            break
    print(*wrong, sep="\n")
    print(f"{made} calls, {kernels} by kernels, {len(wrong)} wrong", flush=True)
    os._exit(bool(wrong))  # arrays of guarded memory may outlive what frees it


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
