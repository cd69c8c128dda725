"""Real videos in the App, as docs/video.md shows them."""

import os

import pytest

import uvl_plugin as uvl
from tests.browser.driver import served

pytestmark = [pytest.mark.browser, pytest.mark.real_data]

NAME = "real-videos"
ASKED = "nasa_13013.mp4"
MADE = "multiscene_dev.mp4"
GREY = (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def films(real_data):
    """All videos with the defaults: 5 frames a second, clusters of frames, segments."""
    import fiftyone as fo

    folder, dataset = real_data / "videos", fo.Dataset(NAME)
    paths = [folder / name for name in (ASKED, MADE)]
    if os.environ.get("UVL_SCREENSHOTS"):  # the page speaks of all of them
        paths = sorted({*folder.glob("*.mp4"), *folder.glob("*.avi"), *folder.rglob("*.mkv")})
    dataset.add_samples([fo.Sample(filepath=str(path)) for path in paths], progress=False)
    weights = real_data / "weights" / "torchvision" / "mobilenet_v2_imagenet.safetensors"
    backbone = uvl.TorchVision(model="mobilenet_v2", weights=str(weights), mean=GREY, std=GREY)
    uvl.embed(dataset, backbone, "frames.emb", fps=5, progress=False)
    uvl.cluster(dataset, embeddings="frames.emb", run_key="look", progress=False)
    uvl.segment(dataset, "frames.emb", clusters="frames.cluster", progress=False)
    shown = fo.ActiveFields(paths=["frames.cluster", "segments"])
    dataset.app_config.active_fields = shown
    dataset.app_config.color_scheme = fo.ColorScheme(color_by="value")
    dataset.save()
    yield dataset
    dataset.delete()


@pytest.fixture
def address(films):
    """Where a real App server answers, a new one for each test: it would open the last video."""
    with served(films) as address:
        yield address


@pytest.fixture
def open_video(app, address, films):
    """Opens a video by its file name."""

    def opening(name):
        place = [path.endswith(name) for path in films.values("filepath")].index(True)
        app.open(address, NAME)
        app.cy("looker").nth(place).click()
        app.button("Play").wait_for()
        return app

    return opening


def scenes(films, name):
    """Label and first frame of each segment."""
    sample = next(sample for sample in films if sample.filepath.endswith(name))
    return [(one.label, one.support[0]) for one in sample.segments.detections]


def show_tracks(app, labels):
    app.page.get_by_text("Annotate", exact=True).click()
    app.button("Show tracks").click()
    for label in labels:
        app.page.get_by_text(f"{label} (segments)").first.wait_for()


def test_scenes_that_come_back_on_the_timeline(open_video, films):
    road, film, campus, sign, road_again, campus_again = scenes(films, MADE)
    starts = [road[1], film[1], campus[1], sign[1], road_again[1], campus_again[1]]
    assert starts == [1, 76, 151, 226, 271, 346]
    assert (road[0], campus[0]) == (road_again[0], campus_again[0])
    labels = {road[0], film[0], campus[0], sign[0]}
    assert len(labels) == 4
    app = open_video(MADE)
    show_tracks(app, labels)
    app.picture("video_timeline_multiscene")


def test_a_cross_fade_and_a_cut(open_video, films, real_data):
    """The picture shows the worker, who is in one cluster with the distant telescope."""
    first, worker, last = scenes(films, "nasa_13013.mp4")
    assert [first[1], worker[1], last[1]] == [1, 141, 206]
    assert first[0] == last[0] != worker[0]
    app = open_video("nasa_13013.mp4")
    for _ in range(170):
        app.button("Step forward").click()
    folder = str(real_data)  # is nobody's business
    app.page.get_by_text(folder).first.evaluate("shown => { shown.style.visibility = 'hidden' }")
    app.picture("video_label")
    show_tracks(app, {first[0], worker[0]})
    app.picture("video_timeline_nasa")
