import numpy as np
import pytest

from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.prepare import Preparation
from uvl_plugin.curation.remodel import remodelled

AS_THEY_ARE = Preparation(normalize=False)


@pytest.fixture
def three():
    """Vectors around three points, their clusters, and the model of these."""
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 40)
    vectors = (8 * np.eye(3)[labels] + random.normal(size=(120, 3))).astype(np.float32)
    return vectors, labels, ClusterModel.of(AS_THEY_ARE, vectors, labels, labels, metric="cosine")


def reader(vectors):
    """Gives vectors of rows, and notes which were asked for."""
    asked = []

    def read(rows):
        asked.extend(rows.tolist())
        return vectors[rows]

    return read, asked


def test_without_edits_the_model_stays_and_nothing_is_read(three):
    vectors, labels, model = three
    read, asked = reader(vectors)
    found = remodelled(model, labels, labels, read)
    assert asked == []
    assert (found.model.centroids == model.centroids).all()
    assert found.model.owners.tolist() == [0, 1, 2]


def test_merged_and_dissolved_parts_change_their_owner_and_nothing_is_read(three):
    vectors, labels, model = three
    read, asked = reader(vectors)
    edited = np.array([5, 5, -1])[labels]
    found = remodelled(model, labels, edited, read)
    assert asked == []
    assert found.model.owners.tolist() == [5, 5, -1]
    assert (found.model.assign(vectors)[0] == edited).all()


def test_pieces_of_a_part_get_means_of_their_own(three):
    vectors, labels, model = three
    read, asked = reader(vectors)
    edited = labels.copy()
    edited[(labels == 1) & (vectors[:, 0] > 0)] = 3
    found = remodelled(model, labels, edited, read)
    assert asked == np.flatnonzero(labels == 1).tolist()
    assert sorted(found.model.owners.tolist()) == [0, 1, 2, 3]
    for number in (1, 3):
        centroid = found.model.centroids[found.model.owners == number]
        assert centroid[0] == pytest.approx(vectors[edited == number].mean(axis=0), abs=1e-5)
    assert np.mean(found.model.assign(vectors)[0] == edited) > 0.9
    assert (found.prepared == vectors[found.rows]).all()


def test_a_few_moved_items_leave_a_part_whole(three):
    vectors, labels, model = three
    read, asked = reader(vectors)
    edited = labels.copy()
    edited[:2] = 2
    found = remodelled(model, labels, edited, read)
    assert asked == []
    assert found.model.owners.tolist() == [0, 1, 2]


def test_what_was_made_of_noise_gets_a_part(three):
    vectors, labels, _ = three
    parts = np.where(labels == 2, -1, labels)
    model = ClusterModel.of(AS_THEY_ARE, vectors, parts, parts, metric="euclidean")
    read, asked = reader(vectors)
    edited = np.where(labels == 2, 7, labels)
    found = remodelled(model, parts, edited, read)
    assert asked == np.flatnonzero(labels == 2).tolist()
    assert (found.model.assign(vectors)[0] == edited).all()


def test_noise_that_joins_a_cluster_needs_no_part(three):
    vectors, labels, _ = three
    parts = labels.copy()
    parts[:3] = -1
    model = ClusterModel.of(AS_THEY_ARE, vectors, parts, parts, metric="euclidean")
    read, asked = reader(vectors)
    found = remodelled(model, parts, labels, read)
    assert asked == []
    assert found.model.owners.tolist() == [0, 1, 2]


def test_a_new_cluster_of_a_few_items_gets_a_part_and_the_others_stay(three):
    vectors, labels, model = three
    read, asked = reader(vectors)
    edited = labels.copy()
    edited[[0, 80]] = 3
    found = remodelled(model, labels, edited, read)
    assert asked == [0, 80]
    assert sorted(set(found.model.owners.tolist())) == [0, 1, 2, 3]
    assert (found.model.centroids[:3] == model.centroids).all()
