"""Temporal encoders that are trained on the videos of a dataset, and what is made with them."""

import numpy as np
import pytest

import uvl_plugin as uvl
from tests.adapter.walks import add_videos, in_videos, moving_digits, walk
from uvl_plugin.temporal.checkpoint import read_temporal_card, temporal_path

QUICK = uvl.TemporalGRU(hidden=8, epochs=2, horizon=2, batch_size=8)
WHAT = {"embeddings": "frames.emb", "device": "cpu", "progress": False}


@pytest.fixture
def walks(make_dataset):
    """Twelve videos of twenty frames, and one without any."""
    dataset = make_dataset([])
    dataset.media_type = "video"
    add_videos(dataset, [*(walk(seed, range(1, 21)) for seed in range(12)), {}])
    return dataset


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Encoders of one test are not those of another."""
    monkeypatch.setenv("UVL_CHECKPOINTS", str(tmp_path))
    return tmp_path


def test_what_was_learnt_pools_videos(walks):
    result = uvl.train(walks, QUICK, name="motion", **WHAT)
    assert result.pooling == uvl.Temporal(encoder="motion")
    assert result.training.state == "finished"
    assert (result.training.how["videos"], result.training.how["frames"]) == (12, 240)
    assert str(result).startswith("'motion': finished after 2 epochs, best ")
    done = uvl.pool(walks, "frames.emb", "move", pooling=result.pooling, progress=False)
    assert (done.n_pooled, done.n_missing, done.dim) == (12, 1, QUICK.hidden)
    vectors = np.stack(walks.exists("move").values("move"))
    assert np.ptp(vectors, axis=0).min() > 0
    assert walks.get_run_info("embed_move").config.settings == {"encoder": "motion"}


def test_the_record_is_in_the_dataset(walks):
    result = uvl.train_encoder(walks, QUICK, name="my-motion", seed=3, **WHAT)
    config = walks.get_run_info("train_my_motion").config
    assert (config.method, config.checkpoint) == ("uvl/gru", "my-motion")
    assert config.asked["settings"] == QUICK.to_dict()
    assert (config.asked["seed"], config.asked["embeddings"]) == (3, "frames.emb")
    assert [epoch["loss"] for epoch in config.curve] == [
        epoch["loss"] for epoch in result.training.curve
    ]
    assert (config.outcome["state"], len(config.curve)) == ("finished", 2)
    card = read_temporal_card("my-motion")
    assert (card["embeddings"], card["dataset"]) == ("frames.emb", walks.name)
    walks.delete_run("train_my_motion")
    assert temporal_path("my-motion").is_dir()


def test_a_second_call_does_nothing(walks):
    uvl.train(walks, QUICK, name="motion", **WHAT)
    files = {path: path.stat().st_mtime_ns for path in temporal_path("motion").iterdir()}
    again = uvl.train(walks, QUICK, name="motion", **WHAT)
    assert again.training.resumed == 2
    assert {path: path.stat().st_mtime_ns for path in temporal_path("motion").iterdir()} == files
    other = uvl.TemporalGRU(hidden=9, epochs=1)
    for samples, method in [(walks, other), (walks.limit(8), QUICK)]:
        with pytest.raises(uvl.DataError, match="There is a temporal encoder 'motion' with other"):
            uvl.train(samples, method, name="motion", **WHAT)
    replaced = uvl.train(walks, other, name="motion", overwrite=True, **WHAT)
    assert (replaced.training.resumed, len(replaced.training.curve)) == (0, 1)
    assert walks.get_run_info("train_motion").config.asked["settings"] == other.to_dict()


def test_vectors_of_another_encoder_are_not_mixed(walks):
    result = uvl.train(walks, QUICK, name="motion", **WHAT)
    uvl.pool(walks, "frames.emb", "move", pooling=result.pooling, progress=False)
    add_videos(walks, [walk(40, range(1, 9))])
    uvl.train(walks, QUICK, name="motion", overwrite=True, **WHAT)
    with pytest.raises(uvl.DataError, match="trained again since.*pool all videos again"):
        uvl.pool(walks, "frames.emb", "move", pooling=result.pooling, progress=False)
    assert len(walks.exists("move")) == 12
    done = uvl.pool(
        walks, "frames.emb", "move", pooling=result.pooling, overwrite=True, progress=False
    )
    assert done.n_pooled == 13


def test_a_training_that_was_stopped_goes_on(walks):
    def stop(fraction, message):
        if fraction > 0.6:
            raise uvl.Cancelled("stopped")

    with pytest.raises(uvl.Cancelled):
        uvl.train(walks, QUICK, name="motion", **{**WHAT, "progress": stop})
    assert walks.list_runs() == []
    result = uvl.train(walks, QUICK, name="motion", **WHAT)
    assert (result.training.state, len(result.training.curve)) == ("finished", 2)


def test_wrong_arguments_are_refused(walks, digits):
    for samples, arguments, message in [
        (walks, {"embeddings": "frames.nope"}, "no vector field 'frames.nope'"),
        (walks, {"embeddings": "emb"}, "'emb' is no field of frames"),
        (walks, {"backbone": "resnet18"}, "it does not take backbone"),
        (walks, {"epochs": 3}, "it does not take epochs"),
        (walks, {"patches_field": "events"}, "no temporal detections in 'events'"),
        (walks, {"name": "a/b"}, "a/b"),
        (walks, {"device": "tpu"}, "tpu"),
        (digits, {}, "holds no videos"),
    ]:
        with pytest.raises(uvl.UVLError, match=message):
            uvl.train(samples, QUICK, **{**WHAT, "name": "motion", **arguments})
    with pytest.raises(uvl.SettingsError, match="takes embeddings="):
        uvl.train(walks, QUICK, name="motion")
    with pytest.raises(uvl.UVLError, match="no temporal method 'lstm'"):
        uvl.train_encoder(walks, "lstm", name="motion", **WHAT)
    with pytest.raises(uvl.SettingsError, match="such as uvl.TemporalGRU"):
        uvl.train_encoder(walks, uvl.KMeans(), name="motion", **WHAT)
    with pytest.raises(uvl.DataError, match="at least 31 embedded frames, and the longest has 20"):
        uvl.train(walks, uvl.TemporalGRU(horizon=30), name="motion", **WHAT)
    assert walks.list_runs() == []


def test_clips_are_learnt_from_by_themselves(make_dataset):
    """A window never holds the end of one clip and the beginning of the next."""
    dataset = make_dataset([])
    dataset.media_type = "video"
    in_videos(dataset, moving_digits(per_class=3), per_video=6)
    result = uvl.train(dataset, QUICK, name="moves", patches_field="events", **WHAT)
    assert result.training.how["videos"] == 18
    assert dataset.get_run_info("train_moves").config.asked["clips"] == "events"
    done = uvl.pool(
        dataset, "frames.emb", "move", pooling=result.pooling, patches_field="events",
        progress=False,
    )  # fmt: skip
    assert (done.n_pooled, done.unit) == (18, "clips")
    vectors = dataset.values("events.detections.move", unwind=True)
    assert all(vector.shape == (QUICK.hidden,) for vector in vectors)
