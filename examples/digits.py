"""Train a small CNN on handwritten digits with NumPy and npconv alone: no framework.

Two convolutions, each with a ReLU and a 2x2 max pooling, and one matrix.  Run: python digits.py
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from npconv import conv, conv_grad, max_pool, max_pool_grad

rng = np.random.default_rng(0)
images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32").reshape(-1, 1, 8, 8)
x_train, x_test, y_train, y_test = train_test_split(
    images, labels, test_size=0.25, random_state=0, stratify=labels
)


def block(x, weight, bias):
    """Return max_pool(relu(conv(x))) and the function that takes its gradient back."""
    y = conv(x, weight, bias, padding=1)
    active = np.maximum(y, 0)
    pooled, indices = max_pool(active, 2, return_indices=True)

    def backprop(grad):
        grad = max_pool_grad(grad, active, 2, indices=indices) * (y > 0)
        return conv_grad(grad, x, weight, padding=1)

    return pooled, backprop


def he(*shape):
    """Return random weights that keep the size of what passes through."""
    return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype("float32")


w1, b1, w2, b2 = he(16, 1, 3, 3), np.zeros(16, "f4"), he(32, 16, 3, 3), np.zeros(32, "f4")
w3, b3 = he(10, 32 * 2 * 2), np.zeros(10, "f4")
parameters = [w1, b1, w2, b2, w3, b3]
velocity = [np.zeros_like(p) for p in parameters]

for epoch in range(15):
    order = rng.permutation(len(x_train))
    for batch in np.array_split(order, len(order) // 32):
        h1, back1 = block(x_train[batch], w1, b1)
        h2, back2 = block(h1, w2, b2)
        flat = h2.reshape(len(batch), -1)
        scores = flat @ w3.T + b3
        p = np.exp(scores - scores.max(1, keepdims=True))
        g = (p / p.sum(1, keepdims=True) - np.eye(10, dtype="f4")[y_train[batch]]) / len(batch)
        g2 = back2((g @ w3).reshape(h2.shape))
        g1 = back1(g2.x)
        grads = [g1.weight, g1.bias, g2.weight, g2.bias, g.T @ flat, g.sum(0)]
        for parameter, v, grad in zip(parameters, velocity, grads, strict=True):
            v += 0.1 * (grad - v)
            parameter -= 0.5 * v
    hidden = block(block(x_test, w1, b1)[0], w2, b2)[0].reshape(len(x_test), -1)
    print(f"epoch {epoch + 1:2}: {np.mean((hidden @ w3.T + b3).argmax(1) == y_test):.2%} correct")
