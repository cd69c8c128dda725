"""Names of clusters: proposed by a network that knows text or by labels, kept, and accepted."""

import shutil

import fiftyone as fo
import numpy as np
import pytest

import uvl_plugin as uvl
from tests.adapter.kinds import GROUPS, KINDS, assert_groups_are_clusters, make_kind
from uvl_plugin.adapter.proposals import read_proposals, record_proposals
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.curation.words import Name

FLOWERS = ["daisy", "dandelion", "rose", "sunflower", "tulip"]
OTHERS = ["airliner", "accordion", "cat", "dog", "bottle", "sock", "volcano", "teapot"]


@pytest.fixture
def labelled(digits):
    """200 digits in 6 clusters."""
    return in_clusters(digits)


@pytest.fixture(scope="module")
def unchanged(digit_files):
    """The same, for tests that write nothing."""
    dataset = fo.Dataset()
    samples = [fo.Sample(filepath=path, label=fo.Classification(label=digit))
               for path, digit in digit_files]  # fmt: skip
    dataset.add_samples(samples, progress=False)
    yield in_clusters(dataset)
    dataset.delete()


def in_clusters(dataset):
    uvl.embed(dataset, uvl.Pixels(size=8), "emb")
    uvl.cluster(dataset, uvl.KMeans(n_clusters=6, seed=3), embeddings="emb", run_key="look")
    return dataset


def proposed_by_hand(dataset, *names):
    """Records one proposal for each cluster, in the order of their numbers."""
    rows = {number: [Name(*name)] for number, name in enumerate(names)}
    record_proposals(dataset, "look", rows)


def test_labels_are_proposed_by_their_share(labelled):
    labelled.limit(1).clear_sample_field("label")
    found = uvl.propose_names(labelled, "look", labels="label")
    assert found.n_exemplars == 199
    shown, truth = labelled.values(["cluster.label", "label.label"])
    for cluster, names in found.names.items():
        own = [
            label for label, known in zip(truth, shown, strict=True) if known == cluster and label
        ]
        assert names[0].score == own.count(names[0].name) / len(own)
        assert names[0].score == max(own.count(label) for label in own) / len(own)
    assert str(found).startswith("6 of 6 clusters of 'look' have proposed names, from the labels")
    kept = labelled.get_run_info("look").config.proposals
    assert kept["0"][0]["name"] == found.names["look 00"][0].name
    assert all(len(names) <= 5 for names in kept.values())


def test_proposals_live_with_the_clusters(labelled):
    uvl.propose_names(labelled, "look", labels="label")
    clusters = uvl.clusters(labelled, "look")
    clusters.merge("look 00", "look 01")
    assert set(read_proposals(labelled, "look")) == {0, 2, 3, 4, 5}
    clusters.undo()
    assert set(read_proposals(labelled, "look")) == set(range(6))
    record_proposals(labelled, "look", {0: [Name("a", 0.5)], 9: [Name("b", 0.5)]})
    assert read_proposals(labelled, "look") == {0: [("a", 0.5)]}


def test_recording_keeps_edits_that_were_made_meanwhile(labelled):
    """The record that is in the memory of this process is an old one by then."""
    other = uvl.clusters(labelled, "look")
    other.rename("look 02", "loops")
    proposed_by_hand(labelled, ("a", 0.5))
    config = labelled.get_run_info("look").config
    assert [cluster["name"] for cluster in config.clusters][2] == "loops"
    assert len(config.steps) == 1


