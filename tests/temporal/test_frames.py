"""Windows of frames."""

import numpy as np
import pytest

from uvl_plugin.core.progress import silent
from uvl_plugin.pooling.axes import fit_axes
from uvl_plugin.pooling.base import FramePath
from uvl_plugin.temporal.frames import Reader, Windows


def windows(paths, window=10):
    axes = fit_axes(lambda: iter(paths), 3)
    return Windows(lambda: iter(paths), Reader(axes.motion, window), axes, silent)


def test_long_videos_are_cut_into_windows_of_nearly_one_length():
    path = FramePath("v", np.arange(1, 26), np.arange(25.0)[:, None] * [1, 2])
    parts = Reader(np.eye(2), 10)(path)
    assert [len(part) for part in parts] == [9, 8, 8]
    assert parts[1] == pytest.approx(path.vectors[9:17] - path.vectors[9:17].mean(axis=0))


def test_the_order_of_the_videos_does_not_count(circling):
    one, other = windows(circling), windows(circling[::-1])
    assert one.digest == other.digest
    assert one.keys == other.keys
    for first, second in zip(one.batch(np.arange(50)), other.batch(np.arange(50)), strict=True):
        assert second == pytest.approx(first, abs=1e-5)


def test_the_digest_sees_keys_numbers_and_vectors(circling):
    first = circling[0]
    others = [
        FramePath("another", first.numbers, first.vectors),
        FramePath(first.key, first.numbers + 1, first.vectors),
        FramePath(first.key, first.numbers, first.vectors + np.float32(0.01)),
    ]
    digests = {windows([path, *circling[1:]]).digest for path in [first, *others]}
    assert len(digests) == 4


def test_a_batch_is_padded_with_zeros(circling):
    found = windows(circling)
    frames, lengths = found.batch(np.arange(len(found.keys)))
    assert lengths.sum() == sum(len(path) for path in circling)
    assert frames.shape == (len(found.keys), lengths.max(), 3)
    for rows, length in zip(frames, lengths, strict=True):
        assert (rows[length:] == 0).all()
        assert np.abs(rows[:length]).max() > 0.1


def test_a_video_is_learnt_from_or_held_out_as_a_whole(circling):
    found = windows(circling)
    parts = found.divided(0.2, 4)
    keys = {name: {found.keys[index] for index in part} for name, part in parts.items()}
    assert not keys["train"] & keys["validation"]
    assert len(keys["validation"]) == 12
    assert len(keys["train"]) == 48


@pytest.mark.parametrize(("n", "held"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_of_few_videos_one_is_always_learnt_from(circling, n, held):
    short = FramePath("short", [1, 2], np.ones((2, 6)))
    parts = windows([*circling[:n], short]).divided(0.3, 4)
    assert (len(parts["train"]) > 0) == (n > 0)
    assert (len(parts["validation"]) > 0) == (held > 0)


def test_nothing_is_held_out_if_no_share_is_asked_for(circling):
    parts = windows(circling).divided(0.0, 4)
    assert len(parts["validation"]) == 0
