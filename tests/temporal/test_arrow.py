"""The arrow of time, against the formula done slowly by hand."""

import numpy as np
import pytest
import torch

from uvl_plugin.temporal.arrow import arrow_loss


def running(rows):
    """States that know what came before: sums over the frames so far, bent."""
    return torch.tanh(torch.cumsum(rows, dim=1))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def by_hand(frames, lengths):
    vectors = [[], [], [], []]
    for rows, length in zip(frames.numpy(), lengths.tolist(), strict=True):
        if length < 4:
            continue
        half = length // 2
        first, second = rows[:half], rows[half : 2 * half]
        for place, piece in enumerate((first, second, first[::-1], second[::-1])):
            states = np.tanh(np.cumsum(piece - piece.mean(axis=0), axis=0))
            vectors[place].append(states.mean(axis=0))
    vectors = np.array(vectors)
    vectors -= vectors.mean(axis=(0, 1))
    first, second, first_back, second_back = (unit(part) for part in vectors)
    right = np.exp((first * second).sum(axis=1) / 0.2)
    wrong = sum(
        np.exp((one * other).sum(axis=1) / 0.2)
        for one, other in ((first, second_back), (second, first_back))
    )
    return -np.log(right / (right + wrong)).mean()


def test_it_is_the_formula():
    frames = torch.randn(5, 11, 4, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([11, 8, 7, 4, 3])
    assert arrow_loss(running, frames, lengths).item() == pytest.approx(
        by_hand(frames, lengths), rel=1e-4
    )


def test_states_that_do_not_know_the_order_are_at_chance():
    frames = torch.randn(6, 12, 4, generator=torch.Generator().manual_seed(1))
    loss = arrow_loss(lambda rows: rows.pow(2), frames, torch.full((6,), 12))
    alike = arrow_loss(
        lambda rows: rows.pow(2), frames[:, :6].repeat(1, 2, 1), torch.full((6,), 12)
    )
    assert alike.item() == pytest.approx(np.log(3), rel=1e-4)
    assert loss.item() > 1


def test_windows_that_are_too_short_do_not_count():
    frames = torch.randn(2, 3, 4)
    assert arrow_loss(running, frames, torch.tensor([3, 2])).item() == 0
