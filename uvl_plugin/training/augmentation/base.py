"""What every augmentation is: settings, and one call that makes a random view of each image."""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.registry import Registry
from uvl_plugin.core.settings import Settings, setting
from uvl_plugin.training.augmentation import colour, effects, geometry, plan
from uvl_plugin.training.augmentation.draws import Draws

if TYPE_CHECKING:
    import torch

augmentations: "Registry[Augmentation]" = Registry(
    "augmentation", "uvl_plugin.training.augmentation"
)

_LEAST_BLUR = 0.05  # of the greatest; 0.1 to 2 pixels on a side of 224, as SimCLR has it
_CACHED = 2**20  # numbers that are worked on at once on a CPU; more leave its caches


@dataclass(frozen=True, kw_only=True)
class Augmentation(Settings):
    """Random views of images: every image draws its own. Everything is off until it is set.

    Class attributes:
        name: key in the registry and in run records.
        label: what a person reads.
        description: one sentence: what it is good for.
    """

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    description: ClassVar[str] = ""

    crop_area_min: float = setting(
        1.0, ge=0.01, le=1.0, help="Least share of the image that a view shows."
    )
    crop_area_max: float = setting(
        1.0, ge=0.01, le=1.0, help="Greatest share; with both at 1 nothing is cropped."
    )
    crop_aspect: float = setting(
        4 / 3, ge=1.0, le=4.0, help="Crops are at most so many times as wide as high, or as high."
    )
    flip_horizontal: float = setting(
        0.0, ge=0.0, le=1.0, help="Probability that left and right are swapped."
    )
    flip_vertical: float = setting(
        0.0, ge=0.0, le=1.0, help="Probability that top and bottom are swapped."
    )
    rotation: float = setting(0.0, ge=0.0, le=180.0, help="Up to so many degrees, both ways.")
    shear: float = setting(
        0.0, ge=0.0, le=60.0, help="Leans the picture by up to so many degrees, both ways."
    )
    scale_min: float = setting(1.0, ge=0.1, le=10.0, help="Shrinks the picture to this factor.")
    scale_max: float = setting(1.0, ge=0.1, le=10.0, help="Enlarges it up to this factor.")
    shift: float = setting(
        0.0, ge=0.0, le=1.0, help="Moves the picture by up to this share of its side."
    )
    elastic: float = setting(
        0.0,
        ge=0.0,
        le=0.5,
        help="Bends the picture smoothly; standard deviation as share of its side.",
    )
    padding: str = setting(
        "reflection",
        choices=("border", "reflection", "zeros"),
        help="What lies around the image: its border colour, its mirror image, or black.",
    )
    stroke: float = setting(
        0.0, ge=0.0, le=1.0, help="Makes strokes thinner or thicker, 1: by 1/28 of the side."
    )
    brightness: float = setting(0.0, ge=0.0, le=1.0, help="Factor of up to 1 plus or minus this.")
    contrast: float = setting(0.0, ge=0.0, le=1.0, help="Factor of up to 1 plus or minus this.")
    saturation: float = setting(0.0, ge=0.0, le=1.0, help="Factor of up to 1 plus or minus this.")
    hue: float = setting(
        0.0, ge=0.0, le=0.5, help="Turns the colours by up to this share of the colour circle."
    )
    jitter_probability: float = setting(
        1.0, ge=0.0, le=1.0, help="Of brightness, contrast, saturation and hue together."
    )
    grey_probability: float = setting(0.0, ge=0.0, le=1.0, help="Of taking all colour away.")
    blur_probability: float = setting(0.0, ge=0.0, le=1.0, help="Of blurring the image.")
    blur_sigma: float = setting(
        0.0089,
        ge=0.0,
        le=0.1,
        help="Greatest standard deviation of the blur, as share of the side.",
    )
    noise: float = setting(
        0.0, ge=0.0, le=1.0, help="Greatest standard deviation of noise; white minus black is 1."
    )
    cutout_probability: float = setting(
        0.0, ge=0.0, le=1.0, help="Of filling a square with the background."
    )
    cutout_size: float = setting(
        0.3, ge=0.0, le=1.0, help="Greatest side of that square, as share of the image's side."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for low, high in (("crop_area_min", "crop_area_max"), ("scale_min", "scale_max")):
            if getattr(self, low) > getattr(self, high):
                raise SettingsError(
                    f"{type(self).__name__}.{low} must be at most {high}, which is "
                    f"{getattr(self, high):g}, got {getattr(self, low):g}.",
                    low,
                )

    def __call__(
        self,
        images: "torch.Tensor",
        generator: "torch.Generator | None" = None,
        size: int | None = None,
    ) -> "torch.Tensor":
        """A random view of each image. Equal generators give equal views.

        Args:
            images: ``(n, channels, height, width)``, 1 or 3 channels; float32 from 0 to 1, or
                uint8 from 0 to 255.
            generator: of the device of the images; None: torch's own.
            size: height and width of the views, pixels; None: as the images.

        Returns:
            ``(n, channels, size, size)``, float32, 0 to 1.
        """
        import torch

        n, channels, height, width = images.shape
        shape = (size or height, size or width)
        draws = Draws(n, images.device, generator)
        frame = plan.Frame(self._source((height, width), shape), shape, self._padding)
        views = torch.empty(n, channels, *shape, device=images.device)
        at_once = max(1, n)
        if images.device.type == "cpu":
            at_once = max(1, _CACHED // (channels * max(height * width, shape[0] * shape[1])))
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            planned = self.drawn(draws, frame, channels)
            for start in range(0, n, at_once):
                part = images[start : start + at_once]
                made = plan.made(
                    part,
                    planned.rows(start, start + at_once),
                    frame,
                    replace(draws, n=len(part)),
                )
                torch.clamp(made, 0.0, 1.0, out=views[start : start + at_once])
        return views

    def drawn(self, draws: Draws, frame: plan.Frame, channels: int) -> plan.Plan:
        """Draws what is done to each image.

        Args:
            frame: of the batch.
            channels: of the images.
        """
        places = self._places(draws, frame)
        strokes = draws.uniform(-self.stroke, self.stroke) if self.stroke else None
        matrices, contrast = self._colours(draws, channels)
        return plan.Plan(
            **places,
            mirrored=draws.chance(self.flip_horizontal) if self.flip_horizontal else None,
            upended=draws.chance(self.flip_vertical) if self.flip_vertical else None,
            strokes=strokes,
            matrices=matrices,
            contrast=contrast,
            sigmas=self._sigmas(draws, min(frame.shape)),
            noise=draws.uniform(0.0, self.noise) if self.noise else None,
            squares=self._squares(draws),
        )

    @property
    def _moves(self) -> bool:
        moved = (self.rotation, self.shear, self.shift, self.elastic)
        return any(moved) or (self.scale_min, self.scale_max) != (1.0, 1.0)

    @property
    def _padding(self) -> str:
        return self.padding if self._moves else "border"  # a crop alone has nothing around it

    def _source(self, images: tuple[int, int], views: tuple[int, int]) -> tuple[int, int]:
        """Size of images with no more pixels than views need: where the greatest crop has twice
        the side of a view, bilinear interpolation is the mean of two pixels; where it has more,
        it would skip some."""
        enough = 2.0 * max(views) / self.crop_area_max**0.5 / min(images)
        if enough >= 1.0:
            return images
        return max(1, round(images[0] * enough)), max(1, round(images[1] * enough))

    def _places(self, draws: Draws, frame: plan.Frame) -> "dict[str, torch.Tensor]":
        area = (self.crop_area_min, self.crop_area_max)
        if not self._moves and area == (1.0, 1.0) and frame.source == frame.shape:
            return {}
        affine = geometry.draw_affine(
            draws,
            rotation=self.rotation,
            shear=self.shear,
            scale=(self.scale_min, self.scale_max),
            shift=self.shift,
        )
        places = {"maps": geometry.affine_map(affine, *frame.shape)}
        if area != (1.0, 1.0):
            crops = geometry.draw_crops(draws, *frame.source, area, self.crop_aspect)
            places["maps"] = geometry.into_crops(places["maps"], crops, *frame.source)
            if not self._moves:
                places["crops"] = crops
        if self.elastic:
            places["bends"] = geometry.draw_bends(draws, self.elastic)
        return places

    def _colours(
        self, draws: Draws, channels: int
    ) -> "tuple[torch.Tensor | None, torch.Tensor | None]":
        mixes = bool(self.saturation or self.hue or self.grey_probability)
        if not (mixes or self.brightness or self.contrast):
            return None, None
        jitter = colour.draw_jitter(
            draws,
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            hue=self.hue,
            probability=self.jitter_probability,
        )
        grey = draws.chance(self.grey_probability)
        matrices = jitter.brightness[:, None, None]
        if mixes and channels == 3:
            matrices = colour.colour_matrices(jitter, grey)
        return matrices, jitter.contrast if self.contrast else None

    def _sigmas(self, draws: Draws, side: int) -> "torch.Tensor | None":
        if not (self.blur_probability and self.blur_sigma):
            return None
        drawn = draws.uniform(_LEAST_BLUR, 1.0) * (self.blur_sigma * side)
        return drawn.where(draws.chance(self.blur_probability), 0.0)

    def _squares(self, draws: Draws) -> "torch.Tensor | None":
        if not (self.cutout_probability and self.cutout_size):
            return None
        return effects.draw_squares(draws, self.cutout_probability, self.cutout_size)


def default(name: str, value: Any) -> Any:
    """A setting of :class:`Augmentation` with another default, for presets."""
    known = {item.name: item.metadata for item in fields(Augmentation)}
    return setting(value, **known[name])
