import dataclasses
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uvl_plugin.backbones import checkpoint
from uvl_plugin.backbones.base import backbones
from uvl_plugin.backbones.checkpoint import (
    CARD,
    Checkpoint,
    checkpoint_names,
    checkpoint_path,
    checkpoints_folder,
    preprocess_from,
    read_card,
    with_head,
)
from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.backbones.presets import resolve_backbone
from uvl_plugin.backbones.timm import Timm
from uvl_plugin.backbones.torchvision import TorchVision
from uvl_plugin.core.errors import DataError, SettingsError, UVLError, WeightsError

SMALL = CompactCNN(input_size=16, width=4, dim=6)
ARCHITECTURES = {
    "compact": SMALL,
    "timm": Timm(
        model="vit_tiny_patch16_224", weights="untrained", options='{"depth": 1}', input_size=32
    ),
    "torchvision": TorchVision(
        model="mobilenet_v3_small", weights="untrained", input_size=32, mean=(0.1, 0.2, 0.3)
    ),
}


def assert_equal(module, other):
    assert module.state_dict().keys() == other.state_dict().keys()
    for name, tensor in module.state_dict().items():
        found = other.state_dict()[name]
        assert torch.equal(found, tensor)
        assert found.dtype == tensor.dtype


def edit(folder, without=(), **changes):
    """Changes a card, and takes entries out of it."""
    card = {**json.loads((folder / CARD).read_text()), **changes}
    kept = {key: value for key, value in card.items() if key not in without}
    (folder / CARD).write_text(json.dumps(kept))


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("head", [False, True])
def test_the_network_is_the_one_that_was_saved_to_the_last_bit(name, head, save_checkpoint):
    backbone = ARCHITECTURES[name]
    dims = {"compact": 6, "timm": 192, "torchvision": 1024}
    saved = save_checkpoint("mine", backbone, head_dims=[dims[name], 5] if head else None)
    loaded = Checkpoint("mine").network()
    assert_equal(saved, loaded.module)
    assert loaded.preprocess == backbone.network().preprocess
    side = loaded.preprocess.size
    images = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        expected, vectors = saved.eval()(images), loaded.module.eval()(images)
    assert torch.equal(vectors, expected)
    assert vectors.shape == (2, 5 if head else dims[name])


def test_it_embeds_like_every_backbone(save_checkpoint, unfolded):
    saved = save_checkpoint("mine", SMALL).eval()
    encoder = Checkpoint("mine").load("cpu")
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    with torch.inference_mode():
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
        expected = saved(pixels).numpy()
    assert encoder.dim == 6
    assert encoder.encode(images) == pytest.approx(expected, rel=1e-4)


def test_a_head_is_two_layers_on_the_network():
    network = SMALL.network().module
    assert with_head(network, None) is network
    headed = with_head(network, [6, 3])
    assert headed.get_submodule("network") is network
    images = torch.rand(2, 3, 16, 16)
    first, last = headed.head[0], headed.head[2]
    expected = last(first(network.eval()(images)).relu())
    assert torch.equal(headed.eval()(images), expected)
    assert (first.in_features, first.out_features, last.out_features) == (6, 6, 3)


def test_a_checkpoint_of_a_checkpoint_is_built_from_the_first_architecture(save_checkpoint):
    save_checkpoint("first", SMALL, seed=1)
    assert Checkpoint("first").untrained() == SMALL
    second = save_checkpoint("second", Checkpoint("first"), seed=2)
    assert Checkpoint("second").card["architecture"]["backbone"] == "compact_cnn"
    assert_equal(second, Checkpoint("second").network().module)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_architecture_is_kept_without_weights_to_fetch(name, save_checkpoint):
    save_checkpoint("mine", ARCHITECTURES[name])
    kept = read_card("mine")["architecture"]
    architecture = backbones[kept["backbone"]].from_dict(kept["settings"])
    assert architecture == ARCHITECTURES[name]
    assert Checkpoint("mine").untrained() == architecture


