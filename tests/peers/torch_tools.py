"""What the tests of the bridge to PyTorch share."""

import torch
from torch import nn
from torch_cases import TOLERANCE

import npconv

TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


CALLS = ("conv", "conv_transpose", "conv_input_grad", "conv_weight_grad")


def normal(*shape, dtype=torch.float64, grad=False):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, dtype=dtype, generator=generator).requires_grad_(grad)


def same(ours, theirs, dtype):
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


class Watched:
    """What goes into npconv's calls and comes out."""

    def __init__(self, monkeypatch):
        self.names, self.given, self.made = [], [], []
        for name in CALLS:
            monkeypatch.setattr(npconv, name, self.watch(name, getattr(npconv, name)))

    def watch(self, name, original):
        def call(*arrays, **keywords):
            made = original(*arrays, **keywords)
            self.names.append(name)
            self.given.append([a for a in arrays if a is not None])
            self.made.append(made)
            return made

        return call
