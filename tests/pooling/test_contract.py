"""What every pooling promises; a new one is tested the moment it is registered."""

import numpy as np
import pytest

from uvl_plugin.core.errors import DataError
from uvl_plugin.pooling.base import FramePath, poolings
from uvl_plugin.temporal.gru import TemporalGRU
from uvl_plugin.temporal.train import train_temporal

NAMES = poolings.names()


@pytest.fixture
def make(walks):
    """Settings of a pooling that can be fitted on the walks."""

    def made(name):
        if name != "temporal":
            return poolings[name]()
        method = TemporalGRU(epochs=1, hidden=5, n_components=4)
        train_temporal(lambda: iter(walks), method, name="small", device="cpu")
        return poolings[name](encoder="small")

    return made


def pooled(pooler, paths):
    return np.stack([pooler(path) for path in paths])


def test_the_registry_has_all():
    assert {"mean", "mean_deviation", "signature", "temporal"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_finite_float32_of_the_promised_length(name, make, walks):
    pooler = make(name).fit(lambda: iter(walks))
    vectors = pooled(pooler, walks)
    assert vectors.shape == (len(walks), pooler.dim)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors.round(5), axis=0)) > len(walks) / 2


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_videos_does_not_count(name, make, walks):
    pooling = make(name)
    forward = pooled(pooling.fit(lambda: iter(walks)), walks)
    backward = pooled(pooling.fit(lambda: iter(walks[::-1])), walks)
    assert backward == pytest.approx(forward, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_twice_the_same(name, make, walks):
    pooling = make(name)
    first, second = (pooled(pooling.fit(lambda: iter(walks)), walks) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", NAMES)
def test_restored_from_its_arrays_it_gives_the_same_vectors(name, make, walks, tmp_path):
    pooling = make(name)
    pooler = pooling.fit(lambda: iter(walks))
    np.savez(tmp_path / "arrays.npz", **pooler.arrays)
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as file:
        restored = pooling.restore(dict(file))
    assert restored.dim == pooler.dim
    assert np.array_equal(pooled(restored, walks), pooled(pooler, walks))


@pytest.mark.parametrize("name", NAMES)
def test_videos_that_stand_still_get_finite_vectors(name, make, walks):
    pooling = make(name)
    still = [FramePath(str(n), np.arange(1, 5), np.full((4, 12), n)) for n in range(3)]
    for paths in (still, still[:1], [FramePath("one", [7], np.ones((1, 12)))]):
        pooler = pooling.fit(lambda paths=paths: iter(paths))
        assert np.isfinite(pooled(pooler, [*still, *walks])).all()


@pytest.mark.parametrize("name", NAMES)
def test_only_an_order_aware_one_tells_a_video_from_itself_played_backwards(name, make, walks):
    pooling = make(name)
    pooler = pooling.fit(lambda: iter(walks))
    forward = walks[-1]
    backward = FramePath("backward", forward.numbers, forward.vectors[::-1])
    far = np.linalg.norm(pooler(forward) - pooler(backward)) / np.linalg.norm(pooler(forward))
    assert (far > 0.1) if pooling.order_aware else (far < 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_frames_of_another_backbone_are_refused(name, make, walks):
    pooler = make(name).fit(lambda: iter(walks))
    other = FramePath("other", [1, 2], np.zeros((2, 13)))
    with pytest.raises(DataError, match=r"'other' have vectors of length 13, others of 12"):
        pooler(other)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"temporal"}))
def test_without_videos_there_is_nothing_to_pool(name, make):
    with pytest.raises(DataError, match="no videos"):
        make(name).fit(lambda: iter([]))


@pytest.mark.parametrize(
    ("numbers", "vectors", "said"),
    [
        ([], np.zeros((0, 3)), "has no frames with a vector"),
        ([1, 2], np.zeros((3, 3)), r"got \(2,\) and \(3, 3\)"),
        ([1, 1], np.zeros((2, 3)), "must increase"),
    ],
)
def test_a_path_that_cannot_be_is_refused(numbers, vectors, said):
    with pytest.raises(DataError, match=said):
        FramePath("v", np.array(numbers, dtype=np.int64), vectors)
