"""The loss of the recurrent network."""

import numpy as np
import pytest
import torch

from uvl_plugin.backbones.weights import seeded
from uvl_plugin.temporal.gru import TemporalGRU


@pytest.fixture
def batch():
    """Three windows of 9, 6 and 4 frames with 5 components."""
    frames = torch.randn(3, 9, 5, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([9, 6, 4])
    for row, length in zip(frames, lengths, strict=True):
        row[length:] = 0
    return frames, lengths


def test_the_loss_is_the_error_of_the_predicted_change_inside_the_windows(batch):
    method = TemporalGRU(hidden=7, horizon=2, arrow=0)
    with seeded(0):
        network = method.network(5)
    errors, changes = [], []
    for row, length in zip(*batch, strict=True):
        states, _ = network["gru"](row[None, :length])
        for t in range(int(length) - 2):
            change = row[t + 2] - row[t]
            errors.append((network["change"](states[0, t]) - change).detach().numpy() ** 2)
            changes.append(change.numpy() ** 2)
    assert method.loss(network, *batch).item() == pytest.approx(
        np.mean(errors) / np.mean(changes), rel=1e-4
    )


def test_who_predicts_no_change_has_loss_1(batch):
    method = TemporalGRU(arrow=0)
    network = method.network(5)
    for parameter in network["change"].parameters():
        parameter.data.zero_()
    assert method.loss(network, *batch).item() == pytest.approx(1, rel=1e-5)


def test_where_nothing_moves_the_loss_is_finite():
    method = TemporalGRU()
    loss = method.loss(method.network(5), torch.zeros(2, 6, 5), torch.tensor([6, 5]))
    assert torch.isfinite(loss)


def test_what_lies_behind_the_end_of_a_window_does_not_count(batch):
    method = TemporalGRU(horizon=2)
    network = method.network(5)
    frames, lengths = batch
    longer = torch.cat([frames, torch.zeros(3, 4, 5)], dim=1)
    assert method.loss(network, longer, lengths).item() == pytest.approx(
        method.loss(network, frames, lengths).item(), rel=1e-5
    )
