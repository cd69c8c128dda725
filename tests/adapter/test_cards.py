"""Cards of clusters: the same as a slow count by hand, and nothing large is read for them."""

import base64
import io
from collections import Counter

import fiftyone as fo
import fiftyone.core.odm as foo
import numpy as np
import pytest
from PIL import Image

import uvl_plugin as uvl
from tests.adapter.kinds import KINDS, make_kind
from tests.media.videos import H264, burnt_in, encode
from uvl_plugin.adapter import vectors
from uvl_plugin.adapter.cards import cards, thumbnails
from uvl_plugin.adapter.runs import ClusteringRunResults
from uvl_plugin.adapter.views import frames_view


@pytest.fixture(params=KINDS)
def kind(request):
    made = make_kind(request.param)
    made.cluster()
    yield made
    made.dataset.delete()


@pytest.fixture
def images():
    made = make_kind("images")
    made.cluster()
    yield made
    made.dataset.delete()


@pytest.fixture
def nothing_large(monkeypatch):
    """Fails where the arrays of a run, or vectors, are read."""

    def refuse(*args, **kwargs):
        raise AssertionError("cards must not read this")

    monkeypatch.setattr(ClusteringRunResults, "_from_dict", refuse)
    monkeypatch.setattr(vectors, "pages", refuse)


def assert_counted(kind, found, path=None):
    """Sizes and firmness are those of the fields, read one by one."""
    names = kind.read(path or kind.column("label"))
    strengths = kind.read(kind.column("confidence"))
    known = {key: name for key, name in names.items() if name is not None}
    sizes = Counter(known.values())
    assert {card.name: card.size for card in found.cards} == {
        name: size for name, size in sizes.items() if name != "look noise"
    }
    assert found.n_noise == sizes["look noise"]
    for card in found.cards:
        own = [strengths[key] for key, name in known.items() if name == card.name]
        assert card.firmness == pytest.approx(np.mean(own), abs=1e-6)
        assert len(set(card.exemplars)) == len(card.exemplars) > 0
        assert {known[key] for key in card.exemplars} == {card.name}


def test_cards_say_what_a_slow_count_says(kind, nothing_large):
    found = cards(kind.dataset, "look", labels=kind.own("group"))
    assert_counted(kind, found)
    assert (found.unit, found.level, found.n_items) == (kind.name, "", 47)
    assert (found.text, found.noise_shown) == (kind.column("label"), None)
    names, groups = kind.names(), kind.read(f"{kind.before}group")
    for card in found.cards:
        own = Counter(groups[key] for key, name in names.items() if name == card.name)
        assert card.label == own.most_common(1)[0][0]
        assert card.purity == pytest.approx(own[card.label] / card.size)
        assert card.disagreement == pytest.approx(1 - card.purity)
        assert card.shown is None
        assert 0.5 < card.cohesion <= 1
        assert 0 < card.novelty <= 2
    assert kind.own("group") in found.label_fields
    assert not any("cluster" in name for name in found.label_fields)
    fine = cards(kind.dataset, "look", level="fine")
    assert_counted(kind, fine, path=kind.fine)
    assert fine.text == kind.fine
    assert [card.number for card in fine.cards] == list(range(len(fine.cards)))


def test_cards_count_what_a_view_shows(kind, nothing_large):
    views = [kind.dataset.limit(1), kind.dataset.match({"_id": None})]
    if kind.name in ("images", "videos"):
        views.append(kind.dataset.match({"group": "group 1"}))
    elif kind.name == "frames":
        views.append(kind.dataset.match_frames(fo.ViewField("group") == "group 1"))
    else:
        chosen = fo.ViewField("group") == "group 1"
        views.append(kind.dataset.filter_labels(kind.parts["patches_field"], chosen))
    for view in views:
        names = Counter(kind.names(view).values()) if len(view) else Counter()
        found = cards(view, "look")
        assert {card.name: card.shown for card in found.cards} == {
            card.name: names[card.name] for card in found.cards
        }
        assert found.noise_shown == names["look noise"]
        assert sum(card.size for card in found.cards) == 47


