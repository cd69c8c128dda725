"""Items that many others are like."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.space import Space
from uvl_plugin.core.progress import Progress
from uvl_plugin.core.settings import setting
from uvl_plugin.picking.base import FixedRanking, Picker, Ranking, pickers
from uvl_plugin.picking.pool import Pool


@pickers.register
@dataclass(frozen=True, kw_only=True)
class Typical(Picker):
    """Where items are densest: the inverse of the mean distance to the nearest neighbours, the
    typicality of G. Hacohen et al., "Active Learning on a Budget", ICML 2022, equation 3.

    Several picks of one cluster may be much alike; quotas over many small clusters are what
    that paper proposes.
    """

    name, label = "typical", "Typical"
    description = "What a cluster mostly looks like; best with few picks for each of many clusters."

    n_neighbors: int = setting(20, ge=1, le=500, help="How many neighbours say how dense it is.")

    def ranking(self, pool: Pool, progress: Progress) -> Ranking:
        near = Space(pool.vectors).neighbors(self.n_neighbors, progress).distances
        scores = -near.sum(axis=1, dtype=np.float64)
        return FixedRanking(scores, lambda row: pool.of(row, "typical"))
