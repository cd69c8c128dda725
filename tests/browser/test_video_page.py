"""Real videos in the App, as docs/video.md shows them."""

import pytest

import uvl_plugin as uvl
from uvl_plugin.adapter.timeline import show_on_timeline
from uvl_plugin.frame_search import show_frames

pytestmark = [pytest.mark.browser, pytest.mark.real_data]

NAME = "real-videos"
FILES = ("vtest_480x360.avi", "car-detection.mp4", "nasa_13013.mp4", "bigbuckbunny.mp4")
MADE = "multiscene_dev.mp4"
GREY = (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def films(real_data):
    """All videos with the defaults: 5 frames a second, clusters of frames, segments."""
    import fiftyone as fo

    folder, dataset = real_data / "videos", fo.Dataset(NAME)
    signs = sorted((folder / "asl_signs").glob("*.mkv"))
    paths = [*(folder / name for name in (*FILES, MADE)), *signs]
    dataset.add_samples([fo.Sample(filepath=str(path)) for path in paths], progress=False)
    weights = real_data / "weights" / "torchvision" / "mobilenet_v2_imagenet.safetensors"
    backbone = uvl.TorchVision(model="mobilenet_v2", weights=str(weights), mean=GREY, std=GREY)
    uvl.embed(dataset, backbone, "frames.emb", fps=5, progress=False)
    uvl.cluster(dataset, embeddings="frames.emb", run_key="look", progress=False)
    uvl.segment(dataset, "frames.emb", clusters="frames.cluster", progress=False)
    show_on_timeline(dataset, "segments")
    shown = fo.ActiveFields(paths=["frames.cluster", "segments"])
    dataset.app_config.active_fields = shown
    dataset.app_config.color_scheme = fo.ColorScheme(color_by="value")
    dataset.save()
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def address(films, tmp_path_factory):
    """Where a real App server answers, with pictures of frames in a folder of its own."""
    import fiftyone as fo

    from uvl_plugin.adapter.mongod import free_port

    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UVL_FRAMES", str(tmp_path_factory.mktemp("frames")))
        session = fo.launch_app(films, remote=True, address="127.0.0.1", port=port)
        yield f"http://127.0.0.1:{port}"
        session.close()
        fo.close_app()


@pytest.fixture
def opened(app, address, films):
    """The grid of all videos; closes the video that a test has opened."""
    films.reload()
    app.open(address, NAME)
    app.wait_for_count(len(films))
    yield app
    while app.cy("modal").count():  # the server would open it again for the next page
        app.page.keyboard.press("Escape")
        app.page.wait_for_timeout(1000)


def open_video(app, films, name):
    place = [path.endswith(name) for path in films.values("filepath")].index(True)
    app.cy("looker").nth(place).click()
    app.button("Play").wait_for()
    app.page.wait_for_timeout(2000)


def scenes(films, name):
    """Label and first frame of each segment."""
    sample = next(sample for sample in films if sample.filepath.endswith(name))
    return [(one.label, one.support[0]) for one in sample.segments.detections]


@pytest.mark.parametrize(
    ("name", "starts", "same"),
    [
        (MADE, [1, 76, 151, 226, 271, 346], [(0, 4), (2, 5)]),
        ("nasa_13013.mp4", [1, 141, 206], [(0, 2)]),
    ],
)
def test_the_timeline_of_a_real_video(opened, films, name, starts, same):
    found = scenes(films, name)
    assert [first for _, first in found] == starts
    labels = [label for label, _ in found]
    assert all(labels[one] == labels[other] for one, other in same)
    assert len(set(labels)) == len(labels) - len(same)
    open_video(opened, films, name)
    opened.page.get_by_text("Annotate", exact=True).click()
    opened.button("Show tracks").click()
    for label in set(labels):
        opened.page.get_by_text(f"{label} (segments)").first.wait_for()
    opened.picture(f"video_timeline_{name.partition('_')[0]}")
    opened.page.get_by_text("Explore", exact=True).click()


def test_the_cluster_of_a_frame_stands_on_it(opened, films):
    open_video(opened, films, MADE)
    for _ in range(3):
        opened.button("Step forward").click()
    opened.picture("video_label")


def test_exemplars_are_shown_with_their_own_pictures(opened, films, address):
    from fiftyone import ViewField as F

    frames = films.match_frames(F("segments_exemplar") == True)
    ids = frames.values("frames.id", unwind=True)
    assert len(ids) == sum(map(len, films.values("segments.detections")))
    films.save_view("exemplars", show_frames(films, ids, progress=False).view)
    opened.page.goto(f"{address}/datasets/{NAME}?view=exemplars")
    opened.page.wait_for_timeout(4000)
    assert opened.count() == len(ids)
    opened.picture("video_exemplars")