def test_it_is_in_the_registry_and_survives_a_record(save_checkpoint):
    save_checkpoint("mine", SMALL)
    asked = Checkpoint("mine")
    asked.card  # noqa: B018  what was read is not part of the settings
    record = json.loads(json.dumps(asked.to_dict()))
    assert record == {"checkpoint": "mine"}
    again = backbones["checkpoint"].from_dict(record)
    assert again == asked
    assert again.space == asked.space
    assert pickle.loads(pickle.dumps(asked)).space == asked.space
    assert resolve_backbone("mine") == asked


def test_the_licence_is_that_of_the_weights_it_began_with(save_checkpoint):
    save_checkpoint("mine", SMALL, licence="CC-BY-NC-4.0")
    assert Checkpoint("mine").licence == "CC-BY-NC-4.0"
    assert Checkpoint("mine").pretrained


def test_other_weights_under_the_old_name_are_another_space(save_checkpoint):
    save_checkpoint("mine", SMALL, seed=1)
    first = Checkpoint("mine").space
    save_checkpoint("other", SMALL, seed=1)
    save_checkpoint("mine", SMALL, seed=2)
    assert Checkpoint("mine").space != first
    assert Checkpoint("other").space != first
    save_checkpoint("mine", SMALL, seed=1)
    assert Checkpoint("mine").space == first


def test_an_unknown_name_is_an_error_that_names_the_nearest(save_checkpoint, checkpoints):
    with pytest.raises(DataError, match=r"no checkpoint 'digit' .*Known: none, train one") as none:
        read_card("digit")
    assert none.value.argument == "checkpoint"
    for name in ("digits", "flowers"):
        save_checkpoint(name, SMALL)
    words = (
        f"no checkpoint 'digit' in {checkpoints}. Did you mean 'digits'? Known: digits, flowers."
    )
    for ask in (
        Checkpoint("digit").check,
        Checkpoint("digit").network,
        Checkpoint("digit").untrained,
        lambda: Checkpoint("digit").space,
    ):
        with pytest.raises(DataError, match=re.escape(words)):
            ask()
    with pytest.raises(SettingsError, match="Did you mean 'digits'.*digits, flowers; or give"):
        resolve_backbone("digit")


@pytest.mark.parametrize("content", ["", "{", '{"weights": ', "\x00\x00", "no card"])
def test_a_damaged_card_is_an_error_with_a_way_out(save_checkpoint, checkpoints, content):
    save_checkpoint("mine", SMALL)
    save_checkpoint("whole", SMALL)
    (checkpoints / "mine" / CARD).write_text(content)
    words = rf"card of the checkpoint 'mine' is damaged \(.+\); delete .*{checkpoints}/mine"
    with pytest.raises(DataError, match=words) as caught:
        Checkpoint("mine").network()
    assert caught.value.argument == "checkpoint"
    assert checkpoint_names() == ["whole"]


def test_a_card_of_bytes_that_are_no_text_is_damaged(save_checkpoint, checkpoints):
    save_checkpoint("mine", SMALL)
    (checkpoints / "mine" / CARD).write_bytes(b"\xff\xfe\x80")
    with pytest.raises(DataError, match="is damaged"):
        read_card("mine")
    assert checkpoint_names() == []


def test_a_training_without_weights_yet_says_so(save_checkpoint, checkpoints):
    save_checkpoint("mine", SMALL)
    edit(checkpoints / "mine", without=["weights"])
    for ask in (
        Checkpoint("mine").check,
        Checkpoint("mine").network,
        lambda: Checkpoint("mine").space,
    ):
        with pytest.raises(DataError, match="'mine' has no weights: its training"):
            ask()
    assert checkpoint_names() == []


