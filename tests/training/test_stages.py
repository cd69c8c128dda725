import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.backbones.torchvision import build, remove_head
from uvl_plugin.training.stages import freeze_all_but, stages


def torchvision(model) -> nn.Module:
    with torch.device("meta"):
        network = build(model, 224)
        remove_head(network)
    return network


def of_timm(model) -> nn.Module:
    with torch.device("meta"):
        return timm.create_model(model, num_classes=0)


def compact(size) -> nn.Module:
    return CompactCNN(input_size=size).network().module


def weights_of(module) -> set[str]:
    return {name for name, weight in module.named_parameters() if weight.requires_grad}


NETWORKS = {
    "resnet18": lambda: torchvision("resnet18"),
    "mobilenet_v2": lambda: torchvision("mobilenet_v2"),
    "vit_b_16": lambda: torchvision("vit_b_16"),
    "densenet121": lambda: torchvision("densenet121"),
    "vit_tiny": lambda: of_timm("vit_tiny_patch16_224"),
    "convnext_atto": lambda: of_timm("convnext_atto"),
    "compact, 8 px": lambda: compact(8),
    "compact, 28 px": lambda: compact(28),
    "one layer": lambda: nn.Linear(3, 2),
}


@pytest.mark.parametrize(
    ("name", "n"),
    [
        ("resnet18", 5),  # stem and four stages
        ("mobilenet_v2", 19),  # stem, 17 blocks, last convolution
        ("vit_b_16", 13),  # patches and twelve blocks
        ("vit_tiny", 13),
        ("convnext_atto", 5),
        ("compact, 8 px", 2),
        ("compact, 28 px", 4),
        ("one layer", 1),
    ],
)
def test_networks_have_the_stages_of_their_papers(name, n):
    assert len(stages(NETWORKS[name]())) == n


@pytest.mark.parametrize("name", NETWORKS)
def test_a_weight_is_in_one_stage_and_every_stage_has_matrices(name):
    network = NETWORKS[name]()
    found = [weight for stage in stages(network) for weight in stage.parameters()]
    assert len(found) == len({id(weight) for weight in found})
    ids = {id(weight) for weight in found}
    left_out = {name for name, weight in network.named_parameters() if id(weight) not in ids}
    tokens = {"class_token", "cls_token", "pos_embed", "encoder.pos_embedding"}  # of no stage
    assert left_out <= tokens
    for stage in stages(network):
        assert any(weight.ndim > 1 for weight in stage.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_stages_come_in_the_order_of_the_network(name):
    network = NETWORKS[name]()
    place = {id(weight): number for number, weight in enumerate(network.parameters())}
    first = [place[id(next(stage.parameters()))] for stage in stages(network)]
    assert first == sorted(first)


@pytest.mark.parametrize(
    ("name", "n_last", "learning"),
    [
        ("resnet18", 1, ("layer4.",)),
        ("resnet18", 2, ("layer3.", "layer4.")),
        ("resnet18", 4, ("layer1.", "layer2.", "layer3.", "layer4.")),
        ("vit_tiny", 1, ("blocks.11.", "norm.")),
        ("vit_tiny", 3, ("blocks.9.", "blocks.10.", "blocks.11.", "norm.")),
        ("mobilenet_v2", 2, ("features.17.", "features.18.")),
        ("mobilenet_v2", 0, ("none",)),
    ],
)
def test_only_the_last_stages_learn(name, n_last, learning):
    network = NETWORKS[name]()
    expected = {name for name, _ in network.named_parameters() if name.startswith(learning)}
    freeze_all_but(network, n_last)
    assert weights_of(network) == expected
    assert bool(expected) == bool(n_last)


@pytest.mark.parametrize("n_last", [None, 5, 99])
def test_all_learn_where_nobody_says_otherwise(n_last):
    network = NETWORKS["resnet18"]()
    assert freeze_all_but(network, n_last) == []
    assert all(weight.requires_grad for weight in network.parameters())


@given(st.integers(0, 4))
def test_what_is_frozen_is_handed_back_whole(n_last):
    network = compact(28)
    frozen = freeze_all_but(network, n_last)
    assert len(frozen) == 4 - n_last
    still = {id(weight) for stage in frozen for weight in stage.parameters()}
    assert still == {id(weight) for weight in network.parameters() if not weight.requires_grad}
