"""Videos in the App: frame labels, segments, and frames with their own pictures.

Each picture of the videos has a number burnt in, which the tests read from the screen.
"""

import contextlib
import io
import re

import numpy as np
import pytest
from PIL import Image

import uvl_plugin as uvl
from tests.browser.driver import installed_chromium, served
from tests.media.videos import burnt_in, encode
from uvl_plugin.frame_search import similar_frames

pytestmark = pytest.mark.browser

NAME = "clips"
RATE, LENGTH, STRIDE = 5, 60, 3
CODED = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", 20, "-bf", 2)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three videos, the first with the numbers 1 to 60, the others with 101 to 160 and 201 to 260.
    All frames have a label that says their number, every third has a vector, and each video has
    two segments."""
    import fiftyone as fo

    folder, dataset = tmp_path_factory.mktemp("clips"), fo.Dataset(NAME)
    for video in range(3):
        first = 100 * video + 1
        path = encode(folder / f"{video}.mp4", *CODED, rate=RATE, n=LENGTH, first=first)
        sample = fo.Sample(filepath=str(path))
        for number in range(1, LENGTH + 1):
            frame = fo.Frame(cluster=fo.Classification(label=f"c{first - 1 + number}"))
            if number % STRIDE == 1:
                angle = number / LENGTH + 0.002 * video
                frame["emb"] = np.array([np.cos(angle), np.sin(angle)])
            sample.frames[number] = frame
        sample["segments"] = fo.TemporalDetections(
            detections=[
                fo.TemporalDetection(label="scene 00", support=[1, 30], exemplar=16),
                fo.TemporalDetection(label="scene 01", support=[31, 60], exemplar=46),
            ]
        )
        dataset.add_sample(sample)
    dataset.compute_metadata(progress=False)
    dataset.update_label_schema("segments", dataset.generate_label_schemas("segments"))
    dataset.activate_label_schemas("segments")  # else the App has no timeline of them
    uvl.index(dataset, embeddings="frames.emb", brain_key="frames", progress=False)
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def address(clips, tmp_path_factory):
    """Where a real App server answers, with pictures of frames in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UVL_FRAMES", str(tmp_path_factory.mktemp("frames")))
        with served(clips) as address:
            yield address


@pytest.fixture(scope="module")
def app(address):
    """The App on one page for all tests, which notes the labels that it draws on a canvas."""
    with installed_chromium() as app:
        app.page.add_init_script(
            "const draw = CanvasRenderingContext2D.prototype.fillText;"
            "CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {"
            "  (this.canvas.drawn ||= []).push(text); return draw.call(this, text, ...where); };"
        )
        app.open(address, NAME)
        yield app


@pytest.fixture
def opened(app, address, clips):
    """The grid of all videos; an open video is closed at the end, since the server would open it
    again."""
    clips.reload()
    app.page.goto(f"{address}/datasets/{NAME}")
    app.cy("looker").first.wait_for()
    dismiss_advertisement(app)
    app.cy("btn-clear-view-bar").click()  # the server keeps the view of an earlier test
    app.wait_for_count(len(clips))
    yield app
    for _ in range(2):
        app.page.keyboard.press("Escape")
        app.page.wait_for_timeout(500)


def dismiss_advertisement(app):
    """It covers pictures; it is shown or not, as FiftyOne likes."""
    with contextlib.suppress(Exception):
        app.page.get_by_text("Dismiss", exact=True).last.click(timeout=4000)


def shown(looker):
    """The number in a picture, as it is on the screen."""
    with Image.open(io.BytesIO(looker.screenshot())) as image:
        return burnt_in(np.asarray(image.convert("RGB")))


def drawn_label(app):
    """The label of a frame that was drawn last in the open video."""
    canvas = app.cy("modal-looker-container").locator("canvas")
    texts = canvas.evaluate("canvas => (canvas.drawn || []).filter(text => /^c[0-9]+$/.test(text))")
    return int(texts[-1][1:]) if texts else None


