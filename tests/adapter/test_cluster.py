import json
import os
import subprocess
import sys

import fiftyone as fo
import numpy as np
import pytest

import uvl_plugin as uvl
from uvl_plugin.adapter import writer
from uvl_plugin.adapter.runs import ClusteringRunConfig, ClusteringRunResults

KMEANS = uvl.KMeans(n_clusters=10, seed=3)


@pytest.fixture
def embedded(digits):
    uvl.embed(digits, uvl.Pixels(size=8), "emb")
    return digits


def run(samples, algorithm=KMEANS, **changes):
    arguments = {"embeddings": "emb", "field": "cluster", "run_key": "look", **changes}
    return uvl.cluster(samples, algorithm, **arguments)


def clusters_of(dataset, field="cluster"):
    ids, labels = dataset.values(["id", f"{field}.label"])
    return dict(zip(ids, labels, strict=True))


def test_labels_are_written_by_id(embedded):
    result = run(embedded.shuffle(seed=5))
    expected = {
        key: f"look {label:02d}" for key, label in zip(result.ids, result.labels, strict=True)
    }
    assert clusters_of(embedded) == expected
    strengths = dict(zip(result.ids, result.strengths, strict=True))
    for sample in embedded:
        assert sample["cluster"].confidence == pytest.approx(float(strengths[sample.id]))
    assert result.n_clusters == 10
    assert result.sizes == sorted(result.sizes, reverse=True)
    evaluation = uvl.evaluate(embedded, "cluster", ground_truth="label")
    assert evaluation.agreement.accuracy > 0.7


def test_a_sample_without_vector_gets_no_cluster_and_moves_nobody_elses(embedded):
    without = embedded.values("id")[17]
    run(embedded.exclude([without]), field="expected", run_key="expected")
    embedded.set_values("emb", {without: None}, key_field="id")
    result = run(embedded)
    assert result.n_missing == 1
    found = clusters_of(embedded)
    assert found.pop(without) is None
    expected = clusters_of(embedded, "expected")
    expected.pop(without)
    assert {key: label.split()[1] for key, label in found.items()} == {
        key: label.split()[1] for key, label in expected.items()
    }


def test_a_vector_with_nan_counts_as_missing(embedded):
    bad = embedded.values("id")[3]
    embedded.set_values("emb", {bad: np.full(192, np.nan, np.float32)}, key_field="id")
    assert run(embedded).n_missing == 1
    assert clusters_of(embedded)[bad] is None


def test_noise_is_a_label_that_names_the_nearest_cluster(embedded):
    result = run(embedded, uvl.HDBSCAN(min_cluster_size=5))
    noise = embedded.match({"cluster.label": "look noise"})
    nearest, distances = noise.values(["cluster.nearest", "cluster.distance"])
    assert set(nearest) <= {f"look {number:02d}" for number in range(result.n_clusters)}
    assert min(distances) > 0
    assert noise.values("cluster.confidence") == [0.0] * len(noise)
    assert set(noise.values("cluster_fine.label")) == {"look noise"}
    assert embedded.exclude(noise).values("cluster.nearest") == [None] * (200 - len(noise))
    assert embedded.has_field("cluster.nearest")
    assert result.n_noise > 0
    counts = embedded.count_values("cluster.label")
    assert counts["look noise"] == result.n_noise
    assert max(counts) == "look noise"
    assert sum(counts.values()) == 200


def test_the_field_is_indexed(embedded):
    run(embedded)
    assert "cluster.label" in embedded.list_indexes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"field": "fresh"}, "There is a run 'look' already"),
        ({"run_key": "fresh"}, "'cluster' was written by run 'look'"),
        ({"field": "label", "run_key": "fresh"}, "'label' was written by something else"),
        ({"field": "filepath", "run_key": "fresh"}, "field of another kind"),
        ({"run_key": "no key", "field": "fresh"}, "'no key' cannot be a key"),
        ({"embeddings": "nope", "run_key": "fresh"}, "no vector field 'nope'.*emb"),
    ],
)
def test_what_is_taken_is_refused_before_work(embedded, monkeypatch, changes, message):
    run(embedded)
    before = clusters_of(embedded)
    monkeypatch.setattr("uvl_plugin.api.cluster_embeddings", pytest.fail)
    with pytest.raises(uvl.DataError, match=message):
        run(embedded, **changes)
    assert clusters_of(embedded) == before
    assert embedded.list_runs() == ["embed_emb", "look"]


def test_overwriting_replaces_the_run_and_what_it_wrote(embedded):
    run(embedded)
    run(embedded.take(50, seed=1), uvl.KMeans(n_clusters=3), overwrite=True)
    assert len(set(embedded.count_values("cluster.label")) - {None}) == 3
    assert len(embedded.exists("cluster")) == 50
    assert embedded.get_run_info("look").config.settings["n_clusters"] == 3


def test_overwriting_a_field_removes_the_run_that_wrote_it(embedded):
    run(embedded)
    run(embedded, run_key="other", overwrite=True)
    assert embedded.list_runs() == ["embed_emb", "other"]
    assert set(clusters_of(embedded).values()) == {f"other {n:02d}" for n in range(10)}


def test_deleting_the_run_removes_what_it_wrote(embedded):
    run(embedded)
    embedded.delete_run("look")
    assert not embedded.has_field("cluster")
    assert "cluster.label" not in embedded.list_indexes()
    assert embedded.list_runs() == ["embed_emb"]


