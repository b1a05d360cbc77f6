"""Let a PyTorch network's convolutions run on npconv, forward and backward, and compare.

.venv/bin/pip install "npconv[torch]" && .venv/bin/python examples/torch_bridge.py
"""

import copy

import torch
from torch import nn

from npconv.bridges.torch import replace_convs


def network() -> nn.Sequential:
    """Return a small encoder and decoder."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding="same", padding_mode="reflect"),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 3, 4, stride=2, padding=1),
    )


def largest_difference(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    """Return the largest difference, relative to the largest number beside it."""
    pairs = zip(ours, theirs, strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def main() -> None:
    """Replace the layers, then compare results, gradients, memory order and parameters."""
    theirs = network()
    ours = replace_convs(copy.deepcopy(theirs))
    print(ours)

    x = torch.randn(4, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    outs, grads = [], []
    for net in (ours, theirs):
        out = net(x)
        grads.append(list(torch.autograd.grad(out.square().mean(), list(net.parameters()))))
        outs.append([out.detach()])
    print(f"\nlargest difference of the results    {largest_difference(*outs):.0e} (float32)")
    print(f"largest difference of {len(grads[0])} gradients {largest_difference(*grads):.0e}")

    layer = ours[0]
    print("channels-last in, channels-last out: ", end="")
    print(layer(x).is_contiguous(memory_format=torch.channels_last))
    print(
        f"the same names in the state_dict:     {list(ours.state_dict()) == [*theirs.state_dict()]}"
    )
    print(f"still torch's layers to other code:   {isinstance(layer, nn.Conv2d)}")


if __name__ == "__main__":
    main()
