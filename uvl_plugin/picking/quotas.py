"""How many items of each cluster are picked."""

import numpy as np

from uvl_plugin.core.errors import SettingsError

QUOTAS = ("free", "equal", "size", "uncertainty")
_LEAST = 1e-9  # of the greatest weight: who has none gets what nobody else can take
_HALVINGS = 100


def check_quotas(quotas: str | None, *, clusters: bool) -> str:
    """The name of the quotas, ``"free"`` for None.

    Raises:
        SettingsError: if there are no such quotas, or no clusters to have them.
    """
    name = quotas or QUOTAS[0]
    if name not in QUOTAS:
        raise SettingsError(f"quotas must be one of {', '.join(QUOTAS)}, got {quotas!r}.", "quotas")
    if name != QUOTAS[0] and not clusters:
        raise SettingsError(
            f"The quotas '{name}' are of clusters; pass the run_key of a clustering, or leave "
            "quotas out.",
            "quotas",
        )
    return name


def shares(quotas: str, groups: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """How much of the budget each group should have, in any unit, shape ``(k,)``, at least 0.

    Args:
        quotas: ``"equal"``: as much for each; ``"size"``: by the number of items;
            ``"uncertainty"``: by the sum of 1 - strength, so most for what is large and loose.
        groups: of each item, shape ``(n,)``, numbers from 0 without gaps.
        strengths: 0 to 1, shape ``(n,)``: how firmly each item belongs.
    """
    sizes = np.bincount(groups).astype(np.float64)
    if quotas == "size":
        return sizes
    if quotas == "uncertainty":
        doubt = np.bincount(groups, weights=1.0 - strengths.astype(np.float64))
        return doubt if doubt.any() else sizes
    return np.ones(len(sizes))


def shared_out(budget: int, shares: np.ndarray, had: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Shares a budget out, so that with what each group had before it is in proportion.

    Each group gets ``clip(level * share - had, 0, room)``, with the level at which all of the
    budget is given away; fractions go to the largest remainders, of equal ones to the first. So
    a group that had its part gets nothing, and one that cannot take its part leaves it to the
    others. If all groups together have no more room than the budget, each gets its room.

    Args:
        budget: at least 0.
        shares, had, room: of each group, shape ``(k,)``, at least 0; ``room`` in whole numbers.

    Returns:
        Whole numbers, shape ``(k,)``, int64, ``min(budget, room.sum())`` in all.
    """
    if budget >= room.sum():
        return room.astype(np.int64)
    shares = np.maximum(shares, _LEAST * shares.max())
    level = _level(budget, shares, had, room)
    wanted = np.clip(level * shares - had, 0.0, room)
    found = np.floor(wanted + 1e-6).astype(np.int64)
    left = int(budget - found.sum())
    order = np.argsort(-np.where(found < room, wanted - found, -np.inf), kind="stable")
    found[order[:left]] += 1
    return found


def _level(budget: int, shares: np.ndarray, had: np.ndarray, room: np.ndarray) -> float:
    low, high = 0.0, float(((had + room) / shares).max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        enough = np.clip(middle * shares - had, 0.0, room).sum() >= budget
        low, high = (low, middle) if enough else (middle, high)
    return high
