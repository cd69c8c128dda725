"""Items between two clusters."""

from dataclasses import dataclass

import numpy as np

from uvl_plugin.clustering.assign import means_of
from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.core.progress import Progress
from uvl_plugin.picking.base import FixedRanking, Picker, Ranking, pickers
from uvl_plugin.picking.pool import Pool, blocks


@pickers.register
@dataclass(frozen=True, kw_only=True)
class Boundary(Picker):
    """The least decided first: the difference of the squared distances to the middles of the two
    nearest clusters, which is 0 on the border of their Voronoi cells."""

    name, label = "boundary", "Boundary"
    description = "What lies between two clusters: shows whether they are two, and which is which."
    on_clusters = True

    def ranking(self, pool: Pool, progress: Progress) -> Ranking:
        clusters, middles = _middles(pool)
        scores = np.zeros(len(pool))
        for start, stop in blocks(len(pool), len(middles)) if len(middles) > 1 else ():
            apart = np.partition(_apart(pool.vectors[start:stop], middles), 1, axis=1)
            scores[start:stop] = apart[:, 0] - apart[:, 1]
            progress(stop / len(pool), f"boundaries, {stop:,} of {len(pool):,}")

        def said(row: int) -> str:
            nearest = np.argsort(_apart(pool.vectors[[row]], middles)[0], kind="stable")[:2]
            return "between " + " and ".join(pool.named(int(clusters[one])) for one in nearest)

        def alone(row: int) -> str:
            return pool.of(row, "one")

        return FixedRanking(scores, said if len(middles) > 1 else alone)


def _middles(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the clusters, ``(k,)``, and their means, ``(k, dim)``."""
    clusters, own = np.unique(pool.labels, return_inverse=True)
    means = means_of(pool.vectors, own, len(clusters))
    return clusters[clusters != NOISE], means[clusters != NOISE]


def _apart(vectors: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """Squared distances, less the squared length of the vector, which changes no difference."""
    return np.einsum("ij,ij->i", middles, middles) - 2.0 * (vectors @ middles.T)
