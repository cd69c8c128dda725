"""Labels made of clusters: of every kind of item, never over those of a person, all or none."""

from collections import Counter

import fiftyone as fo
import pytest

import uvl_plugin as uvl
from tests.adapter.kinds import KINDS, make_kind
from uvl_plugin.adapter import label_writes


@pytest.fixture
def make():
    made = []

    def clustered(name):
        kind = make_kind(name)
        made.append(kind.dataset)
        kind.cluster()
        return kind

    yield clustered
    for dataset in made:
        dataset.delete()


@pytest.fixture(params=["images", "frames", "objects"])  # each is written in a way of its own
def kind(request, make):
    return make(request.param)


@pytest.fixture
def images(make):
    return make("images")


def column(kind, name="label", field="species"):
    if kind.is_label:
        return kind.before + (field if name == "label" else f"{field}_{name}")
    return f"{kind.before}{field}.{name}"


def labels_of(kind, name="label", field="species"):
    found = kind.read(column(kind, name, field))
    return {key: value for key, value in found.items() if value is not None}


def named(kind):
    """Two of the three clusters get a name; the members of each."""
    clusters = uvl.clusters(kind.dataset, "look")
    clusters.rename("look 00", "rose")
    clusters.rename("look 02", "tulip")
    return {name: clusters.members(name) for name in ("rose", "tulip")}


def expected(members):
    return {key: name for name, keys in members.items() for key in keys}


@pytest.mark.parametrize("name", KINDS)
def test_members_of_named_clusters_get_labels_that_say_where_they_are_from(make, name):
    kind = make(name)
    members = named(kind)
    done = uvl.label_clusters(kind.dataset, "look", kind.own("species"), who="ada")
    assert labels_of(kind) == expected(members)
    assert done.counts == {name: len(keys) for name, keys in members.items()}
    assert (done.unit, done.n_below, done.n_kept, done.n_missing) == (kind.name, 0, 0, 0)
    strengths = kind.read(kind.column("confidence"))
    for key, confidence in labels_of(kind, "confidence").items():
        assert confidence == strengths[key]
    said = {"source": "cluster", "run_key": "look", "who": "ada"}
    for attribute, value in said.items():
        assert set(labels_of(kind, attribute).values()) == {value}
    assert labels_of(kind, "cluster") == labels_of(kind, "cluster_label") == expected(members)
    assert len(labels_of(kind, "when")) == done.n_labelled
    assert column(kind, "when") in kind.schema()  # the App can filter by it


