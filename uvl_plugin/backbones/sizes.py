"""Input sizes: which ones a network takes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from uvl_plugin.core.errors import SettingsError

if TYPE_CHECKING:
    import torch

_WITHOUT_GRID = 32  # networks without a patch grid halve the image five times
_TRIES = 8
_REFUSALS = (RuntimeError, AssertionError, ValueError, TypeError, IndexError, ZeroDivisionError)


def check_input_size(
    model: str, size: int, own: int, patch: int, build: "Callable[[int], torch.nn.Module]"
) -> None:
    """Raises :class:`SettingsError` unless the network takes images of this size.

    Args:
        model: name, for the message.
        size: height and width that were asked for, pixels.
        own: height and width of the images that it was trained with, pixels.
        patch: side of the patches that the image is cut into, pixels; 0 where it is not.
        build: makes the network for images of a size.
    """
    if patch and size % patch:
        reason = f"cuts the image into patches of {patch}x{patch} pixels"
    elif _runs(build, size) or not _runs(build, own):  # where it cannot be tried, loading tells
        return
    else:
        reason = "does not run with this size"
    near = _nearest(size, patch or _WITHOUT_GRID, build)
    raise SettingsError(
        f"input_size={size} does not suit {model}, which {reason}; nearest that suit: "
        f"{', '.join(map(str, near or [own]))}.",
        "input_size",
    )


def patch_of(network: object, *path: str) -> int:
    """The side of the patches, found at ``path``, a chain of attributes; 0 where there is none."""
    for name in path:
        network = getattr(network, name, None)
    side = network[0] if isinstance(network, tuple | list) else network
    return side if isinstance(side, int) else 0


def _nearest(size: int, step: int, build: "Callable[[int], torch.nn.Module]") -> list[int]:
    """The nearest multiple of ``step`` below and the nearest one above with which it runs."""
    below = size // step * step
    down = [below - i * step for i in range(_TRIES)]
    up = [below + i * step for i in range(1, _TRIES + 1)]
    found = (next((near for near in side if _runs(build, near)), 0) for side in (down, up))
    return [near for near in found if near]


def _runs(build: "Callable[[int], torch.nn.Module]", size: int) -> bool:
    import torch

    if size < 1:
        return False
    try:
        with torch.device("meta"), torch.inference_mode():  # shapes only: no memory, no arithmetic
            build(size).eval()(torch.empty(1, 3, size, size))
    except _REFUSALS:
        return False
    return True
