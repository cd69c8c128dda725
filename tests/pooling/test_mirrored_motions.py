"""Clips whose frames tell nothing and whose order tells all: what each pooling makes of them."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from tests import motions
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.pooling.base import FramePath
from uvl_plugin.pooling.mean import Mean
from uvl_plugin.pooling.mean_deviation import MeanDeviation
from uvl_plugin.pooling.signature import Signature
from uvl_plugin.pooling.temporal import Temporal
from uvl_plugin.temporal.gru import TemporalGRU
from uvl_plugin.temporal.train import train_temporal

N_CLASSES = len(motions.NAMES)


@pytest.fixture(scope="module")
def clips():
    """360 clips as paths of small pictures, 16 x 16, and their classes."""
    drawn = list(motions.clips(motions.handwritten(), 60, seed=0))
    labels = np.array([label for label, _ in drawn])
    numbers = np.arange(1, motions.N_FRAMES + 1)
    return [
        FramePath(f"{place:03d}", numbers, motions.small(frames))
        for place, (_, frames) in enumerate(drawn)
    ], labels


def accuracy(pooling, paths, labels):
    """Share of clips in the right cluster, under the best matching of clusters and classes."""
    pooler = pooling.fit(lambda: iter(paths))
    keys = np.array([path.key for path in paths])
    embeddings = Embeddings(keys, np.stack([pooler(path) for path in paths]))
    result, _ = cluster_embeddings(embeddings, KMeans(n_clusters=N_CLASSES))
    table = np.zeros((N_CLASSES, N_CLASSES))
    np.add.at(table, (result.labels, labels), 1)
    return table[linear_sum_assignment(-table)].sum() / len(labels)


@pytest.mark.parametrize("pooling", [Mean(), MeanDeviation()])
def test_means_cannot_tell_a_motion_from_its_mirror(pooling, clips):
    assert accuracy(pooling, *clips) < 0.6


def test_the_signature_tells_them_apart(clips):
    assert accuracy(Signature(), *clips) > 0.97


def test_the_trained_encoder_tells_most_apart(clips):
    paths, labels = clips
    train_temporal(lambda: iter(paths), TemporalGRU(), name="motions", device="cpu")
    assert accuracy(Temporal(encoder="motions"), paths, labels) > 0.85
