"""Recover the kernel that blurred an image: gradient descent, then one Newton step, by autograd.

.venv/bin/python examples/autograd_bridge.py
"""

import autograd.numpy as np
from autograd import grad, hessian

from npconv.bridges.autograd import conv

SIZE = 5  # of the kernel
STEPS = 60


def show(kernel: np.ndarray) -> None:
    """Print a kernel as shades."""
    shades = np.clip(kernel / kernel.max() * 5, 0, 5).round().astype(int)
    print("\n".join("    " + "".join(2 * " .:+*#"[shade] for shade in row) for row in shades))


def main() -> None:
    """Blur an image with a hidden kernel and find that kernel again."""
    rng = np.random.default_rng(0)
    sharp = rng.standard_normal((64, 64))
    hidden = np.fliplr(np.eye(SIZE)) / SIZE  # the trace of a moving camera
    blurred = conv(sharp, hidden, layout="HW")

    def loss(kernel: np.ndarray) -> float:
        difference = conv(sharp, kernel, layout="HW") - blurred
        return np.mean(difference**2) / 2

    print(f"hidden kernel, {SIZE} x {SIZE}, the trace of a moving camera:")
    show(hidden)

    kernel = np.ones((SIZE, SIZE)) / SIZE**2
    gradient = grad(loss)
    for step in range(STEPS + 1):
        if step % (STEPS // 3) == 0:
            print(f"step {step:3}: loss {loss(kernel):.1e}")
        kernel = kernel - 0.5 * gradient(kernel)
    print(f"recovered by descent, largest difference {np.abs(kernel - hidden).max():.1e}:")
    show(kernel)

    # The loss is quadratic: with its second derivative one step from anywhere is enough.
    start = np.zeros((SIZE, SIZE))
    curvature = hessian(loss)(start).reshape(SIZE**2, SIZE**2)
    step = np.linalg.solve(curvature, gradient(start).ravel())
    newton = start - step.reshape(SIZE, SIZE)
    print(f"recovered by one Newton step, difference {np.abs(newton - hidden).max():.1e}")


if __name__ == "__main__":
    main()
