import dataclasses
import json
import re

import pytest
import timm
import torch

from uvl_plugin.backbones.base import Backbone
from uvl_plugin.backbones.presets import DEFAULT, presets, resolve_backbone
from uvl_plugin.backbones.timm import Timm, _config
from uvl_plugin.backbones.torchvision import build, remove_head
from uvl_plugin.core.errors import SettingsError


def built(backbone: Backbone):
    """The whole network on no device, and the shape of its vectors."""
    size = getattr(backbone, "input_size", None)
    if backbone.name == "timm":
        size = size or _config(backbone.model).input_size[1]
        network = vision = backbone.build(size)
    elif backbone.name == "open_clip":
        network = backbone.build(None, size, "meta")
        vision, size = network.visual, network.visual.image_size[0]
    else:
        size = size or 224
        network, vision = build(backbone.model, size), build(backbone.model, size)
        remove_head(vision)
    return network, vision.eval()(torch.empty(1, 3, size, size)).shape


@pytest.mark.parametrize("name", [name for name in presets if name != "pixels"])
def test_length_and_size_are_those_of_the_network(name):
    preset = presets[name]
    with torch.device("meta"), torch.inference_mode():  # shapes only: no memory, no arithmetic
        network, shape = built(preset.backbone)
    assert shape == (1, preset.dim)
    weights = sum(4e-6 * weight.numel() for weight in network.state_dict().values())
    assert preset.megabytes == pytest.approx(weights, rel=0.03)


def test_pixels_need_no_download():
    assert presets["pixels"].megabytes == 0
    assert presets["pixels"].backbone.load("cpu").dim == presets["pixels"].dim


@pytest.mark.parametrize(
    "name", [name for name, preset in presets.items() if preset.backbone.name == "timm"]
)
def test_licences_are_those_that_timm_notes(name):
    noted = timm.get_pretrained_cfg(presets[name].backbone.model).license
    ours, theirs = (
        re.sub(r"[^a-z0-9]", "", text.lower()) for text in (presets[name].licence, noted)
    )
    assert ours == theirs


@pytest.mark.parametrize("name", presets)
def test_presets_are_known_to_their_families(name):
    presets[name].backbone.check()


@pytest.mark.parametrize("name", presets)
def test_presets_describe_themselves(name):
    preset = presets[name]
    assert preset.name == name
    assert preset.label
    assert preset.good_for.endswith(".")
    assert preset.licence
    assert not re.search(r"[^a-z0-9-]", name)


def test_no_two_are_the_same():
    assert len({preset.backbone.space for preset in presets.values()}) == len(presets)
    assert len({preset.label for preset in presets.values()}) == len(presets)


def test_the_default_is_self_supervised_and_may_be_used_by_all():
    assert presets[DEFAULT].backbone == Timm(
        model="vit_base_patch14_dinov2.lvd142m", input_size=224
    )
    assert presets[DEFAULT].licence == "Apache-2.0"
    assert next(iter(presets)) == DEFAULT  # the first of the list


def test_a_backbone_is_named_or_given():
    for name, preset in presets.items():
        assert resolve_backbone(name) == preset.backbone
    mine = Timm(model="resnet18")
    assert resolve_backbone(mine) is mine


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ("dinov2-bas", "no preset 'dinov2-bas'. Did you mean 'dinov2-base'?"),
        ("xyz", "no preset 'xyz'. Known: dinov2-base, "),
        (None, "no preset 'None'"),
    ],
)
def test_another_name_is_an_error_that_lists_the_known(chosen, words):
    with pytest.raises(SettingsError, match=re.escape(words)) as caught:
        resolve_backbone(chosen)
    assert caught.value.argument == "backbone"


def test_settings_of_presets_survive_a_record():
    for preset in presets.values():
        settings = json.loads(json.dumps(preset.backbone.to_dict()))
        assert type(preset.backbone).from_dict(settings) == preset.backbone
        assert dataclasses.is_dataclass(preset)
