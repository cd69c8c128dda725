"""Near-duplicates where pixels decide."""

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

import uvl_plugin as uvl
from tests.curation.test_alike import ALTERED, photo
from tests.media.videos import H264, encode
from uvl_plugin.deduplicating import find_duplicates
from uvl_plugin.inspecting import find_poor_images

N = 20
COPIES = list(ALTERED)


@pytest.fixture
def images(make_dataset, tmp_path):
    """Twenty photos, an altered copy of each of the first eight, and vectors that tell little: all
    items of a pair of photos are near each other."""
    pictures = [photo(seed) for seed in range(N)]
    pictures += [ALTERED[kind](pictures[row]) for row, kind in enumerate(COPIES)]
    paths = [str(tmp_path / f"{number}.png") for number in range(len(pictures))]
    for path, pixels in zip(paths, pictures, strict=True):
        Image.fromarray(pixels).save(path)
    dataset = make_dataset(paths)
    random = np.random.default_rng(0)
    pairs = np.array([*range(N), *range(len(COPIES))]) // 2
    vectors = np.eye(N)[pairs] + 0.05 * random.normal(size=(len(pairs), N))
    dataset.add_sample_field("emb", fo.VectorField)
    dataset.set_values("emb", list(vectors))
    return dataset


def copies_of(dataset):
    ids = dataset.values("id")
    return {ids[N + row]: ids[row] for row in range(len(COPIES))}


def test_only_what_shows_the_same_is_a_near_duplicate(images):
    result = find_duplicates(images, "emb")
    assert result.of == copies_of(images)
    assert (result.by, result.failures) == ("pixels", {})
    assert str(result) == (
        "8 of 28 images are near-duplicates of 8 that can be kept, by vectors and pixels: see the "
        "saved view 'Near duplicate'. The duplicates carry the tag 'near_duplicate'."
    )
    assert images.get_field("near_duplicate_of").info["uvl"]["by"] == "pixels"
    assert 0 < max(images.values("near_duplicate_distance")[N:]) <= result.threshold


def test_the_order_of_a_view_does_not_matter(images):
    assert find_duplicates(images.shuffle(seed=3), "emb").of == copies_of(images)


def test_vectors_alone_decide_on_demand_and_with_a_threshold(images):
    for arguments in ({"confirm": False}, {"threshold": 0.1}):
        result = find_duplicates(images, "emb", overwrite=True, **arguments)
        assert result.by == "vectors"
        assert len(result.of) > len(COPIES)
        assert "within a distance of" in str(result)
    confirmed = find_duplicates(images, "emb", threshold=0.1, confirm=True, overwrite=True)
    assert (confirmed.of, confirmed.threshold) == (copies_of(images), pytest.approx(0.1))


def test_a_picture_that_cannot_be_read_is_named_and_no_duplicate(images):
    broken = images.skip(N).first()
    with open(broken.filepath, "wb") as file:
        file.write(b"no picture")
    result = find_duplicates(images, "emb")
    assert set(copies_of(images)) - set(result.of) == {broken.id}
    assert list(result.failures) == [broken.id]
    assert "1 pictures that may be near-duplicates could not be read; the first: " in str(result)


def test_where_no_picture_can_be_read_vectors_decide_and_this_is_said(images, tmp_path):
    before = find_duplicates(images, "emb", confirm=False)
    for path in tmp_path.glob("*.png"):
        path.unlink()
    result = find_duplicates(images, "emb", overwrite=True)
    assert (result.by, result.of) == ("vectors", before.of)
    assert len(result.failures) == len(images)
    assert "No picture could be read to confirm them; the first: " in str(result)


def test_objects_are_compared_by_their_own_pixels(images):
    images.set_values("boxes", [fo.Detections(detections=[fo.Detection(bounding_box=[0, 0, 1, 1])])
                                for _ in images])  # fmt: skip
    images.add_sample_field("boxes.detections.emb", fo.VectorField)
    images.set_values("boxes.detections.emb", [[vector] for vector in images.values("emb")])
    result = find_duplicates(images, "emb", patches_field="boxes")
    assert (result.by, result.unit, len(result.of)) == ("pixels", "objects", len(COPIES))


def test_frames_are_decoded_and_compared(tmp_path):
    dataset = fo.Dataset()
    sample = fo.Sample(filepath=str(encode(tmp_path / "v.mp4", *H264, n=30)))
    numbers = [1, 8, 15, 22]  # other pictures than those after them
    for number in (*numbers, 30):
        sample.frames[number] = fo.Frame(emb=np.ones(4))
    dataset.add_sample(sample)
    again = fo.Sample(filepath=str(encode(tmp_path / "w.mp4", *H264, n=9)))
    again.frames[8] = fo.Frame(emb=np.ones(4))
    dataset.add_sample(again)
    result = find_duplicates(dataset, "frames.emb")
    ids = dataset.values("frames.id")
    assert (result.by, result.of) == ("pixels", {ids[1][0]: ids[0][1]})
    quality = find_poor_images(dataset, field="frames.quality")
    assert (quality.unit, quality.failures) == ("frames", {})
    assert dataset.count("frames.quality_sharpness") == 6
    dataset.delete()


def test_whole_videos_have_no_pixels_of_their_own():
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=f"{n}.mp4") for n in range(3)], progress=False)
    dataset.add_sample_field("emb", fo.VectorField)
    dataset.set_values("emb", list(np.eye(3)[[0, 0, 1]]))
    result = find_duplicates(dataset, "emb")
    assert (result.by, result.failures, len(result.of)) == ("vectors", {}, 1)
    with pytest.raises(uvl.SettingsError, match="Videos have no pixels of their own"):
        find_duplicates(dataset, "emb", confirm=True, overwrite=True)
    dataset.delete()
