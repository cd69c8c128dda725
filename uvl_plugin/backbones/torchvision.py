"""The classification networks of torchvision, without their last layer."""

import os
import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from uvl_plugin.backbones.base import Network, TrainableBackbone, backbones
from uvl_plugin.backbones.hub import Published
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.backbones.sizes import check_input_size, patch_of
from uvl_plugin.backbones.weights import (
    UNTRAINED,
    check_weights_file,
    fit_weights,
    is_weights_file,
    read_weights,
    seeded,
)
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.settings import setting

if TYPE_CHECKING:
    import torch

_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # classifiers that GoogLeNet and Inception train with
_RENAMED = (  # names in torchvision's own files that are older than the networks
    (re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)"), r"\1\2"),
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
)


@backbones.register
@dataclass(frozen=True, kw_only=True)
class TorchVision(TrainableBackbone):
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
    input_size: int | None = setting(
        None, ge=14, le=4096, help="Height and width of the images, pixels; empty: the model's own."
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
        chosen = _named_weights(self.model, self.weights)
        if self.input_size:
            self._check_input_size(self.input_size, chosen.transforms().crop_size[0])

    def untrained(self) -> "TorchVision":
        return replace(self, weights=UNTRAINED)

    @property
    def pretrained(self) -> bool:
        return self.weights != UNTRAINED

    @property
    def licence(self) -> str:
        if is_weights_file(self.weights):
            return f"unknown (local file {os.path.basename(self.weights)})"
        return "BSD-3-Clause (torchvision)" if self.pretrained else "none needed (random weights)"

    def network(self) -> Network:
        self.check()
        chosen = _named_weights(self.model, self.weights)
        preprocess = self._preprocess(chosen)
        state = self._tensors(chosen)
        with seeded(self.seed):
            network = build(self.model, preprocess.size)
        unused = (f"{remove_head(network)}.", *_AUXILIARY)
        if state is not None:
            source = self.weights if is_weights_file(self.weights) else str(chosen)
            state = _resampled(_renamed(state), network)
            fit_weights(network, state, ignore=unused, source=source)
        return Network(network, preprocess)

    def _tensors(self, chosen: Any) -> "dict[str, torch.Tensor] | None":
        if self.weights == UNTRAINED:
            return None
        if is_weights_file(self.weights):
            return read_weights(self.weights)
        return _published(self.model, chosen).tensors()

    def _preprocess(self, chosen: Any) -> Preprocess:
        own = chosen.transforms()
        size = self.input_size or own.crop_size[0]
        return Preprocess(
            size=size,
            resize=own.resize_size[0] * size // own.crop_size[0],
            interpolation=own.interpolation.name,
            mean=self.mean or tuple(own.mean),
            std=self.std or tuple(own.std),
        )

    def _check_input_size(self, size: int, own: int) -> None:
        import torch

        patch = 0
        if self.model.startswith("vit_"):
            with torch.device("meta"):
                patch = patch_of(build(self.model, own), "patch_size")
        check_input_size(self.model, size, own, patch, lambda size: build(self.model, size))


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
    elif model.startswith("maxvit_"):
        options = {"input_size": (size, size)}
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


def _published(model: str, chosen: Any) -> Published:
    file = os.path.splitext(os.path.basename(chosen.url))[0]
    is_default = chosen is type(chosen).DEFAULT
    return Published(
        what=f"torchvision's {model} {chosen.name}",
        names=(file, model) if is_default else (file,),
        url=chosen.url,
    )


def _renamed(state: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """The tensors under the names that the networks have now (DenseNet, ViT)."""
    for pattern, name in _RENAMED:
        state = {pattern.sub(name, old): tensor for old, tensor in state.items()}
    return state


def _resampled(
    state: "dict[str, torch.Tensor]", network: "torch.nn.Module"
) -> "dict[str, torch.Tensor]":
    """The tensors with the position embeddings of a ViT on the grid of the network."""
    from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

    if not isinstance(network, VisionTransformer) or "encoder.pos_embedding" not in state:
        return state
    return interpolate_embeddings(network.image_size, network.patch_size, OrderedDict(state))
