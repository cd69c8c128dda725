import numpy as np
import pytest

import uvl_plugin as uvl


@pytest.fixture
def embedded(digits):
    uvl.embed(digits, uvl.Pixels(size=8), "emb")
    return digits


def test_the_index_sorts_by_similarity(embedded):
    assert uvl.index(embedded, embeddings="emb", brain_key="sim") == 200
    query = embedded.first()
    found = embedded.sort_by_similarity(query.id, k=10, brain_key="sim").values("label.label")
    assert found.count(query["label"].label) >= 8


def test_samples_without_a_vector_are_left_out(embedded):
    embedded.set_values("emb", dict.fromkeys(embedded.values("id")[:30]), key_field="id")
    assert uvl.index(embedded, embeddings="emb", brain_key="sim") == 170
    assert uvl.visualize(embedded, embeddings="emb", brain_key="map", method="pca") == 170
    kept = embedded.load_brain_results("map").sample_ids
    assert set(kept) == set(embedded.values("id")[30:])


@pytest.mark.parametrize("method", ["umap", "tsne", "pca"])
def test_the_map_keeps_digits_together(embedded, method):
    uvl.visualize(embedded, embeddings="emb", brain_key="map", method=method, seed=1)
    results = embedded.load_brain_results("map")
    labels = dict(zip(*embedded.values(["id", "label.label"]), strict=True))
    digits = np.array([labels[key] for key in results.sample_ids])
    distances = np.linalg.norm(results.points[:, None] - results.points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    same = np.mean(digits[distances.argmin(axis=1)] == digits)
    assert results.points.shape == (200, 2)
    assert same > (0.4 if method == "pca" else 0.8)


def test_the_map_repeats_with_its_seed(embedded):
    for brain_key in ("one", "two"):
        uvl.visualize(embedded, embeddings="emb", brain_key=brain_key, seed=4)
    one, two = (embedded.load_brain_results(key).points for key in ("one", "two"))
    assert np.array_equal(one, two)


def test_a_taken_key_is_refused_unless_overwritten(embedded):
    uvl.index(embedded, embeddings="emb", brain_key="key")
    for verb in (uvl.index, uvl.visualize):
        with pytest.raises(uvl.DataError, match="There is a brain run 'key' already"):
            verb(embedded, embeddings="emb", brain_key="key")
    uvl.visualize(embedded, embeddings="emb", brain_key="key", method="pca", overwrite=True)
    assert embedded.get_brain_info("key").config.type == "visualization"


def test_a_failure_leaves_no_key(embedded, monkeypatch):
    import fiftyone.core.brain as focb

    def fail(*args, **kwargs):
        raise OSError("the disk is full")

    monkeypatch.setattr(focb.BrainMethod, "save_run_results", fail)
    for verb in (uvl.index, uvl.visualize):
        with pytest.raises(OSError, match="disk is full"):
            verb(embedded, embeddings="emb", brain_key="key")
        assert embedded.list_brain_runs() == []


def test_wrong_arguments(embedded):
    with pytest.raises(uvl.SettingsError, match="method must be one of umap, tsne, pca"):
        uvl.visualize(embedded, embeddings="emb", brain_key="map", method="mds")
    with pytest.raises(uvl.DataError, match="no vector field 'nope'"):
        uvl.index(embedded, embeddings="nope", brain_key="sim")


def test_explore_does_the_whole_chain(digits):
    seen = []
    found = uvl.explore(
        digits, algorithm=uvl.KMeans(n_clusters=10), map_method="pca",
        progress=lambda fraction, message: seen.append((fraction, message)),
    )  # fmt: skip
    assert digits.get_run_info("embed_explore_embedding").config.backbone == "pixels"
    assert set(digits.count_values("explore_cluster.label")) == {
        f"explore {n:02d}" for n in range(10)
    }
    assert digits.list_brain_runs() == ["explore_index", "explore_map"]
    assert set(found.seconds) == {"embed", "cluster", "index", "map"}
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert all(message for _, message in seen)


def test_explore_refuses_a_taken_name_and_overwrites_when_told(digits):
    uvl.explore(digits, map_method="pca")
    with pytest.raises(uvl.DataError, match="There is a run 'explore' already"):
        uvl.explore(digits, map_method="pca")
    uvl.explore(digits, algorithm=uvl.KMeans(n_clusters=2), map_method="pca", overwrite=True)
    assert len(digits.distinct("explore_cluster.label")) == 2


def test_explore_leaves_only_vectors_when_a_later_stage_fails(digits, monkeypatch):
    def fail(*args, **kwargs):
        raise uvl.Cancelled("stopped")

    monkeypatch.setattr("uvl_plugin.adapter.brain.write_map", fail)
    with pytest.raises(uvl.Cancelled):
        uvl.explore(digits)
    assert digits.list_brain_runs() == []
    assert digits.list_runs() == ["embed_explore_embedding"]
    assert not digits.has_field("explore_cluster")
