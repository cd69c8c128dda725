"""Deep head: a small network learns clusters that neighbours share."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.backbones.base import resolve_device
from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.heads import Heads, Judgement, Lesson, middle
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.prepare import unit_length
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.clustering.spread import alike
from uvl_plugin.core.progress import Progress, part, silent
from uvl_plugin.core.settings import setting
from uvl_plugin.engine.threads import available_threads, library_threads

if TYPE_CHECKING:
    import torch

_FEW = 3  # items a cluster, below which there is nothing to learn from
_MOST_EPOCHS, _MOST_STEPS = 100, 5_000  # of a training whose length is not said
_SAMPLE, _ITERATIONS = 20_000, 10  # items and iterations of k-means, where the heads begin
_SMALL = 5e7  # multiplications of a step, below which more threads only wait for each other
_EVEN = 0.5  # least entropy of the shares of the clusters, of the greatest possible


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class DeepHead(Clusterer):
    """Several linear heads trained by TEMI's loss; the one that says most about neighbours stays.

    Each head begins at the centroids of another start of k-means: heads that begin at random
    end in much worse clusters where there are only some thousand items (digits .70, from
    k-means .84). The choice needs no labels: the pointwise mutual information of the clusters of
    neighbours, estimated on all items. A head that leaves clusters empty, or that gives nearly
    all items to a few, has collapsed; it is taken only where every head has, and the report says so.

    Source: N. Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained
    Models", arXiv:2303.17896, section 3.
    """

    name, label = "deep_head", "Deep head"
    description = "Learns a fixed number of clusters that neighbours share; from about 1,000 items."
    round = False

    n_clusters: int = setting(10, ge=1, le=1000, help="How many clusters to make.")
    heads: int = setting(8, ge=1, le=64, help="Heads trained together; the best one is kept.")
    epochs: int | None = setting(
        None, ge=1, le=1000, help="Rounds through all items. Empty: 100, or as many as 5,000 steps."
    )
    batch_size: int = setting(256, ge=16, le=16384, help="Pairs of neighbours a step.")
    n_neighbors: int = setting(
        25, ge=1, le=200, help="Nearest neighbours of an item that pairs are drawn from."
    )
    beta: float = setting(
        0.6, ge=0.5, le=1.0, help="Exponent of the agreement: lower for more even clusters."
    )
    learning_rate: float = setting(0.003, ge=1e-6, le=1.0, help="Of the first step.")
    seed: int = setting(0, ge=0, le=2**31 - 1, help="Seed of the starts and of the pairs.")
    device: str = setting("auto", help="auto: the GPU where there is one; or as torch names it.")

    @property
    def metric(self) -> str:
        return "cosine"

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        progress(0.0, f"deep head, {self.n_clusters} clusters")
        if self.n_clusters == 1 or len(space) < _FEW * self.n_clusters or alike(space.vectors):
            return self._by_kmeans(space, progress)
        neighbors = space.neighbors(self.n_neighbors, part(progress, 0.0, 0.2)).indices
        device = resolve_device(self.device)
        with library_threads(self._threads(space.dim)):
            import torch

            with torch.inference_mode(False), torch.enable_grad():
                started = Heads(self._starts(space, device), space.vectors, neighbors)
                trained = started.trained(self._lesson(len(space)), part(progress, 0.3, 0.95))
                judgement = trained.judged()
                collapsed = self._collapsed(judgement)
                best = _best(judgement, collapsed)
                labels, strengths = trained.assigned(best)
        report = self._report(judgement, collapsed, best)
        return Grouping(labels, strengths, report=report)

    def _by_kmeans(self, space: Space, progress: Progress) -> Grouping:
        labels = KMeans(n_clusters=self.n_clusters, seed=self.seed).cluster(space, progress).labels
        used = len(np.unique(labels))
        note = (
            f"Too few different items to train a head for {self.n_clusters} clusters; "
            "these are the clusters of k-means."
        )
        report = {"trained": False, "collapsed": False, "clusters_used": used, "note": note}
        return Grouping(labels, report=report)

    def _threads(self, dim: int) -> int:
        work = 2 * self.batch_size * self.heads * self.n_clusters * dim
        return 1 if work < _SMALL else available_threads()

    def _lesson(self, n: int) -> Lesson:
        an_epoch = max(1, n // self.batch_size)
        steps = min(_MOST_EPOCHS * an_epoch, _MOST_STEPS)
        if self.epochs is not None:
            steps = self.epochs * an_epoch
        return Lesson(steps, self.batch_size, self.beta, self.learning_rate, self.seed)

    def _starts(self, space: Space, device: "torch.device") -> "torch.Tensor":
        """Centroids of another start of k-means for each head, ``(heads, n_clusters, dim)``."""
        import torch

        random = np.random.default_rng(self.seed)
        most = max(_SAMPLE, _FEW * self.n_clusters)
        chosen = np.sort(random.permutation(len(space))[:most])
        sample = Space(unit_length(space.vectors[chosen] - middle(space.vectors)))
        starts = np.zeros((self.heads, self.n_clusters, space.dim), np.float32)
        for start, seed in zip(starts, random.integers(2**31, size=self.heads), strict=True):
            algorithm = KMeans(
                n_clusters=self.n_clusters, n_init=1, max_iter=_ITERATIONS, seed=int(seed)
            )
            np.add.at(start, algorithm.cluster(sample, silent).labels, sample.vectors)
            start[:] = unit_length(start)
        return torch.from_numpy(starts).to(device)

    def _collapsed(self, judgement: Judgement) -> np.ndarray:
        """Which heads have collapsed, shape ``(heads,)``."""
        uneven = judgement.entropy < _EVEN * math.log(self.n_clusters)
        return uneven | (judgement.used < self.n_clusters)

    def _report(self, judgement: Judgement, collapsed: np.ndarray, best: int) -> dict[str, Any]:
        used = int(judgement.used[best])
        report: dict[str, Any] = {
            "trained": True,
            "collapsed": bool(collapsed[best]),
            "clusters_used": used,
            "heads_collapsed": int(collapsed.sum()),
            "information": [round(float(nats), 4) for nats in judgement.information],
            "head": best,
        }
        if collapsed[best]:
            report["note"] = (
                f"Every head collapsed: the best one uses {used} of {self.n_clusters} clusters, or "
                "gives nearly all items to a few; ask for fewer clusters, or use k-means."
            )
        return report


def _best(judgement: Judgement, collapsed: np.ndarray) -> int:
    """The most informative head that has not collapsed; where all have, of those with the most
    clusters."""
    used = np.where(collapsed, judgement.used, judgement.used.max() + 1)
    return int(np.lexsort((judgement.information, used))[-1])
