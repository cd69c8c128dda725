import numpy as np
import pytest

import uvl_plugin as uvl
from uvl_plugin.adapter.runs import EmbeddingRunConfig
from uvl_plugin.media.images import read_image

PIXELS = uvl.Pixels(size=4)


def vectors_of(dataset, field="emb"):
    return dict(zip(*dataset.values(["id", field]), strict=True))


def by_hand(path):
    return PIXELS.load("cpu").encode([PIXELS.load("cpu").preprocess(read_image(path))])[0]


def test_each_sample_gets_the_vector_of_its_own_file(digits):
    view = digits.shuffle(seed=1)
    result = uvl.embed(view, PIXELS, "emb", batch_size=7)
    assert (result.n_embedded, result.n_present, result.failures) == (200, 0, {})
    for sample in digits.take(20, seed=2):
        assert np.array_equal(sample["emb"], by_hand(sample.filepath))
        assert sample["emb"].dtype == np.float32


def test_bad_files_cost_only_themselves(make_dataset, digit_files, bad_files):
    paths = [path for path, _ in digit_files[:30]]
    for position, bad in zip((0, 7, 8, 20), bad_files.values(), strict=True):
        paths.insert(position, str(bad))
    dataset = make_dataset(paths)
    result = uvl.embed(dataset, PIXELS, "emb", batch_size=4)
    reasons = {dataset[key].filepath: reason for key, reason in result.failures.items()}
    assert result.n_embedded == 30
    assert set(reasons) == {str(bad) for bad in bad_files.values()}
    for reason, path in bad_files.items():
        assert reason in reasons[str(path)]
    for sample in dataset.exists("emb"):
        assert np.array_equal(sample["emb"], by_hand(sample.filepath))
    record = dataset.get_run_info("embed_emb").config
    assert isinstance(record, EmbeddingRunConfig)
    assert (record.n_embedded, record.n_failed, record.failures) == (30, 4, result.failures)
    assert record.settings == {"size": 4}
    assert record.versions["fiftyone"]


def test_a_second_call_embeds_only_what_is_missing(make_dataset, digit_files):
    import fiftyone as fo

    dataset = make_dataset([path for path, _ in digit_files[:20]])
    uvl.embed(dataset, PIXELS, "emb")
    before = vectors_of(dataset)
    assert uvl.embed(dataset, PIXELS, "emb").n_embedded == 0
    dataset.add_sample(fo.Sample(filepath=digit_files[50][0]))
    result = uvl.embed(dataset, PIXELS, "emb")
    assert (result.n_embedded, result.n_present) == (1, 20)
    after = vectors_of(dataset)
    assert all(np.array_equal(after[key], vector) for key, vector in before.items())


def test_cancelled_work_is_kept_and_taken_up_again(digits):
    def cancel(fraction, message):
        if fraction > 0.5:
            raise uvl.Cancelled("stopped")

    with pytest.raises(uvl.Cancelled):
        uvl.embed(digits, PIXELS, "emb", batch_size=10, progress=cancel)
    written = len(digits.exists("emb"))
    assert 100 < written < 125
    result = uvl.embed(digits, PIXELS, "emb", batch_size=10)
    assert (result.n_embedded, result.n_present) == (200 - written, written)
    uvl.embed(digits, PIXELS, "undisturbed")
    again, undisturbed = vectors_of(digits), vectors_of(digits, "undisturbed")
    assert all(np.array_equal(again[key], undisturbed[key]) for key in again)


def test_a_view_is_all_that_is_touched(digits):
    view = digits.take(15, seed=3)
    uvl.embed(view, PIXELS, "emb")
    assert set(digits.exists("emb").values("id")) == set(view.values("id"))


