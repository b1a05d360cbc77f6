"""What the tests of repeated calls share: which went the slow way, and the numbers wanted."""

import numpy as np

import npconv
import oracle
from npconv.api import forward, gradients, plans, transposed

X, WEIGHT = (2, 6, 9, 10), (5, 6, 3, 3)
GEOMETRY = {"padding": 1}


def opened_doors(monkeypatch):
    """Yield, for a fixture, the list of what goes the slow way."""
    opened = []

    def counted(whole):
        def door(*given, **keywords):
            opened.append(given)
            return whole(*given, **keywords)

        return door

    for room, name in (
        (forward, "Door"), (plans, "open_door"), (gradients, "open_door"), (transposed, "Door"),
    ):  # fmt: skip
        monkeypatch.setattr(room, name, counted(getattr(room, name)))
    npconv.set_num_threads(2)  # forgets what other tests came to
    yield opened
    npconv.set_num_threads(None)


def triple(dtype="float32", seed=0):
    """x, weight and bias of small integers."""
    rng = np.random.default_rng(seed)
    return [oracle.small_integers(rng, shape, dtype) for shape in (X, WEIGHT, WEIGHT[:1])]


def last(array):
    """The same numbers with the channels last in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def unaligned(array):
    """The same numbers, a byte beside where they should lie."""
    return (
        np.frombuffer(b"\0" + array.tobytes(), np.uint8)[1:].view(array.dtype).reshape(array.shape)
    )


def wanted(x, weight, bias=None, activation=None, **geometry):
    """The direct sum, ended."""
    sums = oracle.direct(x, weight, bias, **geometry)
    return sums if activation is None else np.clip(sums, 0, 6 if activation == "relu6" else None)
