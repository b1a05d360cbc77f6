"""The bench's PyTorch networks are npconv's: same names, same first loss, same gradients."""

import numpy as np
import pytest
import torch

from npconv.bench.peers.training import TrainCase, as_torch, data, network, torch_step
from npconv.bench.training import CASES


@pytest.mark.parametrize("name", [case.network for case in CASES])
def test_the_same_network(name):
    case = TrainCase(name, 2, 1 if name == "lenet5" else 3, 32, classes=5)
    own = network(case).astype("float64")
    other = as_torch(torch, own).double()
    other.load_state_dict(
        {key: torch.from_numpy(np.array(a)) for key, a in own.state_dict().items()}, strict=True
    )
    x, _ = data(case)
    x = x.astype("float64")
    with torch.no_grad():
        wanted = other.eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(own(x), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("last", [False, True])
def test_a_step(last):
    case = TrainCase("resnet18", 2, 3, 32, classes=5)
    run = torch_step(torch, case, last)
    assert run() == run() > 0