@pytest.mark.parametrize(
    "broken", ["add_sample_field", "rename_sample_field", "create_index", "save_run_results"]
)
def test_a_failure_leaves_nothing_behind(embedded, monkeypatch, broken):
    def fail(*args, **kwargs):
        raise OSError("the disk is full")

    schema = set(embedded.get_field_schema())
    with monkeypatch.context() as patch:
        patch.setattr(fo.Dataset, broken, fail)
        with pytest.raises(OSError, match="disk is full"):
            run(embedded)
    embedded.reload()
    assert set(embedded.get_field_schema()) == schema
    assert embedded.list_runs() == ["embed_emb"]
    assert run(embedded).n_clusters == 10


def test_a_failure_while_overwriting_keeps_the_earlier_run(embedded, monkeypatch):
    run(embedded)
    before = clusters_of(embedded)

    def fail(*args, **kwargs):
        raise uvl.Cancelled("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "_ROWS", 50)
        patch.setattr(writer, "write_rows", fail)
        with pytest.raises(uvl.Cancelled):
            run(embedded, overwrite=True)
    assert clusters_of(embedded) == before
    assert isinstance(embedded.load_run_results("look"), ClusteringRunResults)


def test_the_record_says_what_was_asked_and_what_came_out(embedded):
    result = run(embedded)
    record = embedded.get_run_info("look").config
    assert isinstance(record, ClusteringRunConfig)
    assert record.method == "uvl/kmeans"
    assert record.settings == KMEANS.to_dict()
    assert (record.n_items, record.n_missing, record.n_noise) == (200, 0, 0)
    assert record.sizes == result.sizes
    assert record.versions["python"]
    assert set(record.seconds) == {"read", "cluster"}
    assert embedded.list_runs(method="uvl/kmeans") == ["look"]


def test_another_process_loads_the_record_with_its_class(embedded):
    run(embedded)
    program = """
import fiftyone as fo, json, sys
dataset = fo.load_dataset(sys.argv[1])
results = dataset.load_run_results("look")
print(json.dumps([type(results).__name__, type(results.config).__module__,
    results.model.centroids.shape, results.config.n_clusters]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, embedded.name],
        capture_output=True, text=True, check=True, cwd=os.path.dirname(uvl.__path__[0]),
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1]) == [
        "ClusteringRunResults", "uvl_plugin.adapter.runs", [10, 64], 10,
    ]  # fmt: skip


def test_evaluate_leaves_out_samples_that_lack_either(embedded):
    run(embedded.limit(150))
    embedded.limit(10).set_field("label", None).save()
    found = uvl.evaluate(embedded, "cluster", ground_truth="label")
    assert (found.n_items, found.n_unlabelled) == (150, 10)
    assert found.agreement.n_items == 140
    with pytest.raises(uvl.DataError, match="has no field 'nope'"):
        uvl.evaluate(embedded, "cluster", ground_truth="nope")
    with pytest.raises(uvl.DataError, match="must be a Classification or a field of plain values"):
        uvl.evaluate(embedded, "cluster", ground_truth="emb")
    with pytest.raises(uvl.DataError, match="None of the images has a cluster"):
        uvl.evaluate(embedded.skip(150), "cluster", ground_truth="label")


def test_a_second_field_has_the_fine_level_inside_the_clusters(embedded):
    result = run(embedded)
    assert "cluster_fine.label" in embedded.list_indexes()
    pairs = set(zip(*embedded.values(["cluster.label", "cluster_fine.label"]), strict=True))
    assert len(pairs) == len(np.unique(result.fine)) > 10
    assert all(fine.startswith(f"{coarse}.") for coarse, fine in pairs)
    record = embedded.get_run_info("look").config
    assert (record.level, record.level_field) == ("fine", "cluster_fine")
    assert len(record.tree["merges"]) == len(pairs) - 1


def test_more_clusters_than_the_app_can_colour_get_a_coarse_level(embedded):
    run(embedded, uvl.KMeans(n_clusters=120, n_init=1))
    assert len(embedded.distinct("cluster.label")) == 120
    coarse = embedded.distinct("cluster_coarse.label")
    assert 1 < len(coarse) <= 100
    assert coarse[0] == "look group 00"
    pairs = set(zip(*embedded.values(["cluster.label", "cluster_coarse.label"]), strict=True))
    assert len(pairs) == 120
    run(embedded, overwrite=True)
    assert not embedded.has_field("cluster_coarse")
    assert embedded.has_field("cluster_fine")


@pytest.mark.parametrize("level", ["fine", "coarse"])
def test_a_field_of_another_kind_in_the_place_of_a_level_is_refused(embedded, level):
    embedded.add_sample_field(f"cluster_{level}", fo.StringField)
    with pytest.raises(uvl.DataError, match=f"'cluster_{level}' is a field of another kind"):
        run(embedded)


def test_without_an_algorithm_the_number_is_found(embedded):
    assert 8 <= run(embedded, None).n_clusters <= 12
    record = embedded.get_run_info("look").config
    assert record.algorithm == "auto"
    assert record.report["opinions"]


def test_clusters_that_are_still_the_same_keep_their_names(embedded):
    run(embedded)
    uvl.clusters(embedded, "look").rename("look 04", "loops")
    before = clusters_of(embedded)
    run(embedded, uvl.KMeans(n_clusters=10, seed=8), overwrite=True)
    after = clusters_of(embedded)
    assert "loops" in after.values()
    same = np.mean([after[key] == name for key, name in before.items()])
    assert same > 0.8
    run(embedded, uvl.KMeans(n_clusters=10, seed=9), field="again", run_key="again", like="look")
    names = {name.replace("again", "look") for name in clusters_of(embedded, "again").values()}
    assert len(names & set(after.values())) >= 7
    with pytest.raises(uvl.DataError, match="no run 'nope'. Clusterings: again, look"):
        run(embedded, field="third", run_key="third", like="nope")
