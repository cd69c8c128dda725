import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pymongo
import pytest

from tests.private_database import REPOSITORY
from uvl_plugin.adapter import demo_session, demo_video
from uvl_plugin.adapter.demo_clips import RATE, SCENES, Clip, Shot, planned_clips, write_clip
from uvl_plugin.adapter.mongod import private_mongod
from uvl_plugin.core.errors import SettingsError

COMMAND = [sys.executable, "-m", "uvl_plugin.cli", "demo-video", "--no-app", "--folder"]
SECONDS = 600


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Of a user who has neither a FiftyOne database nor settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FIFTYONE_")}
    return kept | {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PYTHONPATH": str(REPOSITORY),
        "FIFTYONE_PLUGINS_DIR": os.environ["FIFTYONE_PLUGINS_DIR"],
        "FIFTYONE_DO_NOT_TRACK": "true",
    }


def run(folder: Path, environment: dict[str, str]) -> tuple[subprocess.CompletedProcess, float]:
    started = time.monotonic()
    ran = subprocess.run(
        [*COMMAND, str(folder)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=SECONDS,
    )
    return ran, time.monotonic() - started


@pytest.fixture(scope="module")
def explored(tmp_path_factory, environment):
    """A folder in which the demo ran once: folder, report, seconds."""
    folder = tmp_path_factory.mktemp("demo")
    ran, seconds = run(folder, environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    return folder, ran.stdout, seconds


def test_scenes_come_back_and_none_follows_itself():
    clips = planned_clips(20)
    assert clips == planned_clips(20)
    for clip in clips:
        order = [shot.scene for shot in clip.shots]
        assert len(set(order)) == len(order) - 1
        assert all(np.diff(order) != 0)
        assert [shot.first for shot in clip.shots[1:]] == [
            shot.last + 1 for shot in clip.shots[:-1]
        ]
        assert clip.shots[0].first == 1
        assert 5 <= clip.n_frames / RATE <= 23


def test_a_clip_has_its_frames_and_is_written_once(tmp_path):
    import av

    clip = Clip("short.mp4", (Shot(1, 6, 2, seed=1), Shot(7, 9, 0, seed=2)))
    assert [clip.scene_at(number) for number in (1, 6, 7, 9)] == ["sea", "sea", "fire", "fire"]
    path = write_clip(clip, tmp_path)
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == RATE
    assert len(pictures) == clip.n_frames
    colours = [picture.reshape(-1, 3).mean(axis=0).argmax() for picture in pictures]
    assert colours == [2] * 6 + [0] * 3  # blue, then red
    before = path.stat().st_mtime_ns
    assert write_clip(clip, tmp_path).stat().st_mtime_ns == before
    assert [each.name for each in tmp_path.iterdir()] == ["short.mp4"]


def test_the_report_compares_with_what_was_made(explored):
    folder, report, _ = explored
    assert f"6 clips, 84 s, made of {len(SCENES)} scenes that come back, in {folder}" in report
    assert re.search(r"4\d\d frames, 5 a second, have a vector of their bare pixels", report)
    n_clusters, accuracy = re.search(r"not given: (\d+)\n.*ACC ([\d.]+)", report).groups()
    assert 6 <= int(n_clusters) <= 7
    assert float(accuracy) > 0.9  # 1.000
    assert float(re.search(r"boundaries: .* F1 ([\d.]+)", report)[1]) > 0.95  # 1.000
    assert float(re.search(r"the right one for ([\d.]+)%", report)[1]) > 90  # 96.9
    assert re.search(r"seconds: make clips [\d.]+, embed [\d.]+, cluster [\d.]+, segment", report)


def test_figures_of_the_report_are_those_of_the_definition():
    clips = [Clip("a", (Shot(1, 50, 0, 0), Shot(51, 100, 1, 0), Shot(101, 150, 0, 0)))]
    found = [[(1, 57, "s0"), (58, 90, "s1"), (91, 150, "s0")]]
    assert demo_video._boundaries(clips, found) == "1 of 2 found within 0.3 s, 1 others; F1 0.500"
    # 50 of s0 and 33 of s1 and 50 of s0 are right, 7 and 10 are not
    assert "2 found, 6 made; the right one for 88.7%" in demo_video._scenes(clips, found)


def stored(folder: Path) -> dict:
    """Everything in the demo's database that a second run must leave as it is."""
    with private_mongod(folder / "db") as address, pymongo.MongoClient(address) as client:
        database = client["fiftyone"]
        dataset = database["datasets"].find_one(
            {"name": demo_video.DATASET}, {"last_loaded_at": False}
        )
        name = dataset["sample_collection_name"]
        return {
            "dataset": dataset,
            "samples": list(database[name].find()),
            "frames": list(database[dataset["frame_collection_name"]].find()),
            "runs": list(database["runs"].find({"key": {"$ne": demo_video.RUN}})),
        }


def test_a_second_run_is_quick_and_changes_nothing(explored, environment):
    folder, report, seconds = explored
    before = stored(folder)
    assert {"segments", "frame_index", "frame_map"} <= {run["key"] for run in before["runs"]}
    ran, seconds_again = run(folder, environment)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, report, "")
    assert seconds_again < seconds
    assert stored(folder) == before


def test_the_users_folders_are_not_touched(explored, environment):
    assert not Path(environment["HOME"], ".fiftyone", "var", "lib").exists()
    assert not Path(environment["HOME"], ".uvl").exists()


def test_no_free_port_is_told():
    with pytest.raises(SettingsError, match="No port from 65536 on is free"):
        demo_session.free_port(65536)