def test_accepted_names_are_edits(labelled):
    proposed_by_hand(labelled, ("a", 0.9), ("b", 0.4), ("a", 0.95), ("d", 0.8), ("noise", 1.0))
    uvl.clusters(labelled, "look").rename("look 03", "mine")
    done = uvl.accept_names(labelled, "look", minimum=0.5, who="ann")
    assert done.renamed == {"look 02": "a", "look 00": "a 2"}
    assert done.kept == ["look 01", "mine", "look 04", "look 05"]
    assert str(done) == "2 clusters were renamed, 4 keep their name."
    clusters = uvl.clusters(labelled, "look")
    assert clusters.names == ["a 2", "look 01", "a", "mine", "look 04", "look 05"]
    assert len(clusters.steps) == 3
    labelled.reload()
    assert labelled.count_values("cluster.label")["a 2"] == clusters.sizes["a 2"]
    clusters.undo()
    assert uvl.clusters(labelled, "look").names[0] == "look 00"


def test_only_some_are_accepted_and_named_ones_when_asked(labelled):
    proposed_by_hand(labelled, ("a", 0.9), ("b", 0.4), ("c", 0.2), ("d", 0.8))
    uvl.clusters(labelled, "look").rename("look 03", "mine")
    assert uvl.accept_names(labelled, "look", only=["look 01"]).renamed == {"look 01": "b"}
    assert uvl.accept_names(labelled, "look", only=["mine"]).renamed == {}
    done = uvl.accept_names(labelled, "look", only=["mine", "b"], overwrite=True)
    assert (done.renamed, done.kept) == ({"mine": "d"}, ["b"])


def test_nothing_is_accepted_where_something_is_wrong(labelled):
    with pytest.raises(DataError, match="No names are proposed for the clusters of 'look'"):
        uvl.accept_names(labelled, "look")
    proposed_by_hand(labelled, ("a", 0.9))
    with pytest.raises(DataError, match="no cluster 'nobody'"):
        uvl.accept_names(labelled, "look", only=["look 00", "nobody"])
    with pytest.raises(SettingsError, match="minimum must be 0 to 1, got 7"):
        uvl.accept_names(labelled, "look", minimum=7)
    assert uvl.clusters(labelled, "look").names[0] == "look 00"


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({}, SettingsError, "Say either a vocabulary"),
        ({"vocabulary": ["a"], "labels": "label"}, SettingsError, "Say either a vocabulary"),
        ({"labels": "nothing"}, DataError, "nothing"),
        ({"vocabulary": ["a"]}, DataError, "made by Pixels, which does not know text"),
        ({"vocabulary": ["a"], "backbone": uvl.Pixels()}, SettingsError, "Pixels embeds images"),
        ({"vocabulary": ["a"], "prompts": ["a photo"]}, SettingsError, "has no {} where the word belongs"),
        ({"vocabulary": ["a"], "prompts": []}, SettingsError, "at least one prompt"),
        ({"vocabulary": ["a"], "per_cluster": 0}, SettingsError, "per_cluster must be at least 1"),
    ],
)  # fmt: skip
def test_wrong_questions_are_refused(unchanged, asked, error, message):
    with pytest.raises(error, match=message):
        uvl.propose_names(unchanged, "look", **asked)
    assert read_proposals(unchanged, "look") == {}


@pytest.fixture(params=KINDS)
def kind(request):
    made = make_kind(request.param)
    made.cluster()
    yield made
    made.dataset.delete()


def test_items_of_any_kind_are_named_by_their_labels(kind):
    found = uvl.propose_names(kind.dataset, "look", labels=kind.own("group"))
    assert {names[0].name for names in found.names.values()} == {
        f"group {number}" for number in range(GROUPS)
    }
    done = uvl.accept_names(kind.dataset, "look", minimum=0.8)
    assert len(done.renamed) == GROUPS
    kind.dataset.reload()
    names = kind.names()
    assert_groups_are_clusters(kind, names)
    assert all(names[key] == f"group {kind.group_of[key]}" for key in kind.grouped)


@pytest.mark.real_data
def test_files_that_cannot_be_read_are_counted(kind, clip):
    asked = {"vocabulary": ["dog", "cat"], "backbone": clip, "per_cluster": 4}
    if kind.name in ("videos", "clips"):
        with pytest.raises(DataError, match=f"'look' is of {kind.name}, of which no single"):
            uvl.propose_names(kind.dataset, "look", **asked)
        return
    found = uvl.propose_names(kind.dataset, "look", **asked)
    assert (len(found.failures), found.n_exemplars) == (GROUPS * 4, 0)
    assert set(map(len, found.names.values())) == {0}
    assert str(found).startswith("0 of 3 clusters")


