"""Poor images: what is written to a dataset."""

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

import uvl_plugin as uvl
from tests.curation.test_quality import POOR, sharp
from uvl_plugin.adapter import curating
from uvl_plugin.inspecting import find_poor_images

GOOD = 5
KINDS = ["blank", "blurred", "dark", "overexposed"]


@pytest.fixture
def images(make_dataset, tmp_path):
    """Five good pictures, one of each issue, a broken and a missing file."""
    paths = []
    for number, issue in enumerate([""] * GOOD + KINDS):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(POOR[issue](sharp(number))).save(paths[-1])
    paths.append(tmp_path / "broken.jpg")
    paths[-1].write_bytes(b"\xff\xd8 no picture")
    return make_dataset([*map(str, paths), str(tmp_path / "missing.png")])


EXPECTED = [None] * GOOD + [*KINDS, "broken", "broken"]


def test_poor_images_are_written_tagged_and_shown(images):
    result = find_poor_images(images)
    ids = images.values("id")
    assert images.values("quality_issue") == EXPECTED
    assert result.issues == {
        key: issue for key, issue in zip(ids, EXPECTED, strict=True) if issue is not None
    }
    assert result.counts == {"broken": 2, "blank": 1, "blurred": 1, "dark": 1, "overexposed": 1}
    assert images.match_tags("quality").values("id") == ids[GOOD:]
    view = images.load_saved_view("Quality")
    assert view.values("quality_issue") == sorted(EXPECTED[GOOD:])
    for name in ("brightness", "contrast", "sharpness"):
        figures = images.values(f"quality_{name}")
        assert figures[-2:] == [None, None]
        assert all(np.isfinite(figures[:-2]))
    assert min(images.values("quality_sharpness")[:GOOD]) > 0.5


def test_the_result_says_what_was_found(images):
    result = find_poor_images(images)
    first = result.failures[images.values("id")[-2]]
    assert str(result) == (
        "6 of 11 images are poor (2 broken, 1 blank, 1 blurred, 1 dark, 1 overexposed): see the saved "
        f"view 'Quality'. They carry the tag 'quality'. The first that could not be decoded: {first}."
    )
    assert first.endswith("broken.jpg: not an image that can be read")
    good = find_poor_images(images.limit(GOOD), overwrite=True)
    assert str(good) == (
        "None of 5 images are poor; see 'quality_brightness', 'quality_contrast' and "
        "'quality_sharpness'."
    )
    assert images.list_saved_views() == []
    assert images.count_sample_tags() == {}


def test_settings_names_and_views_are_heeded(images):
    result = find_poor_images(images, uvl.Quality(sharpness=0), field="look")
    assert "blurred" not in result.counts
    assert (result.view, result.tag) == ("Look", "look")
    assert images.get_field("look_issue").info["uvl"]["sharpness"] == 0
    with pytest.raises(uvl.DataError, match="'look_issue' was written by find_poor_images already"):
        find_poor_images(images, field="look")


def test_objects_are_looked_at_by_themselves(images):
    some = images.limit(GOOD)
    boxes = [[0, 0, 0.4, 0.4], [0.5, 0.5, 0.5, 0.5], [2, 2, 1, 1]]  # sharp, smooth, outside
    labels = [
        fo.Detections(detections=[fo.Detection(bounding_box=box) for box in boxes]) for _ in some
    ]
    some.set_values("boxes", labels)
    result = find_poor_images(some, uvl.Quality(sharpness=0), patches_field="boxes")
    assert (result.unit, result.counts) == ("objects", {"broken": GOOD})
    assert images.count_label_tags() == {"quality": GOOD}
    found = some.values("boxes.detections.quality_sharpness")
    assert all(row[0] > row[1] for row in found)


def test_nothing_is_left_when_it_is_stopped_or_writing_fails(images, monkeypatch):
    before = str(images)

    def stop(fraction, message):
        if "writing" in message:
            raise uvl.Cancelled("Stopped.")

    with pytest.raises(uvl.Cancelled):
        find_poor_images(images, progress=stop)
    monkeypatch.setattr(curating.Place, "save_view", None)
    with pytest.raises(TypeError):
        find_poor_images(images)
    assert str(images) == before
    assert images.count_sample_tags() == {}


def test_what_cannot_be_is_refused(images):
    with pytest.raises(uvl.DataError, match="None of the 2 images can be read; the first: '?/"):
        find_poor_images(images.skip(GOOD + len(KINDS)))
    assert "quality" not in str(images)
    with pytest.raises(uvl.DataError, match="'no name' cannot be the name of a field"):
        find_poor_images(images, field="no name")


def test_progress_rises_to_the_end(images):
    reached = []
    find_poor_images(images, progress=lambda done, said: reached.append(done))
    assert reached == sorted(reached)
    assert reached[-1] == 1.0
