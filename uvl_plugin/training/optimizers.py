"""Optimisers and the schedule of the learning rate."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    from uvl_plugin.training.recipe import Recipe

_MOMENTUM = 0.9


def optimizer_of(recipe: "Recipe", parts: "nn.Module", rate: float) -> "torch.optim.Optimizer":
    """The optimiser of all parameters that learn; biases and norms are not decayed."""
    learning = [parameter for parameter in parts.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return _make(recipe.optimizer, groups, rate)


def _make(name: str, groups: list[dict[str, Any]], rate: float) -> "torch.optim.Optimizer":
    from torch import optim

    if name == "lars":  # arXiv:1708.03888
        from lightly.utils.lars import LARS

        return LARS(groups, lr=rate, momentum=_MOMENTUM)
    if name == "sgd":
        return optim.SGD(groups, lr=rate, momentum=_MOMENTUM)
    if name == "nadam":
        return optim.NAdam(groups, lr=rate, decoupled_weight_decay=True)
    return {"adam": optim.Adam, "adamw": optim.AdamW}[name](groups, lr=rate)


def schedule_of(
    optimizer: "torch.optim.Optimizer", *, warmup: float, steps: int
) -> "torch.optim.lr_scheduler.LRScheduler":
    """Rises linearly in the first ``warmup`` share of ``steps``, then falls on a cosine."""
    from lightly.utils.scheduler import CosineWarmupScheduler

    return CosineWarmupScheduler(
        optimizer, warmup_epochs=min(round(warmup * steps), steps - 1), max_epochs=steps
    )
