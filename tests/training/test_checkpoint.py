import dataclasses
import os
import stat
from pathlib import Path

import pytest
import torch

from uvl_plugin.backbones.checkpoint import CARD, FOLDER, Checkpoint, checkpoint_names
from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.core.errors import DataError, SettingsError, UVLError
from uvl_plugin.training.checkpoint import CheckpointWriter

SMALL = CompactCNN(input_size=16, width=4, dim=6)
STATE = {
    "learner": {
        "weights": {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(3, dtype=torch.bfloat16)},
        "optimizer": {"param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0, 1]}]},
        "done": 7,
    },
    "curve": [{"epoch": 1, "loss": 0.25, "validation_loss": None}],
    "warnings": ["näher"],
    "best_score": float("-inf"),
}


def network(seed=0):
    return dataclasses.replace(SMALL, seed=seed).network().module


def card(**entries) -> dict:
    return {
        "architecture": {"backbone": SMALL.name, "settings": SMALL.to_dict()},
        "head_dims": None,
        "preprocess": dataclasses.asdict(SMALL.network().preprocess),
        "licence": "none needed",
        **entries,
    }


def loaded() -> dict[str, torch.Tensor]:
    return Checkpoint("mine").network().module.state_dict()


def is_seed(state, seed) -> bool:
    expected = network(seed).state_dict()
    return all(torch.equal(state[name], tensor) for name, tensor in expected.items())


@pytest.fixture
def writer(checkpoints):
    return CheckpointWriter("mine")


def save(writer, seed=0, **entries):
    writer.write_card(card(weights=writer.write_weights(network(seed)), **entries))


def files(writer) -> set[str]:
    return {path.name for path in writer.folder.iterdir()}


def test_what_is_written_is_a_backbone(writer):
    save(writer, seed=4)
    assert checkpoint_names() == ["mine"]
    assert is_seed(loaded(), 4)


def test_old_weights_are_deleted_after_the_card_is_replaced(writer):
    save(writer, seed=1)
    old = writer.card()["weights"]["file"]
    weights = writer.write_weights(network(2))
    assert {old, weights["file"], CARD} == files(writer)
    assert is_seed(loaded(), 1)
    writer.write_card(card(weights=weights))
    assert {weights["file"], CARD} == files(writer)
    assert is_seed(loaded(), 2)


def test_a_card_without_weights_deletes_all_of_them(writer):
    save(writer)
    writer.write_card(card())
    assert files(writer) == {CARD}
    assert checkpoint_names() == []


def test_the_same_weights_written_twice_are_one_file(writer):
    first, second = (writer.write_weights(network(3)) for _ in range(2))
    assert first == second
    assert files(writer) == {first["file"]}
    assert first["sha256"][:16] in first["file"]
    assert writer.write_weights(network(4)) != first


@pytest.mark.parametrize("stage", ["fsync", "replace"])
@pytest.mark.parametrize("call", [1, 2])  # weights, card
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interruption_leaves_the_old_checkpoint_and_no_half_file(
    writer, monkeypatch, stage, call, error
):
    save(writer, seed=1)
    writer.write_state({"epoch": 1})
    before, calls, real = files(writer), [], getattr(os, stage)

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise error
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(os, stage, interrupted)
        with pytest.raises(type(error)):
            save(writer, seed=2)
    assert len(calls) == call
    assert is_seed(loaded(), 1)
    assert writer.state() == {"epoch": 1}
    assert len(files(writer) - before) == call - 1  # whole weights that no card names yet
    save(writer, seed=3)
    assert is_seed(loaded(), 3)
    assert files(writer) == {CARD, writer.card()["weights"]["file"], "state.pt"}


def test_a_file_that_a_killed_process_left_half_disturbs_nobody(writer):
    save(writer, seed=1)
    (writer.folder / "tmpabc.partial").write_bytes(b"half")
    assert is_seed(loaded(), 1)
    save(writer, seed=2)
    assert is_seed(loaded(), 2)
    writer.clear()
    assert files(writer) == set()


def test_the_state_comes_back_as_it_was(writer):
    assert writer.state() is None
    writer.write_state(STATE)
    found = writer.state()
    weights = found["learner"].pop("weights")
    assert all(
        torch.equal(weights[name], tensor) and weights[name].dtype == tensor.dtype
        for name, tensor in STATE["learner"]["weights"].items()
    )
    expected = {**STATE, "learner": {**STATE["learner"]}}
    del expected["learner"]["weights"]
    assert found == expected
    writer.drop_state()
    assert writer.state() is None
    writer.drop_state()  # nothing to forget is no error


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_a_state_is_refused_and_not_run(writer, tmp_path):
    torch.save({"trap": Trap(tmp_path / "sprung")}, writer.folder / "state.pt")
    with pytest.raises(DataError, match="is damaged; delete it"):
        writer.state()
    assert not (tmp_path / "sprung").exists()


def test_clearing_forgets_an_earlier_training(writer):
    save(writer)
    writer.write_state({"epoch": 1})
    writer.clear()
    assert (writer.card(), writer.state(), files(writer)) == (None, None, set())
    assert writer.folder.is_dir()


@pytest.mark.parametrize("content", [None, "", "{", "\x00"])
def test_a_card_that_cannot_be_read_is_none(writer, content):
    if content is not None:
        (writer.folder / CARD).write_text(content)
    assert writer.card() is None


def test_the_card_is_what_was_written(writer):
    entries = {"curve": [{"loss": 0.5, "spread": None}], "warnings": ["näher"], "n": 3}
    writer.write_card(entries)
    assert writer.card() == entries


def test_weights_are_the_networks_whatever_their_layout(writer):
    module = network(5).to(memory_format=torch.channels_last).requires_grad_(False)
    assert not module[0][0].weight.is_contiguous()
    writer.write_card(card(weights=writer.write_weights(module)))
    assert is_seed(loaded(), 5)
    assert not module[0][0].weight.is_contiguous()  # what is trained is left as it is


def test_weights_that_two_layers_share_are_written_twice(writer):
    layer = torch.nn.Linear(3, 3)
    weights = writer.write_weights(torch.nn.Sequential(layer, layer))
    assert (writer.folder / weights["file"]).stat().st_size > 2 * 4 * 12


def test_others_may_read_what_was_written(writer):
    save(writer)
    writer.write_state({"epoch": 1})
    modes = {stat.S_IMODE(path.stat().st_mode) for path in writer.folder.iterdir()}
    assert modes == {0o644}


def test_a_folder_that_cannot_be_made_is_an_error_with_a_way_out(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER, str(tmp_path / "file"))
    with pytest.raises(UVLError, match=r"file/mine' cannot be made \(.+\); make it writable, or"):
        CheckpointWriter("mine")


@pytest.mark.parametrize("name", ["../mine", "", ".."])
def test_a_name_that_leads_elsewhere_is_refused(checkpoints, name):
    with pytest.raises(SettingsError, match="cannot be the name of a checkpoint"):
        CheckpointWriter(name)
    assert not checkpoints.exists()
