"""Living with clusters: edits, undo, new samples."""

from collections import Counter
from datetime import datetime

import numpy as np
import pytest

import uvl_plugin as uvl
from uvl_plugin.adapter import vectors, writer
from uvl_plugin.adapter.clusterings import open_clustering


@pytest.fixture
def embedded(digits):
    uvl.embed(digits, uvl.Pixels(size=8), "emb")
    return digits


@pytest.fixture
def clustered(embedded):
    uvl.cluster(embedded, uvl.KMeans(n_clusters=6, seed=3), embeddings="emb", run_key="look")
    return embedded


def labels_of(dataset, field="cluster"):
    ids, labels = dataset.values(["id", f"{field}.label"])
    return dict(zip(ids, labels, strict=True))


def everything(dataset):
    """What stands in both fields and in the record."""
    values = dataset.values(["id", "cluster.label", "cluster.confidence", "cluster_fine.label"])
    return list(zip(*values, strict=True))


def assert_levels_agree(dataset):
    coarse, fine = dataset.values(["cluster.label", "cluster_fine.label"])
    parents = dict(zip(fine, coarse, strict=True))
    assert [parents[name] for name in fine] == coarse


def test_the_clusters_are_listed(clustered):
    clusters = uvl.clusters(clustered, "look")
    assert clusters.names == [f"look {number:02d}" for number in range(6)]
    assert clusters.sizes == Counter(labels_of(clustered).values())
    members = clustered.match({"cluster.label": "look 02"}).values("id")
    assert sorted(clusters.members("look 02")) == sorted(members)
    assert (clusters.field, clusters.n_noise, clusters.steps) == ("cluster", 0, [])


def test_renaming_changes_the_labels_of_the_members_only(clustered):
    before = labels_of(clustered)
    uvl.clusters(clustered, "look", who="ada").rename("look 01", "zeros")
    expected = {k: "zeros" if name == "look 01" else name for k, name in before.items()}
    assert labels_of(clustered) == expected
    assert_levels_agree(clustered)
    assert "zeros.00" in clustered.distinct("cluster_fine.label")
    record = clustered.get_run_info("look").config
    assert record.steps == ["renamed look 01 to zeros"]
    assert record.history["edits"][0]["who"] == "ada"
    assert record.history["edits"][0]["when"]


def test_merging_keeps_the_first_name(clustered):
    before = Counter(labels_of(clustered).values())
    uvl.clusters(clustered, "look").merge("look 03", "look 01", "look 05")
    after = Counter(labels_of(clustered).values())
    assert after["look 03"] == before["look 03"] + before["look 01"] + before["look 05"]
    assert set(after) == {"look 00", "look 02", "look 03", "look 04"}
    assert_levels_agree(clustered)


def test_splitting_makes_new_names_and_keeps_the_rest(clustered):
    before = labels_of(clustered)
    clusters = uvl.clusters(clustered, "look")
    clusters.split("look 00", 3)
    after = labels_of(clustered)
    own = {after[key] for key, name in before.items() if name == "look 00"}
    assert own == {"look 00", "look 06", "look 07"}
    assert all(after[key] == name for key, name in before.items() if name != "look 00")
    assert clusters.sizes["look 00"] >= clusters.sizes["look 06"]
    parts = clustered.match({"cluster.label": {"$in": sorted(own)}})
    assert min(parts.values("cluster.confidence")) > 0
    assert_levels_agree(clustered)


def test_moving_dissolving_and_clustering_a_selection_anew(clustered):
    clusters = uvl.clusters(clustered, "look")
    some = clustered.match({"cluster.label": "look 00"}).limit(5)
    moved = some.values("id")
    clusters.move(clustered.select(moved), "look 01")
    assert {labels_of(clustered)[key] for key in moved} == {"look 01"}
    clusters.dissolve("look 02")
    noise = clustered.match({"cluster.label": "look noise"})
    assert len(noise) == clusters.n_noise > 0
    assert set(noise.values("cluster.nearest")) <= set(clusters.names)
    assert min(noise.values("cluster.distance")) > 0
    clusters.recluster(noise.values("id"), 2)
    assert clusters.n_noise == 0
    assert {"look 06", "look 07"} <= set(clusters.names)
    assert clustered.exists("cluster.nearest").values("id") == []
    clusters.move(moved[:2], None)
    assert [labels_of(clustered)[key] for key in moved[:2]] == ["look noise"] * 2
    assert_levels_agree(clustered)


