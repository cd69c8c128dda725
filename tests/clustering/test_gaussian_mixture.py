import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering import gaussian_mixture
from uvl_plugin.clustering.gaussian_mixture import GaussianMixture
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.progress import silent


def grouped(vectors, n_clusters=2, **settings):
    return GaussianMixture(n_clusters=n_clusters, **settings).cluster(Space(vectors), silent)


def two(n=600, apart=6.0, widths=((1.0, 1.0), (1.0, 1.0))):
    """Two normal distributions, and which each item is of."""
    truth = np.arange(n) % 2
    noise = np.random.default_rng(0).normal(size=(n, 2)) * np.array(widths)[truth]
    return (noise + truth[:, None] * [apart, 0]).astype(np.float32), truth


def test_strengths_are_the_posteriors():
    vectors, _ = two(4000, apart=3.0)
    found = grouped(vectors, covariance="spherical", regularization=1e-6)
    odds = 3.0 * vectors[:, 0] - 4.5  # log of the ratio of the densities, by hand
    posterior = 1 / (1 + np.exp(-np.abs(odds)))
    assert np.abs(found.strengths - posterior).mean() < 0.02
    assert adjusted_rand_score(odds > 0, found.labels) > 0.95


def test_a_wide_and_a_narrow_cluster_need_widths_of_their_own():
    vectors, truth = two(widths=((0.1, 0.1), (4.0, 4.0)), apart=1.0)
    own = adjusted_rand_score(truth, grouped(vectors, covariance="diag").labels)
    shared = adjusted_rand_score(truth, grouped(vectors, covariance="tied").labels)
    assert own > 0.8 > shared + 0.2


def test_many_items_are_fitted_on_a_sample_and_all_get_a_cluster(monkeypatch):
    monkeypatch.setattr(gaussian_mixture, "_MOST", 200)
    monkeypatch.setattr(gaussian_mixture, "_ROWS", 64)
    vectors, truth = two()
    found = grouped(vectors)
    assert adjusted_rand_score(truth, found.labels) > 0.98
    assert found.report["fitted_on"] == 200
    assert found.report["converged"]


def test_the_seed_chooses_the_starts():
    vectors = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    first, same, other = (grouped(vectors, 8, n_init=1, seed=seed).labels for seed in (0, 0, 1))
    assert (first == same).all()
    assert adjusted_rand_score(first, other) < 0.9


@pytest.mark.parametrize("shape", ["tied", "diag", "full", "spherical"])
def test_no_width_collapses(shape):
    vectors = np.repeat(np.eye(6, dtype=np.float32), [1, 1, 1, 5, 5, 5], axis=0)
    found = grouped(vectors, 6, covariance=shape)
    assert np.isfinite(found.strengths).all()
    assert len(set(found.labels)) > 1
