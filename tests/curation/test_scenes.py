import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.montages import agreement
from uvl_plugin.backbones.torchvision import TorchVision
from uvl_plugin.core.errors import DataError
from uvl_plugin.curation.scenes import Scenes, Segment, scenes

DIM = 96
PLACES = np.random.default_rng(0).normal(size=(400, DIM))


def video(places, n=20, seed=0, noise=0.1):
    """Numbers, vectors and starts of a video that shows places one after the other."""
    random = np.random.default_rng(seed)
    vectors = np.repeat(PLACES[list(places)], n, axis=0)
    vectors = vectors + noise * random.normal(size=vectors.shape)
    starts = 1 + n * np.arange(1, len(places))
    return np.arange(1, len(vectors) + 1), vectors.astype(np.float32), starts


def labels(segments: list[Segment]) -> list[int]:
    return [segment.scene for segment in segments]


PLANS = st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=8), min_size=1, max_size=5)


@given(PLANS, st.integers(0, 99))
def test_the_same_place_is_the_same_scene_in_all_videos(plans, seed):
    plans = [[p for i, p in enumerate(plan) if not i or p != plan[i - 1]] for plan in plans]
    if all(len(plan) < 2 for plan in plans):
        return
    found = scenes(
        ((key, *video(plan, seed=seed + key)) for key, plan in enumerate(plans)), Scenes()
    )
    places = [place for plan in plans for place in plan]
    scene = [label for key in range(len(plans)) for label in labels(found[key])]
    assert len(set(zip(places, scene, strict=True))) == len(set(places)) == len(set(scene))
    assert set(scene) == set(range(len(set(scene))))


@given(st.integers(1, 60), st.integers(0, 99))
def test_segments_cover_every_number_once(t, seed):
    random = np.random.default_rng(seed)
    numbers = np.sort(random.choice(np.arange(1, 200), t, replace=False))
    starts = np.sort(random.choice(numbers[1:], random.integers(0, t), replace=False))
    segments = scenes([("a", numbers, random.normal(size=(t, 4)), starts)], Scenes())["a"]
    covered = [n for segment in segments for n in range(segment.first, segment.last + 1)]
    assert covered == list(range(numbers[0], numbers[-1] + 1))
    assert [segment.first for segment in segments[1:]] == starts.tolist()
    for segment in segments:
        assert segment.first <= segment.exemplar <= segment.last
        assert segment.exemplar in numbers
        assert 0.0 <= segment.strength <= 1.0


def test_the_scene_of_most_frames_is_number_0():
    assert labels(scenes([("a", *video([3, 5, 7, 5]))], Scenes())["a"]) == [1, 0, 2, 0]


def test_the_order_of_the_videos_does_not_matter():
    given = [(f"v{key}", *video(np.roll(range(6), key)[:4], seed=key)) for key in range(6)]
    assert scenes(given, Scenes()) == scenes(given[::-1], Scenes())
    assert list(scenes(given[::-1], Scenes())) == [f"v{key}" for key in range(5, -1, -1)]


def test_the_length_of_a_vector_does_not_matter():
    numbers, vectors, starts = video([1, 2, 1, 3])
    scales = np.random.default_rng(0).uniform(0.1, 10.0, (len(vectors), 1))
    found = scenes([("a", numbers, vectors, starts)], Scenes())["a"]
    scaled = scenes([("a", numbers, vectors * scales, starts)], Scenes())["a"]
    assert labels(scaled) == labels(found) == [0, 1, 0, 2]
    assert [one.exemplar for one in scaled] == [one.exemplar for one in found]


def test_the_exemplar_is_the_frame_nearest_to_the_middle_and_oddities_do_not_count():
    numbers, vectors, starts = video([1, 2])
    vectors[4:8] = 5.0
    first = scenes([("a", numbers, vectors, starts)], Scenes())["a"][0]
    unit = vectors[:20] / np.linalg.norm(vectors[:20], axis=1, keepdims=True)
    place = PLACES[1] / np.linalg.norm(PLACES[1])
    assert first.exemplar - 1 not in range(4, 8)
    assert unit[first.exemplar - 1] @ place >= np.quantile(unit @ place, 0.6)


