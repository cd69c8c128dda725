"""Stages of a network, first to last, of which some can be frozen."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

_SEQUENCE = 4  # children of a part that is taken for a sequence of stages
_MOST, _NEARLY_ALL = 0.5, 0.9  # share of the parameters of the part that is taken apart


def stages(module: "nn.Module") -> "list[nn.Module]":
    """The parts of a network that hold its parameters, in order.

    A part that holds more than half of the parameters and is a sequence of at least four parts
    is taken apart, and so is one that holds nearly all. A norm belongs to the stage before it. So
    a ResNet has its stem and four stages, and a vision transformer its patches and one stage for
    each block.
    """
    from torch import nn

    total = _size(module)
    found: list[nn.Module] = []
    for part in module.children():
        if not _size(part):
            continue
        share = _size(part) / total
        sequence = len([child for child in part.children() if _size(child)]) >= _SEQUENCE
        if share > _NEARLY_ALL and _has_parts(part) or share > _MOST and sequence:
            found += stages(part)
        elif found and not _has_matrices(part):
            found[-1] = nn.ModuleList([found[-1], part])
        else:
            found.append(part)
    return found or [module]


def freeze_all_but(module: "nn.Module", n_last: int | None) -> "list[nn.Module]":
    """Lets only the last ``n_last`` stages learn, or all where it is None.

    Returns:
        The parts that stay as they are: they are to be kept in evaluation mode, so that their
        batch norms do not move either.
    """
    every = stages(module)
    if n_last is None or n_last >= len(every):
        return []
    kept = set()
    for stage in every[len(every) - n_last :]:
        kept |= set(stage.parameters())
    for parameter in module.parameters():
        parameter.requires_grad_(parameter in kept)
    return every[: len(every) - n_last]


def _size(module: "nn.Module") -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _has_parts(module: "nn.Module") -> bool:
    return any(_size(child) for child in module.children())


def _has_matrices(module: "nn.Module") -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters())
