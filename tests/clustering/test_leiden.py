import sys

import numpy as np
import pytest
from sklearn.datasets import make_circles
from sklearn.metrics import adjusted_rand_score

from uvl_plugin.clustering.leiden import Leiden
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.errors import MissingPackageError
from uvl_plugin.core.progress import silent


def grouped(vectors, **settings):
    return Leiden(**settings).cluster(Space(vectors.astype(np.float32)), silent)


def near_groups(n_groups=4, size=150):
    """Groups that neighbours connect."""
    truth = np.repeat(np.arange(n_groups), size)
    noise = np.random.default_rng(0).normal(size=(len(truth), 5))
    return 4.0 * np.eye(5)[truth] + noise, truth


def test_the_number_of_groups_is_found():
    vectors, truth = near_groups()
    found = grouped(vectors)
    assert len(set(found.labels)) == 4
    assert adjusted_rand_score(truth, found.labels) > 0.9


def test_one_group_stays_whole_and_modularity_at_one_shatters_it():
    vectors = np.random.default_rng(0).normal(size=(400, 16))
    assert len(set(grouped(vectors).labels)) == 1
    assert len(set(grouped(vectors, resolution=1.0).labels)) >= 4


def test_groups_that_nothing_connects_are_found_at_any_resolution():
    vectors = np.repeat([[0, 0], [500, 0], [0, 500]], 40, axis=0)
    vectors = vectors + np.random.default_rng(0).normal(size=vectors.shape)
    for resolution in (0.0, 0.2):
        assert len(set(grouped(vectors, resolution=resolution).labels)) == 3


def test_groups_need_not_be_round():
    points, truth = make_circles(400, factor=0.4, noise=0.03, random_state=0)
    labels = grouped(points, resolution=0.001).labels
    assert adjusted_rand_score(truth, labels) > 0.99


def test_the_seed_chooses_the_order():
    vectors = np.random.default_rng(0).normal(size=(300, 4))
    runs = [grouped(vectors, resolution=2.0, seed=seed).labels for seed in (0, 0, 1)]
    assert (runs[0] == runs[1]).all()
    assert adjusted_rand_score(runs[0], runs[2]) < 1


def test_the_message_names_the_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "sknetwork", None)
    with pytest.raises(MissingPackageError, match="Leiden needs .*'scikit-network'"):
        grouped(near_groups()[0])
