import dataclasses

import pytest
import torch

from uvl_plugin.backbones.base import TrainableBackbone
from uvl_plugin.backbones.checkpoint import FOLDER, with_head
from uvl_plugin.backbones.weights import seeded
from uvl_plugin.training.checkpoint import CheckpointWriter


@pytest.fixture
def unfolded(monkeypatch):
    """Networks keep their tensors as they were read."""
    monkeypatch.setattr("uvl_plugin.backbones.base.folded", lambda module, example: module)


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    """The folder of all checkpoints, an empty one."""
    folder = tmp_path / "checkpoints"
    monkeypatch.setenv(FOLDER, str(folder))
    return folder


@pytest.fixture
def save_checkpoint(checkpoints):
    """Saves a network under a name, as training does, and returns it; its weights are random."""

    def save(name: str, backbone: TrainableBackbone, *, seed=0, head_dims=None, **card):
        network = backbone.network()
        with seeded(seed):
            module = with_head(network.module, head_dims)
            for tensor in module.state_dict().values():
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand_like(tensor) + 0.1)
        architecture = backbone.untrained()
        writer = CheckpointWriter(name)
        writer.write_card(
            {
                "architecture": {
                    "backbone": architecture.name,
                    "settings": architecture.to_dict(),
                },
                "head_dims": head_dims,
                "preprocess": dataclasses.asdict(network.preprocess),
                "licence": backbone.licence,
                "weights": writer.write_weights(module),
                **card,
            }
        )
        return module

    return save
