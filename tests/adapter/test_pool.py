"""One vector for each whole video or clip: which frames it is made of, and what can go wrong."""

import fiftyone as fo
import numpy as np
import pytest

import uvl_plugin as uvl
from tests.adapter.walks import add_videos, frame_path, in_videos, moving_digits, walk
from uvl_plugin import videos as verb
from uvl_plugin.pooling.base import poolings

GAPS = [1, 2, 4, 5, 9, 10, 30, 31, 32, 70]
POOLINGS = [poolings["mean"](), poolings["mean_deviation"](), uvl.Signature(n_components=3)]
SUPPORTS = [[1, 9], [4, 31], [33, 69], [70, 70], [71, 90]]  # two overlap, two have no frame
N_WALKS = 6
PATHS = [walk(seed, GAPS[: 10 - seed % 2]) for seed in range(N_WALKS)]


@pytest.fixture
def walks(make_dataset):
    """Six videos whose frames have vectors, with gaps, and one without; five clips in each."""
    dataset = make_dataset([])
    dataset.media_type = "video"
    clips = [
        fo.TemporalDetections(
            detections=[fo.TemporalDetection(label="x", support=span) for span in SUPPORTS]
        )
        for _ in range(N_WALKS + 1)
    ]
    add_videos(dataset, [*PATHS, {}], events=clips)
    return dataset


def paths_of(dataset):
    """What stands in the frames of each video that has some."""
    return dict(zip(dataset.values("id"), PATHS, strict=False))


def pooled(samples, path):
    """Vector by the id of each video or clip that has one, read by FiftyOne."""
    before = path.rpartition(".")[0]
    ids = samples.values(f"{before}.id" if before else "id", unwind=bool(before))
    vectors = samples.values(path, unwind=bool(before))
    return {key: found for key, found in zip(ids, vectors, strict=True) if found is not None}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, vector in expected.items():
        np.testing.assert_allclose(found[key], vector, rtol=1e-5, atol=1e-6)


def by_hand(paths, pooling):
    rows = [frame_path(key, path) for key, path in sorted(paths.items())]
    pooler = pooling.fit(lambda: iter(rows))
    return {row.key: pooler(row) for row in rows}


@pytest.mark.parametrize("pooling", POOLINGS, ids=lambda pooling: pooling.name)
def test_whole_videos(walks, pooling):
    result = uvl.pool(walks, "frames.emb", "whole", pooling=pooling, progress=False)
    expected = by_hand(paths_of(walks), pooling)
    assert_same(pooled(walks, "whole"), expected)
    assert (result.n_pooled, result.n_missing, result.n_present) == (N_WALKS, 1, 0)
    assert result.dim == len(next(iter(expected.values())))
    assert str(result) == (
        "6 videos have a new vector in 'whole'; 1 have no frame with a vector: embed their frames "
        "first."
    )
    assert isinstance(walks.get_field("whole"), fo.VectorField)


@pytest.mark.parametrize("pooling", POOLINGS, ids=lambda pooling: pooling.name)
def test_clips(walks, pooling):
    result = uvl.pool(
        walks, "frames.emb", "part", pooling=pooling, patches_field="events", progress=False
    )
    inside = {}
    for sample in walks.select(list(paths_of(walks))):
        for clip in sample.events.detections:
            first, last = clip.support
            path = paths_of(walks)[sample.id]
            inside[clip.id] = {n: v for n, v in path.items() if first <= n <= last}
    inside = {key: path for key, path in inside.items() if path}
    assert_same(pooled(walks, "events.detections.part"), by_hand(inside, pooling))
    assert (result.n_pooled, result.n_missing) == (len(inside), 7 * len(SUPPORTS) - len(inside))
    assert (result.unit, result.field) == ("clips", "events.detections.part")
    assert walks.first().events.detections[0].label == "x"
    walks.delete_run("embed_events_detections_part")
    assert walks.get_field("events.detections.part") is None
    assert walks.first().events.detections[0].support == SUPPORTS[0]


