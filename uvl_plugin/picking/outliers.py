"""Items that lie where hardly anything else does."""

from dataclasses import dataclass

from uvl_plugin.clustering.scores import local_outliers
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.progress import Progress
from uvl_plugin.picking.base import FixedRanking, Picker, Ranking, pickers
from uvl_plugin.picking.pool import Pool


@pickers.register
@dataclass(frozen=True, kw_only=True)
class Outliers(Picker):
    """The oddest first, by the local outlier factor; see
    :func:`~uvl_plugin.clustering.scores.local_outliers`."""

    name, label = "outliers", "Outliers"
    description = "Odd, rare and broken ones: what a model will meet and has never seen."

    def ranking(self, pool: Pool, progress: Progress) -> Ranking:
        scores = local_outliers(Space(pool.vectors), progress)
        return FixedRanking(scores, lambda row: pool.of(row, "unlike its neighbours, one"))
