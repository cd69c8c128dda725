import math

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from uvl_plugin.training.methods.base import Batch
from uvl_plugin.training.methods.dino import DINO


def cosines(projector: nn.Module, prototypes: nn.Linear, vectors: torch.Tensor) -> torch.Tensor:
    return normalize(projector(vectors), dim=1) @ normalize(prototypes.weight, dim=1).T


def test_the_loss_is_the_papers(assemble):
    """Algorithm 1 and section 3.1 of arXiv:2104.14294, one image after the other."""
    method = DINO(output_dim=12, local_views=1, temperature=0.2, first_temperature=0.07)
    parts = assemble(method, nn.Identity())
    torch.manual_seed(0)
    parts["criterion"].center.copy_(torch.randn(1, 1, 12))
    for weight in parts["head"].parameters():
        weight.data.add_(0.1 * torch.randn_like(weight))  # so that the teacher differs
    center, views = parts["criterion"].center.clone().view(-1), list(torch.randn(3, 4, 16))
    with torch.no_grad():
        loss = method.loss(parts, Batch(views))
        student = [cosines(*parts["head"], view) for view in views]
        teacher = [cosines(*parts["teacher_head"], view) for view in views[:2]]
    total, n_terms = 0.0, 0
    for t in range(2):
        for s in range(3):
            if s == t:
                continue
            for i in range(4):
                target = ((teacher[t][i] - center) / 0.07).softmax(0)
                total -= float(target @ (student[s][i] / 0.2).log_softmax(0))
                n_terms += 1
    assert loss.item() == pytest.approx(total / n_terms, rel=1e-5)
    moved = 0.9 * center + 0.1 * torch.cat(teacher).mean(0)
    assert torch.allclose(parts["criterion"].center.view(-1), moved, atol=1e-6)


def test_a_network_that_says_the_same_of_all_scores_as_chance_does(assemble):
    method = DINO(output_dim=50, temperature=10.0, teacher_temperature=10.0, first_temperature=10.0)
    parts = assemble(method, nn.Identity())
    views = [torch.ones(4, 16)] * 4
    loss = method.loss(parts, Batch(views))
    assert loss.item() == pytest.approx(math.log(50), rel=0.01)


def test_the_teachers_temperature_rises_and_stays():
    method = DINO(first_temperature=0.04, teacher_temperature=0.07, warmup=0.3)
    shares = (0.0, 0.1, 0.2, 0.3, 1.0)
    assert [method.teacher_temperature_at(done) for done in shares] == pytest.approx(
        [0.04, 0.05, 0.06, 0.07, 0.07]
    )
    assert DINO(warmup=0.0).teacher_temperature_at(0.0) == DINO().teacher_temperature


def test_a_sharper_teacher_is_another_loss(assemble, make_batch):
    method = DINO(first_temperature=0.02, teacher_temperature=1.0)
    batch, losses = make_batch(method), []
    for batch.done in (0.0, 1.0):
        losses.append(method.loss(assemble(method), batch).item())
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("local_views", [0, 3])
def test_local_views_are_small_crops(local_views):
    asked = []

    def augment(images, *, area=None):
        asked.append(area)
        return images

    views = DINO(local_views=local_views).views(torch.rand(5, 3, 8, 8), augment)
    assert len(views) == 2 + local_views
    assert asked == [None, None] + [(0.05, 0.4)] * local_views


def test_the_teacher_sees_no_local_views(assemble, make_batch):
    method = DINO(local_views=2)
    parts, batch = assemble(method), make_batch(method, n=6)
    seen = []
    parts["teacher"].register_forward_hook(lambda module, inputs, out: seen.append(len(out)))
    method.loss(parts, batch)
    assert seen == [2 * 6]


def test_a_vision_transformer_learns(assemble, make_batch):
    import timm

    vit = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=0)
    method = DINO(output_dim=64, center_momentum=0.0)
    parts, batch = assemble(method, vit, dim=192), make_batch(method, n=4, side=32)
    optimiser = torch.optim.AdamW(
        [weight for weight in parts.parameters() if weight.requires_grad], lr=1e-3
    )
    with torch.no_grad():
        method.loss(parts, batch)  # sets the centre
    losses = []
    for _ in range(6):
        loss = method.loss(parts, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert all(weight.grad is not None for weight in vit.parameters())
    assert losses[-1] < losses[0]
    method.after_step(parts, done=0.5)
