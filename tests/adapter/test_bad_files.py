"""Every kind of bad file among good ones: exactly the bad ones fail, and the rest is as without."""

import random

import numpy as np
import pytest

import uvl_plugin as uvl
from tests.bad_files import write_bad_files
from uvl_plugin.adapter.failures import FAILED_TAG

NETWORK = uvl.TorchVision(model="squeezenet1_1", weights="untrained")

pytestmark = pytest.mark.filterwarnings("ignore:Corrupt EXIF data")


@pytest.fixture
def bad_paths(tmp_path):
    paths = write_bad_files(tmp_path)
    assert len(paths) >= 50
    return paths


@pytest.fixture
def mixed(make_dataset, bad_paths, digit_files):
    paths = [path for path, _ in digit_files[:60]] + bad_paths
    random.Random(0).shuffle(paths)
    return make_dataset(paths)


@pytest.mark.parametrize("how", [{"batch_size": 7}, {"batch_size": 64, "decode": "reduced"}])
def test_exactly_the_bad_files_fail_and_say_why(mixed, bad_paths, make_dataset, digit_files, how):
    result = uvl.embed(mixed, NETWORK, "emb", **how)
    of_sample = dict(zip(*mixed.values(["id", "filepath"]), strict=True))
    assert {of_sample[key] for key in result.failures} == set(bad_paths)
    for key, reason in result.failures.items():
        path, _, why = reason.rpartition(": ")
        assert reason.startswith(f"{of_sample[key]}: ")
        assert path
        assert why
    assert result.n_embedded == 60
    alone = make_dataset([path for path, _ in digit_files[:60]])
    uvl.embed(alone, NETWORK, "emb", **how)
    expected = dict(zip(*alone.values(["filepath", "emb"]), strict=True))
    for sample in mixed.exists("emb"):
        assert sample["emb"] == pytest.approx(expected[sample.filepath], rel=1e-4, abs=1e-5)


def test_bad_files_are_tagged_recorded_and_tried_again(mixed, bad_paths, digit_files, monkeypatch):
    monkeypatch.setattr("uvl_plugin.adapter.failures._PAGE", 7)  # several requests
    result = uvl.embed(mixed, uvl.Pixels(), "emb")
    assert set(mixed.match_tags(FAILED_TAG).values("filepath")) == set(bad_paths)
    record = mixed.get_run_info("embed_emb").config
    assert (record.n_embedded, record.n_failed) == (60, len(bad_paths))
    assert record.failures == result.failures
    sample = mixed.match_tags(FAILED_TAG).first()
    sample.tags.append("keep")
    sample.filepath = digit_files[100][0]
    sample.save()
    again = uvl.embed(mixed, uvl.Pixels(), "emb")
    assert (again.n_embedded, again.n_present) == (1, 60)
    assert len(again.failures) == len(bad_paths) - 1
    assert mixed[sample.id].tags == ["keep"]
    assert np.isfinite(mixed[sample.id]["emb"]).all()


def test_a_long_list_of_failures_is_recorded_in_part_and_counted_whole(
    make_dataset, tmp_path, digit_files
):
    missing = [str(tmp_path / f"{number}.jpg") for number in range(1200)]
    dataset = make_dataset([digit_files[0][0], *missing])
    result = uvl.embed(dataset, uvl.Pixels(), "emb")
    assert len(result.failures) == 1200
    record = dataset.get_run_info("embed_emb").config
    assert (record.n_failed, len(record.failures)) == (1200, 1000)
