"""Photo: for pictures of things and scenes."""

from dataclasses import dataclass

from uvl_plugin.training.augmentation.base import Augmentation, augmentations, default


@augmentations.register
@dataclass(frozen=True, kw_only=True)
class Photo(Augmentation):
    """SimCLR's augmentation, with colours at half its strength.

    Source: arXiv:2002.05709, appendix A; half strength as for CIFAR-10, appendix B.9.
    """

    name, label = "photo", "Photo"
    description = "Pictures of things and scenes: crop, left-right flip, colour, blur."

    crop_area_min: float = default("crop_area_min", 0.2)
    flip_horizontal: float = default("flip_horizontal", 0.5)
    brightness: float = default("brightness", 0.4)
    contrast: float = default("contrast", 0.4)
    saturation: float = default("saturation", 0.4)
    hue: float = default("hue", 0.1)
    jitter_probability: float = default("jitter_probability", 0.8)
    grey_probability: float = default("grey_probability", 0.2)
    blur_probability: float = default("blur_probability", 0.5)