def test_vectors_of_another_backbone_are_refused_unless_overwritten(digits):
    uvl.embed(digits, PIXELS, "emb")
    with pytest.raises(uvl.DataError, match=r"'emb' holds vectors of pixels .*overwrite=True"):
        uvl.embed(digits, uvl.Pixels(size=3), "emb")
    assert len(digits.first()["emb"]) == 48
    uvl.embed(digits, uvl.Pixels(size=3), "emb", overwrite=True)
    assert {len(vector) for vector in digits.values("emb")} == {27}
    assert digits.get_run_info("embed_emb").config.settings == {"size": 3}


def test_overwriting_a_view_with_the_same_backbone_keeps_the_rest(digits, bad_files):
    uvl.embed(digits, PIXELS, "emb")
    first = digits.first()
    first.filepath = str(bad_files["empty file"])
    first.save()
    result = uvl.embed(digits.limit(5), PIXELS, "emb", overwrite=True)
    assert (result.n_embedded, list(result.failures)) == (4, [first.id])
    assert len(digits.exists("emb")) == 199


def test_a_field_of_another_kind_is_never_overwritten(digits):
    for overwrite in (False, True):
        with pytest.raises(uvl.DataError, match="'label' is a field of type"):
            uvl.embed(digits, PIXELS, "label", overwrite=overwrite)
    assert digits.first()["label"].label


def test_nothing_is_left_when_no_file_can_be_read(make_dataset, bad_files):
    dataset = make_dataset(bad_files.values())
    with pytest.raises(uvl.DataError, match="None of the 4 images could be embedded; the first: "):
        uvl.embed(dataset, PIXELS, "emb")
    assert not dataset.has_field("emb")
    assert dataset.list_runs() == []


def test_nothing_is_left_when_the_weights_are_missing(digits):
    backbone = uvl.TorchVision(weights="nowhere.safetensors")
    with pytest.raises(uvl.WeightsError, match="no weights file 'nowhere.safetensors'"):
        uvl.embed(digits, backbone, "emb")
    assert not digits.has_field("emb")


def test_deleting_the_run_removes_the_vectors(digits):
    uvl.embed(digits, PIXELS, "emb")
    digits.delete_run("embed_emb")
    assert not digits.has_field("emb")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"field": "not a name"}, "cannot be the name of a field"),
        ({"field": "_hidden"}, "cannot be the name of a field"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"backbone": "pixel"}, "Did you mean 'pixels'"),
        ({"backbone": 7}, "backbone"),
        ({"batchsize": 8}, "Engine has no setting 'batchsize'"),
        ({"device": "cpu,cpu"}, "must name different GPUs"),
        ({"decode": "gpu", "device": "cpu"}, "decode='gpu' needs a GPU, and the device is cpu"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"precision": "fp8"}, "precision must be one of auto, fp32"),
        ({"device": "cuda:77"}, "device='cuda:77' cannot be used"),
    ],
)
def test_wrong_arguments_are_refused_before_work(digits, arguments, message):
    with pytest.raises(uvl.UVLError, match=message):
        uvl.embed(digits, **{"backbone": PIXELS, "field": "emb", **arguments})
    assert not digits.has_field("emb")


def test_other_media_are_refused(make_dataset, tmp_path):
    import fiftyone as fo

    dataset = make_dataset([])
    with pytest.raises(uvl.DataError, match="There are no samples"):
        uvl.embed(dataset, PIXELS, "emb")
    dataset.add_sample(fo.Sample(filepath=str(tmp_path / "film.mp4")))
    with pytest.raises(uvl.DataError, match="holds videos. Embed their frames"):
        uvl.embed(dataset, PIXELS, "emb")
    with pytest.raises(uvl.DataError, match="must be a FiftyOne dataset or view, got list"):
        uvl.embed(["a.png"], PIXELS, "emb")


def test_patches_are_refused(digits):
    import fiftyone as fo

    sample = digits.first()
    box = fo.Detection(label="x", bounding_box=[0, 0, 1, 1])
    sample["boxes"] = fo.Detections(detections=[box])
    sample.save()
    with pytest.raises(uvl.DataError, match="view of patches, frames or clips"):
        uvl.embed(digits.to_patches("boxes"), PIXELS, "emb")
