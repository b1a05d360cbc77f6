"""What the tests of training share: a small model with all that has a state, and data for it."""

import numpy as np

from npconv import nn


class Noise(nn.Layer):
    """Dropout without a scale: what is random in training."""

    def forward(self, x, training=False):
        if training is False:
            return x, lambda grad, wanted=True: grad
        kept = np.random.default_rng(None if training is True else training).random(x.shape) < 0.8
        return x * kept, lambda grad, wanted=True: grad * kept


class Centred(nn.Layer):
    """Less the batch's mean, or in use the running one: what has buffers."""

    def __init__(self, features, dtype):
        self.mean = nn.Buffer(np.zeros(features, dtype))
        self.batches = nn.Buffer(np.array(0))

    def forward(self, x, training=False):
        if training is False:
            return x - self.mean.data, lambda grad, wanted=True: grad
        mean = x.mean(0)
        self.mean.data = (0.9 * self.mean.data + 0.1 * mean).astype(x.dtype)
        self.batches.data = self.batches.data + 1
        return x - mean, lambda grad, wanted=True: grad - grad.mean(0)


class Dense(nn.Layer):
    """A matrix, in Fortran order on request."""

    def __init__(self, rng, *shape, dtype, order="C"):
        weight = rng.normal(size=shape) / np.sqrt(shape[0])
        self.weight = nn.Parameter(np.array(weight, dtype, order=order))

    def forward(self, x, training=False):
        flat = x.reshape(len(x), -1)

        def backprop(grad, wanted=True):
            self.weight.add_grad(flat.T @ grad)
            return (grad @ self.weight.data.T).reshape(x.shape) if wanted else None

        return flat @ self.weight.data, backprop


class Bend(nn.Layer):
    def forward(self, x, training=False):
        return np.tanh(x), lambda grad, wanted=True: grad * (1 - np.tanh(x) ** 2)


def model(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        {
            "first": Dense(rng, 12, 16, dtype=dtype, order="F"),
            "centred": Centred(16, dtype),
            "bend": Bend(),
            "noise": Noise(),
            "last": Dense(rng, 16, 3, dtype=dtype),
        }
    )


def arrays(count=90, seed=1):
    """Images (N, 3, 2, 2) whose class shows in their channels."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 3, count)
    x = rng.normal(size=(count, 3, 2, 2)) + 2 * np.eye(3)[target][:, :, None, None]
    return x.astype(np.float32), target


class Shaken:
    """Data with an augmentation drawn batch by batch."""

    def __init__(self, count=90, seed=1):
        self.pair = nn.batches.Pair(*arrays(count, seed))

    def __len__(self):
        return len(self.pair)

    def batches(self, batch_size, rng=None, training=False):
        for x, target in self.pair.batches(batch_size, rng, training):
            noise = rng.normal(size=x.shape) if training else 0
            yield (x + 0.1 * noise).astype(np.float32), target


def same(ours, theirs):
    assert list(ours) == list(theirs)
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name, strict=True)


def timeless(history):
    """The records without what the clock said."""
    apart = {"seconds", "images_per_second"}
    return [{name: n for name, n in record.items() if name not in apart} for record in history]
