"""Exports: every format holds what it should, and no folder is harmed."""

import json
from pathlib import Path

import fiftyone as fo
import pytest
from PIL import Image

import uvl_plugin as uvl
from uvl_plugin.adapter import exports
from uvl_plugin.adapter.exports import FORMATS, check_export, write_export

N = 6


@pytest.fixture
def photos(tmp_path, make_dataset):
    """Six small pictures; the first one has no labels, the last one is excluded."""
    paths = []
    for number in range(N):
        paths.append(tmp_path / "photos" / f"{number}.png")
        paths[-1].parent.mkdir(exist_ok=True)
        Image.effect_noise((16, 16), 50).save(paths[-1])
    dataset = make_dataset(paths)
    for number, sample in enumerate(dataset):
        if number:
            label = f"kind {number % 2}"
            box = fo.Detection(label=label, bounding_box=[0.1, 0.1, 0.5, 0.5])
            sample["species"] = fo.Classification(label=label)
            sample["boxes"] = fo.Detections(detections=[box])
        if number == N - 1:
            sample.tags.append("exclude")
        sample.save()
    return dataset


def files(folder, *endings):
    return sorted(p for p in Path(folder).rglob("*") if p.suffix in endings)


@pytest.mark.parametrize("name", [n for n, form in FORMATS.items() if "image" in form.media])
def test_each_format_of_images_is_written_and_can_be_loaded(photos, tmp_path, name):
    form, folder = FORMATS[name], tmp_path / "out"
    field = exports.fields_for(photos, form)[0] if form.kinds else None
    done = write_export(check_export(photos, name, str(folder), field=field))
    assert (done.n_samples, done.n_excluded) == (N - 1, 1)
    assert done.n_unlabelled == (1 if form.kinds else 0)
    assert len(files(folder, ".png")) == N - 1
    if name == "CSVDataset":  # FiftyOne only writes these
        assert "kind 1" in next(iter(files(folder, ".csv"))).read_text()
        return
    loaded = fo.Dataset.from_dir(str(folder), dataset_type=form.type)
    assert len(loaded) in (N - 1, N - 2)  # some formats know only pictures with a label
    if form.kinds:
        kinds = set(str(loaded.values(loaded._get_label_fields()[0])).split("'"))
        assert {"kind 0", "kind 1"} <= kinds or {"kind_0", "kind_1"} <= kinds
    loaded.delete()


def test_only_what_fits_is_offered(photos):
    names = {form.name for form in exports.formats_for(photos)}
    assert names == {name for name, form in FORMATS.items() if "image" in form.media}
    photos.delete_sample_fields(["boxes"])
    names = {form.name for form in exports.formats_for(photos)}
    assert "ImageClassificationDirectoryTree" in names
    assert "COCODetectionDataset" not in names
    videos = fo.Dataset()
    videos.add_sample(fo.Sample(filepath="/missing/1.mp4"))
    names = {form.name for form in exports.formats_for(videos)}
    assert names == {"FiftyOneDataset", "MediaDirectory"}
    videos.delete()


def test_files_can_be_linked_or_left_where_they_are(photos, tmp_path):
    linked = check_export(photos, "FiftyOneDataset", str(tmp_path / "a"), media="symlink")
    write_export(linked)
    assert all(path.is_symlink() for path in files(tmp_path / "a", ".png"))
    left = check_export(photos, "COCODetectionDataset", str(tmp_path / "b"), field="boxes",
                        media="none", with_excluded=True)  # fmt: skip
    assert write_export(left).n_samples == N
    assert files(tmp_path / "b", ".png") == []
    found = json.loads((tmp_path / "b" / "labels.json").read_text())
    assert len(found["images"]) == N


def test_of_a_view_of_objects_the_images_go(photos, tmp_path):
    some = photos.to_patches("boxes").limit(2)
    done = write_export(
        check_export(some, "COCODetectionDataset", str(tmp_path / "out"), field="boxes")
    )
    assert done.n_samples == 2


def test_what_is_in_a_folder_is_only_deleted_when_asked(photos, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "diary.txt").write_text("dear")
    with pytest.raises(uvl.DataError, match="is not empty"):
        check_export(photos, "MediaDirectory", str(folder))
    allowed = check_export(photos, "MediaDirectory", str(folder), overwrite=True)
    assert (folder / "diary.txt").exists()
    write_export(allowed)
    assert not (folder / "diary.txt").exists()


@pytest.mark.parametrize("which", ["media", "above the media", "home", "root"])
def test_some_folders_are_never_deleted(photos, tmp_path, which):
    folder = {
        "media": tmp_path / "photos", "above the media": tmp_path, "home": Path.home(),
        "root": Path("/"),
    }[which]  # fmt: skip
    with pytest.raises(uvl.DataError, match="never deleted"):
        check_export(photos, "MediaDirectory", str(folder), overwrite=True)


def test_a_link_to_the_media_is_no_way_around(photos, tmp_path):
    (tmp_path / "up").symlink_to(tmp_path)
    with pytest.raises(uvl.DataError, match="never deleted"):
        check_export(photos, "MediaDirectory", str(tmp_path / "up" / "photos"), overwrite=True)


def test_a_failure_leaves_no_folder(photos, tmp_path):
    export = check_export(photos, "MediaDirectory", str(tmp_path / "out"))
    Path(photos.limit(2).values("filepath")[1]).unlink()
    with pytest.raises(OSError, match="No such file"):
        write_export(export)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"form": "Nope"}, "no format 'Nope'"),
        ({"folder": "here"}, "whole path"),
        ({"folder": ""}, "whole path"),
        ({"media": "move"}, "must be one of copy"),
        ({"media": "none"}, "no sense without the files"),
        ({"form": "COCODetectionDataset"}, "needs a field of Detections or Polylines"),
        ({"form": "COCODetectionDataset", "field": "species"}, "Such fields: boxes"),
    ],
)
def test_what_cannot_be_is_said(photos, tmp_path, changes, message):
    arguments = {"form": "MediaDirectory", "folder": str(tmp_path / "out"), **changes}
    with pytest.raises(uvl.UVLError, match=message):
        check_export(photos, **arguments)


def test_an_empty_view_and_frames_are_refused(photos, tmp_path):
    with pytest.raises(uvl.DataError, match="nothing to export"):
        check_export(photos.match_tags("exclude"), "MediaDirectory", str(tmp_path / "out"))
    (tmp_path / "file").touch()
    with pytest.raises(uvl.DataError, match="is a file"):
        check_export(photos, "MediaDirectory", str(tmp_path / "file" / "out"))


def test_the_result_is_a_sentence(photos, tmp_path):
    folder = str(tmp_path / "out")
    done = write_export(check_export(photos, "FiftyOneImageClassificationDataset", folder,
                                     field="species", media="none"))  # fmt: skip
    assert str(done) == (
        f"5 samples were written to '{folder}' (Images, and classes as JSON), with the labels in "
        "'species'; 1 have none there. 1 that were excluded stayed behind."
    )
