"""Weight files: read without running code from them, fitted to a network with clear errors."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from uvl_plugin.core.errors import WeightsError

if TYPE_CHECKING:
    import torch

SUFFIXES = (".safetensors", ".pth", ".pt")


def is_weights_file(text: str) -> bool:
    """Whether ``text`` names a local file rather than weights of a hub."""
    return text.lower().endswith(SUFFIXES) or os.sep in text


def read_weights(path: str) -> "dict[str, torch.Tensor]":
    """Reads the tensors of a local file by name; pickled code is refused.

    A wrapper (``state_dict``, ``model``) and the prefix ``module.`` of a network trained on
    several GPUs are taken off.

    Raises:
        WeightsError: if the file is missing, of another kind, or holds more than tensors.
    """
    path = check_weights_file(path)
    try:
        state = _load(path)
    except Exception as error:  # each reader has errors of its own
        raise WeightsError(
            f"'{path}' cannot be read as plain tensors ({str(error).splitlines()[0]}); "
            "save the network's state_dict() and use that file.",
            "weights",
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def check_weights_file(path: str) -> str:
    """The full path; raises :class:`WeightsError` unless it is a file of a known kind."""
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise WeightsError(f"There is no weights file '{path}'; give its full path.", "weights")
    if not path.lower().endswith(SUFFIXES):
        raise WeightsError(
            f"'{path}' is not a weights file: use one of {', '.join(SUFFIXES)}.", "weights"
        )
    return path


def _load(path: str) -> "dict":
    if path.lower().endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping):
        raise TypeError(f"holds a {type(state).__name__}, not tensors by name")
    return dict(state)


def fit_weights(
    network: "torch.nn.Module",
    state: "Mapping[str, torch.Tensor]",
    *,
    ignore: tuple[str, ...],
    source: str,
) -> None:
    """Loads ``state`` into ``network``; every tensor must be there and of the right shape.

    Args:
        network: without its classifier.
        state: tensors by name.
        ignore: names that begin with one of these, the classifiers', may be left over.
        source: where the tensors came from, for the message.

    Raises:
        WeightsError: if names or shapes differ.
    """
    kept = {name: value for name, value in state.items() if not name.startswith(ignore)}
    needed = network.state_dict()
    missing = sorted(needed.keys() - kept.keys())
    unknown = sorted(kept.keys() - needed.keys())
    shapes = [
        name for name, value in needed.items() if name in kept and kept[name].shape != value.shape
    ]
    if missing or unknown or shapes:
        raise WeightsError(
            f"The weights '{source}' are of another network: {len(missing)} tensors missing, "
            f"{len(unknown)} unknown, {len(shapes)} of another shape "
            f"(first: {(missing + unknown + shapes)[0]}); choose the model they were made with."
        )
    network.load_state_dict(kept)