def test_names_are_those_of_folders_with_weights(save_checkpoint, checkpoints):
    assert checkpoint_names() == []
    for name in ("b", "a.1", "c_2-x"):
        save_checkpoint(name, SMALL)
    (checkpoints / "empty").mkdir()
    (checkpoints / "a file").touch()
    (checkpoints / ".hidden").mkdir()
    (checkpoints / ".hidden" / CARD).write_bytes((checkpoints / "b" / CARD).read_bytes())
    assert checkpoint_names() == ["a.1", "b", "c_2-x"]


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "/etc", "a/b", "a/../../b", "a\\b", ".x", "-x", "a b", "x\n", "ü"]
    + ["a" * 101, "~", "x\x00"],
)
def test_names_that_lead_elsewhere_are_refused(name, checkpoints):
    for ask in (checkpoint_path, read_card, lambda name: Checkpoint(name).network()):
        with pytest.raises(SettingsError, match="cannot be the name of a checkpoint: use letters"):
            ask(name)


@given(st.text(max_size=8))
def test_a_name_stays_in_the_folder_or_is_refused(name):
    try:
        path = checkpoint_path(name)
    except SettingsError:
        return
    assert path.parent == checkpoints_folder()
    assert path.resolve().parent == checkpoints_folder().resolve()


def test_the_folder_is_in_the_home_unless_the_environment_says_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(checkpoint.FOLDER, raising=False)
    assert checkpoints_folder() == tmp_path / ".uvl" / "checkpoints"
    monkeypatch.setenv(checkpoint.FOLDER, "")
    assert checkpoints_folder() == tmp_path / ".uvl" / "checkpoints"
    monkeypatch.setenv(checkpoint.FOLDER, "~/mine")
    assert checkpoints_folder() == tmp_path / "mine"


def test_the_card_names_the_weights(save_checkpoint, checkpoints):
    saved = save_checkpoint("mine", SMALL)
    folder = checkpoints / "mine"
    (old,) = folder.glob("*.safetensors")
    old.rename(folder / "moved.safetensors")
    with pytest.raises(WeightsError, match=f"There is no weights file '.*{old.name}'"):
        Checkpoint("mine").network()
    card = read_card("mine")
    edit(folder, weights={**card["weights"], "file": "moved.safetensors"})
    assert_equal(saved, Checkpoint("mine").network().module)


def test_weights_of_another_network_are_refused(save_checkpoint, checkpoints):
    save_checkpoint("mine", SMALL)
    other = dataclasses.replace(SMALL, dim=7).to_dict()
    edit(checkpoints / "mine", architecture={"backbone": "compact_cnn", "settings": other})
    with pytest.raises(WeightsError, match="are of another network"):
        Checkpoint("mine").network()


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "file", ["weights.safetensors", "weights.pth", "weights.pt", "weights.bin"]
)
@pytest.mark.parametrize("save", ["torch", "pickle"])
def test_code_in_weights_is_refused_and_not_run(save_checkpoint, checkpoints, tmp_path, file, save):
    saved = save_checkpoint("mine", SMALL)
    folder, sprung = checkpoints / "mine", tmp_path / "sprung"
    state = {**saved.state_dict(), "trap": Trap(sprung)}
    if save == "torch":
        torch.save(state, folder / file)
    else:
        (folder / file).write_bytes(pickle.dumps(state, 2))
    edit(folder, weights={"file": file, "sha256": "0" * 64})
    with pytest.raises(UVLError, match=f"{file}' (cannot be read as plain|is not a weights file)"):
        Checkpoint("mine").load("cpu")
    assert not sprung.exists()


numbers = st.tuples(*[st.floats(0.1, 1)] * 3)


@given(
    size=st.integers(8, 300),
    resize=st.none() | st.integers(8, 300),
    fit=st.sampled_from(["cover", "squash", "contain"]),
    mean=numbers,
    std=numbers,
    fill=st.integers(0, 255) | st.tuples(*[st.integers(0, 255)] * 3),
)
def test_preprocessing_survives_a_card(**settings):
    preprocess = Preprocess(interpolation="BICUBIC", **settings)
    kept = json.loads(json.dumps(dataclasses.asdict(preprocess)))
    assert preprocess_from(kept) == preprocess
