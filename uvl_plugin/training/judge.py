"""After training: the vectors of pixels, of the starting weights and of what was learnt, measured."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.backbones.base import AnyEncoder, Backbone
from uvl_plugin.backbones.checkpoint import Checkpoint
from uvl_plugin.backbones.pixels import Pixels
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.engine.loaded import LoadedBackbone
from uvl_plugin.engine.settings import Engine
from uvl_plugin.engine.threads import available_threads
from uvl_plugin.media.sources import Source
from uvl_plugin.training.evidence import Figures, measure
from uvl_plugin.training.images import TrainingImages, drawn
from uvl_plugin.training.loop import storing
from uvl_plugin.training.task import Task

if TYPE_CHECKING:
    import torch

_MOST = {"train": 20_000, "validation": 5_000, "test": 5_000}  # items of each part
_MOST_VIEWED = 1_000
_N_CLUSTERS = 10  # where there are no labels
_PAGE = 128


def judge(
    task: Task,
    sources: Mapping[str, Sequence[Source]],
    labels: Mapping[str, str],
    progress: Progress,
) -> list[Figures]:
    """Figures of three spaces: ``"pixels"``, ``"start"`` (the weights that the training began
    with) and ``"learned"``.

    Args:
        task: a training that has written its checkpoint.
        sources: of each part of the split; of large parts a sample is measured.
        labels: class by id, of the items that have one.
    """
    seed, device = task.recipe.seed, task.recipe.device.split(",")[0].replace(":all", "")
    spaces: dict[str, Backbone] = {
        "pixels": Pixels(),
        "start": task.backbone,
        "learned": Checkpoint(task.name),
    }
    some = {name: drawn(found, _MOST[name], seed) for name, found in sources.items()}
    views = list(_views(task, drawn(some["validation"], _MOST_VIEWED, seed)))
    embedded: dict[str, dict[str, Embeddings]] = {}
    pairs: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for number, (space, backbone) in enumerate(spaces.items()):
        progress(0.25 * number, f"comparing with {space}")
        loaded = LoadedBackbone(backbone, Engine(device=device))
        embedded[space] = {name: _embeddings(loaded, found, space) for name, found in some.items()}
        if views:
            first, second = (np.concatenate(side) for side in zip(*(
                [_encoded(loaded.encoder, view) for view in pair] for pair in views
            ), strict=True))  # fmt: skip
            pairs[space] = first, second
    n_clusters = len(set(labels.values())) or _N_CLUSTERS
    return measure(
        embedded, labels=labels, views=pairs, n_clusters=n_clusters, seed=seed,
        progress=part(progress, 0.75, 1.0),
    )  # fmt: skip


def _embeddings(loaded: LoadedBackbone, sources: Sequence[Source], space: str) -> Embeddings:
    found: dict[str, np.ndarray] = {}
    for chunk in loaded.embed(sources, sum(len(source.keys) for source in sources)):
        found |= chunk.vectors
    vectors = np.stack(list(found.values())) if found else np.empty((0, loaded.encoder.dim))
    return Embeddings(np.array(list(found), dtype=str), vectors, space)


def _views(task: Task, sources: Sequence[Source]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Two views of each image, page by page, ``(n, side, side, 3)``, uint8."""
    import torch

    if not sources:
        return
    preprocess = storing(task.backbone.network().preprocess, task.augmentation)
    generator = torch.Generator().manual_seed(task.recipe.seed)
    try:
        images = TrainingImages(sources, preprocess, memory=0, threads=available_threads())
        pages = [images.ids[start : start + _PAGE] for start in range(0, len(images.ids), _PAGE)]
        for _, pixels in images.batches(pages):
            first, second = (_drawn_view(task, pixels, generator) for _ in range(2))
            yield first, second
    except DataError:  # none of a page can be read; the training has told so
        return


def _drawn_view(task: Task, pixels: "torch.Tensor", generator: "torch.Generator") -> np.ndarray:
    views = task.augmentation(pixels, generator)
    whole = views.mul(255).round().byte().expand(-1, 3, -1, -1)
    return whole.permute(0, 2, 3, 1).contiguous().numpy()


def _encoded(encoder: AnyEncoder, images: np.ndarray) -> np.ndarray:
    return encoder.encode(np.stack([encoder.preprocess(image) for image in images]))
