"""What was drawn for each image of a batch, and making views by it."""

from typing import TYPE_CHECKING, NamedTuple

from uvl_plugin.training.augmentation import colour, effects, geometry

if TYPE_CHECKING:
    import torch

    from uvl_plugin.training.augmentation.draws import Draws


_LARGE = 64  # pixels; views of fewer cost less than the call that cuts one


class Plan(NamedTuple):
    """Row i of everything is of image i; None: is not done to any.

    Attributes:
        mirrored, upended: where left and right, top and bottom are swapped, ``(n,)``, bool.
        crops: see :func:`geometry.draw_crops`, ``(n, 4)``; None also where pictures move besides.
        maps: from view to image, see :func:`geometry.resampled`, ``(n, 2, 3)``.
        bends: elastic change, likewise, ``(n, 2, 4, 4)``.
        strokes: see :func:`effects.stroke_`, ``(n,)``.
        matrices, contrast: see :func:`colour.recoloured`.
        sigmas: of the blur, pixels, ``(n,)``.
        noise: its standard deviation, ``(n,)``.
        squares: to be cut out, see :func:`effects.cut_out_`, ``(n, 3)``.
    """

    mirrored: "torch.Tensor | None" = None
    upended: "torch.Tensor | None" = None
    crops: "torch.Tensor | None" = None
    maps: "torch.Tensor | None" = None
    bends: "torch.Tensor | None" = None
    strokes: "torch.Tensor | None" = None
    matrices: "torch.Tensor | None" = None
    contrast: "torch.Tensor | None" = None
    sigmas: "torch.Tensor | None" = None
    noise: "torch.Tensor | None" = None
    squares: "torch.Tensor | None" = None

    def rows(self, start: int, end: int) -> "Plan":
        """The plan of some of the images."""
        return Plan(*(None if each is None else each[start:end] for each in self))


class Frame(NamedTuple):
    """What all images of a batch share.

    Attributes:
        source: height and width that images are shrunk to before anything else, pixels.
        shape: height and width of the views.
        padding: see :func:`geometry.resampled`.
    """

    source: tuple[int, int]
    shape: tuple[int, int]
    padding: str


def made(images: "torch.Tensor", plan: Plan, frame: Frame, draws: "Draws") -> "torch.Tensor":
    """Views of images by their plan; values may leave 0 to 1.

    Args:
        images: ``(n, channels, height, width)``, float32 or uint8; they are left as they are.
        draws: for the noise.
    """
    if plan.crops is not None and _are_better_cut(images, frame):
        views = geometry.cut(images, plan.crops, frame.shape)
    else:
        views = _resized(images, frame.source)
        if plan.maps is not None:
            views = geometry.resampled(views, plan.maps, frame.shape, frame.padding, plan.bends)
    effects.flip_(views, plan.mirrored, 3)
    effects.flip_(views, plan.upended, 2)
    if plan.strokes is not None:
        effects.stroke_(views, plan.strokes, effects.stroke_radius(*frame.shape))
    if plan.matrices is not None:
        views = colour.recoloured(views, plan.matrices, plan.contrast)
    if plan.sigmas is not None:
        effects.blur_(views, plan.sigmas)
    if plan.noise is not None:
        views.addcmul_(draws.normal(*views.shape[1:]), plan.noise.view(-1, 1, 1, 1))
    if plan.squares is not None:
        effects.cut_out_(views, plan.squares)
    return views


def _are_better_cut(images: "torch.Tensor", frame: Frame) -> bool:
    """Whether taking crops one by one is faster than one map for all."""
    import torch

    whole = images.dtype == torch.uint8 and images.device.type == "cpu"
    return whole and min(frame.shape) >= _LARGE and tuple(images.shape[2:]) == frame.source


def _resized(images: "torch.Tensor", shape: tuple[int, int]) -> "torch.Tensor":
    """A copy, float32, that may be changed in place."""
    import torch

    whole = not images.is_floating_point()
    images = images.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    if whole:
        images.div_(255.0)
    if images.shape[2:] == shape:
        return images
    return torch.nn.functional.interpolate(images, shape, mode="bilinear", antialias=True)