def test_views_of_parts_count_their_own_items(kind, nothing_large):
    if kind.name in ("images", "videos"):
        pytest.skip("these have no parts")
    make = {
        "frames": lambda: frames_view(kind.dataset),
        "clips": lambda: kind.dataset.to_clips("events"),
        "objects": lambda: kind.dataset.to_patches("things"),
    }[kind.name]
    view = make().limit(7)
    own, names = set(view.values("id")), kind.names()
    expected = Counter(name for key, name in names.items() if key in own)
    found = cards(view, "look")
    assert {card.name: card.shown for card in found.cards} == {
        card.name: expected[card.name] for card in found.cards
    }


def test_parts_of_another_kind_count_as_their_samples(images):
    dataset = images.dataset
    some = dataset.limit(5)
    boxes = [[fo.Detection(bounding_box=[0, 0, 0.5, 0.5]) for _ in "12"] for _ in range(5)]
    some.set_values("things", [fo.Detections(detections=found) for found in boxes])
    found = cards(dataset.to_patches("things"), "look")
    names = Counter(images.names(some).values())
    assert {card.name: card.shown for card in found.cards if card.shown} == dict(names)


def test_cards_follow_every_edit_and_undo(kind):
    clusters = uvl.clusters(kind.dataset, "look", who="ada")
    first = cards(kind.dataset, "look")
    clusters.rename("look 00", "ones")
    clusters.move(clusters.members("look 01")[:2], "ones")
    assert_counted(kind, cards(kind.dataset, "look"))
    clusters.merge("ones", "look 02")
    assert_counted(kind, cards(kind.dataset, "look"))
    clusters.split("ones", 3)
    found = cards(kind.dataset, "look")
    assert_counted(kind, found)
    assert all(card.cohesion and card.novelty for card in found.cards)
    clusters.dissolve("look 01")
    found = cards(kind.dataset, "look", level="fine")
    assert_counted(kind, found, path=kind.fine)
    assert [step["said"] for step in found.steps] == clusters.steps
    assert {step["who"] for step in found.steps} == {"ada"}
    assert list(found.steps) == clusters.edits
    for _ in range(5):
        clusters.undo()
    again = cards(kind.dataset, "look")
    assert again.n_undone == 5
    for before, now in zip(first.cards, again.cards, strict=True):
        assert now.exemplars == before.exemplars
        assert now.firmness == pytest.approx(before.firmness, abs=1e-6)
        assert (now.cohesion, now.novelty) == pytest.approx((before.cohesion, before.novelty))


def test_the_record_is_what_the_database_has_now(images):
    runs, own = foo.get_db_conn().runs, {"_dataset_id": images.dataset._doc.id, "key": "look"}
    runs.update_one(own, {"$set": {"config.n_items": 3}})  # as another process does
    assert cards(images.dataset, "look").n_items == 3
    record = runs.find_one_and_delete(own)
    with pytest.raises(uvl.DataError, match="deleted meanwhile"):
        cards(images.dataset, "look")
    runs.insert_one(record)


def test_figures_are_those_of_the_vectors(images):
    emb = images.read("emb")
    names = images.names()
    means, found = {}, cards(images.dataset, "look")
    for card in found.cards:
        own = np.array([emb[key] for key, name in names.items() if name == card.name])
        unit = own / np.linalg.norm(own, axis=1, keepdims=True)
        means[card.name] = unit.mean(axis=0) / np.linalg.norm(unit.mean(axis=0))
        assert card.cohesion == pytest.approx((unit @ means[card.name]).mean(), abs=1e-5)
    for card in found.cards:
        others = [1 - means[card.name] @ mean for name, mean in means.items() if name != card.name]
        assert card.novelty == pytest.approx(min(others), abs=1e-5)


def test_records_of_earlier_times_show_what_the_fields_tell(images, nothing_large):
    config = images.dataset.get_run_info("look").config
    del config.figures
    images.dataset.update_run_config("look", config)
    found = cards(images.dataset, "look")
    assert_counted(images, found)
    strengths = images.read("cluster.confidence")
    for card in found.cards:
        own = [strengths[key] for key, name in images.names().items() if name == card.name]
        shown = [strengths[key] for key in card.exemplars]
        assert shown == sorted(own, reverse=True)[:6]
        assert (card.cohesion, card.novelty) == (None, None)


