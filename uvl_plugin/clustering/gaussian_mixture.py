"""Gaussian mixture: clusters as bell-shaped densities, each with its own width."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.clustering.base import Clusterer, clusterers
from uvl_plugin.clustering.space import Grouping, Space
from uvl_plugin.clustering.spread import alike, spread
from uvl_plugin.core.progress import Progress
from uvl_plugin.core.settings import setting

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture as Mixture

_MOST = 50_000  # items that the densities are fitted to
_ROWS = 16_384  # items that are given to the densities at a time


@clusterers.register
@dataclass(frozen=True, kw_only=True)
class GaussianMixture(Clusterer):
    """Fits ``n_clusters`` normal distributions by expectation and maximisation.

    An item belongs to the distribution that most likely made it, and as firmly as this is
    likely (the posterior). More than 50,000 items are fitted on a sample of that many, and then
    all are given to the distributions found.

    Source: A. Dempster, N. Laird, D. Rubin, "Maximum Likelihood from Incomplete Data via the EM
    Algorithm", J. R. Stat. Soc. B 39 (1977), page 1.
    """

    name, label = "gaussian_mixture", "Gaussian mixture"
    description = "Clusters of differing widths that overlap; every item has a probability."

    n_clusters: int = setting(10, ge=1, le=1000, help="How many distributions to fit.")
    covariance: str = setting(
        "tied",
        choices=("tied", "diag", "full", "spherical"),
        help="Shape of a cluster. tied: one shape for all; diag: its own width along each "
        "component; full: a shape of its own, needs many items; spherical: one width.",
    )
    regularization: float = setting(
        0.01,
        ge=1e-6,
        le=1.0,
        help="Share of the mean variance that is added to each variance, so that none collapses.",
    )
    n_init: int = setting(
        5, ge=1, le=100, label="Starts", help="Independent starts; the likeliest is kept."
    )
    seed: int = setting(0, ge=0, le=2**31 - 1, help="Seed of the starts and of the sample.")

    def cluster(self, space: Space, progress: Progress) -> Grouping:
        n = len(space)
        progress(0.0, f"Gaussian mixture, {self.n_clusters} clusters, {n} vectors")
        if alike(space.vectors):
            return Grouping(np.zeros(n, np.int64), np.ones(n))
        mixture = self._fitted(space.vectors)
        progress(0.9, "posterior of each item")
        labels, strengths = _posteriors(mixture, space.vectors)
        return Grouping(labels, strengths, report=_report(mixture, n))

    def _fitted(self, vectors: np.ndarray) -> "Mixture":
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture as Mixture

        mixture = Mixture(
            min(self.n_clusters, len(vectors)),
            covariance_type=self.covariance,
            reg_covar=self.regularization * spread(vectors) ** 2 / vectors.shape[1],
            n_init=self.n_init,
            random_state=self.seed,
        )
        random = np.random.default_rng(self.seed)
        chosen = np.sort(random.permutation(len(vectors))[:_MOST])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the report says it
            return mixture.fit(vectors[chosen].astype(np.float64))


def _posteriors(mixture: "Mixture", vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels = np.empty(len(vectors), np.int64)
    strengths = np.empty(len(vectors))
    for start in range(0, len(vectors), _ROWS):
        rows = slice(start, start + _ROWS)
        shares = mixture.predict_proba(vectors[rows].astype(np.float64))
        labels[rows], strengths[rows] = shares.argmax(axis=1), shares.max(axis=1)
    return labels, strengths


def _report(mixture: "Mixture", n: int) -> dict[str, Any]:
    return {
        "converged": bool(mixture.converged_),
        "log_likelihood": float(mixture.lower_bound_),
        "fitted_on": min(n, _MOST),
    }
