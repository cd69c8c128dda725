import copy
import io

import pytest
import torch
from torch import nn

from uvl_plugin.training.methods.base import ENCODER, Batch, Method, encoded, methods

NAMES = methods.names()


class Means(nn.Module):
    """An encoder whose numbers autocast leaves alone."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(1, 2, 16))

    def forward(self, images):
        return images.flatten(1).unflatten(1, (16, -1)).mean(dim=2) * self.weight


def taught(parts: nn.ModuleDict) -> list[nn.Parameter]:
    return [weight for weight in parts.parameters() if not weight.requires_grad]


def test_all_methods_are_there():
    expected = {"autoencoder", "byol", "dino", "distillation", "simclr", "simsiam", "vicreg"}
    assert expected <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_a_number_with_a_gradient_for_all_that_learns(name, assemble, make_batch):
    method = methods[name]()
    parts = assemble(method)
    loss = method.loss(parts, make_batch(method))
    assert loss.shape == ()
    assert bool(loss.isfinite())
    loss.backward()
    for weight in parts.parameters():  # also what distributed data parallel asks for
        assert (weight.grad is not None) == weight.requires_grad
    assert all(bool(weight.grad.any()) for weight in parts[ENCODER].parameters())


@pytest.mark.parametrize("name", NAMES)
def test_views_are_batches_of_all_images(name, make_batch):
    method = methods[name]()
    batch = make_batch(method, n=3, side=20)
    assert len(batch.views) >= 1
    assert all(view.shape == (3, 3, 20, 20) for view in batch.views)
    if len(batch.views) > 1:
        assert not torch.equal(batch.views[0], batch.views[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_step_lowers_the_loss_and_leaves_teachers_to_after_step(name, assemble, make_batch):
    method = methods[name]()
    parts, batch = assemble(method), make_batch(method)
    before = [weight.clone() for weight in taught(parts)]
    with torch.no_grad():
        for _ in range(40):
            method.loss(parts, batch)  # DINO's centre comes to rest, which raises its loss
    optimiser = torch.optim.AdamW(
        [weight for weight in parts.parameters() if weight.requires_grad], lr=2e-3
    )
    losses = []
    for _ in range(25):
        loss = method.loss(parts, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-3:]) < sum(losses[:3])
    assert all(map(torch.equal, taught(parts), before))
    method.after_step(parts, done=0.5)
    assert not any(map(torch.equal, taught(parts), before))


@pytest.mark.parametrize("name", NAMES)
def test_parts_come_back_from_a_file(name, assemble, make_batch, encoder):
    method = methods[name]()
    parts, batch = assemble(method, copy.deepcopy(encoder)), make_batch(method)
    method.loss(parts, batch)  # moves running means and centres
    assert all(isinstance(value, torch.Tensor) for value in parts.state_dict().values())
    file = io.BytesIO()
    torch.save(parts.state_dict(), file)
    file.seek(0)
    again = assemble(method)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert seeded_loss(method, again, batch) == seeded_loss(method, parts, batch)


@pytest.mark.parametrize("name", NAMES)
def test_parts_can_be_copied(name, assemble, make_batch):
    method = methods[name]()
    parts, batch = assemble(method), make_batch(method)
    method.loss(parts, batch)
    copied = copy.deepcopy(parts)
    assert seeded_loss(method, copied, batch) == seeded_loss(method, parts, batch)


@pytest.mark.parametrize("name", NAMES)
def test_losses_keep_their_precision_under_autocast(name, assemble, make_batch):
    method = methods[name]()
    batch = make_batch(method)
    plain = seeded_loss(method, assemble(method, Means()), batch)
    with torch.autocast("cpu", torch.bfloat16):
        cast = seeded_loss(method, assemble(method, Means()), batch)
    assert cast.dtype == torch.float32
    tolerance = 0.02 if name == "autoencoder" else 1e-5  # its decoder is worth casting
    assert float(cast) == pytest.approx(float(plain), rel=tolerance)


def test_vectors_of_half_precision_become_whole():
    views = [torch.full((2, 3), 1.5), torch.zeros(2, 3)]
    vectors = encoded(nn.Identity(), [view.bfloat16() for view in views])
    assert vectors.dtype == torch.float32
    assert torch.equal(vectors, torch.cat(views))


def seeded_loss(method: Method, parts: nn.ModuleDict, batch: Batch) -> torch.Tensor:
    torch.manual_seed(3)
    return method.loss(parts, batch).detach()


@pytest.mark.parametrize("name", NAMES)
def test_no_part_takes_the_encoders_name(name, encoder):
    assert ENCODER not in methods[name]().parts(encoder, 16, 5)


@pytest.mark.parametrize("name", NAMES)
def test_settings_come_back_from_json_types(name):
    cls = methods[name]
    numbers = {spec.name: spec.default for spec in cls.specs() if spec.kind in (int, float)}
    lowest = {spec.name: spec.ge for spec in cls.specs() if spec.kind in (int, float)}
    for values in (numbers, lowest):
        settings = cls(**values)
        assert cls.from_dict(settings.to_dict()) == settings


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_and_method_is_explained(name):
    cls = methods[name]
    assert cls.label
    assert cls.description.endswith(".")
    assert cls.smallest_batch >= 2
    assert all(spec.help for spec in cls.specs())
