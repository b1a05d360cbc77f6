"""What the tests of the transposed convolution share: PyTorch's sizes, every algorithm in turn."""

import re

import npconv
import oracle
import oracle_grad
from npconv import conv_transpose


def transposed(x, weight, bias, before, size, *, stride, dilation, groups=1):
    """Scatter everything, then cut `size` from `before` on; what was never reached is zeros."""
    d = x.ndim - 2
    full = [
        (n - 1) * s + e * (k - 1) + 1
        for n, k, s, e in zip(x.shape[2:], weight.shape[2:], stride, dilation, strict=True)
    ]
    channels = weight.shape[1] * groups
    geometry = {"stride": stride, "dilation": dilation, "groups": groups}
    out = oracle_grad.input_grad(x, weight, (x.shape[0], channels, *full), **geometry)
    ends = [(-b, b + n - f) for b, n, f in zip(before, size, full, strict=True)]
    out = oracle.pad(out, ends)
    return out if bias is None else out + bias.reshape(-1, *(1,) * d)


def each(x, weight, bias=None, **keywords):
    """Yield (name, result) of every algorithm; one that cannot must say why."""
    ran = []
    for name in npconv.algorithms():
        try:
            out = conv_transpose(x, weight, bias, algorithm=name, **keywords)
        except npconv.UnsupportedError as error:
            assert re.match(rf"conv_transpose: {name} cannot do this: .{{10,}}\.", str(error))
        else:
            ran.append(name)
            yield name, out
    assert len(ran) > 4
