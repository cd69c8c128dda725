"""What to label: picks of images, videos, frames, clips and objects, written to a dataset."""

import fiftyone as fo
import numpy as np
import pytest

import uvl_plugin as uvl
from tests.adapter.kinds import GROUPS, KINDS, N, make_kind
from uvl_plugin import selecting
from uvl_plugin.adapter import curating, target
from uvl_plugin.adapter.fields import add_field, delete_field
from uvl_plugin.adapter.picked import picks_place
from uvl_plugin.adapter.vectors import write_rows

BUDGET = 6


@pytest.fixture(scope="module", params=KINDS)
def clustered(request):
    """Items of one kind with the run 'look'."""
    kind = make_kind(request.param)
    kind.cluster()
    yield kind
    kind.dataset.delete()


@pytest.fixture
def kind(clustered):
    """The same; what a test picks is forgotten after it."""
    yield clustered
    for name in ("pick", "again"):
        picks_place(items(clustered), name).clear()


@pytest.fixture
def images():
    kind = make_kind("images")
    yield kind
    kind.dataset.delete()


@pytest.fixture(scope="module")
def untouched():
    """Images that no test changes."""
    kind = make_kind("images")
    yield kind
    kind.dataset.delete()


def items(kind):
    return target.target(kind.dataset, kind.own("emb"), **kind.parts)


def selected(kind, **changes):
    gap = {"gap": 0} if kind.name == "frames" else {}  # of unknown frame rate
    return uvl.select(kind.dataset, BUDGET, **{**gap, **changes})


def test_picks_are_written_with_rank_reason_tag_and_view(kind):
    result = selected(kind, run_key="look", quotas="equal")
    ranks, reasons = (kind.read(f"{kind.before}{name}") for name in ("pick", "pick_reason"))
    assert [ranks[key] for key in result.ids] == [1, 2, 3, 4, 5, 6]
    assert sum(rank is not None for rank in ranks.values()) == BUDGET
    assert {key: said for key, said in reasons.items() if said} == result.reasons
    names = kind.names()
    assert {names[key] for key in result.ids[:GROUPS]} == {f"look {n:02}" for n in range(GROUPS)}
    assert set(result.clusters.values()) == {2}
    assert all(result.reasons[key].endswith(f"one of {names[key]}") for key in result.ids)
    assert (result.n_missing, result.n_items) == (1, N - 1)
    assert result.covered > result.covered_before == 0.0
    assert f"6 of 47 {result.unit} are picked" in str(result)
    if kind.name == "frames":
        assert result.tag is None
        return
    assert kind.dataset.load_saved_view(result.view).values("id") == result.ids
    tagged = kind.dataset.match_tags("pick").values("id")
    if kind.is_label:
        tagged = kind.ids(kind.dataset.select_labels(tags="pick"))
    assert set(tagged) == set(result.ids)


def test_what_is_labelled_or_picked_is_not_picked_again_and_counts_as_covered(kind):
    labelled = [key for key, group in kind.group_of.items() if group == 0]
    truth = items(kind).with_field("truth")
    add_field(kind.dataset, truth.path, fo.StringField)
    write_rows(truth, {key: {"truth": "seen"} for key in labelled})
    chosen = {"run_key": "look", "quotas": "equal", "labels": kind.own("truth"), "radius": 0.0}
    first = selected(kind, **chosen)
    second = selected(kind, field="again", skip_tags=["pick"], **chosen)
    delete_field(kind.dataset, truth.path)
    assert first.n_given == len(labelled)
    assert first.covered_before == pytest.approx(len(labelled) / first.n_items)
    assert first.covered == pytest.approx((len(labelled) + BUDGET) / first.n_items)
    assert {kind.group_of[key] for key in first.ids} - {None} == {1, 2}
    assert second.n_given == len(labelled) + BUDGET
    assert not {*labelled, *first.ids} & set(second.ids)


def test_embeddings_alone_are_enough_and_the_order_of_a_view_does_not_count(images):
    result = selected(images, embeddings="emb")
    again = uvl.select(images.dataset.shuffle(seed=1), BUDGET, field="again", embeddings="emb")
    assert (again.ids, again.reasons) == (result.ids, result.reasons)
    assert result.clusters == {}
    assert len({images.group_of[key] for key in result.ids} - {None}) == GROUPS


def test_excluded_samples_are_not_picked_and_do_not_stay_tagged(images):
    excluded = [key for key, group in images.group_of.items() if group == 1]
    images.dataset.select(excluded).tag_samples("exclude")
    result = selected(images, embeddings="emb")
    assert not set(excluded) & set(result.ids)
    again = selected(images, embeddings="emb", overwrite=True, skip_tags=())
    assert {images.group_of[key] for key in again.ids} >= {0, 1, 2}
    assert set(images.dataset.match_tags("pick").values("id")) == set(again.ids)


