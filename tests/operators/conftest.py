import numpy as np
import pytest

from tests.fiftyone_fixtures import *  # the fixtures, and FiftyOne on a private database

RATE = 10  # frames a second of the small videos
N_FRAMES = 40


def write_video(path, seed):
    """40 pictures at 10 a second: 20 of one picture, with noise, then 20 of another."""
    import av

    rng = np.random.default_rng(seed)
    shots = (rng.random((2, 6, 8, 3)) < 0.4) * 220.0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(N_FRAMES):
            large = np.kron(shots[number * 2 // N_FRAMES], np.ones((8, 8, 1)))
            pixels = np.clip(large + rng.normal(0, 4, large.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(autouse=True)
def frame_pictures(tmp_path, monkeypatch):
    """Pictures of frames go to a folder of the test."""
    monkeypatch.setenv("UVL_FRAMES", str(tmp_path / "frames"))


@pytest.fixture(scope="session")
def video_files(tmp_path_factory):
    """Four small videos; the first and the last one show the same scenes."""
    folder = tmp_path_factory.mktemp("videos")
    return [write_video(folder / f"{place}.mp4", place % 3) for place in range(4)]


@pytest.fixture
def videos(make_dataset, video_files):
    """Four small videos, without metadata; a clip of each in 'events', and its kind in 'kind'."""
    import fiftyone as fo

    dataset = make_dataset(video_files)
    for place, sample in enumerate(dataset):
        clip = fo.TemporalDetection(label="first half", support=[1, 20])
        sample["events"] = fo.TemporalDetections(detections=[clip])
        sample["kind"] = str(place % 3)
        sample.save()
    return dataset
