"""What the tests of pooling share: random geometries, numbers, every call in turn."""

import contextlib

import numpy as np
import pytest

import npconv
from npconv.api import patch_kernels
from npconv.pooling import compiled, shortcut

ANY = {"_LITTLE": 0, "_FEW": 1, "_FULL": 1, "_BESIDE": 1}
# Who computes: NumPy alone; or kernels wherever they can, in one item or in many small ones.
WAYS = {
    "NumPy": {"_serves": lambda *given: False},
    "kernels": ANY,
    "kernels in bands": {**ANY, "_ROOM": 1 << 11, "_WORTH": 64},
}


@contextlib.contextmanager
def way(name):
    """Have it computed so."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (compiled, patch_kernels):
            for limit, value in WAYS[name].items():
                if hasattr(module, limit):
                    patch.setattr(module, limit, value)
        patch.setattr(shortcut, "_known", {})
        yield


@contextlib.contextmanager
def answered():
    """Give a list of what the kernels answer to each question whether they serve.

    No call is known that need not ask.
    """
    found = []

    def told(function):
        def call(*given):
            answer = function(*given)
            found.append(bool(answer))
            return answer

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("largest", "mean", "give_largest", "give_mean", "scatter"):
            patch.setattr(compiled, name, told(getattr(compiled, name)))
        for name in ("unfold", "fold"):
            patch.setattr(patch_kernels, name, told(getattr(patch_kernels, name)))
        patch.setattr(shortcut, "_known", {})
        yield found


def every_call(x, kernel, *, layout, dtype="float32", **geometry):
    """The results of all four calls for one geometry."""
    out, index = npconv.max_pool(x, kernel, layout=layout, return_indices=True, **geometry)
    grad_out = np.arange(1.0, out.size + 1, dtype=dtype).reshape(out.shape)
    return {
        "max": npconv.max_pool(x, kernel, layout=layout, **geometry),
        "with indices": out,
        "indices": index,
        "max grad": npconv.max_pool_grad(grad_out, x, kernel, layout=layout, **geometry),
        "max grad by indices": npconv.max_pool_grad(
            grad_out, x, kernel, layout=layout, indices=index, **geometry
        ),
        "avg": npconv.avg_pool(x, kernel, layout=layout, **geometry),
        "avg grad": npconv.avg_pool_grad(grad_out, x, kernel, layout=layout, **geometry),
    }
