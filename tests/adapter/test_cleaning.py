"""Near-duplicates, copies, uniqueness and outliers: what is written to a dataset."""

import shutil

import fiftyone as fo
import numpy as np
import pytest

import uvl_plugin as uvl
from uvl_plugin import cleaning
from uvl_plugin.adapter import curating
from uvl_plugin.cleaning import find_outliers, score_uniqueness
from uvl_plugin.deduplicating import find_copies, find_duplicates

N, DIM = 60, 16
PAIRS = {40: 3, 41: 3, 42: 7}  # rows that are nearly the same as an earlier one
ODD = 20


def rows():
    """One round clump, one far-off row, and the pairs; float32."""
    random = np.random.default_rng(0)
    found = 3 * np.eye(DIM)[0] + random.normal(0, 0.3, (N, DIM))
    found[ODD] = -8 * np.eye(DIM)[2]
    for row, original in PAIRS.items():
        found[row] = found[original] + random.normal(0, 1e-3, DIM)
    return found.astype(np.float32)


@pytest.fixture
def images(make_dataset):
    dataset = make_dataset([f"{number}.png" for number in range(N)])
    dataset.add_sample_field("emb", fo.VectorField)
    dataset.set_values("emb", list(rows()))
    return dataset


@pytest.fixture
def objects(make_dataset):
    """The same vectors on objects, three in each image."""
    dataset = make_dataset([f"{number}.png" for number in range(N // 3)])
    boxes = [
        fo.Detections(detections=[fo.Detection(bounding_box=[0, 0, 1, 1]) for _ in range(3)])
        for _ in dataset
    ]
    dataset.set_values("boxes", boxes)
    dataset.add_sample_field("boxes.detections.emb", fo.VectorField)
    dataset.set_values("boxes.detections.emb", list(map(list, rows().reshape(-1, 3, DIM))))
    return dataset


@pytest.fixture
def videos():
    """The same vectors on frames, twenty in each video of a hundred."""
    dataset, vectors = fo.Dataset(), rows().reshape(3, -1, DIM)
    length = fo.VideoMetadata(total_frame_count=100, frame_rate=10)
    samples = [fo.Sample(filepath=f"{number}.mp4", metadata=length) for number in range(3)]
    for sample, found in zip(samples, vectors, strict=True):
        for number, vector in enumerate(found, start=1):
            sample.frames[number] = fo.Frame(emb=vector)
    dataset.add_samples(samples, progress=False)
    yield dataset
    dataset.delete()


@pytest.fixture(params=["images", "objects", "videos"])
def case(request):
    """Dataset, arguments for the verbs, ids of the items, and a way to read a field by item."""
    dataset = request.getfixturevalue(request.param)
    arguments, before = {
        "images": (("emb", {}), ""),
        "objects": (("emb", {"patches_field": "boxes"}), "boxes.detections."),
        "videos": (("frames.emb", {}), "frames."),
    }[request.param]

    def read(name):
        return dataset.values(f"{before}{name}", unwind=before != "")

    return dataset, arguments, read("id"), read


def test_near_duplicates_are_written_tagged_and_shown(case):
    dataset, (embeddings, more), ids, read = case
    result = find_duplicates(dataset, embeddings, threshold=1e-3, **more)
    assert result.of == {ids[row]: ids[original] for row, original in PAIRS.items()}
    assert (result.n_items, result.n_groups, result.n_missing) == (N, 2, 0)
    assert result.groups == {
        ids[row]: group for row, group in {3: 0, 40: 0, 41: 0, 7: 1, 42: 1}.items()
    }
    assert dict(zip(ids, read("near_duplicate_group"), strict=True)) == {
        key: result.groups.get(key) for key in ids
    }
    assert read("near_duplicate_of") == [result.of.get(key) for key in ids]
    distances = read("near_duplicate_distance")
    vectors = rows().astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for row in range(N):
        if row in PAIRS:
            expected = 1 - vectors[row] @ vectors[PAIRS[row]]
            assert distances[row] == pytest.approx(expected, rel=1e-2)
        else:
            assert distances[row] is None
    view = dataset.load_saved_view(result.view)
    assert view.values("id")[:3] == [ids[row] for row in (3, 40, 41)]
    assert set(view.values("id")[3:]) == {ids[7], ids[42]}
    assert view.values("id")[3] == ids[7]


def test_tags_are_on_the_duplicates_only(images, objects):
    find_duplicates(images, "emb", threshold=1e-3)
    assert images.match_tags("near_duplicate").values("id") == [
        images.values("id")[row] for row in PAIRS
    ]
    result = find_duplicates(objects, "emb", threshold=1e-3, patches_field="boxes")
    tagged = objects.select_labels(tags="near_duplicate", fields="boxes")
    assert set(tagged.values("boxes.detections.id", unwind=True)) == set(result.of)
    assert objects.count_label_tags() == {"near_duplicate": len(PAIRS)}
    assert objects.count_sample_tags() == {}
    assert result.tag == "near_duplicate"


def test_single_objects_are_tagged_too(images):
    images.set_values("main", [fo.Detection(label="m") for _ in range(N)])
    images.add_sample_field("main.emb", fo.VectorField)
    images.set_values("main.emb", list(rows()))
    held = images[images.values("id")[40]]  # a sample that Python has in its memory
    result = find_duplicates(images, "emb", threshold=1e-3, patches_field="main")
    tagged = images.match_labels(tags="near_duplicate", fields="main")
    assert tagged.values("main.id") == list(result.of)
    assert images.count_label_tags() == {"near_duplicate": len(PAIRS)}
    assert held["main"].tags == ["near_duplicate"]
    assert held["main"]["near_duplicate_of"] == result.of[held["main"].id]
    shown = images.load_saved_view("Near duplicate, main").values("id")  # not of patches
    assert shown[:3] == [images.values("id")[row] for row in (3, 40, 41)]
    assert len(shown) == len(PAIRS) + 2


def test_names_follow_the_field(images, objects, videos):
    first = find_duplicates(images, "emb", threshold=1e-3, field="same_scene")
    assert (first.view, first.tag, first.field) == ("Same scene", "same_scene", "same_scene")
    second = find_duplicates(objects, "emb", threshold=1e-3, patches_field="boxes")
    assert second.view == "Near duplicate, boxes"
    assert second.field == "boxes.detections.near_duplicate"
    third = find_duplicates(videos, "frames.emb", threshold=1e-3)
    assert (third.view, third.tag) == ("Near duplicate, frames", None)
    assert third.field == "frames.near_duplicate"
    info = images.get_field("same_scene_of").info["uvl"]
    assert info["made_by"] == "find_duplicates"
    assert (info["embeddings"], info["threshold"], info["metric"]) == ("emb", 1e-3, "cosine")


def test_the_usual_threshold_finds_the_pairs(images):
    result = find_duplicates(images, "emb")
    assert set(result.of) >= {images.values("id")[row] for row in PAIRS}
    assert len(result.of) <= len(PAIRS) + 2
    assert result.threshold > 1e-4


def test_what_is_kept_does_not_depend_on_the_order_of_a_view(images):
    ids = images.values("id")
    result = find_duplicates(images.shuffle(seed=5), "emb", threshold=1e-3)
    assert result.of == {ids[row]: ids[original] for row, original in PAIRS.items()}


def test_a_second_run_replaces_all_of_the_first(case):
    dataset, (embeddings, more), _, read = case
    find_duplicates(dataset, embeddings, threshold=1e-3, **more)
    view = dataset.list_saved_views()
    with pytest.raises(uvl.DataError, match="was written by find_duplicates already"):
        find_duplicates(dataset, embeddings, threshold=1e-3, **more)
    result = find_duplicates(dataset, embeddings, threshold=1e-12, overwrite=True, **more)
    assert result.of == {}
    assert result.view is None
    assert dataset.list_saved_views() == []
    assert dataset.count_sample_tags() == {}
    assert "near_duplicate_of" not in str(dataset)
    again = find_duplicates(dataset, embeddings, threshold=1e-3, overwrite=True, **more)
    assert len(again.of) == len(PAIRS)
    assert dataset.list_saved_views() == view
    find_duplicates(dataset, embeddings, threshold=1.0, overwrite=True, **more)
    assert sum(value is not None for value in read("near_duplicate_of")) > 20


def test_overwriting_leaves_no_tag_behind(objects):
    find_duplicates(objects, "emb", threshold=1e-3, patches_field="boxes")
    find_duplicates(objects, "emb", threshold=1e-12, patches_field="boxes", overwrite=True)
    assert objects.count_label_tags() == {}


def test_a_tag_that_someone_else_gave_stays(images):
    images.limit(1).tag_samples("near_duplicate")
    find_duplicates(images, "emb", threshold=1e-3)
    assert images.count_sample_tags() == {"near_duplicate": 1 + len(PAIRS)}
    find_duplicates(images, "emb", threshold=1e-12, overwrite=True)
    assert images.match_tags("near_duplicate").values("id") == [images.first().id]


def test_nothing_is_left_when_writing_fails(case, monkeypatch):
    dataset, (embeddings, more), _, _ = case
    before = (str(dataset), dataset.list_saved_views())

    def broken(*_, **__):
        raise RuntimeError("disk full")

    monkeypatch.setattr(curating.Place, "save_view", broken)
    for verb, options in ((find_duplicates, {"threshold": 1e-3}), (find_outliers, {})):
        with pytest.raises(RuntimeError, match="disk full"):
            verb(dataset, embeddings, **options, **more)
    assert (str(dataset), dataset.list_saved_views()) == before
    assert dataset.count_sample_tags() == {}


def test_it_can_be_stopped(images):
    def stop(fraction, message):
        if "writing" in message:
            raise uvl.Cancelled("Stopped.")

    with pytest.raises(uvl.Cancelled):
        find_duplicates(images, "emb", threshold=1e-3, progress=stop)
    assert "near_duplicate" not in str(images)


def test_progress_rises_to_the_end(case):
    dataset, (embeddings, more), _, _ = case
    for verb in (find_duplicates, find_outliers, score_uniqueness):
        reached = []
        verb(dataset, embeddings, progress=lambda done, said: reached.append(done), **more)  # noqa: B023
        assert reached == sorted(reached)
        assert reached[-1] == 1.0


def test_uniqueness_is_written_to_each_item(case):
    dataset, (embeddings, more), ids, read = case
    result = score_uniqueness(dataset, embeddings, **more)
    found = read("uniqueness")
    assert found == [result.scores[key] for key in ids]
    assert int(np.argmax(found)) == ODD
    assert max(found[row] for row in PAIRS) < np.median(found)
    assert dataset.list_saved_views() == []
    with pytest.raises(uvl.DataError, match="was written by score_uniqueness already"):
        score_uniqueness(dataset, embeddings, **more)
    score_uniqueness(dataset, embeddings, overwrite=True, **more)
    assert read("uniqueness") == found


def test_outliers_are_scored_and_those_above_the_cut_marked(case):
    dataset, (embeddings, more), ids, read = case
    result = find_outliers(dataset, embeddings, **more)
    assert result.above[0] == ids[ODD]
    assert 1 <= len(result.above) <= 4
    assert read("outlier") == [result.scores[key] for key in ids]
    assert dataset.load_saved_view("Outlier" + result.view[7:]).values("id") == result.above
    assert all((result.scores[key] > result.cut) == (key in result.above) for key in ids)
    strict = find_outliers(dataset, embeddings, cut=1.0, overwrite=True, **more)
    assert (strict.above, strict.view, strict.tag, strict.cut) == ([], None, None, 1.0)
    assert dataset.list_saved_views() == []
    assert read("outlier") == [result.scores[key] for key in ids]


def test_outliers_carry_a_tag(images, objects):
    result = find_outliers(images, "emb")
    assert set(images.match_tags("outlier").values("id")) == set(result.above)
    result = find_outliers(objects, "emb", patches_field="boxes")
    tagged = objects.select_labels(tags="outlier", fields="boxes")
    assert set(tagged.values("boxes.detections.id", unwind=True)) == set(result.above)


def test_items_without_a_vector_are_counted_and_left_alone(images):
    images.set_values("emb", {images.first().id: None}, key_field="id")
    for verb in (find_duplicates, find_outliers, score_uniqueness):
        assert verb(images, "emb").n_missing == 1
    assert images.first()["outlier"] is None
    assert images.first()["uniqueness"] is None


def test_a_view_of_frames_is_cleaned_and_shows_it_after_a_reload(videos):
    frames = videos.to_frames(sample_frames="dynamic", sparse=True)
    result = find_duplicates(frames.limit(45), "emb", threshold=1e-3)
    assert len(result.of) == len(PAIRS)
    frames.reload()
    assert frames.count("near_duplicate_of") == len(PAIRS)
    assert videos.count("frames.near_duplicate_of") == len(PAIRS)


def test_frames_with_pictures_are_shown_by_these(videos, tmp_path):
    frames = videos.values("frames.frame_number")
    paths = [[str(tmp_path / f"{v}_{f}.png") for f in row] for v, row in enumerate(frames)]
    videos.set_values("frames.filepath", paths)
    result = find_outliers(videos, "frames.emb")
    view = videos.load_saved_view(result.view)
    assert view.first().filepath.endswith(".png")
    assert view.values("id") == result.above


def test_two_or_one_or_equal_items_are_no_error(images):
    for count in (1, 2):
        few = images.limit(count)
        assert find_duplicates(few, "emb", overwrite=True).of == {}
        assert find_outliers(few, "emb", overwrite=True).above == []
        assert len(score_uniqueness(few, "emb", overwrite=True).scores) == count
    images.set_values("emb", [np.ones(DIM)] * N)
    result = find_duplicates(images, "emb", overwrite=True)
    assert (result.n_groups, len(result.of)) == (1, N - 1)
    assert set(result.of.values()) == {images.first().id}
    assert find_outliers(images, "emb", overwrite=True).above == []
    assert set(score_uniqueness(images, "emb", overwrite=True).scores.values()) == {0.0}


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        (find_duplicates, {"embeddings": "nope"}, "no vector field 'nope'. Vector fields: emb"),
        (find_duplicates, {"threshold": -0.1}, "threshold must be a distance of at least 0"),
        (find_duplicates, {"threshold": float("nan")}, "threshold must be a distance of at least"),
        (find_duplicates, {"metric": "dot"}, "The dot product is no distance"),
        (find_duplicates, {"field": "no name"}, "'no name' cannot be the name of a field"),
        (find_outliers, {"cut": 1.5}, "cut must be 0 to 1, got 1.5"),
        (find_outliers, {"field": "label", "overwrite": True}, "'label' is a field of another k"),
        (find_outliers, {"field": "mine"}, "There is a saved view 'mine' already"),
        (find_outliers, {"embeddings": "empty"}, "None of the samples has a vector in 'empty'"),
        (score_uniqueness, {"patches_field": "label"}, "no detections or polylines in 'label'"),
        (score_uniqueness, {"field": "label"}, "'label' is a field of another kind"),
        (score_uniqueness, {"metric": "manhattan"}, "metric must be cosine or euclidean"),
    ],
)
def test_what_cannot_be_is_refused_before_work(images, monkeypatch, verb, arguments, message):
    images.add_sample_field("label", fo.StringField)
    images.add_sample_field("empty", fo.VectorField)
    images.save_view("mine", images.limit(2))
    monkeypatch.setattr(cleaning.vectors, "read_items", None)
    with pytest.raises(uvl.UVLError, match=message):
        verb(images, **{"embeddings": "emb", **arguments})


def test_a_view_without_any_vector_is_refused(images):
    images.set_values("emb", {key: None for key in images.limit(5).values("id")}, key_field="id")
    with pytest.raises(uvl.DataError, match="None of the 5 samples has a vector in 'emb'"):
        find_outliers(images.limit(5), "emb")
    assert not images.has_field("outlier")


@pytest.fixture
def copies(make_dataset, digit_files, tmp_path):
    """Eight files: the second, fifth and last are copies, the sixth is missing."""
    sources = [digit_files[number][0] for number in (0, 0, 1, 2, 1, 3, 4, 0)]
    paths = []
    for number, source in enumerate(sources):
        paths.append(shutil.copy(source, tmp_path / f"{number}.png"))
    (tmp_path / "5.png").unlink()
    return make_dataset(paths)


def test_copies_of_files_are_found_by_content(copies):
    ids = copies.values("id")
    result = find_copies(copies.shuffle(seed=1))
    assert result.of == {ids[1]: ids[0], ids[4]: ids[2], ids[7]: ids[0]}
    assert (result.n_items, result.n_groups, result.unit) == (7, 2, "files")
    assert list(result.failures) == [ids[5]]
    assert "No such file" in result.failures[ids[5]]
    assert copies.values("copy_group") == [0, 0, 1, None, 1, None, None, 0]
    assert copies.values("copy_of") == [result.of.get(key) for key in ids]
    assert copies.match_tags("copy").values("id") == [ids[1], ids[4], ids[7]]
    shown = copies.load_saved_view("Copy").values("id")
    assert shown[:1] == [ids[0]]
    assert set(shown[:3]) == {ids[0], ids[1], ids[7]}
    assert shown[3:] == [ids[2], ids[4]]
    assert not copies.has_field("copy_distance")
    with pytest.raises(uvl.DataError, match="'copy_group' was written by find_copies already"):
        find_copies(copies)
    assert find_copies(copies.limit(4), overwrite=True).n_groups == 1
    assert copies.count_sample_tags() == {"copy": 1}


def test_copies_of_videos_are_found_as_well(tmp_path):
    dataset = fo.Dataset()
    for number, content in enumerate((b"one", b"two", b"one")):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(content)
        dataset.add_sample(fo.Sample(filepath=str(path)))
    result = find_copies(dataset)
    assert result.of == {dataset.last().id: dataset.first().id}
    assert len(dataset.load_saved_view("Copy")) == 2
    dataset.delete()


def test_files_that_cannot_be_read_at_all_are_an_error(images):
    with pytest.raises(uvl.DataError, match="None of the 60 files can be read; the first: '"):
        find_copies(images)
    assert not images.has_field("copy_of")
    images.delete_samples(images.values("id"))
    with pytest.raises(uvl.DataError, match="There are no samples in"):
        find_copies(images)


def test_all_image_slices_of_groups_are_cleaned(make_dataset, digit_files):
    dataset = make_dataset([])
    dataset.add_group_field("group", default="left")
    for number in range(4):
        group, (path, _) = fo.Group(), digit_files[number]
        pair = [fo.Sample(filepath=path, group=group.element(name)) for name in ("left", "right")]
        dataset.add_samples(pair, progress=False)
    result = find_copies(dataset)
    assert (len(result.of), result.n_groups) == (4, 4)
    every = dataset.select_group_slices(["left", "right"])
    assert every.count("copy_of") == len(every.match_tags("copy")) == 4
    assert len(dataset.load_saved_view("Copy")) == 8
    find_copies(dataset.limit(1), overwrite=True)
    assert len(every.match_tags("copy")) == 1