def test_only_firm_members_get_a_label(kind):
    members = expected(named(kind))
    strengths = {key: kind.read(kind.column("confidence"))[key] for key in members}
    least = sorted(strengths.values())[len(strengths) // 2]
    done = uvl.label_clusters(kind.dataset, "look", kind.own("species"), min_confidence=least)
    firm = {key for key, value in strengths.items() if value >= least}
    assert labels_of(kind).keys() == firm
    assert done.n_below == len(members) - len(firm) > 0


def give(kind, key, label):
    """A label as a person gives it."""
    path, label = (
        f"{kind.before}species",
        label if kind.is_label else fo.Classification(label=label),
    )
    set_value(kind, path, key, label)


def set_value(kind, path, key, value):
    if kind.is_label:
        kind.dataset.set_label_values(path, {key: value})
    else:
        kind.dataset.set_values(path, {key: value}, key_field=f"{kind.before}id")


def test_labels_of_a_person_stay(kind):
    members = named(kind)
    field, dataset = kind.own("species"), kind.dataset
    uvl.label_clusters(dataset, "look", field)
    mine, changed = members["rose"][0], members["rose"][1]
    give(kind, mine, "weed")
    set_value(kind, column(kind), changed, "moss")  # as the App does
    if kind.is_label:  # nothing but the text says that the first one is of a person
        assert labels_of(kind, "source")[mine] == "cluster"
    again = uvl.label_clusters(dataset, "look", field, names={"rose": "Rosa", "tulip": "Tulipa"})
    assert (again.n_labelled, again.n_kept) == (0, 2)
    assert again.n_earlier == len(expected(members)) - 2
    done = uvl.label_clusters(
        dataset, "look", field, names={"rose": "Rosa", "tulip": "Tulipa"}, overwrite=True
    )
    found = labels_of(kind)
    assert (found.pop(mine), found.pop(changed)) == ("weed", "moss")
    assert set(found.values()) == {"Rosa", "Tulipa"}
    assert (done.n_kept, done.n_earlier, done.n_withdrawn) == (2, 0, 0)


def test_with_overwrite_labels_that_hold_no_more_are_taken_away(kind):
    members, field = named(kind), kind.own("species")
    uvl.label_clusters(kind.dataset, "look", field)
    left = members["rose"][:2]
    clusters = uvl.clusters(kind.dataset, "look")
    clusters.move(left, "look 01")
    clusters.rename("tulip", "lily")
    strengths = kind.read(kind.column("confidence"))
    lilies = sorted(strengths[key] for key in members["tulip"])
    least = (lilies[4] + lilies[5]) / 2
    firm = {key for key in expected(members) if strengths[key] >= least} - set(left)
    assert len(firm & set(members["tulip"])) == len(lilies) - 5
    done = uvl.label_clusters(kind.dataset, "look", field, min_confidence=least, overwrite=True)
    assert labels_of(kind).keys() == labels_of(kind, "source").keys() == firm
    assert done.n_withdrawn == len(expected(members)) - len(firm) >= 2


def test_a_failure_leaves_everything_as_it_was(kind, monkeypatch):
    named(kind)
    before, write, written = kind.schema(), label_writes.write_rows, []

    def fail_second(items, rows):
        written.append(len(rows))
        if len(written) == 2:
            raise OSError("the disk is full")
        write(items, rows)

    monkeypatch.setattr(label_writes, "_ROWS", 10)
    monkeypatch.setattr(label_writes, "write_rows", fail_second)
    with pytest.raises(OSError, match="disk is full"):
        uvl.label_clusters(kind.dataset, "look", kind.own("species"))
    assert kind.schema() == before
    monkeypatch.undo()
    uvl.label_clusters(kind.dataset, "look", kind.own("species"))
    mine = next(iter(labels_of(kind)))
    give(kind, mine, "weed")
    there = {name: labels_of(kind, name) for name in ("label", "confidence", "source", "when")}
    written.clear()
    monkeypatch.setattr(label_writes, "_ROWS", 10)
    monkeypatch.setattr(label_writes, "write_rows", fail_second)
    with pytest.raises(OSError, match="disk is full"):
        uvl.label_clusters(
            kind.dataset, "look", kind.own("species"), names={"rose": "Rosa"}, overwrite=True
        )
    assert {name: labels_of(kind, name) for name in there} == there


def test_clusters_can_be_named_for_the_labels_only(images):
    done = uvl.label_clusters(
        images.dataset, "look", "species", names={"look 00": "flower", "look 02": "flower"}
    )
    assert Counter(labels_of(images).values()) == done.counts == {"flower": done.n_labelled}
    assert set(labels_of(images, "cluster").values()) == {"look 00", "look 02"}
    one = uvl.label_clusters(images.dataset, "look", "one", clusters=["look 01"])
    assert set(one.counts) == {"look 01"}


def test_deleted_items_are_counted(images):
    members = named(images)
    images.dataset.delete_samples(members["rose"][:3])
    done = uvl.label_clusters(images.dataset, "look", "species")
    assert done.n_missing == 3
    assert done.n_labelled == len(expected(members)) - 3


def test_the_result_is_a_sentence(images):
    members = named(images)
    give_first = members["tulip"][0]
    images.dataset.add_sample_field(
        "species", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification
    )
    give(images, give_first, "weed")
    done = uvl.label_clusters(images.dataset, "look", "species")
    counts = sorted(done.counts.items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{name} {count}" for name, count in counts)
    assert str(done) == (
        f"{done.n_labelled} images got a label in 'species' ({listed}). "
        "1 keep the label that they have of somebody else."
    )


@pytest.mark.parametrize("name", ["images", "objects"])
def test_deleting_the_run_leaves_the_labels(make, name):
    kind = make(name)
    members = named(kind)
    uvl.label_clusters(kind.dataset, "look", kind.own("species"))
    kind.dataset.delete_run("look")
    assert labels_of(kind) == expected(members)


@pytest.fixture(scope="module")
def untouched():
    """A clustering for calls that write nothing."""
    made = make_kind("images")
    made.cluster()
    made.dataset.add_sample_field(
        "odd", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification
    )
    made.dataset.add_sample_field("odd.when", fo.IntField)
    yield made
    made.dataset.delete()


@pytest.mark.parametrize(
    ("field", "changes", "message"),
    [
        ("species", {"clusters": ["look 77"]}, "no cluster 'look 77'"),
        ("species", {"min_confidence": 2}, "must be 0 to 1, got 2"),
        ("species", {"names": {"look 00": " "}}, "not empty"),
        ("species", {"clusters": "look 00"}, "list of names"),
        ("species", {}, "No cluster of 'look' was named yet"),
        ("no name", {"clusters": ["look 00"]}, "'no name' cannot be the name"),
        ("cluster", {"clusters": ["look 00"]}, "was written by the run 'look'"),
        ("emb", {"clusters": ["look 00"]}, "'emb' is a field of another kind"),
        ("odd", {"clusters": ["look 00"]}, "'odd.when' is a field of another kind"),
        ("frames.species", {"clusters": ["look 00"]}, "choose 'species'"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(untouched, field, changes, message):
    before = untouched.schema()
    with pytest.raises(uvl.UVLError, match=message):
        uvl.label_clusters(untouched.dataset, "look", field, **changes)
    assert untouched.schema() == before


def test_labels_of_frames_need_a_field_of_frames(make):
    with pytest.raises(uvl.DataError, match=r"choose 'frames\.species'"):
        uvl.label_clusters(make("frames").dataset, "look", "species", clusters=["look 00"])
