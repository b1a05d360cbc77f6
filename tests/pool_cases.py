"""What the tests of pooling share: random geometries, numbers, every call in turn."""

import numpy as np

import npconv


def every_call(x, kernel, *, layout, **geometry):
    """The results of all four calls for one geometry."""
    out, index = npconv.max_pool(x, kernel, layout=layout, return_indices=True, **geometry)
    grad_out = np.arange(1.0, out.size + 1, dtype="float32").reshape(out.shape)
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
