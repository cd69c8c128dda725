"""The models of FiftyOne's zoo as backbones."""

import contextlib
import difflib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.backbones.base import Backbone, backbones, resolve_device
from uvl_plugin.core.errors import SettingsError, WeightsError
from uvl_plugin.core.packages import check_installed
from uvl_plugin.core.settings import json_object, setting

if TYPE_CHECKING:
    import torch
    from fiftyone.core.models import Model
    from fiftyone.zoo.models import ZooModel

check_installed("fiftyone", package="fiftyone", needed_by="The backbone 'zoo'")

_TAG, _TEXT_TAG = "embeddings", "text-embeddings"
_SIDE = 256  # pixels, of the black image with which a model is tried


class ZooEncoder:
    """A model of the zoo, ready to embed; like :class:`~uvl_plugin.backbones.base.Encoder`.

    Args:
        model: gives embeddings of images.
        device: where it runs, unless the model says so itself.
        load: loads the same model on another device.

    Attributes:
        module: the model's network; an empty one where it is not torch's.
        ragged: whether :meth:`preprocess` may give images of several shapes.
        concurrent: False: a model keeps its last embeddings.
        precision, casts: the model's own options decide.
    """

    concurrent = False
    casts = False
    precision = "fp32"

    def __init__(self, model: "Model", device: "torch.device", load: "Callable[[str], ZooEncoder]"):
        import torch

        self.model = model
        self.ragged = model.ragged_batches
        own = getattr(model, "device", None)
        self.device = own if isinstance(own, torch.device) else device
        self.embed_texts: Callable[[list[str]], torch.Tensor] | None = None
        if model.can_embed_prompts:
            self.embed_texts = self._embed_texts
        network = getattr(model, "_model", None)
        self.module: torch.nn.Module = (
            network if isinstance(network, torch.nn.Module) else torch.nn.Identity()
        )
        self._load = load
        self._lock = threading.Lock()
        self._transform = _tensor_transform(model)
        model.preprocess = self._transform is None
        self._blank = self.preprocess(np.zeros((_SIDE, _SIDE, 3), np.uint8))
        self.dim = self.encode(self.buffer(1)).shape[1]

    def preprocess(self, image: np.ndarray) -> np.ndarray:
        """RGB image ``(height, width, 3)``, uint8, to what the model's own transform makes of
        it; unchanged where the model transforms as it embeds."""
        if self._transform is None:
            return image
        from PIL import Image

        return self._transform(Image.fromarray(image)).numpy()

    def buffer(self, n: int) -> list[np.ndarray]:
        """Room for ``n`` images, black ones at first: they may differ in shape."""
        return [self._blank] * n

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Embeds what :meth:`preprocess` gave: returns ``(n, dim)``, float32.

        Images of several shapes go through one by one, unless the model makes them alike.
        """
        together = not self.ragged or len({image.shape for image in images}) == 1
        batches = [images] if together else [[image] for image in images]
        with self._at_work():
            return np.concatenate([self._encode(batch) for batch in batches])

    def replica(self, device: "torch.device") -> "ZooEncoder":
        """The same model on another device."""
        return self._load(str(device))

    def _encode(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        import torch

        images = list(batch)
        given = images if self._transform is None else torch.from_numpy(np.stack(images))
        vectors = self.model.embed_all(given)
        if isinstance(vectors, torch.Tensor):
            vectors = vectors.cpu().numpy()
        return np.asarray(vectors, np.float32).reshape(len(images), -1)

    def _embed_texts(self, texts: list[str]) -> "torch.Tensor":
        import torch

        with self._at_work():
            return torch.from_numpy(np.asarray(self.model.embed_prompts(texts), np.float32))

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        import torch

        with self._lock, torch.inference_mode(), self.model:
            yield


def _tensor_transform(model: "Model") -> "Callable[[Any], torch.Tensor] | None":
    """The model's transform where it makes one tensor of one image, as most of torch's do."""
    import torch
    from fiftyone.core.models import TorchModelMixin
    from PIL import Image

    if not isinstance(model, TorchModelMixin) or model.has_collate_fn or model.transforms is None:
        return None
    result = model.transforms(Image.new("RGB", (_SIDE, _SIDE)))
    return model.transforms if isinstance(result, torch.Tensor) else None


@backbones.register
@dataclass(frozen=True, kw_only=True)
class Zoo(Backbone):
    """Any model of FiftyOne's zoo, remote sources included, that is tagged 'embeddings'."""

    name, label = "zoo", "FiftyOne zoo"
    description = "Any embedding model of FiftyOne's zoo, loaded and run by FiftyOne's own code."

    model: str = setting("clip-vit-base32-torch", help="Name of the model in the zoo.")
    options: str = setting(
        "", help='Further arguments of load_zoo_model as JSON, such as {"image_size": [224, 224]}.'
    )

    @property
    def has_text(self) -> bool:
        """Whether the model embeds texts too."""
        return _TEXT_TAG in _entry(self.model).tags

    def check(self) -> None:
        _entry(self.model)
        self._options()

    def load(self, device: str = "auto") -> ZooEncoder:
        import fiftyone.zoo as foz

        entry, options = _entry(self.model), self._options()
        target = resolve_device(options.pop("device", device))
        if _takes_device(entry):
            options["device"] = str(target)
        try:
            # a model of our own: FiftyOne's cache would share its state with the user's
            model = foz.load_zoo_model(self.model, cache=False, **options)
        except Exception as error:  # downloads, packages and the models' own code
            raise WeightsError(self._cannot_load(entry, error), "model") from error
        if not model.has_embeddings or model.media_type != "image":
            raise SettingsError(
                f"The zoo model '{self.model}' gives no embeddings of images with "
                f"options='{self.options}'; set others, or choose another model.",
                "options",
            )
        return ZooEncoder(model, target, self.load)

    def _options(self) -> dict[str, Any]:
        return json_object(self.options, "Zoo.options", '{"image_size": [224, 224]}')

    def _cannot_load(self, entry: "ZooModel", error: Exception) -> str:
        import fiftyone as fo
        import torch

        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        message = f"The zoo model '{self.model}' cannot be loaded ({reason})."
        url = getattr(getattr(entry.manager, "config", None), "url", None)
        if url:
            path = entry.get_path_in_dir(fo.config.model_zoo_dir)
            cache = os.path.join(torch.hub.get_dir(), "checkpoints")
            message += (
                f" Without a network, put {url} at '{path}', and if torchvision asks for it "
                f"again, also into '{cache}'."
            )
        return message


def _entry(name: str) -> "ZooModel":
    """The model's entry in the zoo; nothing is downloaded.

    Raises:
        SettingsError: if there is none of this name that gives embeddings.
    """
    import fiftyone.zoo as foz

    try:
        entry = foz.get_zoo_model(name)
        if _TAG in (entry.tags or ()):
            return entry
        reason = "gives no embeddings"
    except ValueError:
        reason = "is not in the zoo"
    near = difflib.get_close_matches(name, foz.list_zoo_models(tags=_TAG), n=3, cutoff=0.4)
    hint = f" Near names: {', '.join(near)}." if near else ""
    raise SettingsError(
        f"The model '{name}' {reason}.{hint} All of them: "
        'fiftyone.zoo.list_zoo_models(tags="embeddings").',
        "model",
    )


def _takes_device(entry: "ZooModel") -> bool:
    """Models of FiftyOne's own classes for torch have a setting ``device``."""
    return entry.default_deployment_config_dict is not None and "torch" in (entry.tags or ())
