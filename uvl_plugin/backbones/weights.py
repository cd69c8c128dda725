"""Weight files: read without running code from them, fitted to a network with clear errors."""

import contextlib
import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from uvl_plugin.core.errors import WeightsError

if TYPE_CHECKING:
    import torch

UNTRAINED = "untrained"  # random weights, where weights are named
SUFFIXES = (".safetensors", ".pth", ".pt")
_BATCH_COUNTER = ".num_batches_tracked"


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
        return _tensors(_load(path))
    except Exception as error:  # each reader has errors of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, pickle.UnpicklingError):  # torch advises to run the code
            reason = "damaged, or holds more than tensors"
        raise WeightsError(
            f"'{path}' cannot be read as plain tensors ({reason}); "
            "save the network's state_dict() and use that file.",
            "weights",
        ) from error


def check_weights_file(path: str, argument: str = "weights") -> str:
    """The full path; raises :class:`WeightsError` unless it is a file of a known kind."""
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise WeightsError(f"There is no weights file '{path}'; give its full path.", argument)
    if not path.lower().endswith(SUFFIXES):
        raise WeightsError(
            f"'{path}' is not a weights file: use one of {', '.join(SUFFIXES)}.", argument
        )
    return path


def _tensors(state: "Mapping") -> "dict[str, torch.Tensor]":
    import torch

    for wrapper in ("state_dict", "model"):
        if isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    for name, value in state.items():
        if not (isinstance(name, str) and isinstance(value, torch.Tensor)):
            raise TypeError(f"holds {name!r}: {type(value).__name__}, not tensors by name")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _load(path: str) -> "Mapping":
    if path.lower().endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping):
        raise TypeError(f"holds a {type(state).__name__}, not tensors by name")
    return state


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random weights made in the block hang on ``seed`` alone; the random numbers of others
    stay as they are."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # not the GPU's, it is not restored
        yield


def fit_weights(
    network: "torch.nn.Module",
    state: "Mapping[str, torch.Tensor]",
    *,
    ignore: tuple[str, ...],
    source: str,
) -> None:
    """Loads ``state`` into ``network``; every tensor must be there and of the right shape.

    Only the batch counters of batch norm may be missing: files from before 2018 have none.

    Args:
        network: without its classifier.
        state: tensors by name.
        ignore: names that begin with one of these, the classifiers', may be left over.
        source: where the tensors came from, for the message.

    Raises:
        WeightsError: if names or shapes differ.
    """
    needed = network.state_dict()
    kept = {
        name: value
        for name, value in state.items()
        if name in needed or not name.startswith(ignore)
    }
    missing = [name for name in needed.keys() - kept.keys() if not name.endswith(_BATCH_COUNTER)]
    shapes = [
        name for name, value in needed.items() if name in kept and kept[name].shape != value.shape
    ]
    check_fit(source, missing, kept.keys() - needed.keys(), shapes)
    needed.update(kept)  # keeps torch's own version marks, without which MNASNet cannot load
    network.load_state_dict(needed)


def check_fit(
    source: str, missing: Iterable[str], unknown: Iterable[str], shapes: Iterable[str]
) -> None:
    """Raises :class:`WeightsError` if any tensor is missing, unknown or of another shape."""
    missing, unknown, shapes = sorted(missing), sorted(unknown), sorted(shapes)
    if missing or unknown or shapes:
        raise WeightsError(
            f"The weights '{source}' are of another network: {len(missing)} tensors missing, "
            f"{len(unknown)} unknown, {len(shapes)} of another shape "
            f"(first: {(missing + unknown + shapes)[0]}); choose the model they were made with."
        )
