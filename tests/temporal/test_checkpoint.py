"""Temporal encoders on disk: loaded again, damaged, and kept apart from those of images."""

import json
import subprocess
import sys

import numpy as np
import pytest

from uvl_plugin.backbones.checkpoint import Checkpoint, checkpoint_names
from uvl_plugin.core.errors import DataError, WeightsError
from uvl_plugin.pooling.base import FramePath
from uvl_plugin.pooling.temporal import Temporal
from uvl_plugin.temporal.checkpoint import temporal_names, temporal_path
from uvl_plugin.temporal.encoder import load_temporal
from uvl_plugin.temporal.gru import TemporalGRU
from uvl_plugin.temporal.train import train_temporal

QUICK = TemporalGRU(hidden=8, n_components=4, epochs=1)

LOADING = """
import sys, numpy as np
from uvl_plugin.pooling.base import FramePath
from uvl_plugin.temporal.encoder import load_temporal
vectors = np.load(sys.argv[1])
np.save(sys.argv[2], load_temporal("round")(FramePath("v", np.arange(len(vectors)), vectors)))
"""


@pytest.fixture
def trained(circling):
    train_temporal(lambda: iter(circling), QUICK, name="round", device="cpu")
    return temporal_path("round")


def test_another_process_gets_the_same_vectors(trained, circling, tmp_path):
    np.save(tmp_path / "in.npy", circling[0].vectors)
    command = [sys.executable, "-c", LOADING, str(tmp_path / "in.npy"), str(tmp_path / "out.npy")]
    subprocess.run(command, check=True, timeout=120)
    found = np.load(tmp_path / "out.npy")
    assert found == pytest.approx(load_temporal("round")(circling[0]), abs=1e-6)


def test_the_card_says_how_it_came_about(trained):
    card = json.loads((trained / "card.json").read_text())
    assert card["state"] == "finished"
    assert card["method"] == {"method": "gru", "settings": QUICK.to_dict()}
    assert card["how"]["videos"] == 60
    assert len(card["curve"]) == 1
    assert "torch" in card["versions"]
    assert sorted(file.name for file in trained.iterdir()) == sorted(
        ["card.json", card["weights"]["file"]]
    )


def test_it_is_no_backbone_for_images(trained):
    assert temporal_names() == ["round"]
    assert checkpoint_names() == []
    with pytest.raises(DataError, match="no checkpoint 'round'"):
        Checkpoint("round").check()


def test_a_backbone_for_images_is_no_temporal_encoder(trained, own_checkpoints):
    (own_checkpoints / "digits").mkdir()
    (own_checkpoints / "digits" / "card.json").write_text('{"weights": {}}')
    with pytest.raises(DataError, match=r"'digits' is a backbone for images.*Known: round"):
        load_temporal("digits")
    assert temporal_names() == ["round"]


def test_an_unknown_name_shows_the_nearest(trained):
    with pytest.raises(DataError, match="Did you mean 'round'"):
        Temporal(encoder="rund").check()


def test_a_damaged_card_is_told(trained):
    (trained / "card.json").write_text("{")
    with pytest.raises(DataError, match="card of the temporal encoder 'round' is damaged"):
        load_temporal("round")


def test_damaged_weights_are_told(trained):
    (file,) = trained.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_temporal("round")


def test_weights_without_the_components_are_told(trained):
    from safetensors.torch import load_file, save_file

    (file,) = trained.glob("*.safetensors")
    tensors = load_file(file)
    del tensors["motion"]
    save_file(tensors, file)
    with pytest.raises(WeightsError, match="first: motion"):
        load_temporal("round")


def test_a_training_without_a_complete_epoch_is_told(trained):
    card = json.loads((trained / "card.json").read_text())
    del card["weights"]
    (trained / "card.json").write_text(json.dumps(card))
    with pytest.raises(DataError, match="has no weights"):
        load_temporal("round")
    assert temporal_names() == []


def test_vectors_of_an_encoder_that_was_trained_again_are_not_mixed(trained, circling):
    pooling = Temporal(encoder="round")
    arrays = pooling.fit(lambda: iter(circling)).arrays
    train_temporal(
        lambda: iter(circling), QUICK, name="round", seed=1, device="cpu", overwrite=True
    )
    with pytest.raises(DataError, match="trained again"):
        pooling.restore(arrays)


def test_long_videos_are_read_window_by_window(trained, circling):
    """The states of each window begin anew, so a video that repeats has the vector of a part."""
    long = np.tile(np.resize(circling[0].vectors, (QUICK.window, 6)), (5, 1))
    encoder = load_temporal("round")
    once = encoder(FramePath("once", np.arange(QUICK.window), long[: QUICK.window]))
    five = encoder(FramePath("five", np.arange(len(long)), long))
    assert five == pytest.approx(once, abs=1e-5)
