"""The image and text networks of open_clip: CLIP, SigLIP and their kin."""

import contextlib
import difflib
import logging
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvl_plugin.backbones.base import Backbone, Encoder, backbones, resolve_device
from uvl_plugin.backbones.hub import Published, first_line, hugging_face_url
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.backbones.sizes import check_input_size, patch_of
from uvl_plugin.backbones.weights import (
    UNTRAINED,
    check_fit,
    check_weights_file,
    is_weights_file,
    seeded,
)
from uvl_plugin.core.errors import MissingPackageError, SettingsError, WeightsError
from uvl_plugin.core.packages import check_installed
from uvl_plugin.core.settings import setting

if TYPE_CHECKING:
    import torch

_FITS = {"shortest": "cover", "squash": "squash", "longest": "contain"}  # open_clip's word: ours
_FOLDER = "local-dir:"
_CONFIG = "open_clip_config.json"
_ON_HUB = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_TEXTS = 256  # that go through the network at once


@backbones.register
@dataclass(frozen=True, kw_only=True)
class OpenCLIP(Backbone):
    """Any model of open_clip; images and texts get vectors in one space."""

    name, label = "open_clip", "OpenCLIP"
    description = "Photos, and search by text: networks trained on pictures with captions."

    model: str = setting(
        "ViT-B-32",
        help="Name of the model, such as ViT-B-32, or a folder with open_clip_config.json and "
        "the weights.",
    )
    pretrained: str = setting(
        "laion2b_s34b_b79k",
        help="open_clip's name of the weights, a local .safetensors, .pth or .pt file, or "
        "'untrained' for random weights; a folder brings its own weights.",
    )
    input_size: int | None = setting(
        None, ge=14, le=4096, help="Height and width of the images, pixels; empty: the model's own."
    )
    seed: int = setting(0, ge=0, help="Seed of the random weights, where 'untrained' is chosen.")

    @property
    def has_text(self) -> bool:
        return True

    def check(self) -> None:
        config = self._config()
        if self._folder is None and self.pretrained != UNTRAINED:
            if is_weights_file(self.pretrained):
                check_weights_file(self.pretrained, "pretrained")
            else:
                _check_tag(self._name, self.pretrained)
        if self.input_size:
            self._check_input_size(self.input_size, config["vision_cfg"])

    def load(self, device: str = "auto") -> Encoder:
        target = resolve_device(device)
        self.check()
        weights = self._weights()
        with seeded(self.seed), _errors(self.model, self.pretrained):
            model = self.build(weights, self.input_size)
        visual = model.visual
        del model.visual  # what is left is the text tower
        texts = _Texts(model.to(target).eval().requires_grad_(False), self._source, target)
        preprocess = _preprocess(visual.preprocess_cfg)
        return Encoder(_first_output(visual), preprocess, target, embed_texts=texts)

    def build(self, weights: str | None, size: int | None, device: str = "cpu") -> Any:
        """Both towers.

        Args:
            weights: the file, or the folder of the model; None for random weights.
            size: height and width of the images, pixels; None for the model's own.
        """
        import open_clip

        own = {} if self._folder else _tag(self._name, self.pretrained)
        with _quiet():
            return open_clip.create_model(
                self._source,
                pretrained=None if self._folder else weights,
                load_weights=weights is not None,
                require_pretrained=weights is not None,
                weights_only=True,  # runs no code from the file
                pretrained_text=False,  # else a text tower is fetched from Hugging Face
                force_image_size=size,
                force_quick_gelu=own.get("quick_gelu", False),  # else open_clip only warns
                force_preprocess_cfg=own,
                device=device,
            )

    @property
    def _folder(self) -> str | None:
        """The folder of the model, where it is not one of open_clip's names."""
        folder = os.path.expanduser(self.model.removeprefix(_FOLDER))
        named = self.model.startswith(_FOLDER) or os.path.isfile(os.path.join(folder, _CONFIG))
        return folder if named else None

    @property
    def _name(self) -> str:
        return self.model.replace("/", "-")

    @property
    def _source(self) -> str:
        """What open_clip calls the model."""
        return self._name if self._folder is None else f"{_FOLDER}{self._folder}"

    def _config(self) -> dict[str, Any]:
        """open_clip's own description of the network."""
        import open_clip

        if self._folder is None and self._name not in open_clip.list_models():
            known = open_clip.list_models()
            nearest = difflib.get_close_matches(self._name, known, n=1)
            hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
            raise SettingsError(
                f"open_clip has no model '{self.model}', nor is it a folder with {_CONFIG}.{hint} "
                f"Known: {', '.join(known)}.",
                "model",
            )
        try:
            config = open_clip.get_model_config(self._source)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"'{self._folder}' is no folder of an open_clip model: its {_CONFIG} cannot be "
                f"read ({type(error).__name__}).",
                "model",
            ) from error
        if "hf_model_name" in config["text_cfg"]:
            check_installed("transformers", package="transformers", needed_by=self.model)
        return config

    def _weights(self) -> str | None:
        if self.pretrained == UNTRAINED:
            return None
        if self._folder is not None:
            return self._folder
        if is_weights_file(self.pretrained):
            return check_weights_file(self.pretrained, "pretrained")
        return _published(self._name, self.pretrained).path()

    def _check_input_size(self, size: int, vision: dict[str, Any]) -> None:
        import torch

        own = vision.get("image_size", 224)
        if isinstance(vision.get("layers"), list) and size != own:
            raise SettingsError(
                f"input_size={size} does not suit {self.model}: the ResNets of open_clip take "
                f"only the size they were trained with, {own}.",
                "input_size",
            )

        def visual(size: int) -> "torch.nn.Module":
            return self.build(None, size, "meta").visual

        with torch.device("meta"):  # shapes only: no memory, no arithmetic
            in_trunk = patch_of(visual(own), "trunk", "patch_embed", "patch_size")
        patch = vision.get("patch_size") or in_trunk
        check_input_size(self.model, size, own, patch, visual)