def test_new_videos_get_vectors_in_the_same_space(walks):
    pooling = uvl.Signature(n_components=3)
    uvl.pool(walks, "frames.emb", "whole", pooling=pooling, progress=False)
    before, space = pooled(walks, "whole"), walks.get_field("whole").info["uvl"]["space"]
    new = {seed: walk(seed, [3, 4, 8, 20]) for seed in (77, 78)}
    ids = add_videos(walks, list(new.values()))
    name = walks.name
    walks.clear_cache()
    other = _opened_anew(name)
    result = uvl.pool(other, "frames.emb", "whole", pooling=pooling, progress=False)
    assert (result.n_pooled, result.n_present, result.n_missing) == (2, N_WALKS, 1)
    learnt = pooling.fit(
        lambda: iter([frame_path(key, path) for key, path in sorted(paths_of(walks).items())])
    )
    expected = {
        key: learnt(frame_path(key, path)) for key, path in zip(ids, new.values(), strict=True)
    }
    found = pooled(other, "whole")
    assert_same({key: found.pop(key) for key in ids}, expected)
    assert all(np.array_equal(found.pop(key), vector) for key, vector in before.items())
    assert other.get_field("whole").info["uvl"]["space"] == space
    again = uvl.pool(other, "frames.emb", "whole", pooling=pooling, progress=False)
    assert (again.n_pooled, again.n_present, again.n_missing) == (0, N_WALKS + 2, 1)


def _opened_anew(name):
    """The dataset as another process sees it."""
    fo.Dataset._instances.pop(name, None)
    return fo.load_dataset(name)


def test_the_record(walks):
    pooling = uvl.Signature(n_components=2, appearance=0.5)
    uvl.pool(walks, "frames.emb", "whole", pooling=pooling, progress=False)
    config = walks.get_run_info("embed_whole").config
    assert (config.method, config.field, config.embeddings) == (
        "uvl/signature", "whole", "frames.emb",
    )  # fmt: skip
    assert config.settings == pooling.to_dict()
    assert (config.unit, config.n_pooled, config.n_missing, config.dim) == ("videos", 6, 1, 5)
    assert set(config.seconds) == {"fit", "pool"}
    walks.rename_run("embed_whole", "mine")
    new = add_videos(walks, [walk(9, [1, 2, 3])])
    uvl.pool(walks, "frames.emb", "whole", pooling=pooling, progress=False)
    assert new[0] in pooled(walks, "whole")
    for key in walks.list_runs():
        walks.delete_run(key)
    assert walks.get_field("whole") is None


def test_of_a_view_only_its_videos(walks):
    chosen = list(paths_of(walks))[1:3]
    view = walks.select(chosen)
    result = uvl.pool(view, "frames.emb", "whole", progress=False)
    assert (result.n_pooled, result.n_missing) == (2, 0)
    assert set(pooled(walks, "whole")) == set(chosen)
    uvl.pool(walks, "frames.emb", "whole", progress=False)
    assert set(pooled(walks, "whole")) == set(paths_of(walks))
    label = walks.first().events.detections[1].id
    clip = walks.select_labels(ids=[label], fields="events")
    uvl.pool(clip, "frames.emb", "part", patches_field="events", progress=False)
    assert set(pooled(walks, "events.detections.part")) == {label}


def test_overwrite_learns_anew(walks):
    uvl.pool(walks, "frames.emb", "whole", progress=False)
    paths = paths_of(walks)
    walks.delete_samples(list(paths)[:2])
    pooling = uvl.Signature(n_components=2)
    result = uvl.pool(walks, "frames.emb", "whole", pooling=pooling, overwrite=True, progress=False)
    assert (result.n_pooled, result.n_present) == (N_WALKS - 2, 0)
    left = {key: path for key, path in paths.items() if key in walks}
    assert_same(pooled(walks, "whole"), by_hand(left, pooling))
    assert walks.list_runs() == ["embed_whole"]
    assert walks.get_run_info("embed_whole").config.pooling == "signature"


def test_what_may_not_be_written_is_refused(walks):
    uvl.pool(walks, "frames.emb", "whole", progress=False)
    walks.add_frame_field("other", fo.VectorField)
    sample = walks.first()
    sample.frames[1]["other"] = np.ones(2)
    sample["note"], sample["own"] = "mine", np.ones(3)
    sample.save()
    for arguments, message in [
        ({"pooling": "signature"}, "vectors made by Mean.*pass overwrite=True"),
        ({"embeddings": "frames.other"}, "vectors made by Mean.* of 'frames.emb'"),
        ({"field": "note"}, "'note' is a field of type StringField"),
        ({"field": "own"}, "were not pooled from frames"),
        ({"field": "a b"}, "cannot be the name of a field"),
        ({"field": "frames.whole"}, "cannot be the name of a field"),
        ({"embeddings": "emb"}, "'emb' is no field of frames"),
        ({"embeddings": "frames.nope"}, "no vector field 'frames.nope'"),
        ({"patches_field": "nope"}, "no temporal detections in 'nope'.*events"),
        ({"pooling": "median"}, "no pooling 'median'"),
        ({"pooling": 3}, "such as uvl.Signature"),
        ({"pooling": uvl.Temporal(encoder="nobody"), "field": "b"}, "no temporal encoder 'nobody'"),
    ]:
        with pytest.raises(uvl.UVLError, match=message):
            uvl.pool(walks, **{"embeddings": "frames.emb", "field": "whole", **arguments})
    assert walks.list_runs() == ["embed_whole"]
    assert len(pooled(walks, "whole")) == N_WALKS
    with pytest.raises(uvl.DataError, match="A view of patches, frames or clips cannot be used"):
        uvl.pool(walks.to_clips("events"), "frames.emb", "b")
    with pytest.raises(uvl.DataError, match="embed their frames first"):
        uvl.pool(walks.skip(N_WALKS), "frames.emb", "b", progress=False)
    assert walks.get_field("b") is None


