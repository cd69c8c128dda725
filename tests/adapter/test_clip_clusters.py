"""Clusters of clips and of objects: attributes of these labels, by which FiftyOne filters."""

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F

import uvl_plugin as uvl
from tests.adapter.kinds import make_kind

NOISY = uvl.HDBSCAN(min_cluster_size=5)


@pytest.fixture(params=["clips", "objects"])
def labels(request):
    made = make_kind(request.param)
    yield made
    made.dataset.delete()


def patches_of(labels, samples=None):
    """The view in which each label is a sample."""
    samples, field = samples or labels.dataset, labels.parts["patches_field"]
    return samples.to_clips(field) if labels.name == "clips" else samples.to_patches(field)


def test_labels_are_filtered_by_attributes_of_plain_types(labels):
    labels.cluster(NOISY)
    dataset, field = labels.dataset, labels.parts["patches_field"]
    kinds = {
        "cluster": fo.StringField, "cluster_fine": fo.StringField, "cluster_nearest": fo.StringField,
        "cluster_confidence": fo.FloatField, "cluster_distance": fo.FloatField,
    }  # fmt: skip
    for name, kind in kinds.items():
        assert type(dataset.get_field(labels.before + name)) is kind
    found = dataset.filter_labels(field, F("cluster") == "look noise")
    assert set(labels.ids(found)) == {
        key for key, group in labels.group_of.items() if group is None
    }
    names, view = labels.names(), patches_of(labels)
    assert set(view.values("id")) == set(names)
    assert {view[key][field].cluster for key in view.values("id")[:5]} <= set(names.values())
    raw = dataset._sample_collection.find_one()[field]["detections"][0]
    assert raw["label"] == "x"  # nothing else of the label has changed
    assert raw["group"] == "group 0"
    assert "staged_cluster" not in raw


def test_only_the_labels_of_a_view_are_clustered(labels):
    field = labels.parts["patches_field"]
    view = labels.dataset.filter_labels(field, F("group") != "group 2")
    labels.cluster(uvl.KMeans(n_clusters=2), samples=view)
    inside = {key for key, name in labels.names().items() if name is not None}
    assert inside == set(labels.ids(view)) - {labels.without}
    done = uvl.assign(labels.dataset, "look")
    assert set(done.clusters) == set(labels.group_of) - inside
    assert done.drift.recluster


def test_a_selection_of_patches_or_clips_is_moved(labels):
    labels.cluster()
    clusters = uvl.clusters(labels.dataset, "look")
    some = patches_of(labels).limit(4)
    clusters.move(some, "look 02")
    assert {labels.names()[key] for key in some.values("id")} == {"look 02"}
    clusters.move(labels.dataset.limit(1), None)
    gone = labels.ids(labels.dataset.limit(1))
    assert {labels.names()[key] for key in gone} == {"look noise"}
    with pytest.raises(uvl.DataError, match="A view of patches, frames or clips cannot be used"):
        uvl.assign(patches_of(labels), "look")


def test_the_truth_may_be_that_of_the_sample(labels):
    labels.cluster()
    labels.dataset.set_values("place", ["here", "there"] * (len(labels.dataset) // 2))
    found = uvl.evaluate(labels.dataset, "cluster", ground_truth="place", **labels.parts)
    assert (found.n_items, found.agreement.n_classes) == (47, 2)
    with pytest.raises(uvl.DataError, match="has no field 'nope'"):
        uvl.evaluate(labels.dataset, "cluster", ground_truth="nope", **labels.parts)
    with pytest.raises(uvl.DataError, match="has no field 'cluster'"):
        uvl.evaluate(labels.dataset, "cluster", ground_truth="place")


def test_two_clusterings_stand_side_by_side(labels):
    labels.cluster()
    labels.cluster(NOISY, field="dense", run_key="dense")
    compared = uvl.compare(labels.dataset, "look", "dense")
    assert compared.n_common == 47
    dense = labels.read(f"{labels.before}dense_confidence")
    assert sum(value is not None for value in dense.values()) == 47
    with pytest.raises(uvl.DataError, match=r"cluster' was written by run 'look'"):
        labels.cluster(run_key="third")
    labels.dataset.delete_run("dense")
    assert len(set(labels.names().values())) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"field": "group"}, r"detections\.group' was written by something else"),
        ({"field": "emb"}, r"detections\.emb' is a field of another kind"),
        ({"field": "label"}, r"detections\.label' was written by something else"),
        ({"patches_field": "nope"}, "in 'nope'"),
        ({"embeddings": "group"}, r"no vector field '.*detections\.group'"),
        ({"field": "frames.x"}, "'frames.x' is of frames"),
    ],
)
def test_what_is_taken_or_missing_is_refused(labels, changes, message):
    before = labels.schema()
    with pytest.raises(uvl.DataError, match=message):
        labels.cluster(**changes)
    assert labels.schema() == before


def test_stability_is_of_whole_pictures(labels):
    labels.cluster()
    with pytest.raises(uvl.DataError, match=f"{labels.name} are none"):
        uvl.score(labels.dataset, "look", "stability")


@pytest.mark.parametrize("media", ["video", "image"])
def test_a_field_with_one_label_a_sample(media):
    dataset = fo.Dataset()
    dataset.media_type = media
    vectors = np.repeat(np.eye(2, 4, dtype=np.float32), 6, axis=0)
    one = {
        "video": lambda vector: fo.TemporalDetection(label="x", support=[1, 5], emb=vector),
        "image": lambda vector: fo.Detection(label="x", bounding_box=[0, 0, 1, 1], emb=vector),
    }[media]
    kind = fo.TemporalDetection if media == "video" else fo.Detection
    dataset.add_sample_field("one", fo.EmbeddedDocumentField, embedded_doc_type=kind)
    dataset.add_sample_field("one.emb", fo.VectorField)
    ending = "mp4" if media == "video" else "png"
    dataset.add_samples(
        [fo.Sample(filepath=f"/missing/{n}.{ending}", one=one(v)) for n, v in enumerate(vectors)]
        + [fo.Sample(filepath=f"/missing/none.{ending}")],
        progress=False,
    )
    arguments = {"embeddings": "emb", "patches_field": "one"}
    uvl.cluster(dataset, uvl.KMeans(n_clusters=2), run_key="look", **arguments)
    names = dataset.values("one.cluster")
    assert names[-1] is None
    assert len(set(names[:6])) == len(set(names[6:12])) == 1
    assert names[0] != names[6]
    uvl.clusters(dataset, "look").merge("look 01", "look 00")
    assert dataset.values("one.cluster") == ["look 01"] * 12 + [None]
    if media == "video":
        assert uvl.visualize(dataset, brain_key="map", method="pca", **arguments) == 12
    else:
        with pytest.raises(uvl.DataError, match="'one' has one object a sample"):
            uvl.visualize(dataset, brain_key="map", method="pca", **arguments)
    dataset.delete()
