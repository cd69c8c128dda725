"""Review queues: what was found, what was decided about it, and taken back."""

import itertools

import fiftyone as fo
import pytest
from fiftyone import ViewField as F
from PIL import Image

import uvl_plugin as uvl
from tests.adapter.kinds import make_kind
from uvl_plugin.adapter import decisions as noted
from uvl_plugin.adapter.marks import DECISIONS

N_FOUND = 2


@pytest.fixture
def make():
    made = []

    def with_outliers(name):
        kind = make_kind(name)
        made.append(kind.dataset)
        found = uvl.find_outliers(kind.dataset, kind.own("emb"), cut=0.5, **kind.parts)
        cut = found.scores[found.above[N_FOUND]]
        uvl.find_outliers(kind.dataset, kind.own("emb"), cut=cut, overwrite=True, **kind.parts)
        kind.found = found.above[:N_FOUND]
        return kind

    yield with_outliers
    for dataset in made:
        dataset.delete()


@pytest.fixture(params=["images", "frames", "objects"])  # each is decided about in its own way
def kind(request, make):
    return make(request.param)


@pytest.fixture
def images(make):
    return make("images")


def decisions(kind):
    """What is decided about each item, read by FiftyOne."""
    if kind.name == "frames":
        field = "frames.review"
        there = kind.dataset.get_field(field) is not None
        return {k: v for k, v in kind.read(field).items() if v} if there else {}
    ids, tags = kind.dataset.values([f"{kind.before}id", f"{kind.before}tags"])
    if kind.is_label:
        ids, tags = (list(itertools.chain(*rows)) for rows in (ids, tags))
    found = {
        key: [tag for tag in own if tag in DECISIONS] for key, own in zip(ids, tags, strict=True)
    }
    return {key: " and ".join(own) for key, own in found.items() if own}


def test_what_was_found_is_a_queue(kind):
    (queue,) = uvl.review(kind.dataset).queues
    assert queue.name == f"{kind.before}outlier"
    assert (queue.unit, queue.n_items, queue.n_left) == (kind.name, N_FOUND, N_FOUND)
    view = uvl.review(kind.dataset).view(queue.name)
    assert sorted(view.values("id")) == sorted(kind.found)


def test_decisions_are_written_and_replace_each_other(kind):
    review, (first, second) = uvl.review(kind.dataset), kind.found
    unit = {"images": "samples", "objects": "things"}.get(kind.name, kind.name)
    done = review.exclude([first, second])
    assert (done.changed, done.n_same) == ({unit: 2}, 0)
    assert decisions(kind) == {first: "exclude", second: "exclude"}
    done = review.keep([first])
    assert decisions(kind) == {first: "keep", second: "exclude"}
    assert review.queues[0].n_left == 0
    assert len(review.view(review.queues[0].name)) == 0
    assert review.exclude([second]).changed == {}
    review.undecide([first, second])
    assert decisions(kind) == {}
    assert review.queues[0].n_left == N_FOUND
    assert uvl.review(kind.dataset).queues[0].n_items == N_FOUND  # nothing is deleted


def test_a_view_of_a_queue_can_be_decided_about_as_it_is(kind):
    review = uvl.review(kind.dataset)
    review.exclude(review.view(review.queues[0].name))
    assert decisions(kind) == dict.fromkeys(kind.found, "exclude")


def test_decisions_are_taken_back_one_after_the_other(kind):
    review, (first, second) = uvl.review(kind.dataset), kind.found
    states = [decisions(kind)]
    steps = [
        lambda: review.exclude([first, second]),
        lambda: review.keep([first]),
        lambda: review.undecide([first, second]),
    ]
    for step in steps:
        step()
        states.append(decisions(kind))
    review = uvl.review(fo.load_dataset(kind.dataset.name))  # another process would open it so
    assert review.n_undoable == len(steps)
    for before in states[-2::-1]:
        review.undo()
        assert decisions(kind) == before
    with pytest.raises(uvl.DataError, match="no decision to take back"):
        review.undo()


def test_only_the_last_decisions_can_be_taken_back(images, monkeypatch):
    monkeypatch.setattr(noted, "_NOTES", 3)
    monkeypatch.setattr(noted, "_PORTION", 10)  # several notes for one decision
    review, ids = uvl.review(images.dataset), images.ids()
    for number in range(5):
        (review.keep if number % 2 else review.exclude)(ids)
    assert review.n_undoable == 3
    assert [review.undo() for _ in range(3)] == [len(ids)] * 3
    assert decisions(images) == dict.fromkeys(ids, "keep")
    assert review.n_undoable == 0


