"""A short list of backbones to choose from, by name."""

import difflib
from dataclasses import dataclass

from uvl_plugin.backbones.base import Backbone
from uvl_plugin.backbones.checkpoint import Checkpoint, checkpoint_names
from uvl_plugin.backbones.open_clip import OpenCLIP
from uvl_plugin.backbones.pixels import Pixels
from uvl_plugin.backbones.timm import Timm
from uvl_plugin.backbones.torchvision import TorchVision
from uvl_plugin.core.errors import SettingsError

DEFAULT = "dinov2-base"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A backbone with what a person wants to know before choosing it.

    Attributes:
        good_for: one sentence.
        dim: length of the vectors.
        megabytes: size of the download, 10**6 bytes.
        licence: of the weights.
    """

    name: str
    label: str
    good_for: str
    dim: int
    megabytes: int
    licence: str
    backbone: Backbone


def _dinov2(size: str, dim: int, megabytes: int, good_for: str) -> Preset:
    return Preset(
        name=f"dinov2-{size}",
        label=f"DINOv2 {size}",
        good_for=good_for,
        dim=dim,
        megabytes=megabytes,
        licence="Apache-2.0",
        # trained at 518 pixels, which costs seven times as much and suits pictures of small things
        backbone=Timm(model=f"vit_{size}_patch14_dinov2.lvd142m", input_size=224),
    )


def _dinov3(size: str, dim: int, megabytes: int, good_for: str) -> Preset:
    return Preset(
        name=f"dinov3-{size}",
        label=f"DINOv3 {size}",
        good_for=good_for,
        dim=dim,
        megabytes=megabytes,
        licence="DINOv3 License",
        backbone=Timm(model=f"vit_{size}_patch16_dinov3.lvd1689m"),
    )


def _dino(size: str, dim: int, megabytes: int, good_for: str) -> Preset:
    return Preset(
        name=f"dino-{size}",
        label=f"DINO {size}",
        good_for=good_for,
        dim=dim,
        megabytes=megabytes,
        licence="Apache-2.0",
        backbone=Timm(model=f"vit_{size}_patch16_224.dino"),
    )


_ALL = (
    _dinov2(
        "base", 768, 346, "Photos of any kind: groups by what is shown, learnt without labels."
    ),
    _dinov2("small", 384, 88, "As DINOv2 base at a quarter of the cost."),
    _dinov2("large", 1024, 1218, "As DINOv2 base, finer and three times as costly."),
    _dinov3("small", 384, 86, "Newer than DINOv2, for photos and aerial images; own licence."),
    _dinov3("base", 768, 343, "As DINOv3 small, finer and four times as costly."),
    _dinov3("large", 1024, 1212, "The finest vectors here; wants a GPU."),
    _dino("small", 384, 87, "Photos with one thing in the middle; learnt on ImageNet only."),
    _dino("base", 768, 343, "As DINO small, finer and four times as costly."),
    Preset(
        name="mae-base",
        label="MAE base",
        good_for="To be trained further: as it is, its vectors group less well than DINO's.",
        dim=768,
        megabytes=343,
        licence="CC-BY-NC-4.0",
        backbone=Timm(model="vit_base_patch16_224.mae"),
    ),
    Preset(
        name="clip-base",
        label="OpenCLIP ViT-B/32",
        good_for="Search by text, and groups by topic; fast.",
        dim=512,
        megabytes=605,
        licence="MIT",
        backbone=OpenCLIP(model="ViT-B-32", pretrained="laion2b_s34b_b79k"),
    ),
    Preset(
        name="pe-core-base",
        label="Perception Encoder B/16",
        good_for="Search by text: finer than OpenCLIP ViT-B/32 and four times as costly.",
        dim=1024,
        megabytes=1791,
        licence="Apache-2.0",
        backbone=OpenCLIP(model="PE-Core-B-16", pretrained="meta"),
    ),
    Preset(
        name="mobilenet-v3-large",
        label="MobileNetV3 large",
        good_for="Machines without a GPU: photos of everyday things; learnt with labels.",
        dim=1280,
        megabytes=22,
        licence="BSD-3-Clause",
        backbone=TorchVision(model="mobilenet_v3_large"),
    ),
    Preset(
        name="mobilenet-v2",
        label="MobileNetV2",
        good_for="Machines without a GPU: the smallest download.",
        dim=1280,
        megabytes=14,
        licence="BSD-3-Clause",
        backbone=TorchVision(model="mobilenet_v2"),
    ),
    Preset(
        name="pixels",
        label="Pixels",
        good_for="Small, aligned pictures such as glyphs; nothing to download.",
        dim=768,
        megabytes=0,
        licence="none needed",
        backbone=Pixels(),
    ),
)

presets: dict[str, Preset] = {preset.name: preset for preset in _ALL}


def resolve_backbone(chosen: "Backbone | str") -> Backbone:
    """The backbone itself, or the preset or the checkpoint of this name.

    Raises:
        SettingsError: if there is neither.
    """
    if isinstance(chosen, Backbone):
        return chosen
    if chosen in presets:
        return presets[chosen].backbone
    trained = checkpoint_names()
    if chosen in trained:
        return Checkpoint(chosen)
    nearest = difflib.get_close_matches(str(chosen), [*presets, *trained], n=1)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    raise SettingsError(
        f"There is no preset '{chosen}'.{hint} Known: {', '.join([*presets, *trained])}; or give a "
        "backbone such as uvl.Timm(model='resnet50').",
        "backbone",
    )
