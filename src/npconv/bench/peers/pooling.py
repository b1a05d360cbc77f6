"""Poolings to time, their arrays, and npconv's own calls of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .contender import Call, Contender
from .own import compile_all


@dataclass(frozen=True)
class PoolCase:
    """An operation on images (N, C, H, W) with square windows.

    operation: "max", "max with indices", "max backward", "average", "average backward", "unfold" or
    "fold".
    """

    operation: str
    x_shape: tuple[int, ...]
    kernel_size: int
    stride: int
    padding: int

    @property
    def out_size(self) -> tuple[int, int]:
        """Windows along height and width."""
        height, width = (
            (n + 2 * self.padding - self.kernel_size) // self.stride + 1 for n in self.x_shape[2:]
        )
        return height, width

    @property
    def words(self) -> tuple[str, str, str]:
        """What a table says: the operation, the shape of x, and the windows."""
        size = f"{self.kernel_size}x{self.kernel_size}"
        pad = f", padding {self.padding}" if self.padding else ""
        shape = "x".join(map(str, self.x_shape))
        return self.operation, shape, f"{size}, stride {self.stride}{pad}"

    @property
    def name(self) -> str:
        """The same in one string."""
        return " ".join(self.words)


def pool_shapes(case: PoolCase) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of x, of a gradient of the result and of a matrix of windows."""
    batch, channels = case.x_shape[:2]
    height, width = case.out_size
    matrix = batch, channels * case.kernel_size**2, height * width
    return case.x_shape, (batch, channels, height, width), matrix


def pool_arrays(case: PoolCase) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make x, a gradient of the result and a matrix of windows, channels first, float32."""
    rng = np.random.default_rng(0)
    shapes = pool_shapes(case)
    x, grad, columns = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
    return x, grad, columns


def planes_only(case: PoolCase, last: bool) -> str:
    """Turn down, with channels last, what makes a matrix: it would be another one."""
    return (
        f"the matrix of {case.operation} is channels first" if last and "fold" in case.name else ""
    )


def first(result: Any) -> np.ndarray:
    """Give the values, where a call returns indices, too."""
    return np.asarray(result[0] if isinstance(result, tuple) else result)


def pool(case: PoolCase, last: bool) -> Call:
    """Prepare a call of npconv's on arrays that lie channels first or last."""
    import npconv

    compile_all()
    x, grad, columns = pool_arrays(case)
    if last:
        x, grad = (np.moveaxis(np.moveaxis(a, 1, -1).copy(), -1, 1) for a in (x, grad))
    size = case.kernel_size
    keywords: dict[str, Any] = {"stride": case.stride, "padding": case.padding}
    if case.operation == "max backward":
        _, index = npconv.max_pool(x, size, return_indices=True, **keywords)
        return lambda: npconv.max_pool_grad(grad, x, size, indices=index, **keywords)
    calls: dict[str, Call] = {
        "max": lambda: npconv.max_pool(x, size, **keywords),
        "max with indices": lambda: npconv.max_pool(x, size, return_indices=True, **keywords),
        "average": lambda: npconv.avg_pool(x, size, **keywords),
        "average backward": lambda: npconv.avg_pool_grad(grad, x, size, **keywords),
        "unfold": lambda: npconv.unfold(x, size, **keywords),
        "fold": lambda: npconv.fold(columns, case.x_shape[2:], size, **keywords),
    }
    return calls[case.operation]


POOL = {
    f"npconv pooling {order}": Contender(
        "pool", "npconv", partial(pool, last=last), partial(planes_only, last=last), first
    )
    for order, last in (("NCHW", False), ("NHWC", True))
}
