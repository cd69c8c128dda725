"""How firmly images keep their clusters when pixels are disturbed, by chance or by design."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.clustering.assign import TEMPERATURE, ClusterModel
from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.core.errors import DataError, SettingsError

if TYPE_CHECKING:
    import torch

    from uvl_plugin.backbones.base import Encoder

    Loss = Callable[[torch.Tensor], torch.Tensor]

_BATCH = 32
_REACH = 2.5  # times the size is what all steps of an attack go together


def flips(
    encoder: "Encoder",
    model: ClusterModel,
    images: np.ndarray,
    *,
    size: float,
    steps: int = 10,
    seed: int = 0,
) -> dict[str, float]:
    """Share of the images whose cluster changes when each colour of each pixel is moved by no
    more than ``size``.

    The attacks lower ``log softmax(cosine / 0.1)`` of the own cluster, which is the logarithm of
    its strength. Pixels are not rounded to whole numbers afterwards.

    Args:
        encoder: whose vectors ``model`` is of.
        images: shape ``(n, size, size, 3)``, uint8, as ``encoder.preprocess`` gives them.
        size: of the noise, on a scale of pixels from 0 to 1.
        steps: of the iterated attack, at least 1.
        seed: of the noise.

    Returns:
        Shares, 0 to 1: ``"random"``: noise of plus or minus ``size``; ``"fgsm"``: one step along
        the sign of the gradient (arXiv:1412.6572, section 4); ``"pgd"``: see
        :func:`adversarial`.

    Raises:
        DataError: if there are no images or no clusters.
        SettingsError: if ``size`` is not within 0 and 1, or ``steps`` below 1.
    """
    import torch

    _check(size, steps)
    if len(images) == 0:
        raise DataError("There are no images to disturb.")
    attacked = _Attacked(encoder, model)
    generator = torch.Generator(encoder.device).manual_seed(seed)
    changed = {"random": 0, "fgsm": 0, "pgd": 0}
    for start in range(0, len(images), _BATCH):
        pixels = torch.tensor(images[start : start + _BATCH], device=encoder.device)
        clean = pixels.permute(0, 3, 1, 2).float() / 255.0
        own = attacked.clusters(clean)
        loss_of = attacked.loss_of(own)
        noise = torch.randn(clean.shape, generator=generator, device=clean.device).sign()
        found = {
            "random": (clean + size * noise).clamp(0.0, 1.0),
            "fgsm": _step(clean, loss_of, size).clamp(0.0, 1.0),
            "pgd": adversarial(clean, loss_of, size=size, steps=steps, generator=generator),
        }
        for name, disturbed in found.items():
            changed[name] += int((attacked.clusters(disturbed) != own).sum())
    return {name: count / len(images) for name, count in changed.items()}


def adversarial(
    images: "torch.Tensor",
    loss_of: "Loss",
    *,
    size: float,
    steps: int,
    generator: "torch.Generator",
) -> "torch.Tensor":
    """Moves pixels so that a loss rises: projected gradient ascent from a random start
    (arXiv:1706.06083, section 2.1), each step 2.5 ``size / steps`` along the sign.

    No gradient reaches the weights of the network.

    Args:
        images: shape ``(n, channels, height, width)``, 0 to 1.
        loss_of: such images to one number; it must not mix images if each is to be attacked
            by itself.
        size: how far a pixel may move, on a scale from 0 to 1.
        steps: at least 1.
        generator: of the random start, on the device of the images.

    Returns:
        Images of the same shape, 0 to 1, without a gradient.

    Raises:
        SettingsError: if ``size`` is not within 0 and 1, or ``steps`` below 1.
    """
    import torch

    _check(size, steps)
    images = images.detach()
    lowest, highest = (images - size).clamp(min=0.0), (images + size).clamp(max=1.0)
    start = torch.rand(images.shape, generator=generator, device=images.device)
    moved = torch.clamp(images + size * (2.0 * start - 1.0), lowest, highest)
    for _ in range(steps):
        moved = torch.clamp(_step(moved, loss_of, _REACH * size / steps), lowest, highest)
    return moved


def _check(size: float, steps: int) -> None:
    if not 0.0 <= size <= 1.0:
        raise SettingsError(f"size must be from 0 to 1, got {size!r}.", "size")
    if steps < 1:
        raise SettingsError(f"steps must be at least 1, got {steps!r}.", "steps")


def _step(images: "torch.Tensor", loss_of: "Loss", length: float) -> "torch.Tensor":
    import torch

    with torch.enable_grad():
        moving = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss_of(moving), moving)
    return images + length * gradient.sign()


class _Attacked:
    """Pixels ``(n, 3, height, width)``, 0 to 1, to clusters, in steps that gradients follow.

    Computes in full precision, whatever the encoder's is.
    """

    def __init__(self, encoder: "Encoder", model: ClusterModel):
        import torch
        from torch.nn import functional

        def on_device(numbers: Sequence[float] | np.ndarray) -> torch.Tensor:
            return torch.tensor(numbers, device=encoder.device)

        self._module, self._model = encoder.module, model
        self._mean = on_device(encoder.preprocess.mean).view(1, 3, 1, 1)
        self._std = on_device(encoder.preprocess.std).view(1, 3, 1, 1)
        self._axes = None
        if model.preparation.mean is not None and model.preparation.components is not None:
            self._middle = on_device(model.preparation.mean)
            self._axes = on_device(model.preparation.components)
        self._directions = functional.normalize(on_device(model.centroids))
        owners = on_device(model.owners)
        numbers = sorted(set(model.owners.tolist()) - {NOISE})  # edited clusters have gaps
        self._parts = [owners == cluster for cluster in numbers]
        self._places = torch.full((model.n_clusters + 1,), NOISE, device=encoder.device)
        self._places[numbers] = torch.arange(len(numbers), device=encoder.device)  # the last: noise

    def clusters(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """Number of the cluster of each image, ``(n,)``."""
        import torch

        with torch.no_grad():
            vectors = self._vectors(pixels).cpu().numpy()
        return torch.from_numpy(self._model.assign(vectors)[0]).to(pixels.device)

    def loss_of(self, own: "torch.Tensor") -> "Loss":
        """What the attacks raise: less of the own cluster, summed over the images."""
        import torch
        from torch.nn import functional

        def loss(pixels: "torch.Tensor") -> "torch.Tensor":
            vectors = self._vectors(pixels)
            if self._model.preparation.normalize:
                vectors = functional.normalize(vectors)
            if self._axes is not None:
                vectors = (vectors - self._middle) @ self._axes.T
            parts = functional.normalize(vectors) @ self._directions.T
            cosines = torch.stack([parts[:, of].amax(1) for of in self._parts], dim=1)
            return functional.cross_entropy(
                cosines / TEMPERATURE, self._places[own], ignore_index=NOISE, reduction="sum"
            )

        return loss

    def _vectors(self, pixels: "torch.Tensor") -> "torch.Tensor":
        return self._module((pixels - self._mean) / self._std).float()
