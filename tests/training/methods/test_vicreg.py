import numpy as np
import pytest
import torch
from torch import nn

from uvl_plugin.training.methods.vicreg import VICReg


def without_projector(method: VICReg) -> nn.ModuleDict:
    parts = method.parts(nn.Identity(), 4, 0)
    return nn.ModuleDict({**parts, "encoder": nn.Identity(), "projector": nn.Identity()})


def terms(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """Equations 1 to 5 of arXiv:2105.04906, except that as in the authors' code the variances
    of the two views are averaged, and the squares of the first term by number, too."""
    invariance = np.mean((first - second) ** 2)
    variance = covariance = 0.0
    for views in (first, second):
        table = np.cov(views.T)
        variance += np.maximum(0, 1 - np.sqrt(np.diag(table) + 1e-4)).mean() / 2
        covariance += (table[~np.eye(len(table), dtype=bool)] ** 2).sum() / len(table)
    return invariance, variance, covariance


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 3.0)])
def test_the_loss_is_the_papers(weights, pairs):
    method = VICReg(**dict(zip(("invariance", "variance", "covariance"), weights, strict=True)))
    spread = torch.tensor([0.3, 0.8, 1.5, 4.0])  # two numbers vary too little
    first, second = spread * torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    loss = method.loss(without_projector(method), pairs(first, second))
    expected = np.dot(weights, terms(first.double().numpy(), second.double().numpy()))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_a_collapsed_network_pays_the_variance_in_full(pairs):
    method = VICReg()
    loss = method.loss(without_projector(method), pairs(torch.ones(8, 4), torch.ones(8, 4)))
    assert loss.item() == pytest.approx(25.0 * (1 - 0.01))  # the root of the paper's epsilon
