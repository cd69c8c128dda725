"""Videos in the App, by clicks: vectors of their frames, then their segments."""

import re

import pytest

from tests.browser.driver import served
from uvl_plugin.adapter.demo_clips import planned_clips, write_clip
from uvl_plugin.adapter.failures import FAILED_TAG

pytestmark = pytest.mark.browser

N_CLIPS = 3


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three short clips of scenes that come back, and a file that is no video."""
    import fiftyone as fo

    folder = tmp_path_factory.mktemp("clips")
    broken = folder / "broken.mp4"
    broken.write_text("no video")
    files = [*(write_clip(clip, folder) for clip in planned_clips(N_CLIPS)), broken]
    dataset = fo.Dataset("scenes")
    dataset.add_samples([fo.Sample(filepath=str(file)) for file in files], progress=False)
    dataset[:N_CLIPS].compute_metadata(progress=False)
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def address(clips):
    """Where a real App server answers."""
    with served(clips) as address:
        yield address


def test_frames_are_embedded_and_segments_found(app, address, clips):
    """One path through the App: its steps depend on each other."""
    app.open(address, "scenes")
    app.wait_for_count(N_CLIPS + 1)

    app.browse_operators("Compute embeddings")
    app.choose("DINOv2 base", re.compile("^Pixels"))
    seconds = sum(clip.n_frames for clip in planned_clips(N_CLIPS)) / 25
    about = app.wait_for_text(re.compile(r"About \d+ frames of 3 videos"))
    assert abs(int(re.search(r"\d+", about)[0]) - 2 * seconds) < 2
    assert "1 more have no metadata" in about
    assert "no picture of a frame is written" in about
    app.page.locator('input[value="2"]').element_handle().fill("5")
    about = app.wait_for_text(re.compile(rf"About {round(5 * seconds)} frames of 3 videos"))
    app.picture("video-embed-form")
    app.execute()
    said = app.wait_for_text("frames embedded into 'frames.embedding'", seconds=60)
    assert (
        f"1 video could not be read, or not all of it, and carries the tag '{FAILED_TAG}'" in said
    )
    app.picture("video-embed-message")
    app.close_dialog()
    clips.reload()
    assert abs(clips.count("frames.embedding") - 5 * seconds) <= N_CLIPS
    assert len(clips.match_tags(FAILED_TAG)) == 1

    app.browse_operators("Find segments")
    app.picture("segment-form")
    app.execute()
    said = app.wait_for_text(re.compile(r"3 videos have \d+ segments of \d scenes"))
    assert "see 'segments'" in said
    app.picture("segment-message")
    app.close_dialog()
    clips.reload()
    for clip, found in zip(
        planned_clips(N_CLIPS), clips[:N_CLIPS].values("segments.detections"), strict=True
    ):
        assert len(found) == len(clip.shots)

    app.cy("looker").first.click()
    app.wait_for_text("segments")
    app.picture("segment-modal")