def test_strength_is_high_in_the_middle_of_a_scene_and_low_between_two():
    numbers, vectors, starts = video([1, 2, 1, 2, 3])
    vectors[80:] = PLACES[1] * 0.75 + PLACES[2] * 0.55
    found = scenes([("a", numbers, vectors, starts)], Scenes())["a"]
    assert labels(found) == [0, 1, 0, 1, 0]
    assert found[4].strength + 0.1 < min(one.strength for one in found[:4])


def test_how_alike_a_scene_must_be_can_be_said():
    given = [("a", *video([1, 2, 1, 2], noise=0.5))]
    assert labels(scenes(given, Scenes(alike=0.0))["a"]) == [0, 1, 2, 3]
    assert labels(scenes(given, Scenes(alike=2.0))["a"]) == [0, 0, 0, 0]


def test_videos_of_one_shot_and_of_no_frames():
    nothing = (np.empty(0, np.int64), np.empty((0, DIM)), np.empty(0, np.int64))
    assert scenes([], Scenes()) == {}
    assert scenes([("a", *nothing)], Scenes()) == {"a": []}
    found = scenes(
        [("a", *video([1])), ("b", *nothing), ("c", *video([1], seed=1)), ("d", *video([2]))],
        Scenes(),
    )
    assert [labels(found[key]) for key in "abcd"] == [[0], [], [0], [1]]
    one = scenes([("a", np.array([7]), np.ones((1, 3)), np.empty(0, np.int64))], Scenes())
    assert one == {"a": [Segment(first=7, last=7, scene=0, exemplar=7, strength=1.0)]}


def test_a_start_that_is_no_frame_is_refused():
    numbers, vectors, _ = video([1, 2])
    for start in (1, 41):
        with pytest.raises(DataError, match="Video 'a' has boundaries at frames"):
            scenes([("a", numbers, vectors, np.array([start]))], Scenes())


def test_only_a_vector_of_each_segment_is_kept():
    def long_videos():
        for key in range(8):
            yield key, *video([key, key + 1], n=10_000)

    tracemalloc.start()
    found = scenes(long_videos(), Scenes())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len({label for segments in found.values() for label in labels(segments)}) == 9
    assert most < 6 * 20_000 * DIM * 8  # of one video while it is made; all would be 8 times that


def test_many_segments_are_joined_without_all_their_distances():
    random = np.random.default_rng(0)
    plans = random.integers(0, 400, (100, 50))
    found = scenes(((key, *video(plan, n=2, seed=key)) for key, plan in enumerate(plans)), Scenes())
    scene = np.concatenate([labels(found[key]) for key in range(100)])
    assert agreement(scene, plans.ravel()) >= 0.95


@pytest.mark.real_data
def test_scenes_of_a_real_video_that_come_back_are_known_again(real_data):
    import av

    with av.open(str(real_data / "videos/multiscene_dev.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][::3]
    weights = real_data / "weights/torchvision/squeezenet1_1_imagenet.pth"
    encoder = TorchVision(model="squeezenet1_1", input_size=128, weights=str(weights)).load("cpu")
    vectors = np.concatenate([encoder.encode([encoder.preprocess(one)]) for one in frames])
    numbers = 1 + 3 * np.arange(len(frames))
    truth = json.loads((real_data / "videos/multiscene_dev.scenes.json").read_text())["segments"]
    begins = np.array([one["first_frame"] + 1 for one in truth])
    segments = scenes([("a", numbers, vectors, begins[1:])], Scenes())["a"]
    firsts = [segment.first for segment in segments]
    found = np.array(labels(segments))[np.searchsorted(firsts, numbers, side="right") - 1]
    named = np.array([one["label"] for one in truth])
    assert agreement(found, named[np.searchsorted(begins, numbers, side="right") - 1]) >= 0.9
