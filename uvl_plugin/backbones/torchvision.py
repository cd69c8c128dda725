"""The classification networks of torchvision, without their last layer."""

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvl_plugin.backbones.base import Backbone, Encoder, Preprocess, backbones, resolve_device
from uvl_plugin.backbones.weights import (
    check_weights_file,
    fit_weights,
    is_weights_file,
    read_weights,
)
from uvl_plugin.core.errors import SettingsError, WeightsError
from uvl_plugin.core.settings import setting

if TYPE_CHECKING:
    import torch

UNTRAINED = "untrained"
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # classifiers that GoogLeNet and Inception train with
_RENAMED = (  # names in torchvision's own files that are older than the networks
    (re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)"), r"\1\2"),
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
)


@backbones.register
@dataclass(frozen=True, kw_only=True)
class TorchVision(Backbone):
    """Any classification model of torchvision; the vector is what its last layer reads."""

    name, label = "torchvision", "torchvision"
    description = "Photos: networks trained on ImageNet with labels, small and fast."

    model: str = setting(
        "mobilenet_v2", help="Name of the model, such as mobilenet_v2, resnet50 or vit_b_16."
    )
    weights: str = setting(
        "DEFAULT",
        help="Name of torchvision's weights, a local .safetensors, .pth or .pt file, or "
        "'untrained' for random weights.",
    )
    mean: tuple[float, float, float] | None = setting(
        None, help="Mean of red, green and blue, 0 to 1; empty: as the model's own weights want it."
    )
    std: tuple[float, float, float] | None = setting(
        None, ge=1e-6, help="Standard deviation of red, green and blue; empty: likewise."
    )
    seed: int = setting(0, ge=0, help="Seed of the random weights, where 'untrained' is chosen.")

    def check(self) -> None:
        if is_weights_file(self.weights):
            check_weights_file(self.weights)
        _named_weights(self.model, self.weights)

    def load(self, device: str = "auto") -> Encoder:
        import torch

        target = resolve_device(device)
        chosen = _named_weights(self.model, self.weights)
        preprocess = self._preprocess(chosen)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)  # not the GPU's, it is not restored
            network = build(self.model, preprocess.size)
        unused = (f"{remove_head(network)}.", *_AUXILIARY)
        if is_weights_file(self.weights):
            state = _renamed(read_weights(self.weights))
            fit_weights(network, state, ignore=unused, source=self.weights)
        elif self.weights != UNTRAINED:
            state = _renamed(_download(chosen))
            fit_weights(network, state, ignore=unused, source=str(chosen))
        return Encoder(network, preprocess, target)

    def _preprocess(self, chosen: Any) -> Preprocess:
        own = chosen.transforms()
        return Preprocess(
            size=own.crop_size[0],
            resize=own.resize_size[0],
            interpolation=own.interpolation.name,
            mean=self.mean or tuple(own.mean),
            std=self.std or tuple(own.std),
        )


def build(model: str, size: int) -> "torch.nn.Module":
    """The network with random weights, for square images of ``size`` pixels.

    Auxiliary classifiers, which only training needs, are left out.
    """
    from torchvision import models

    options: dict[str, Any] = {}
    if model in ("googlenet", "inception_v3"):
        options = {"aux_logits": False, "init_weights": False, "transform_input": True}
    elif model.startswith("vit_"):
        options = {"image_size": size}
    return models.get_model(model, weights=None, **options)


def remove_head(network: "torch.nn.Module") -> str:
    """Takes the last layer off, in place, so that the network gives vectors.

    The last layer is the last linear one; where there is none (SqueezeNet) it is the module
    ``classifier``, in whose place the average over the picture is taken.

    Returns:
        The name of the module that was taken off.
    """
    from torch import nn

    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    head = linear[-1] if linear else "classifier"
    network.set_submodule(head, nn.Identity() if linear else nn.AdaptiveAvgPool2d(1))
    return head


def _named_weights(model: str, weights: str) -> Any:
    """The entry of torchvision's catalogue; for a file or random weights the default one, whose
    preprocessing is the model's own."""
    from torchvision import models

    known = models.list_models(module=models)
    if model not in known:
        raise SettingsError(
            f"torchvision has no classification model '{model}'. Known: {', '.join(known)}.",
            "model",
        )
    catalogue = models.get_model_weights(model)
    if weights == UNTRAINED or is_weights_file(weights):
        return catalogue.DEFAULT
    name = weights.rpartition(".")[2]
    if name not in catalogue.__members__:
        raise SettingsError(
            f"torchvision has no weights '{weights}' for {model}. Known: "
            f"{', '.join(catalogue.__members__)}; or name a local file.",
            "weights",
        )
    return catalogue[name]


def _download(chosen: Any) -> "dict[str, torch.Tensor]":
    import torch

    folder = os.path.join(torch.hub.get_dir(), "checkpoints")
    try:
        return chosen.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:  # no network, a wrong checksum, a damaged file in the folder
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"The weights {chosen} cannot be downloaded or read ({reason}). Put the file "
            f"{os.path.basename(chosen.url)} from {chosen.url} into {folder}, or set 'weights' "
            "to a local file.",
            "weights",
        ) from error


def _renamed(state: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """The tensors under the names that the networks have now (DenseNet, ViT)."""
    for pattern, name in _RENAMED:
        state = {pattern.sub(name, old): tensor for old, tensor in state.items()}
    return state