def test_new_items_change_sizes_and_leave_exemplars():
    kind = make_kind("images")
    kind.cluster(samples=kind.dataset.limit(30))
    before = {card.name: card for card in cards(kind.dataset, "look").cards}
    uvl.assign(kind.dataset, "look")
    after = cards(kind.dataset, "look")
    assert_counted(kind, after)
    for card in after.cards:
        assert card.size > before[card.name].size
        assert (card.exemplars, card.cohesion) == (
            before[card.name].exemplars, before[card.name].cohesion
        )  # fmt: skip
    kind.dataset.delete()


def test_what_cannot_be_shown_is_refused(images):
    with pytest.raises(uvl.DataError, match="no run 'nope'"):
        cards(images.dataset, "nope")
    with pytest.raises(uvl.DataError, match="no level 'coarse', only 'fine'"):
        cards(images.dataset, "look", level="coarse")
    with pytest.raises(uvl.DataError, match="no field 'nope'"):
        cards(images.dataset, "look", labels="nope")
    assert str(cards(images.dataset, "look")) == (
        "'look' has 47 images in 3 clusters, and 0 in none; 0 edits hold."
    )


def picture_of(url):
    head, _, code = url.partition(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(code))).convert("RGB")).astype(int)


def filled(kind, files):
    """The same dataset with these files in turn."""
    paths = kind.dataset.values("filepath")
    kind.dataset.set_values("filepath", [str(files[place % len(files)]) for place in
                                         range(len(paths))])  # fmt: skip
    return kind


def test_thumbnails_of_images_and_objects(tmp_path):
    pixels = np.zeros((300, 600, 3), np.uint8)
    pixels[:, :300, 0], pixels[:, 300:, 2] = 255, 255  # red on the left, blue on the right
    Image.fromarray(pixels).save(tmp_path / "two.jpg", quality=95)
    kind = filled(make_kind("images"), [tmp_path / "two.jpg", tmp_path / "missing.jpg"])
    kind.cluster()
    ids = kind.ids()[:4]
    found = thumbnails(kind.dataset, "look", ids, side=60)
    assert list(found) == [ids[0], ids[2]]
    shown = picture_of(found[ids[0]])
    assert shown.shape == (30, 60, 3)
    assert shown[15, 5, 0] - shown[15, 5, 2] > 150
    (tmp_path / "two.jpg").unlink()
    assert thumbnails(kind.dataset, "look", ids[:1], side=60) == {ids[0]: found[ids[0]]}
    kind.dataset.delete()

    Image.fromarray(pixels).save(tmp_path / "two.jpg", quality=95)
    kind = filled(make_kind("objects"), [tmp_path / "two.jpg"])
    path = "things.detections.bounding_box"
    left, right = [0.1, 0.1, 0.2, 0.2], [0.7, 0.1, 0.2, 0.2]
    kind.dataset.set_values(path, [[left, right] * 3] * len(kind.dataset))
    kind.cluster()
    ids = kind.ids()[6:8]
    first, second = (picture_of(url).mean(axis=(0, 1)) for url in
                     thumbnails(kind.dataset, "look", ids).values())  # fmt: skip
    assert first[0] - first[2] > 150
    assert second[2] - second[0] > 150
    kind.dataset.delete()


@pytest.mark.parametrize(
    ("name", "place", "number"),
    [("frames", 3, 5), ("videos", 0, 1), ("clips", 1, 14)],  # clips: frames 10 to 18
)
def test_thumbnails_of_videos(tmp_path, name, place, number):
    file = encode(tmp_path / "numbered.mp4", *H264, n=30)
    kind = filled(make_kind(name), [file])
    kind.cluster()
    key = kind.ids()[place]
    found = thumbnails(kind.dataset, "look", [key])
    assert burnt_in(picture_of(found[key])) == number
    kind.dataset.set_values("filepath", ["/missing/1.mp4"] * len(kind.dataset))
    assert thumbnails(kind.dataset, "look", kind.ids()[1:3], side=50) == {}
    kind.dataset.delete()
