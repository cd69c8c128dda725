import os
import subprocess
import sys

import fiftyone as fo
import fiftyone.zoo as foz
import numpy as np
import pytest
from PIL import Image

import uvl_plugin as uvl
from uvl_plugin.adapter import zoo_source


@pytest.fixture
def embedded(digits):
    uvl.embed(digits, uvl.Pixels(size=8), "emb")
    return digits


def test_the_index_sorts_by_similarity(embedded):
    assert uvl.index(embedded, embeddings="emb", brain_key="sim").n_items == 200
    query = embedded.first()
    found = embedded.sort_by_similarity(query.id, k=10, brain_key="sim").values("label.label")
    assert found.count(query["label"].label) >= 8


def test_the_index_names_a_zoo_model_with_its_vectors(embedded, monkeypatch):
    monkeypatch.setattr(uvl.Pixels, "load", None)  # making an index loads no weights
    uvl.index(embedded, embeddings="emb", brain_key="sim")
    monkeypatch.undo()
    config = embedded.get_brain_info("sim").config
    assert config.model == zoo_source.register(uvl.Pixels(size=8))
    assert config.model_kwargs is None
    assert config.supports_prompts is False
    sample = embedded.last()
    model = embedded.load_brain_results("sim").get_model()
    assert model.embed_all([np.asarray(Image.open(sample.filepath))])[0] == pytest.approx(
        sample["emb"], abs=1e-5
    )
    with pytest.raises(ValueError, match="does not support prompts"):
        embedded.sort_by_similarity("seven", k=5, brain_key="sim")


def test_vectors_of_unknown_origin_have_no_model(embedded):
    embedded.clone_sample_field("emb", "foreign")
    field = embedded.get_field("foreign")
    field.info = None
    field.save()
    uvl.index(embedded, embeddings="foreign", brain_key="sim")
    assert embedded.get_brain_info("sim").config.model is None


SEARCH = """
import sys
import fiftyone as fo

found = fo.load_dataset(sys.argv[1]).sort_by_similarity("sunflower", k=10, brain_key="sim")
print("found", *found.values("label.label"))
"""


@pytest.fixture
def flowers(make_dataset, real_data):
    """12 flowers of each kind, with the vectors of a network that also reads texts."""
    paths = [
        path
        for folder in sorted((real_data / "images" / "flowers5").iterdir())
        for path in sorted(folder.glob("*.jpg"))[:12]
    ]
    dataset = make_dataset(paths, [path.parent.name for path in paths])
    folder = real_data / "weights" / "open_clip" / "uvl-mnv2-minitext"
    uvl.embed(dataset, uvl.OpenCLIP(model=str(folder)), "clip")
    return dataset


@pytest.mark.real_data
def test_text_search_in_this_process_and_in_another(flowers):
    uvl.index(flowers, embeddings="clip", brain_key="sim")
    config = flowers.get_brain_info("sim").config
    assert config.supports_prompts is True
    assert "text-embeddings" in foz.get_zoo_model(config.model).tags
    here = flowers.sort_by_similarity("sunflower", k=10, brain_key="sim").values("label.label")
    assert here.count("sunflowers") >= 6  # by chance 2
    environment = {
        **os.environ,
        "FIFTYONE_DATABASE_URI": fo.config.database_uri,
        "FIFTYONE_DATABASE_NAME": fo.config.database_name,
    }
    done = subprocess.run(
        [sys.executable, "-c", SEARCH, flowers.name],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["found", *here]


@pytest.mark.real_data
def test_the_app_searches_by_an_uploaded_image(flowers):
    """What the App's similarity panel does: it loads the model by its name alone."""
    uvl.index(flowers, embeddings="clip", brain_key="sim")
    sunflower = flowers.match(fo.ViewField("label.label") == "sunflowers").first()
    model = foz.load_zoo_model(flowers.get_brain_info("sim").config.model)
    vector = model.embed(np.asarray(Image.open(sunflower.filepath)))
    nearest = flowers.sort_by_similarity(vector, k=1, brain_key="sim").first()
    assert nearest.id == sunflower.id


def test_samples_without_a_vector_are_left_out(embedded):
    embedded.set_values("emb", dict.fromkeys(embedded.values("id")[:30]), key_field="id")
    assert uvl.index(embedded, embeddings="emb", brain_key="sim").n_items == 170
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
