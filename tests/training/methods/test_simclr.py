import math

import pytest
import torch
from torch import nn

from uvl_plugin.training.methods.simclr import SimCLR


def by_hand(first: torch.Tensor, second: torch.Tensor, temperature: float) -> float:
    """Equation 1 of arXiv:2002.05709, one view after the other."""
    views = [view / view.norm() for view in torch.cat([first, second])]
    n, total = len(first), 0.0
    for i, view in enumerate(views):
        scores = [float(view @ other) / temperature for other in views]
        others = sum(math.exp(score) for k, score in enumerate(scores) if k != i)
        total -= scores[(i + n) % (2 * n)] - math.log(others)
    return total / (2 * n)


@pytest.mark.parametrize("n", [2, 7])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_loss_is_the_papers(n, temperature, assemble, pairs):
    method = SimCLR(temperature=temperature)
    parts = assemble(method, nn.Identity())
    batch = pairs(torch.randn(n, 16), torch.randn(n, 16))
    with torch.no_grad():
        loss = method.loss(parts, batch)
        first, second = (parts["projector"](view) for view in batch.views)
    assert loss.item() == pytest.approx(by_hand(first, second, temperature), rel=1e-5)


def test_a_collapsed_network_scores_as_chance_does(pairs):
    method = SimCLR()
    parts = nn.ModuleDict({"encoder": nn.Identity(), **method.parts(nn.Identity(), 16, 0)})
    loss = method.loss(parts, pairs(torch.ones(8, 16), torch.ones(8, 16)))
    assert loss.item() == pytest.approx(math.log(15))  # one of fifteen others
