"""The compiled transforms with every array flush against a page without access: run as a script.

python fft_guarded.py AT_END
"""

import faulthandler
import sys

import numpy as np

import guarded
import npconv
from test_fft_compiled import SHAPES, numbers


def main(at_end):
    """Compute every shape in both dtypes, each array guarded at one side, and all scratch."""
    faulthandler.enable()
    done = 0
    for x_shape, weight_shape, geometry in SHAPES.values():
        for dtype in ("float32", "float64"):
            x, weight = numbers(x_shape).astype(dtype), numbers(weight_shape, 1).astype(dtype)
            letters = "NC" + "DHW"[5 - x.ndim :]
            keywords = {"layout": letters, "algorithm": "fft", **geometry}
            want = npconv.conv(x, weight, **keywords)
            owners = [guarded.Guarded(a, at_end, read_only=True) for a in (x, weight)]
            out = guarded.Guarded(np.full_like(want, np.nan), at_end)
            with guarded.workspaces(at_end) as scratch:
                npconv.conv(*(o.array for o in owners), out=out.array, **keywords)
            assert scratch.taken
            assert not scratch.beside
            np.testing.assert_array_equal(out.array, want)
            for one in (*owners, out):
                one.close()
            done += 1
    print(f"{done} kept within their arrays")


if __name__ == "__main__":
    main(sys.argv[1] == "1")
