"""The path signature: against its definition, and what it does not change with."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from uvl_plugin.pooling.base import FramePath
from uvl_plugin.pooling.signature import Signature, signature

numbers = st.floats(-10, 10, width=32)
drawn_paths = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 12), st.integers(2, 4)), elements=numbers
)


def by_hand(path):
    """Increments, and areas as the sum over all pairs of steps, the first before the second."""
    t, k = path.shape
    steps = [path[i + 1] - path[i] for i in range(t - 1)]
    areas = []
    for a in range(k):
        for b in range(a + 1, k):
            twice = sum(
                first[a] * second[b] - first[b] * second[a]
                for i, first in enumerate(steps)
                for second in steps[i + 1 :]
            )
            areas.append(twice / 2)
    return np.array([*(path[-1] - path[0]), *areas])


@given(drawn_paths)
def test_it_is_the_definition(path):
    assert signature(path) == pytest.approx(by_hand(path), abs=1e-6)


def test_a_circle_has_its_area_with_the_sign_of_its_sense():
    turn = np.linspace(0, 2 * np.pi, 2000)
    circle = 3 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    assert signature(circle) == pytest.approx([0, 0, 9 * np.pi], rel=1e-4, abs=1e-6)
    assert signature(circle[::-1]) == pytest.approx([0, 0, -9 * np.pi], rel=1e-4, abs=1e-6)


@given(drawn_paths, st.data())
def test_speed_does_not_count(path, data):
    """Frames that are shown for longer, and frames in between."""
    times = data.draw(st.lists(st.integers(1, 3), min_size=len(path), max_size=len(path)))
    assert signature(np.repeat(path, times, axis=0)) == pytest.approx(signature(path), abs=1e-6)
    between = np.empty((2 * len(path) - 1, path.shape[1]))
    between[::2], between[1::2] = path, (path[1:] + path[:-1]) / 2
    assert signature(between) == pytest.approx(signature(path), abs=1e-6)


@given(drawn_paths, numbers)
def test_where_it_is_does_not_count(path, shift):
    assert signature(path + shift) == pytest.approx(signature(path), abs=1e-5)


@given(drawn_paths)
def test_backwards_it_changes_its_sign(path):
    assert signature(path[::-1]) == pytest.approx(-signature(path), abs=1e-6)


@given(drawn_paths, st.floats(0.1, 3))
def test_increments_grow_with_the_path_and_areas_with_its_square(path, size):
    k = path.shape[1]
    before, after = signature(path), signature(size * path)
    assert after[:k] == pytest.approx(size * before[:k], abs=1e-6)
    assert after[k:] == pytest.approx(size**2 * before[k:], abs=1e-5)


def test_the_parts_have_their_shares(walks):
    for share in (0.0, 0.25, 1.0):
        pooler = Signature(appearance=share).fit(lambda: iter(walks))
        vectors = np.stack([pooler(path) for path in walks])
        squares = (vectors**2).sum(axis=0)
        assert squares[36:].sum() / len(walks) == pytest.approx(share, abs=1e-5)
        assert squares[:36].sum() / len(walks) == pytest.approx(1 - share, abs=1e-5)


def test_of_still_videos_the_looks_are_left(walks):
    pooler = Signature().fit(lambda: iter(walks))
    one, other = (
        pooler(FramePath("still", np.arange(1, 4), np.tile(path.vectors[0], (3, 1))))
        for path in walks[:2]
    )
    assert one[:36] == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm(one[36:] - other[36:]) > 0.05


def test_speed_does_not_count_in_the_vector(walks):
    pooler = Signature(appearance=0).fit(lambda: iter(walks))
    path = walks[-1]
    slow = FramePath("slow", np.arange(1, 3 * len(path) + 1), np.repeat(path.vectors, 3, axis=0))
    assert pooler(slow) == pytest.approx(pooler(path), rel=1e-4, abs=1e-5)


def test_short_vectors_are_followed_in_all_their_numbers():
    path = FramePath("v", [1, 2, 3], np.array([[0, 0], [1, 0], [1, 1]]))
    pooler = Signature().fit(lambda: iter([path]))
    assert pooler.dim == 2 + 1 + 2
    assert np.isfinite(pooler(path)).all()