def test_own_tags_and_fields_stay(kind):
    review, (first, _) = uvl.review(kind.dataset), kind.found
    if kind.name != "frames":
        whole = kind.dataset if not kind.is_label else kind.dataset.to_patches("things")
        whole.tag_labels("mine") if kind.is_label else whole.tag_samples("mine")
    before = kind.schema() | {"frames.review"}
    review.exclude([first])
    review.undo()
    assert kind.schema() <= before
    if kind.name != "frames":
        count = kind.dataset.count_label_tags if kind.is_label else kind.dataset.count_sample_tags
        assert count() == {"mine": 48, "outlier": N_FOUND}


def test_the_excluded_are_in_saved_views(kind):
    review, gone = uvl.review(kind.dataset), kind.found
    review.exclude(gone)
    kind.dataset.reload()
    name = {"images": "Excluded", "objects": "Excluded, things"}.get(kind.name, "Excluded, frames")
    assert sorted(kind.dataset.load_saved_view(name).values("id")) == sorted(gone)
    others = kind.dataset.load_saved_view("Without excluded")
    assert set(kind.ids(others)) == set(kind.ids()) - set(gone)
    assert len(others) == len(kind.dataset) - (len(gone) if kind.name == "images" else 0)
    assert set(kind.ids(review.without_excluded)) == set(kind.ids()) - set(gone)


def test_a_view_of_somebody_else_is_left_alone(images):
    images.dataset.save_view("Excluded", images.dataset.limit(3), description="mine")
    uvl.review(images.dataset).exclude(images.found)
    assert len(images.dataset.load_saved_view("Excluded")) == 3
    assert "Without excluded" in images.dataset.list_saved_views()
    assert sorted(uvl.review(images.dataset).excluded.values("id")) == sorted(images.found)


def test_near_duplicates_and_labels_that_may_be_wrong_are_queues_too(images):
    dataset = images.dataset
    found = uvl.find_duplicates(dataset, "emb", threshold=1e-3)
    images.cluster()
    wrong = images.grouped[0]
    dataset.set_values("group", {wrong: "group 1"}, key_field="id")
    uvl.evaluate(dataset, "cluster", ground_truth="group")
    review = uvl.review(dataset)
    by_name = {queue.name: queue for queue in review.queues}
    assert list(by_name) == ["outlier", "near_duplicate", "look suspects"]
    assert by_name["near_duplicate"].n_items == len(found.of)
    assert by_name["near_duplicate"].label == "Near-duplicates"
    suspects = review.view("look suspects").values("id")
    assert wrong in suspects
    review.keep([wrong])
    assert review.view("look suspects").values("id") == [k for k in suspects if k != wrong]
    fo.DatasetView._build(dataset, review.view("look suspects")._serialize())  # as the App does
    assert str(by_name["outlier"]) == "Outliers: 2 of 2 images left"


def test_poor_images_and_picks_are_queues_too(images, tmp_path):
    dataset, path = images.dataset, tmp_path / "black.png"
    Image.new("RGB", (64, 64)).save(path)
    first = dataset.first()
    first.filepath = str(path)
    first.save()
    uvl.find_poor_images(dataset)  # no other file is there
    picks = uvl.select(dataset, 5, embeddings="emb")
    review = uvl.review(dataset)
    named = {queue.label: queue for queue in review.queues}
    assert list(named) == ["Outliers", "Poor images", "Picked for labelling"]
    assert named["Poor images"].n_items == len(dataset)
    assert named["Picked for labelling"].n_items == 5
    view = review.view(named["Picked for labelling"].name)
    assert set(view.values("id")) == set(dataset.match_tags(picks.tag).values("id"))
    assert view.values("pick") == [1, 2, 3, 4, 5]


def test_what_cannot_be_is_said(images):
    review = uvl.review(images.dataset)
    with pytest.raises(uvl.DataError, match=r"no queue 'x' to review. Queues: outlier\."):
        review.view("x")
    with pytest.raises(uvl.DataError, match="2 of 3 ids are of no sample"):
        review.keep([images.ids()[0], "x", "0" * 24])
    assert decisions(images) == {}
    with pytest.raises(uvl.DataError, match="must be a list"):
        review.keep(images.ids()[0])


def test_decisions_about_frames_need_their_field(make):
    kind = make("frames")
    kind.dataset.add_frame_field("review", fo.StringField)
    with pytest.raises(uvl.DataError, match="another field of this name"):
        uvl.review(kind.dataset).keep(kind.found)


def test_an_empty_dataset_has_no_queues():
    dataset = fo.Dataset()
    assert "Nothing was found" in str(uvl.review(dataset))
    dataset.delete()


def test_the_decision_is_a_sentence(images):
    review, ids = uvl.review(images.dataset), images.found
    assert str(review.exclude(ids)) == "2 samples are excluded. Nothing is deleted."
    assert str(review.exclude(images.ids()[:3])) == (
        "1 samples are excluded; 2 were already. Nothing is deleted."
    )
    assert str(review.undecide(ids)) == "2 samples are undecided again."
    assert images.dataset.match(F("tags").contains("exclude")).count() == 1
