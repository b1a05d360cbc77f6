"""Random calls in guarded memory, each result held to the oracle: run as a script.

    python guarded_calls.py SEED COUNT LAST

Draws COUNT geometries.  Of each every direction is computed by `indirect`, by `depthwise`, by
`stencil`, by `winograd` and by whatever the planner takes, with every array and every workspace
flush against a page without access.  The file LAST names the call that was made last: after a
fault, the one that faulted.
"""

import contextlib
import faulthandler
import os
import random
import sys
import traceback

import numpy as np

import cases
import guarded
import npconv
import random_calls

# What was wrong once, each by a fault or a number: the geometry, and the size of its tiles.
KNOWN = (
    # rows of the second group do not begin at whole vectors, and were streamed
    (random_calls.Drawn(
        (1, 80, 6), (62, 40, 7),
        {"stride": (2,), "padding": ((1, 0),), "dilation": (1,), "groups": 2,
         "padding_mode": "symmetric"},
        "float32", ("last", "last", "strided", "last"), "fast", None, True, 32032009,
    ), 512),
    # one axis has no step from line to line, but from image to image
    (random_calls.Drawn(
        (3, 40, 31), (40, 40, 2),
        {"stride": (3,), "padding": ((0, -1),), "dilation": (1,), "groups": 1,
         "padding_mode": "symmetric"},
        "float64", ("last", "last", "last", "first"), "fast", None, True, 935133936,
    ), 256),
    # phases whose columns of the depth are few
    (random_calls.Drawn(
        (3, 8, 7, 14, 5), (15, 8, 5, 5, 5),
        {"stride": (2, 2, 2), "padding": ((1, -2), (-2, 1), (0, 3)), "dilation": (1, 3, 1),
         "groups": 1, "padding_mode": "reflect"},
        "float32", ("strided", "reversed", "last", "strided"), "fast", "relu", True, 205871553,
    ), 256),
    (random_calls.Drawn(
        (2, 4, 9, 3, 1), (32, 4, 7, 7, 7),
        {"stride": (2, 2, 2), "padding": ((-2, 0), (3, 1), (5, 1)), "dilation": (1, 1, 1),
         "groups": 1, "padding_mode": "wrap"},
        "float16", ("last", "last", "last", "first"), "strict", None, False, 342015844,
    ), 1024),
    # what stood for grad_out, without memory of its own, was read to be laid into blocks
    (random_calls.Drawn(
        (1, 4, 33), (48, 4, 4),
        {"stride": (1,), "padding": ((0, 0),), "dilation": (3,), "groups": 1,
         "padding_mode": "zeros"},
        "float32", ("last", "last", "first", "strided"), "fast", None, False, 304256871,
    ), 128),
)  # fmt: skip

# Outputs that fill vectors, or some bytes less, where whole tiles may be streamed.
STREAMED = tuple(
    (random_calls.Drawn(
        (2, 5 * groups, 9, 8), (outputs * groups, 5, 3, 3),
        {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": groups,
         "padding_mode": "zeros"},
        dtype, ("last",) * 4, "fast", None, True, outputs,
    ), 512)
    for outputs in (36, 40, 48, 64) for groups in (1, 2) for dtype in ("float32", "float64")
)  # fmt: skip


class Trial:
    """One geometry, its arrays flush against pages without access at their end, or their begin."""

    def __init__(self, drawn, at_end):
        self.drawn, self.at_end, self.owners = drawn, at_end, []
        self.values = random_calls.integers(drawn)
        self.arrays = random_calls.laid(drawn, self.values, self.store)
        self.answers = random_calls.answers(drawn, self.values)

    def store(self, dense, read_only=True):
        self.owners.append(guarded.Guarded(dense, self.at_end, read_only))
        return self.owners[-1].array

    def close(self):
        """Give the memory back; raise where something was written beside an array."""
        self.arrays.clear()
        while self.owners:
            self.owners.pop().close()

    def run(self, note, tiles):
        """Make every call; return how many were made, and complaints."""
        made, wrong, drawn = 0, [], self.drawn
        for name in random_calls.COMPILED:
            for what, which, call in random_calls.calls(drawn, self.arrays, name):
                text = f"{what} by {name}, at_end={self.at_end}, tiles={tiles}: {drawn}"
                note(text)
                for _ in range(2):  # the second goes the quick way
                    found = self.complaint(name, which, call)
                    if found is None:
                        break
                    made += 1
                    if found:
                        wrong.append(f"{found}: {text}")
        return made, wrong

    def complaint(self, name, which, call):
        """Make a call; return what is wrong with it, None where it is refused."""
        drawn, want = self.drawn, self.answers[which]
        out = np.full(want.shape, np.nan, drawn.dtype)
        out = random_calls.lay(out, drawn.orders[3], lambda v: self.store(v, False))
        with guarded.workspaces(self.at_end) as memory:
            try:
                call(out)
            except npconv.UnsupportedError:
                return None
            beside = list(memory.beside)
        found = random_calls.complaint(drawn, name, which, out, want, self.values)
        if beside:
            found += f" wrote beside workspaces of {beside} bytes"
        return found


def trials(rng, count):
    """Yield what was wrong once, then random geometries, a quarter of them in small tiles."""
    yield from KNOWN
    yield from STREAMED
    for i in range(count):
        if i % 64 == 0:
            npconv.set_num_threads(rng.choice((1, 2, 3)))
        yield random_calls.draw(rng), 1 << rng.randint(7, 14) if i % 4 == 3 else 0


def main(seed, count, last):
    """Run them all, with arrays that begin, and again with arrays that end, at such a page."""
    faulthandler.enable()
    sheet = os.open(last, os.O_WRONLY | os.O_CREAT)

    def note(text):
        os.pwrite(sheet, text.encode()[:4095].ljust(4096), 0)

    made, wrong = 0, []
    for drawn, tiles in trials(random.Random(seed), count):
        try:
            for at_end in (False, True):
                trial = Trial(drawn, at_end)
                with cases.small_tiles(tiles) if tiles else contextlib.nullcontext():
                    calls, complaints = trial.run(note, tiles)
                trial.close()
                made, wrong = made + calls, wrong + complaints
        except Exception:  # noqa: BLE001 - whatever it is, it is this geometry's
            wrong.append(f"{drawn}: {traceback.format_exc()}")
        if len(wrong) > 10:
            break
    print(*wrong, sep="\n")
    print(f"{made} calls, {len(wrong)} wrong", flush=True)
    os._exit(bool(wrong))  # arrays of guarded memory may outlive what frees it


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
