"""How much the labels that are known leave each item in doubt."""

import numpy as np

from uvl_plugin.picking.pool import Pool, blocks

_LEAST = 1e-3  # an item beside a labelled one still counts for something


def doubts(pool: Pool) -> np.ndarray:
    """Distance to the nearest labelled item over that to the nearest one of another class, shape
    ``(n,)``, float32, 0.001 to 1: near 0 beside a labelled item, 1 as near to two classes.

    All 1 where fewer than two classes are known.
    """
    known = np.flatnonzero(pool.given & (pool.classes >= 0))
    known = known[np.argsort(pool.classes[known], kind="stable")]
    _, starts = np.unique(pool.classes[known], return_index=True)
    found = np.ones(len(pool), np.float32)
    if len(starts) < 2:
        return found
    rows = np.arange(len(pool))
    for start, stop in blocks(len(pool), len(known)):
        squares = pool.squares(rows[start:stop], known)
        of_class = np.minimum.reduceat(squares, starts, axis=1)
        nearest = np.sqrt(np.partition(of_class, 1, axis=1)[:, :2])
        share = np.divide(
            nearest[:, 0], nearest[:, 1], out=np.ones(stop - start, np.float32),
            where=nearest[:, 1] > 0,
        )  # fmt: skip
        found[start:stop] = np.maximum(share, _LEAST)
    return found
