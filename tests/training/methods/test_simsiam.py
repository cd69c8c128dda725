import copy

import pytest
import torch

from uvl_plugin.training.methods.simsiam import SimSiam


def by_hand(parts, views) -> torch.Tensor:
    """Algorithm 1 of arXiv:2011.10566, with both views in one batch for the batch norms."""
    z1, z2 = parts["projector"](parts["encoder"](torch.cat(views))).chunk(2)
    p1, p2 = parts["predictor"](torch.cat([z1, z2])).chunk(2)

    def distance(p, z):
        z = z.detach()
        return -((p / p.norm(dim=1, keepdim=True)) * (z / z.norm(dim=1, keepdim=True))).sum(1)

    return (distance(p1, z2).mean() + distance(p2, z1).mean()) / 2


def test_the_loss_and_its_gradient_are_the_papers(assemble, make_batch):
    method = SimSiam()
    parts, batch = assemble(method), make_batch(method)
    twin = copy.deepcopy(parts)
    loss, expected = method.loss(parts, batch), by_hand(twin, batch.views)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    loss.backward()
    expected.backward()
    for weight, other in zip(parts.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(weight.grad, other.grad, atol=1e-5)