class _Texts:
    """Texts to vectors: the callable that :class:`Encoder` takes."""

    def __init__(self, tower: Any, source: str, device: "torch.device"):
        self.tower = tower
        self.source = source
        self.device = device
        self._tokenizer: Any = None

    def __call__(self, texts: list[str]) -> "torch.Tensor":
        """Vectors ``(n, dim)``, float32, on the device of the network."""
        import torch

        batches = [texts[i : i + _TEXTS] for i in range(0, len(texts), _TEXTS)] or [[""]]
        tokenize = self._loaded_tokenizer()
        with torch.no_grad():
            vectors = [
                self.tower.encode_text(tokenize(batch).to(self.device), normalize=False).float()
                for batch in batches
            ]
        return torch.cat(vectors)[: len(texts)]

    def _loaded_tokenizer(self) -> Any:
        """Loaded when the first text comes: who only embeds images needs none."""
        import open_clip

        if self._tokenizer is None:
            try:
                self._tokenizer = open_clip.get_tokenizer(self.source)
            except ImportError as error:
                raise MissingPackageError(
                    f"Texts for {self.source} need the package 'transformers': "
                    f"{sys.executable} -m pip install transformers"
                ) from error
            except Exception as error:  # no network
                raise WeightsError(
                    f"The tokenizer of {self.source} cannot be fetched "
                    f"({first_line(error)}); texts need it."
                ) from error
        return self._tokenizer


def _first_output(visual: "torch.nn.Module") -> "torch.nn.Module":
    """The image tower, of which the vector counts: CoCa's gives its tokens too."""
    import torch

    class ImageTower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = visual

        def forward(self, images: "torch.Tensor") -> "torch.Tensor":
            output = self.visual(images)
            return output[0] if isinstance(output, tuple) else output

    return ImageTower()


def _preprocess(own: dict[str, Any]) -> Preprocess:
    sides = own["size"]
    height, width = (sides, sides) if isinstance(sides, int) else sides
    if height != width:
        raise SettingsError(
            f"The model takes images of {height}x{width} pixels; only models for square images "
            "can be used here.",
            "model",
        )
    return Preprocess(
        size=height,
        fit=_FITS[own["resize_mode"]],
        interpolation="BILINEAR" if own["interpolation"] == "bilinear" else "BICUBIC",
        mean=tuple(own["mean"]),
        std=tuple(own["std"]),
        fill=own["fill_color"],
    )


def _tag(model: str, tag: str) -> dict[str, Any]:
    """What open_clip notes with its weights: the preprocessing, above all.

    For a local file and for random weights, it is the preprocessing of the model's first weights.
    """
    import open_clip

    if open_clip.is_pretrained_cfg(model, tag):
        return open_clip.get_pretrained_cfg(model, tag)
    first = next(iter(open_clip.list_pretrained_tags_by_model(model)), None)
    own = dict(open_clip.get_pretrained_cfg(model, first)) if first else {}
    own.pop("quick_gelu", None)  # the network's, not the preprocessing's
    return own


def _check_tag(model: str, tag: str) -> None:
    import open_clip

    if not open_clip.is_pretrained_cfg(model, tag):
        known = ", ".join(open_clip.list_pretrained_tags_by_model(model))
        raise SettingsError(
            f"open_clip has no weights '{tag}' for {model}. Known: {known or 'none'}; or name a "
            "local file.",
            "pretrained",
        )


def _published(model: str, tag: str) -> Published:
    repository, _, filename = _tag(model, tag)["hf_hub"].rpartition("/")
    filenames = (os.path.splitext(filename)[0] + ".safetensors", filename) if filename else _ON_HUB
    return Published(
        what=f"open_clip's {model} {tag}",
        names=(f"{model}--{tag}",),
        url=hugging_face_url(repository, filenames[0]),
        repository=repository,
        filenames=filenames,
        argument="pretrained",
    )


@contextlib.contextmanager
def _errors(model: str, source: str) -> Iterator[None]:
    """What goes wrong in open_clip while it reads weights, as our errors."""
    try:
        yield
    except Exception as error:  # each reader has errors of its own
        text = str(error)
        missing, unknown = (
            re.findall(r'"([^"]+)"', line)
            for kind in ("Missing", "Unexpected")
            for line in re.findall(rf"{kind} key\(s\) in state_dict: (.*)", text) or [""]
        )
        check_fit(source, missing, unknown, re.findall(r"size mismatch for (\S+):", text))
        raise WeightsError(
            f"The weights '{source}' of {model} cannot be read ({first_line(error)}).", "pretrained"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without open_clip's remarks through the root logger, which it would even set up."""
    root, handler = logging.getLogger(), logging.NullHandler()

    def of_others(record: logging.LogRecord) -> bool:
        return f"{os.sep}open_clip{os.sep}" not in record.pathname

    root.addHandler(handler)
    root.addFilter(of_others)
    try:
        yield
    finally:
        root.removeFilter(of_others)
        root.removeHandler(handler)
