"""Evaluating, scoring, explaining and comparing clusters of a dataset."""

import json

import fiftyone as fo
import numpy as np
import pytest

import uvl_plugin as uvl
from uvl_plugin.clustering.scores import SCORES


@pytest.fixture
def clustered(digits):
    uvl.embed(digits, uvl.Pixels(size=8), "emb")
    uvl.cluster(digits, uvl.KMeans(n_clusters=10, seed=3), embeddings="emb", run_key="look")
    return digits


def test_an_evaluation_has_figures_with_labels_and_without(clustered, tmp_path):
    file = tmp_path / "new" / "evaluation.json"
    found = uvl.evaluate(clustered, "cluster", ground_truth="label", stability=True, path=file)
    assert (found.n_items, found.n_clusters, found.n_noise) == (200, 10, 0)
    assert 0.6 < found.held_out.one_to_one <= found.agreement.accuracy + 0.05
    assert {row.name for row in found.classes} == set("0123456789")
    assert found.separation.silhouette > 0.1
    assert min(found.stability.seeds) > 0.5
    assert [row.name for row in found.clusters] == [f"look {number:02d}" for number in range(10)]
    assert json.loads(file.read_text())["agreement"]["nmi"] == found.agreement.nmi
    assert "accuracy" in str(found)


def test_an_evaluation_of_a_view_counts_only_its_samples(clustered):
    view = clustered.match({"label.label": {"$in": ["0", "1", "4"]}})
    found = uvl.evaluate(view, "cluster", ground_truth="label")
    assert (found.n_items, found.agreement.n_classes) == (60, 3)


def test_labels_of_anything_else_can_be_evaluated_too(clustered):
    wrong = [
        label if number % 4 else "7" for number, label in enumerate(clustered.values("label.label"))
    ]
    clustered.set_values("guess", [fo.Classification(label=label) for label in wrong])
    found = uvl.evaluate(clustered, "guess", ground_truth="label")
    assert 0.7 < found.agreement.accuracy < 0.85
    assert found.separation is None


def test_edits_change_what_is_evaluated(clustered):
    before = uvl.evaluate(clustered, "cluster", ground_truth="label").agreement.accuracy
    clusters = uvl.clusters(clustered, "look")
    clusters.merge(*clusters.names)
    after = uvl.evaluate(clustered, "cluster", ground_truth="label")
    assert after.agreement.accuracy == 0.1 < before
    assert after.n_clusters == 1


def test_a_wrong_label_is_found(clustered):
    wrong = clustered.match({"label.label": "0"}).first()
    wrong["label"].label = "1"
    wrong.save()
    found = uvl.evaluate(clustered, "cluster", ground_truth="label")
    suspect = next(each for each in found.suspects if each.id == wrong.id)
    assert (suspect.given, suspect.suggested) == ("1", "0")


def test_scores_are_attributes_of_the_labels(clustered):
    values = uvl.score(clustered.limit(150), "look")
    assert set(values) == set(SCORES)
    clustered.reload()
    for name, by_id in values.items():
        ids, written = clustered.values(["id", f"cluster.{name}"])
        assert dict(zip(ids[:150], written[:150], strict=True)) == pytest.approx(by_id)
        assert set(written[150:]) == {None}
    margins, strengths = (
        np.array(clustered.limit(150).values(f"cluster.{name}"))
        for name in ("margin", "confidence")
    )
    assert np.corrcoef(margins, strengths)[0, 1] > 0.5
    uvl.clusters(clustered, "look").rename("look 00", "loops")
    assert None not in clustered.limit(150).values("cluster.margin")


def test_stability_reads_the_images_and_leaves_out_bad_ones(clustered, bad_files):
    bad = clustered.last()
    bad.filepath = str(bad_files["truncated"])
    bad.save()
    (values,) = uvl.score(clustered, "look", "stability", views=4).values()
    assert len(values) == 199
    assert bad.id not in values
    assert set(values.values()) <= {0.0, 0.25, 0.5, 0.75, 1.0}
    assert 0.2 < np.mean(list(values.values())) < 0.9


def test_what_cannot_be_scored_is_refused(clustered):
    with pytest.raises(uvl.SettingsError, match="no figure 'beauty'.*margin, .*stability"):
        uvl.score(clustered, "look", "beauty")
    with pytest.raises(uvl.DataError, match="no run 'nope'"):
        uvl.score(clustered, "nope")
    new = clustered.add_sample(fo.Sample(filepath=clustered.first().filepath))
    uvl.embed(clustered, uvl.Pixels(size=8), "emb")
    with pytest.raises(uvl.DataError, match="None of the images is in the run 'look'"):
        uvl.score(clustered.select(new), "look", "margin")


def test_a_cluster_is_explained(clustered, bad_files):
    found = uvl.explain(clustered, "look 03", count=4, heatmap="why")
    members = set(clustered.match({"cluster.label": "look 03"}).values("id"))
    assert set(found.shown) <= members
    assert found.shown[0] == found.members.medoid
    assert [len(found.members.nearest), len(found.members.boundary)] == [4, 4]
    assert sorted(found.heatmaps) == sorted(found.shown)
    maps = clustered.exists("why")
    assert set(maps.values("id")) == set(found.shown)
    assert all(sample["why"].range == [0, 255] for sample in maps)
    assert str(found).startswith(f"look 03 has {len(members)} members")
    assert f"The next cluster is {found.next_cluster}" in str(found)
    bad = clustered[found.members.medoid]
    bad.filepath = str(bad_files["empty file"])
    bad.save()
    again = uvl.explain(clustered, "look 03", count=4, heatmap="why")
    assert list(again.failures) == [bad.id]
    assert len(again.heatmaps) == len(again.shown) - 1


def test_a_renamed_cluster_is_explained_by_its_name(clustered):
    uvl.clusters(clustered, "look").rename("look 03", "loops")
    assert uvl.explain(clustered, "loops", count=2).heatmaps == []
    with pytest.raises(uvl.DataError, match="No clustering .* has a cluster 'look 03'"):
        uvl.explain(clustered, "look 03")
    with pytest.raises(uvl.DataError, match="no cluster 'look 03'"):
        uvl.explain(clustered, "look 03", run_key="look")
    with pytest.raises(uvl.DataError, match="'label' is a field of another kind"):
        uvl.explain(clustered, "loops", heatmap="label")


def test_runs_are_compared_with_their_edits(clustered):
    uvl.cluster(
        clustered,
        uvl.KMeans(n_clusters=10, seed=3),
        embeddings="emb",
        field="again",
        run_key="again",
    )
    assert uvl.compare(clustered, "look", "again").ari == 1
    uvl.clusters(clustered, "again").merge("again 00", "again 01")
    found = uvl.compare(clustered, "look", "again")
    assert found.ari < 1
    (merged,) = found.merged
    assert {name for name, _ in merged.pieces} == {"look 00", "look 01"}
    with pytest.raises(uvl.DataError, match="no run 'nope'"):
        uvl.compare(clustered, "look", "nope")