def grid_numbers(app):
    """The numbers in the pictures of the grid, in the order in which one reads it."""
    boxes = app.cy("looker").evaluate_all(
        "lookers => lookers.map(looker => looker.getBoundingClientRect())"
        ".map(box => [Math.round(box.top), box.left, box.right, box.bottom])"
    )
    with Image.open(io.BytesIO(app.page.screenshot())) as image:
        page = image.convert("RGB")
    return [
        burnt_in(np.asarray(page.crop((round(left), top, round(right), round(bottom)))))
        for top, left, right, bottom in sorted(boxes)
    ]


def true_numbers(dataset, ids):
    """The numbers that are burnt into frames."""
    first = {key: 100 * place for place, key in enumerate(dataset.values("id"))}
    number = {
        key: first[video] + place
        for video, keys, places in zip(
            *dataset.values(["id", "frames.id", "frames.frame_number"]), strict=True
        )
        for key, place in zip(keys, places, strict=True)
    }
    return [number[key] for key in ids]


def open_video(app, place):
    app.cy("looker").nth(place).click()
    app.button("Play").wait_for()
    app.wait_until(lambda: drawn_label(app))


def test_the_label_of_a_frame_is_drawn_on_its_picture(opened):
    open_video(opened, 1)
    video = opened.cy("modal-looker-container")
    for steps, number in ((0, 101), (1, 102), (4, 106), (20, 126)):
        for _ in range(steps):
            opened.button("Step forward").click()
        opened.wait_until(lambda expected=number: shown(video) == drawn_label(opened) == expected)
    opened.picture("frame-label")
    opened.button("Play").click()
    labels = []
    for _ in range(6):
        opened.page.wait_for_timeout(500)
        labels.append(drawn_label(opened))
    opened.button("Pause").click()
    assert labels == sorted(labels)
    assert len(set(labels)) >= 4


def test_the_timeline_shows_the_segments(opened):
    """FiftyOne draws it where one annotates, of fields that have a label schema."""
    open_video(opened, 0)
    opened.page.get_by_text("Annotate", exact=True).click()
    opened.button("Show tracks").click()
    for scene in ("scene 00", "scene 01"):
        opened.page.get_by_text(f"{scene} (segments)").wait_for()
    opened.picture("timeline")
    opened.page.get_by_text("Explore", exact=True).click()


def test_a_cluster_of_frames_leaves_the_videos_that_have_it(opened):
    opened.filter_label("frames.cluster", "c207")
    opened.wait_for_count(1)
    opened.wait_until(lambda: grid_numbers(opened) == [201])
    opened.picture("filtered")
    opened.reset_filters()
    opened.wait_for_count(3)


def test_similar_frames_are_shown_with_their_own_pictures(opened, clips):
    expected = similar_frames(clips, (clips.values("id")[1], 22), k=8)
    open_video(opened, 1)
    opened.browse_operators("Find similar frames")
    opened.page.locator('input[value="16"]').fill("22")  # the first segment's exemplar
    opened.page.locator('input[value="25"]').fill("8")
    opened.picture("similar-form")
    opened.execute()
    said = opened.wait_for_text(re.compile("those most like frame 22 of '1.mp4' first"))
    assert said.startswith("8 frames of 3 videos")
    opened.close_dialog()
    opened.wait_until(lambda: grid_numbers(opened) == true_numbers(clips, expected.ids))
    opened.picture("similar-frames")


def test_near_duplicates_of_frames_are_shown_with_their_own_pictures(opened, clips):
    result = uvl.find_duplicates(
        clips, embeddings="frames.emb", threshold=1.2e-5, overwrite=True, progress=False
    )
    clips.reload()
    expected = true_numbers(clips, clips.load_saved_view(result.view).values("id"))
    opened.page.reload()  # the list of saved views is read when a page is opened
    opened.cy("looker").first.wait_for()
    dismiss_advertisement(opened)
    opened.page.get_by_text("Unsaved view").click()
    opened.page.get_by_text(result.view, exact=True).click()
    opened.wait_until(lambda: grid_numbers(opened)[:8] == expected[:8])
    assert [number % 100 for number in expected[:3]] == [1, 1, 1]
    opened.picture("near-duplicate-frames")
