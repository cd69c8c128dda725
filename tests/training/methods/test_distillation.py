import pytest
import torch
from torch import nn

from uvl_plugin.backbones.pixels import Pixels
from uvl_plugin.backbones.presets import DEFAULT, presets
from uvl_plugin.backbones.torchvision import TorchVision
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.training.methods.base import Batch
from uvl_plugin.training.methods.distillation import Distillation


def test_a_teacher_is_known_by_the_name_of_its_preset():
    assert Distillation().teacher() == presets[DEFAULT].backbone
    assert Distillation.of("pixels").teacher() == Pixels()


@pytest.mark.parametrize(
    "backbone", [Pixels(), TorchVision(model="resnet18", weights="untrained", mean=(0.1, 0.2, 0.3))]
)
def test_any_backbone_can_teach(backbone):
    method = Distillation.of(backbone, center=False)
    assert method.teacher() == backbone
    assert not method.center
    assert Distillation.from_dict(method.to_dict()) == method


@pytest.mark.parametrize(
    ("taught_by", "message"),
    [
        ("dinov2-bse", "no preset 'dinov2-bse'. Did you mean 'dinov2-base'"),
        ("", "no preset ''"),
        ('{"backbone": ', "is not JSON"),
        ("{}", "no backbone ''"),
        ('{"backbone": "timmm"}', "no backbone 'timmm'. Did you mean 'timm'"),
        ('{"backbone": ["timm"]}', "no backbone"),
        ('{"backbone": "torchvision", "modell": "resnet18"}', "no setting 'modell'"),
        ('{"backbone": "torchvision", "input_size": 1}', "input_size must be at least 14"),
    ],
)
def test_an_unknown_teacher_is_said(taught_by, message):
    with pytest.raises(SettingsError, match="Distillation has no teacher") as caught:
        Distillation(taught_by=taught_by).check()
    assert message in str(caught.value)
    assert caught.value.argument == "taught_by"


def test_the_check_is_the_teachers():
    Distillation.of(TorchVision(model="resnet18", weights="untrained")).check()
    with pytest.raises(SettingsError, match="no_such_net"):
        Distillation.of(TorchVision(model="no_such_net")).check()


def batch_of(vectors: torch.Tensor, targets: torch.Tensor | None, n_views: int = 1) -> Batch:
    return Batch([vectors] * n_views, targets)


def without_projector(method: Distillation) -> nn.ModuleDict:
    parts = method.parts(nn.Identity(), 4, 4)
    return nn.ModuleDict({**parts, "encoder": nn.Identity(), "projector": nn.Identity()})


@pytest.mark.parametrize("n_views", [1, 3])
def test_the_loss_is_the_mean_cosine(n_views):
    vectors, targets = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    method = Distillation(center=False)
    loss = method.loss(without_projector(method), batch_of(vectors, targets, n_views))
    cosines = [
        vector @ target / (vector.norm() * target.norm())
        for vector, target in zip(vectors, targets, strict=True)
    ]
    assert loss.item() == pytest.approx(-float(sum(cosines)) / 6, abs=1e-6)


def test_centred_targets_do_not_know_what_all_share():
    vectors, targets = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    method = Distillation(center=True)
    parts = without_projector(method)
    losses = [
        method.loss(parts, batch_of(vectors, shifted)).item() for shifted in (targets, targets + 50)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


@pytest.mark.parametrize("center", [False, True])
def test_a_linear_teacher_is_learnt(center, encoder, assemble):
    torch.manual_seed(0)
    images = torch.rand(64, 3, 1, 1) + 0.1 * torch.rand(64, 3, 8, 8)
    targets = images.mean((2, 3)) @ torch.randn(3, 5)
    method = Distillation(center=center)
    parts = assemble(method)
    optimiser = torch.optim.AdamW(parts.parameters(), lr=1e-2)
    for _ in range(60):
        loss = method.loss(parts, Batch([4 * images - 2], targets))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < -0.9


def test_the_projector_leads_to_the_teachers_space(encoder):
    projector = Distillation().parts(encoder, 16, 768)["projector"]
    assert projector(torch.randn(2, 16)).shape == (2, 768)


def test_targets_are_needed(assemble, make_batch):
    method = Distillation()
    batch = make_batch(method)
    batch.targets = None
    with pytest.raises(ValueError, match="targets"):
        method.loss(assemble(method), batch)
