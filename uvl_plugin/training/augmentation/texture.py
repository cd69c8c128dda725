"""Texture: for pictures without up and down."""

from dataclasses import dataclass

from uvl_plugin.training.augmentation.base import Augmentation, augmentations, default


@augmentations.register
@dataclass(frozen=True, kw_only=True)
class Texture(Augmentation):
    """Any rotation and mirror image; colour changes little, because it carries meaning."""

    name, label = "texture", "Texture / microscopy"
    description = "No up and down, such as tissue, materials, aerial views: any rotation, flips."

    crop_area_min: float = default("crop_area_min", 0.5)
    flip_horizontal: float = default("flip_horizontal", 0.5)
    flip_vertical: float = default("flip_vertical", 0.5)
    rotation: float = default("rotation", 180.0)
    scale_min: float = default("scale_min", 0.9)
    scale_max: float = default("scale_max", 1.1)
    brightness: float = default("brightness", 0.2)
    contrast: float = default("contrast", 0.2)
    saturation: float = default("saturation", 0.2)
    hue: float = default("hue", 0.03)
    jitter_probability: float = default("jitter_probability", 0.8)
    blur_probability: float = default("blur_probability", 0.3)
    noise: float = default("noise", 0.03)