def test_every_edit_can_be_taken_back_and_done_again(clustered):
    states = [everything(clustered)]
    clusters = uvl.clusters(clustered, "look")
    edits = [
        lambda: clusters.rename("look 01", "ones"),
        lambda: clusters.merge("ones", "look 02"),
        lambda: clusters.split("ones", 2),
        lambda: clusters.dissolve("look 04"),
        lambda: clusters.move(clusters.members("look 00")[:3], "ones"),
        lambda: clusters.recut(3),
    ]
    for edit in edits:
        edit()
        states.append(everything(clustered))
    assert len(clusters.steps) == len(edits)
    clusters = uvl.clusters(clustered, "look")  # another process would open it like this
    for before in states[-2::-1]:
        clusters.undo()
        names = [(row[0], row[1], row[3]) for row in everything(clustered)]
        assert names == [(row[0], row[1], row[3]) for row in before]
    assert everything(clustered) == states[0]
    with pytest.raises(uvl.DataError, match="no edit to undo"):
        clusters.undo()
    for after in states[1:]:
        clusters.redo()
        assert [row[1] for row in everything(clustered)] == [row[1] for row in after]
    with pytest.raises(uvl.DataError, match="no undone edit"):
        clusters.redo()


def test_the_raw_labels_survive_all_edits(clustered):
    raw = open_clustering(clustered, "look").raw.labels
    clusters = uvl.clusters(clustered, "look")
    clusters.merge(*clusters.names)
    assert len(set(labels_of(clustered).values())) == 1
    assert (open_clustering(clustered, "look").raw.labels == raw).all()


def test_sliding_the_number_cuts_the_tree(clustered):
    clusters = uvl.clusters(clustered, "look")
    before = labels_of(clustered)
    for n_clusters in (3, 9, 1, 6):
        clusters.recut(n_clusters)
        assert len(set(labels_of(clustered).values())) == n_clusters
        assert len(clusters.steps) == 1
        assert_levels_agree(clustered)
    assert labels_of(clustered) == before
    with pytest.raises(uvl.DataError, match="can be cut into 1 to .*, got 0"):
        clusters.recut(0)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c.rename("nope", "x"), "no cluster 'nope'. Clusters: look 00, look 01"),
        (lambda c: c.rename("look 00", "look 01"), "'look 01' is the name of cluster 1 already"),
        (lambda c: c.merge("look 00"), "at least two different clusters"),
        (lambda c: c.split("look 00", 1), "in one piece"),
        (lambda c: c.move(["6" * 24], "look 00"), "not in this run"),
        (lambda c: c.split("look 00", "two"), "Say into how many parts"),
    ],
)
def test_an_edit_that_cannot_be_done_changes_nothing(clustered, edit, message):
    before = everything(clustered)
    with pytest.raises(uvl.UVLError, match=message):
        edit(uvl.clusters(clustered, "look"))
    assert everything(clustered) == before
    assert clustered.get_run_info("look").config.steps == []


def test_a_failure_while_writing_takes_the_edit_back(clustered, monkeypatch):
    before = everything(clustered)
    written, update = [], writer.update_clusters

    def fail_once(place, config, run_key, values, progress):
        update(place, config, run_key, values, progress)
        written.append(len(values))
        if len(written) == 1:
            raise OSError("the disk is full")

    monkeypatch.setattr(writer, "update_clusters", fail_once)
    with pytest.raises(OSError, match="disk is full"):
        uvl.clusters(clustered, "look").merge("look 00", "look 01")
    assert everything(clustered) == before
    assert uvl.clusters(clustered, "look").steps == []
    assert written == [written[0]] * 2


