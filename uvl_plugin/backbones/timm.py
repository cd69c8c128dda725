"""The networks of timm, self-supervised ones first."""

import difflib
import inspect
import math
import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from uvl_plugin.backbones.base import Network, TrainableBackbone, backbones
from uvl_plugin.backbones.hub import Published, hugging_face_url
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
from uvl_plugin.core.errors import SettingsError, WeightsError
from uvl_plugin.core.settings import json_object, setting

if TYPE_CHECKING:
    import torch

_FITS = {"center": "cover", "squash": "squash", "border": "contain"}  # timm's word: ours
_RESERVED = {  # decided by settings of their own, or not a matter of the network
    "cache_dir", "checkpoint_path", "features_only", "img_size", "in_chans", "num_classes",
    "pretrained", "pretrained_cfg", "pretrained_cfg_overlay",
}  # fmt: skip
_FILTERS = (  # names that timm's files give to the function that adapts a file to the network
    "checkpoint_filter_fn",
    "checkpoint_filter_fn_encoder",
    "pretrained_filter_fn",
    "_filter_torchvision_pretrained",
    "_filter_fn",
)


@backbones.register
@dataclass(frozen=True, kw_only=True)
class Timm(TrainableBackbone):
    """Any model of timm; the vector is the model's own pooled output, without a classifier."""

    name, label = "timm", "timm"
    description = "Photos: DINOv2, DINOv3, DINO, MAE and a thousand more, the best for clusters."

    model: str = setting(
        "vit_base_patch16_224.dino",
        help="Name of the model, such as vit_small_patch14_dinov2.lvd142m or resnet50.a1_in1k.",
    )
    weights: str = setting(
        "DEFAULT",
        help="DEFAULT for those that timm publishes, a local .safetensors, .pth or .pt file, or "
        "'untrained' for random weights.",
    )
    input_size: int | None = setting(
        None, ge=14, le=4096, help="Height and width of the images, pixels; empty: the model's own."
    )
    options: str = setting(
        "", help='Further arguments of timm.create_model as JSON, such as {"pad_type": "same"}.'
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
        config = _config(self.model)
        if self.weights not in ("DEFAULT", UNTRAINED) and not is_weights_file(self.weights):
            raise SettingsError(
                f"Timm.weights must be DEFAULT, {UNTRAINED} or a local file, got "
                f"'{self.weights}'; timm's own other weights are part of the name of the model, "
                "as in resnet50.a1_in1k.",
                "weights",
            )
        if self.weights == "DEFAULT":
            _published(self.model, config)
        self._check_build(config)

    def untrained(self) -> "Timm":
        return replace(self, weights=UNTRAINED)

    @property
    def pretrained(self) -> bool:
        return self.weights != UNTRAINED

    @property
    def licence(self) -> str:
        if is_weights_file(self.weights):
            return f"unknown (local file {os.path.basename(self.weights)})"
        if not self.pretrained:
            return "none needed (random weights)"
        return _config(self.model).license or "unknown"

    def network(self) -> Network:
        self.check()
        config = _config(self.model)
        preprocess = self._preprocess(config)
        state = self._tensors(config)
        with seeded(self.seed):
            network = self.build(preprocess.size)
        if state is not None:
            source = self.weights if is_weights_file(self.weights) else self.model
            state = _adapted(state, network, self.model, source)
            if config.tag == "fcmae":  # lacks the norm before the head, which timm leaves neutral
                state = {**_part(network, "head.norm."), **state}
            fit_weights(network, state, ignore=_heads(config), source=source)
        return Network(network, preprocess)

    def _tensors(self, config: Any) -> "dict[str, torch.Tensor] | None":
        if self.weights == UNTRAINED:
            return None
        if is_weights_file(self.weights):
            return read_weights(self.weights)
        return _published(self.model, config).tensors()

    def build(self, size: int) -> "torch.nn.Module":
        """The network with random weights, for square images of ``size`` pixels."""
        import timm

        options = self._options()
        if _config(self.model).fixed_input_size:
            options["img_size"] = size
        return timm.create_model(self.model, num_classes=0, **options)

    def _preprocess(self, config: Any) -> Preprocess:
        from timm.data import resolve_data_config

        own = resolve_data_config(pretrained_cfg=config.to_dict())
        size = self.input_size or own["input_size"][1]
        mean, std = self.mean or own["mean"], self.std or own["std"]
        red, green, blue = (round(255 * value) for value in mean)
        return Preprocess(
            size=size,
            resize=math.floor(size / own["crop_pct"]),
            fit=_FITS[own["crop_mode"]],
            interpolation=own["interpolation"].upper(),
            mean=tuple(mean),
            std=tuple(std),
            fill=(red, green, blue) if own["crop_mode"] == "border" else 0,
        )

    def _options(self) -> dict[str, Any]:
        options = json_object(self.options, "Timm.options", '{"pad_type": "same"}')
        for name in sorted(_RESERVED & options.keys()):
            raise SettingsError(
                f"Timm.options must not contain '{name}'; model, weights and input_size have "
                "settings of their own.",
                "options",
            )
        return options

    def _check_build(self, config: Any) -> None:
        import torch

        if not (self._options() or self.input_size):
            return
        own = config.input_size[1]
        try:
            with torch.device("meta"):  # shapes only: no memory, no arithmetic
                network = self.build(own)
        except NotImplementedError:  # cannot be tried like this; loading tells
            return
        except Exception as error:  # whatever timm's classes do with arguments they do not know
            raise SettingsError(
                f"timm cannot build {self.model} with the options {self.options} ({error}).",
                "options",
            ) from error
        if self.input_size:
            patch = patch_of(network, "patch_embed", "patch_size")
            check_input_size(self.model, self.input_size, own, patch, self.build)


def _config(model: str) -> Any:
    """timm's own description of the pretrained model."""
    import timm
    from timm.models import PretrainedCfg

    architecture, _, tag = model.partition(".")
    if not timm.is_model(architecture):
        names = timm.list_models(pretrained=True) + timm.list_models()
        nearest = difflib.get_close_matches(model, names, n=1)
        hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
        raise SettingsError(
            f"timm has no model '{model}'.{hint} timm.list_models() gives all names.", "model"
        )
    try:
        config = timm.get_pretrained_cfg(model) or PretrainedCfg()
    except RuntimeError as error:
        known = ", ".join(timm.list_pretrained(f"{architecture}.*"))
        raise SettingsError(
            f"timm has no weights '{tag}' for {architecture}. Known: {known or 'none'}.", "model"
        ) from error
    colours, height, width = config.input_size
    if colours != 3 or height != width:
        raise SettingsError(
            f"{model} takes images of {colours} colours and {height}x{width} pixels; only models "
            "for square RGB images can be used here.",
            "model",
        )
    return config


def _published(model: str, config: Any) -> Published:
    architecture = model.partition(".")[0]
    full = f"{architecture}.{config.tag}" if config.tag else architecture
    names = tuple(dict.fromkeys((full, model)))
    if config.hf_hub_id:
        filename = config.hf_hub_filename or ""
        filename = filename if filename.endswith(".safetensors") else "model.safetensors"
        url = hugging_face_url(config.hf_hub_id, filename)
        return Published(
            what=f"timm's {full}", names=names, url=url,
            repository=config.hf_hub_id, filenames=(filename,),
        )  # fmt: skip
    if config.url:
        return Published(what=f"timm's {full}", names=names, url=config.url)
    raise SettingsError(
        f"timm publishes no weights of {model}; set 'weights' to a local file or to "
        f"'{UNTRAINED}', or choose another model: timm.list_pretrained() gives their names.",
        "weights",
    )


def _adapted(
    state: "dict[str, torch.Tensor]", network: "torch.nn.Module", model: str, source: str
) -> "dict[str, torch.Tensor]":
    """The tensors with the names and the grid of the network, as timm itself adapts them."""
    import timm

    module = sys.modules[timm.model_entrypoint(model.partition(".")[0]).__module__]
    adapt = next((getattr(module, name) for name in _FILTERS if hasattr(module, name)), None)
    if adapt is None:
        return state
    needs_network = len(inspect.signature(adapt).parameters) > 1
    try:
        return adapt(state, network) if needs_network else adapt(state)
    except Exception as error:  # these functions look for the tensors that they expect
        raise WeightsError(
            f"The weights '{source}' are of another network than {model} "
            f"({type(error).__name__}: {error}); choose the model they were made with.",
            "weights",
        ) from error


def _part(network: "torch.nn.Module", prefix: str) -> "dict[str, torch.Tensor]":
    state = network.state_dict()
    return {name: tensor for name, tensor in state.items() if name.startswith(prefix)}


def _heads(config: Any) -> tuple[str, ...]:
    """What the names of the tensors of the classifiers begin with."""
    names = config.classifier or ()
    names = (names,) if isinstance(names, str) else names
    return tuple(f"{name.rpartition('.')[0] or name}." for name in names)
