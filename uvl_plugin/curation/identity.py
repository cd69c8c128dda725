"""Which new clusters are old ones that were found again, so that they keep number and name.

Two clusters are the same if they share more than half of all items that are in either of them
(P. Jaccard, New Phytologist 11, 1912, page 37). No cluster can be the same as two others: it
would share more than half of its items with each of them, and they have no item in common. So
there is nothing to weigh up, and the pairs are found in one pass, however many clusters there are.
"""

import numpy as np

from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.core.errors import DataError
from uvl_plugin.curation.edited import Edited

SAME = 0.5  # clusters that share more than this are the same; below it that would be ambiguous


def matched(old: np.ndarray, new: np.ndarray) -> dict[int, int]:
    """The old number of each new cluster that is the same as an old one.

    Args:
        old: cluster of each item, shape ``(n,)``, noise -1.
        new: likewise, of the same items in the same order.
    """
    pairs, _, overlap = overlaps(old, new)
    same = (overlap > SAME) & (pairs != NOISE).all(axis=1)
    return {found: was for was, found in pairs[same].tolist()}


def overlaps(old: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What an old and a new cluster, noise -1 included, have in common.

    Returns:
        The pairs with items in common, shape ``(m, 2)``; how many items, ``(m,)``; and their
        share of the items that are in either, ``(m,)``, above 0 to 1.
    """
    if old.shape != new.shape:
        raise DataError(f"{len(old)} old labels cannot be compared with {len(new)} new ones.")
    width = int(new.max(initial=NOISE)) + 2
    keys, shared = np.unique((old + 1) * width + new + 1, return_counts=True)
    pairs = np.stack([keys // width - 1, keys % width - 1], axis=1)
    old_sizes, new_sizes = np.bincount(old + 1), np.bincount(new + 1)  # noise at 0
    either = old_sizes[pairs[:, 0] + 1] + new_sizes[pairs[:, 1] + 1] - shared
    return pairs, shared, shared / either


def on_common(
    old_ids: np.ndarray, old: np.ndarray, new_ids: np.ndarray, new: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both labels of the items that both have, in the order of the ids."""
    _, first, second = np.intersect1d(old_ids, new_ids, assume_unique=True, return_indices=True)
    return old[first], new[second]


def carried_names(
    old: Edited, new_ids: np.ndarray, new_labels: np.ndarray
) -> tuple[tuple[str, ...], int]:
    """Names of the clusters of a run that was made again, with another seed or more items.

    Args:
        old: the clusters before, with their edits.
        new_ids: shape ``(n,)``; those that both runs have decide which cluster is the same.
        new_labels: shape ``(n,)``, noise -1.

    Returns:
        A name for each new cluster: that of the old one that is the same, or a new one with a
        number that was never used; and the number from which later new ones count.
    """
    same = matched(*on_common(old.raw.ids, old.labels, new_ids, new_labels))
    fresh, names, following = old.fresh(), [], old.next_number
    for number in range(int(new_labels.max(initial=NOISE)) + 1):
        if number in same:
            names.append(old.names[same[number]])
        else:
            following, name = next(fresh)
            names.append(name)
            following += 1
    return tuple(names), following