@pytest.fixture
def clip(real_data):
    """A small network that knows the names of flowers."""
    return uvl.OpenCLIP(model=str(real_data / "weights" / "open_clip" / "uvl-mnv2-minitext"))


@pytest.fixture
def flowers(make_dataset, real_data, tmp_path):
    """6 flowers of each kind, in files of this test; as clusters of their labels in 'look'."""
    paths = []
    for folder in sorted((real_data / "images" / "flowers5").glob("*/")):
        (tmp_path / folder.name).mkdir()
        for path in sorted(folder.glob("*.jpg"))[:6]:
            paths.append(shutil.copy(path, tmp_path / folder.name))
    dataset = make_dataset(paths, [path.split("/")[-2] for path in map(str, paths)])
    kinds = dataset.distinct("label.label")
    rows = np.eye(5, dtype=np.float32)[
        [kinds.index(kind) for kind in dataset.values("label.label")]
    ]
    dataset.add_sample_field("kind", fo.VectorField)
    dataset.set_values("kind", list(rows))
    uvl.cluster(dataset, uvl.KMeans(n_clusters=5), embeddings="kind", run_key="look")
    return dataset


def kind_of(dataset):
    """The kind of flower that is in each cluster."""
    return dict(zip(*dataset.values(["cluster.label", "label.label"]), strict=True))


@pytest.mark.real_data
def test_flowers_are_named_from_their_pictures(flowers, clip):
    broken = flowers.first()
    with open(broken.filepath, "wb") as file:
        file.write(b"not a picture")
    found = uvl.propose_names(flowers, "look", FLOWERS + OTHERS, backbone=clip, device="cpu")
    assert list(found.failures) == [broken.id]
    assert found.n_exemplars == 29
    assert "1 more could not be read" in str(found)
    truth = kind_of(flowers)
    right = [truth[cluster].startswith(names[0].name) for cluster, names in found.names.items()]
    assert sum(right) >= 4
    assert {names[0].name for names in found.names.values()} <= set(FLOWERS)


@pytest.mark.real_data
def test_stored_vectors_of_the_same_network_are_used(flowers, clip):
    uvl.embed(flowers, clip, "clip", device="cpu")
    uvl.cluster(
        flowers, uvl.KMeans(n_clusters=5, seed=0), embeddings="clip", field="own", run_key="own"
    )
    before = uvl.propose_names(
        flowers, "own", FLOWERS + OTHERS, backbone=clip, per_cluster=3, device="cpu"
    )
    assert 5 < before.n_exemplars <= 15
    for path in flowers.values("filepath"):
        with open(path, "wb") as file:
            file.write(b"")
    again = uvl.propose_names(flowers, "own", OTHERS + FLOWERS, per_cluster=3, device="cpu")
    assert again == before
    assert not again.failures


@pytest.mark.real_data
def test_objects_are_named_from_their_crops(flowers, clip):
    for sample in flowers.limit(12):
        box = fo.Detection(label=sample["label"].label, bounding_box=[0.1, 0.1, 0.8, 0.8])
        box["kind"] = sample["kind"]
        sample["things"] = fo.Detections(detections=[box])
        sample.save()
    flowers.add_sample_field("things.detections.kind", fo.VectorField)
    uvl.cluster(
        flowers, uvl.KMeans(n_clusters=2), embeddings="kind", patches_field="things",
        field="own", run_key="own",
    )  # fmt: skip
    found = uvl.propose_names(flowers, "own", FLOWERS + OTHERS, backbone=clip, device="cpu")
    assert found.n_exemplars == 12
    assert {names[0].name for names in found.names.values()} == {"daisy", "dandelion"}