def test_a_rename_reads_no_vectors_and_writes_no_arrays(clustered, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a rename needs no vectors")

    kept = clustered._doc.runs["look"]
    before = kept.results.grid_id
    monkeypatch.setattr(vectors, "pages", refuse)
    uvl.clusters(clustered, "look").rename("look 01", "zeros")
    uvl.clusters(clustered, "look").undo()
    assert kept.results.grid_id == before
    monkeypatch.undo()
    uvl.clusters(clustered, "look").merge("look 00", "look 01")
    assert kept.results.grid_id != before
    assert not kept.results.fs.exists(before)


def test_a_rename_forgets_the_arrays_of_what_was_undone(clustered):
    clusters = uvl.clusters(clustered, "look")
    clusters.move(clusters.members("look 00")[:3], "look 01")
    clusters.undo()
    clusters.rename("look 01", "zeros")
    again = uvl.clusters(clustered, "look")
    assert again.steps == ["renamed look 01 to zeros"]
    assert again.sizes == clusters.sizes == Counter(labels_of(clustered).values())


def test_edits_are_listed_with_who_and_when(clustered):
    clusters = uvl.clusters(clustered, "look", who="ada")
    clusters.rename("look 01", "zeros")
    clusters.dissolve("look 02")
    clusters.undo()
    (edit,) = uvl.clusters(clustered, "look").edits
    assert (edit["said"], edit["who"]) == ("renamed look 01 to zeros", "ada")
    assert datetime.fromisoformat(edit["when"]).tzinfo is not None


def test_without_a_name_the_account_is_noted(clustered, monkeypatch):
    monkeypatch.setenv("LOGNAME", "bob")
    clusters = uvl.clusters(clustered, "look")
    clusters.dissolve("look 02")
    assert [edit["who"] for edit in clusters.edits] == ["bob"]


def test_an_edit_leaves_what_others_noted_in_the_record(clustered):
    clusters = uvl.clusters(clustered, "look")
    config = clustered.get_run_info("look").config
    config.evaluation = {"purity": 0.5}
    clustered.update_run_config("look", config)
    clusters.merge("look 00", "look 01")
    clustered.reload()
    assert clustered.get_run_info("look").config.evaluation == {"purity": 0.5}
    assert clustered.get_run_info("look").config.n_clusters == 5


def test_deleted_samples_do_not_hinder(clustered):
    gone = clustered.match({"cluster.label": "look 00"}).limit(3)
    clustered.delete_samples(gone)
    clusters = uvl.clusters(clustered, "look")
    clusters.split("look 00", 2)
    clusters.merge("look 01", "look 02")
    assert len(clustered.distinct("cluster.label")) == 6
    clusters.undo()
    clusters.undo()
    assert len(clustered.distinct("cluster.label")) == 6
    assert clusters.steps == []


def test_what_is_no_clustering_has_no_clusters(clustered):
    with pytest.raises(uvl.DataError, match="'embed_emb' is not a clustering.*Clusterings: look"):
        uvl.clusters(clustered, "embed_emb")
    with pytest.raises(uvl.DataError, match="no run 'nope'"):
        uvl.clusters(clustered, "nope")


@pytest.fixture
def halves(digits):
    """The first 150 digits are embedded and clustered, the rest are new."""
    old = digits.select(digits.shuffle(seed=1).limit(150).values("id"))
    uvl.embed(old, uvl.Pixels(size=8), "emb")
    uvl.cluster(old, uvl.KMeans(n_clusters=6), embeddings="emb", run_key="look")
    return digits, old


def test_new_samples_go_into_the_clusters_that_are_there(halves):
    digits, old = halves
    clusters = uvl.clusters(digits, "look")
    clusters.rename("look 00", "first")
    clusters.merge("first", "look 01")
    before = labels_of(old)
    done = uvl.assign(digits, "look")
    assert len(done.clusters) == len(done.strengths) == 50
    assert (done.n_known, done.n_missing) == (150, 0)
    assert labels_of(old) == before
    after = labels_of(digits)
    assert all(after[key] == name for key, name in done.clusters.items())
    assert set(done.clusters.values()) <= set(before.values())
    assert "first" in done.clusters.values()
    assert len(digits.exists("cluster_fine")) == 200
    assert_levels_agree(digits)
    labeller = uvl.load_model(run_key="look", dataset=digits)
    digits.apply_model(labeller, "again", progress=False)
    new = digits.select(list(done.clusters))
    assert new.values("again.label") == new.values("cluster.label")
    confidences = new.values("cluster.confidence")
    assert new.values("again.confidence") == pytest.approx(confidences, abs=1e-5)
    assert uvl.assign(digits, "look").n_known == 200


def test_vectors_of_another_network_are_not_assigned(halves):
    digits, old = halves
    uvl.embed(digits, uvl.Pixels(size=4), "emb", overwrite=True)
    with pytest.raises(uvl.DataError, match="now holds those of .*; cluster again"):
        uvl.assign(digits, "look")
    assert len(digits.exists("cluster")) == len(old)


def test_edits_after_assigning_take_the_new_samples_along(halves):
    digits, _ = halves
    uvl.assign(digits, "look")
    clusters = uvl.clusters(digits, "look")
    assert clusters.steps == ["assigned 50 items"]
    assert sum(clusters.sizes.values()) == 200
    clusters.merge(*clusters.names)
    assert len(set(labels_of(digits).values())) == 1
    clusters.undo()
    clusters.split("look 00", 2)
    clusters.recut(4)
    assert len(set(labels_of(digits).values())) == 4
    assert "look noise" not in labels_of(digits).values()


def test_drift_is_said(halves):
    digits, _ = halves
    calm = uvl.assign(digits, "look").drift
    assert not calm.recluster
    assert calm.far < 0.2
    strange = np.random.default_rng(0).normal(size=(40, 192)).astype(np.float32)
    new = digits.limit(40)
    uvl.cluster(
        digits.skip(40), uvl.KMeans(n_clusters=6), embeddings="emb", field="other", run_key="other"
    )
    digits.set_values("emb", dict(zip(new.values("id"), strange, strict=True)), key_field="id")
    drifted = uvl.assign(digits, "other").drift
    assert drifted.recluster
    assert drifted.far > 0.5
    assert drifted.advice.startswith("Re-cluster: ")


def test_a_failed_assignment_leaves_the_record_as_it_was(halves, monkeypatch):
    digits, _ = halves

    def fail(*args, **kwargs):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "write_labels", fail)
        with pytest.raises(OSError, match="disk is full"):
            uvl.assign(digits, "look")
    assert uvl.clusters(digits, "look").steps == []
    assert len(uvl.assign(digits, "look").clusters) == 50


def test_a_run_without_clusters_takes_nobody(embedded):
    uvl.cluster(embedded, uvl.HDBSCAN(min_cluster_size=200), embeddings="emb", run_key="look")
    with pytest.raises(uvl.DataError, match="found no clusters"):
        uvl.assign(embedded, "look")
