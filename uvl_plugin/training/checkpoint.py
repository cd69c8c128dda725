"""Checkpoints while they are trained: card, weights, and the state from which training goes on.

What a checkpoint is, and how it is loaded, is said in :mod:`uvl_plugin.backbones.checkpoint`.
"""

import contextlib
import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvl_plugin.backbones.checkpoint import CARD, checkpoint_path
from uvl_plugin.core.errors import DataError, UVLError
from uvl_plugin.core.whole_file import PARTIAL, write_whole

if TYPE_CHECKING:
    import torch

_STATE = "state.pt"


class CheckpointWriter:
    """Writes one checkpoint; every file appears whole or not at all.

    Args:
        name: of the checkpoint.
        folder: of its files; None: where backbones are kept.

    Raises:
        UVLError: if the folder cannot be written.
    """

    def __init__(self, name: str, folder: Path | None = None):
        self.folder = folder or checkpoint_path(name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UVLError(
                f"'{self.folder}' cannot be made ({error.strerror}); make it writable, or set "
                "UVL_CHECKPOINTS to another folder."
            ) from error

    def clear(self) -> None:
        """Forgets an earlier training of this name."""
        shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)

    def card(self) -> dict[str, Any] | None:
        """The card; None where there is none that can be read."""
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.folder / CARD).read_text())
        return None

    def write_card(self, card: Mapping[str, Any]) -> None:
        """Replaces the card, and deletes weights that it does not name."""
        write_whole(self.folder / CARD, (json.dumps(card, indent=1) + "\n").encode())
        named = card.get("weights", {}).get("file")
        for file in [*self.folder.glob("*.safetensors"), *self.folder.glob(f"*{PARTIAL}")]:
            if file.name != named:  # partial files are of a process that was killed
                file.unlink(missing_ok=True)

    def write_weights(self, encoder: "torch.nn.Module") -> dict[str, str]:
        """Writes the weights of a network; returns what the card says of them."""
        from safetensors.torch import save

        tensors = {
            name: tensor.detach().cpu().contiguous().clone()
            for name, tensor in encoder.state_dict().items()
        }
        data = save(tensors)
        digest = hashlib.sha256(data).hexdigest()
        file = f"weights-{digest[:16]}.safetensors"
        write_whole(self.folder / file, data)
        return {"file": file, "sha256": digest}

    def state(self) -> dict[str, Any] | None:
        """What :meth:`write_state` kept; None where there is nothing."""
        import torch

        file = self.folder / _STATE
        if not file.exists():
            return None
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch's readers raise almost anything on damaged files
            raise DataError(
                f"'{file}', from which training would go on, is damaged; delete it, or pass "
                "overwrite=True to train anew.",
                "name",
            ) from error

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Keeps tensors, numbers and texts, by name and nested."""
        import torch

        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        write_whole(self.folder / _STATE, buffer.getbuffer())

    def drop_state(self) -> None:
        """Forgets it: the training is complete."""
        (self.folder / _STATE).unlink(missing_ok=True)