@pytest.mark.parametrize("lengths", [(6, 7), (7, 7)])
def test_frames_of_two_backbones_are_refused(walks, lengths):
    """Within a video, or from one video to another."""
    add_videos(walks, [{number: np.ones(dim) for number, dim in enumerate(lengths, start=1)}])
    with pytest.raises(uvl.DataError, match="backbone"):
        uvl.pool(walks, "frames.emb", "whole", progress=False)
    assert (walks.get_field("whole"), walks.list_runs()) == (None, [])


def test_images_have_no_frames(digits):
    with pytest.raises(uvl.DataError, match="holds no videos"):
        uvl.pool(digits, "frames.emb", "whole")


def _stop_after(n):
    def progress(fraction, message):
        if message.startswith(f"pooled {n:,}"):
            raise uvl.Cancelled("stopped")

    return progress


def test_what_stops_in_the_middle_leaves_no_field(walks, monkeypatch):
    with pytest.raises(uvl.Cancelled):
        uvl.pool(walks, "frames.emb", "whole", progress=_stop_after(3))
    assert (walks.get_field("whole"), walks.list_runs()) == (None, [])
    with monkeypatch.context() as patch:
        patch.setattr(verb.pooled, "record", _full)
        with pytest.raises(OSError, match="full"):
            uvl.pool(walks, "frames.emb", "part", patches_field="events", progress=False)
    assert (walks.get_field("events.detections.part"), walks.list_runs()) == (None, [])
    uvl.pool(walks, "frames.emb", "whole", progress=False)
    new = add_videos(walks, [walk(seed, [1, 2]) for seed in range(4)])
    with pytest.raises(uvl.Cancelled):
        uvl.pool(walks, "frames.emb", "whole", progress=_stop_after(2))
    assert {*paths_of(walks), *sorted(new)[:2]} <= set(pooled(walks, "whole"))
    assert uvl.pool(walks, "frames.emb", "whole", progress=False).n_present >= N_WALKS + 2
    assert set(new) < set(pooled(walks, "whole"))


def _full(*_):
    raise OSError("full")


def test_progress_goes_up_to_one(walks):
    seen = []
    uvl.pool(walks, "frames.emb", "whole", progress=lambda done, _: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > N_WALKS


@pytest.mark.parametrize("unit", ["videos", "clips"])
def test_mirrored_motions_are_found_searched_and_drawn(make_dataset, unit):
    """Only the order of the frames tells them apart: the whole way from vectors to a judgement."""
    dataset = make_dataset([])
    dataset.media_type = "video"
    moves = moving_digits(per_class=30)
    in_videos(dataset, moves, per_video=1 if unit == "videos" else 6)
    parts = {"patches_field": "events"} if unit == "clips" else {}
    if unit == "videos":
        dataset.set_values(
            "label", [labels[0] for labels in dataset.values("events.detections.label")]
        )
    result = uvl.pool(dataset, "frames.emb", "move", pooling="signature", progress=False, **parts)
    assert (result.n_pooled, result.unit) == (180, unit)
    own = "move" if unit == "videos" else "events.detections.move"
    uvl.cluster(
        dataset,
        uvl.KMeans(n_clusters=6),
        embeddings="move",
        run_key="look",
        progress=False,
        **parts,
    )
    judged = uvl.evaluate(dataset, "cluster", ground_truth="label", progress=False, **parts)
    assert judged.agreement.accuracy >= 0.95
    uvl.index(dataset, embeddings="move", brain_key="sim", progress=False, **parts)
    vectors = pooled(dataset, own)
    query = min(vectors)
    found = dataset.sort_by_similarity(query, k=10, brain_key="sim")
    lengths = {key: vector / np.linalg.norm(vector) for key, vector in vectors.items()}
    nearest = sorted(vectors, key=lambda key: -float(lengths[key] @ lengths[query]))
    assert set(pooled(found, own)) == set(nearest[:10])
    assert uvl.visualize(dataset, embeddings="move", brain_key="map", method="pca", **parts) == 180