def test_near_duplicates_count_once(images):
    vectors = dict(zip(*images.dataset.values(["id", "emb"]), strict=True))
    first, *copies = [key for key, group in images.group_of.items() if group == 0]
    same = {key: vectors[first] for key in copies[:10]}
    images.dataset.set_values("emb", same, key_field="id")
    result = uvl.select(images.dataset, 40, embeddings="emb", threshold=1e-6)
    assert result.n_copies == 10
    assert len({first, *same} & set(result.ids)) == 1
    assert len(result.ids) == N - 1 - 10
    assert "No more than these could be picked, of 40" in str(result)


@pytest.fixture
def videos():
    """Two videos of 50 frames, ten a second."""
    random, dataset = np.random.default_rng(0), fo.Dataset()
    for number in range(2):
        sample = fo.Sample(filepath=f"{number}.mp4", metadata=fo.VideoMetadata(frame_rate=10))
        for frame, vector in enumerate(random.normal(size=(50, 8)), start=1):
            sample.frames[frame] = fo.Frame(emb=vector)
        dataset.add_sample(sample)
    yield dataset
    dataset.delete()


def test_frames_are_a_second_apart_also_from_labelled_ones(videos):
    first = videos.first()
    first.frames[26]["seen"] = "yes"
    first.save()
    result = uvl.select(videos, 20, embeddings="frames.emb", labels="frames.seen")
    assert 8 <= len(result.ids) < 10
    for number, sample in enumerate(videos):
        picked = [n for n, frame in sample.frames.items() if frame["pick"]] + [26] * (number == 0)
        assert np.diff(sorted(picked)).min() >= 10


def test_decisions_about_frames_are_respected(videos):
    videos.set_values("frames.review", [["exclude"] * 50, [None] * 50])
    result = uvl.select(videos, 4, embeddings="frames.emb")
    picked = videos.match_frames(fo.ViewField("pick").exists()).values("id")
    assert picked == [videos.last().id]
    assert result.n_given == 50
    videos.select(videos.last().id).tag_samples("later")
    with pytest.raises(uvl.DataError, match="All 100 frames are labelled or skipped already"):
        uvl.select(videos, embeddings="frames.emb", skip_tags=["exclude", "later"], overwrite=True)


def test_an_unknown_frame_rate_is_an_error_that_names_the_way_out(videos):
    videos.set_values("metadata", [None, None])
    with pytest.raises(uvl.DataError, match=r"frame rate of '.*0.mp4' is not known .* gap=0"):
        uvl.select(videos, 5, embeddings="frames.emb")
    assert len(uvl.select(videos, 5, embeddings="frames.emb", gap=0).ids) == 5


def test_if_writing_fails_nothing_is_left(images, monkeypatch):
    before = str(images.dataset)

    def broken(*_, **__):
        raise RuntimeError("disk full")

    monkeypatch.setattr(curating.Place, "save_view", broken)
    with pytest.raises(RuntimeError, match="disk full"):
        selected(images, embeddings="emb")
    assert str(images.dataset) == before
    assert images.dataset.count_sample_tags() == {}


def test_progress_rises_to_the_end(images):
    reached = []
    selected(images, embeddings="emb", progress=lambda done, _: reached.append(done))
    assert reached == sorted(reached)
    assert reached[-1] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Pass embeddings=, the vector field, or run_key="),
        ({"embeddings": "emb", "run_key": "look"}, "pass either run_key, or embeddings"),
        ({"run_key": "nope"}, "has no run 'nope'"),
        ({"embeddings": "nope"}, "no vector field 'nope'"),
        ({"embeddings": "emb", "budget": 0}, "budget must be a whole number of at least 1, got 0"),
        ({"embeddings": "emb", "radius": -1.0}, "radius must be at least 0"),
        ({"embeddings": "emb", "gap": 2}, "between frames of videos, and these are images"),
        ({"embeddings": "emb", "quotas": "equal"}, "The quotas 'equal' are of clusters"),
        ({"embeddings": "emb", "quotas": "most"}, "quotas must be one of free, equal"),
        ({"embeddings": "emb", "labels": "nope"}, "has no field 'nope'"),
        ({"embeddings": "emb", "skip_tags": "done"}, "skip_tags must be a list of tags"),
        ({"embeddings": "emb", "field": "group"}, "'group' is a field of another kind"),
        ({"embeddings": "emb", "picker": uvl.Boundary()}, "'boundary' works on clusters"),
    ],
)
def test_what_cannot_be_is_refused_before_work(untouched, monkeypatch, arguments, message):
    monkeypatch.setattr(selecting.vectors, "read_items", None)
    with pytest.raises(uvl.UVLError, match=message):
        uvl.select(untouched.dataset, **arguments)
