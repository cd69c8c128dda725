import pytest
import timm
import torch
from torch import nn
from torchvision import models

from uvl_plugin.backbones.folding import folded

NETWORKS = {
    "torchvision mobilenet_v3": lambda: models.mobilenet_v3_small(),
    "torchvision densenet": lambda: models.densenet121(),
    "timm resnet": lambda: timm.create_model("resnet10t", num_classes=0),
    "timm same padding": lambda: timm.create_model(
        "mobilenetv2_035", num_classes=0, pad_type="same"
    ),
    "timm efficientnet": lambda: timm.create_model("efficientnet_lite0", num_classes=0),
}


def norms(network) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())


def used(network):
    """In evaluation mode, with statistics as after training."""
    generator = torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3, generator=generator)
            part.running_var.uniform_(0.5, 2.0, generator=generator)
    return network.eval().requires_grad_(False)


def image(size=64, seed=0):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_output_is_the_same_without_batch_norms(name):
    network = used(NETWORKS[name]())
    expected, before = network(image()), norms(network)
    shorter = folded(network, image(seed=1))
    assert norms(shorter) < before
    found = shorter(image())
    assert float((found - expected).abs().max()) <= 1e-4 * float(expected.abs().max())
    assert torch.equal(network(image()), expected)  # the network that was given is left alone
    assert norms(network) == before


def test_nothing_is_copied_where_there_is_nothing_to_fold():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()).eval()
    assert folded(network, image(8)) is network


def test_a_norm_that_does_not_follow_a_convolution_stays():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, images):
            made = self.conv(images)
            return made + self.norm(made)  # the convolution's own output is used as well

    network = used(nn.Sequential(Residual(), nn.BatchNorm2d(3), nn.Flatten()))
    assert norms(folded(network, image(8))) == 2


def test_a_convolution_that_changes_its_weights_is_noticed():
    class Standardised(nn.Conv2d):
        def forward(self, images):
            weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
            weight = weight / weight.std(dim=(1, 2, 3), keepdim=True)
            return nn.functional.conv2d(images, weight, self.bias)

    network = used(nn.Sequential(Standardised(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten()))
    assert folded(network, image(8)) is network


def test_a_network_that_cannot_be_traced_is_left_as_it_is():
    class Deciding(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))

        def forward(self, images):
            return self.body(images) if images.mean() > 0 else images

    network = used(Deciding())
    assert folded(network, image(8)) is network
