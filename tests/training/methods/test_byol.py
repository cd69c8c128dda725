import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from uvl_plugin.training.methods.byol import BYOL


def test_the_loss_is_the_papers(assemble, make_batch):
    method = BYOL()
    parts, batch = assemble(method), make_batch(method)
    method.loss(parts, batch)
    method.after_step(parts, done=0.0)
    for weight in parts["encoder"].parameters():
        weight.data.mul_(-1.5)  # so that student and teacher differ
    with torch.no_grad():
        loss = method.loss(parts, batch)
        student = parts["projector"](parts["encoder"](torch.cat(batch.views)))
        predictions = parts["predictor"](student)
        targets = parts["teacher_projector"](parts["teacher"](torch.cat(batch.views)))
    n, total = len(batch.views[0]), 0.0
    for i in range(n):
        for view, other in ((i, i + n), (i + n, i)):
            total -= float(cosine_similarity(predictions[view], targets[other], dim=0))
    assert loss.item() == pytest.approx(total / (2 * n), abs=1e-5)


@pytest.mark.parametrize(
    ("done", "kept"), [(0.0, 0.9), (0.5, 0.95), (1.0, 1.0), (1 / 3, 0.925), (2 / 3, 0.975)]
)
def test_the_teacher_follows_ever_more_slowly(done, kept, assemble):
    method = BYOL(momentum=0.9)
    parts = assemble(method)
    with torch.no_grad():
        for weight in parts.parameters():
            weight.copy_(torch.randn_like(weight))
    expected = {}
    for student, teacher in (("encoder", "teacher"), ("projector", "teacher_projector")):
        for name, weight in parts[student].named_parameters():
            old = parts[teacher].get_parameter(name)
            expected[f"{teacher}.{name}"] = kept * old + (1 - kept) * weight.detach()
    method.after_step(parts, done)
    assert len(expected) > 6
    for name, weight in expected.items():
        assert torch.allclose(parts.get_parameter(name), weight, atol=1e-6)


def test_the_teachers_batch_norms_see_the_batch(assemble, make_batch):
    method = BYOL()
    parts = assemble(method)
    method.loss(parts, make_batch(method))
    assert bool(parts["teacher"][1].running_mean.any())


def test_collapse_has_the_least_loss_so_that_a_loss_proves_nothing(pairs):
    method = BYOL()
    parts = nn.ModuleDict({"encoder": nn.Identity(), **method.parts(nn.Identity(), 16, 0)})
    parts.update({name: nn.Identity() for name in ("predictor", "projector", "teacher_projector")})
    loss = method.loss(parts, pairs(torch.ones(8, 16), torch.ones(8, 16)))
    assert loss.item() == pytest.approx(-1.0)
