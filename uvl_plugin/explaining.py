"""What clusters are: shown by their members, and by where in the pictures it is decided."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.adapter import clusterings, pictures, vectors, writer
from uvl_plugin.adapter.clusterings import Clustering
from uvl_plugin.adapter.images import Images, Videos
from uvl_plugin.adapter.parts import Patches
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.adapter.target import Target
from uvl_plugin.backbones.base import Encoder
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Progress, part, shown
from uvl_plugin.curation.occlusion import occlusion_map
from uvl_plugin.curation.representatives import Contrast, Members, contrast, members
from uvl_plugin.curation.stability import augmentation_stability

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection

_PAGE = 64  # images that are in memory at once


@dataclass(frozen=True)
class Explanation:
    """What a cluster is, shown by its members.

    Attributes:
        cluster: its name.
        members: ids of the medoid, and of the nearest, farthest and boundary members.
        contrast: to the next cluster; None where there is no other.
        next_cluster: its name, likewise.
        heatmaps: ids of the images that got a map of what in the picture speaks for the cluster.
        failures: file and reason by the id of each image that could not be read.
    """

    cluster: str
    members: Members
    contrast: Contrast | None
    next_cluster: str | None
    heatmaps: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        of = self.members
        said = f"{self.cluster} has {of.size:,} members here; the most typical is {of.medoid}."
        if self.contrast is not None:
            said += (
                f" The next cluster is {self.next_cluster}: the second choice of "
                f"{self.contrast.share:.0%} of the members, {self.contrast.distance:.2f} away."
            )
        return said

    @property
    def shown(self) -> list[str]:
        """Ids of all members that it names, each once, the most typical first."""
        of = self.members
        items = (*of.nearest, *of.boundary, *of.farthest)
        return list(dict.fromkeys([of.medoid, *(item.id for item in items)]))


def explain(
    samples: "SampleCollection",
    cluster: str,
    *,
    run_key: str | None = None,
    count: int = 9,
    heatmap: str | None = None,
    device: str = "auto",
    progress: "Progress | bool | None" = None,
) -> Explanation:
    """Shows what a cluster is: typical, farthest and boundary members, the contrast to the next
    cluster, and where in the pictures it is decided.

    Args:
        samples: a dataset or a view; only members in it are considered.
        cluster: its name, such as ``"first_look 03"``.
        run_key: of the clustering; None: the run that has a cluster of this name.
        count: how many members of each kind.
        heatmap: a ``Heatmap`` field to write for these members: how much the cluster's log
            softmax falls where a part of the picture is covered. Needs the images and the backbone.
        device: see :func:`uvl_plugin.embed`.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Raises:
        DataError: if there is no such cluster, none of its members is in ``samples``, or the
            field holds something else.
    """
    run = check_explain(samples, cluster, run_key=run_key, heatmap=heatmap)
    number = run.number_of(cluster)
    with shown(progress, "explain") as report:
        report(0.0, "reading vectors")
        found = run.members_in(samples)
        model = run.results.model
        known = (
            model.preparation(found.vectors),
            run.labels_of(found.ids),
            model,
            found.ids,
            number,
        )
        other = contrast(*known, count=count)
        next_cluster = None if other is None else run.edited.names[other.other]
        explanation = Explanation(cluster, members(*known, count=count), other, next_cluster)
        if heatmap is not None:
            report(0.2, "loading the network")
            encoder = network_of(run, device)
            _write_maps(run, explanation, heatmap, encoder, part(report, 0.25, 1.0))
    return explanation


def check_explain(
    samples: "SampleCollection", cluster: str, *, run_key: str | None, heatmap: str | None
) -> Clustering:
    """Raises what :func:`explain` would, without working; forms call it."""
    dataset = dataset_of(samples)
    run = (
        clusterings.clustering_with(dataset, cluster)
        if run_key is None
        else clusterings.open_clustering(dataset, run_key)
    )
    run.number_of(cluster)
    items = run.items_in(samples)
    if heatmap is not None:
        if isinstance(items, Videos) or not isinstance(items, Images):
            raise DataError(
                f"Heat maps are drawn over whole images, and '{run.run_key}' is of {items.unit}; "
                "leave heatmap out.",
                "heatmap",
            )
        writer.check_heatmap(dataset, heatmap)
        vectors.backbone_of(dataset, run.config.embeddings)
    return run


def check_pictures(items: Target, argument: str) -> None:
    """Raises :class:`DataError` unless the items are whole pictures: images or frames."""
    if isinstance(items, Videos | Patches):
        raise DataError(
            f"This changes whole pictures and looks what becomes of them; {items.unit} are none.",
            argument,
        )


def stabilities(
    run: Clustering,
    ids: np.ndarray,
    own: np.ndarray,
    *,
    views: int,
    seed: int,
    device: str,
    report: Progress,
) -> dict[str, float]:
    """Share of the augmented views of each image that stay in its cluster, by id; images that
    cannot be read are left out.

    Args:
        ids: of the samples, shape ``(n,)``.
        own: number of the cluster of each, shape ``(n,)``.
    """
    encoder, model = network_of(run, device), run.results.model
    label_of = dict(zip(ids.tolist(), own.tolist(), strict=True))
    images = _prepared(run, ids.tolist(), encoder)
    found: dict[str, float] = {}
    while page := dict(islice(images, _PAGE)):
        mine = np.array([label_of[key] for key in page])
        values = augmentation_stability(
            encoder, model, np.stack(list(page.values())), mine, views=views, seed=seed
        )
        found |= dict(zip(page, values.tolist(), strict=True))
        report(len(found) / len(ids), f"views of {len(found):,} of {len(ids):,} images")
    return found


def network_of(run: Clustering, device: str) -> Encoder:
    """The network that made the vectors of a run.

    Raises:
        DataError: if it is not known, or takes images in its own way.
    """
    encoder = vectors.backbone_of(run.dataset, run.config.embeddings).load(device)
    if not isinstance(encoder, Encoder):
        raise DataError(
            f"The backbone of '{run.run_key}' prepares images in its own way, so nothing in them "
            "can be changed.",
            "run_key",
        )
    return encoder


def _prepared(
    run: Clustering, ids: list[str], encoder: Encoder
) -> Iterator[tuple[str, np.ndarray]]:
    for key, pixels in pictures.read(run.items, ids, {}):
        yield key, encoder.preprocess(pixels)


def _write_maps(
    run: Clustering, explanation: Explanation, heatmap: str, encoder: Encoder, report: Progress
) -> None:
    number, model = run.number_of(explanation.cluster), run.results.model
    items, shown_ids = Images(run.dataset, heatmap), explanation.shown
    for key, pixels in pictures.read(items, shown_ids, explanation.failures):
        found = occlusion_map(encoder, model, pixels, number)
        writer.write_heatmap(run.dataset, heatmap, key, found.over_image())
        explanation.heatmaps.append(key)
        done = len(explanation.heatmaps) + len(explanation.failures)
        report(done / len(shown_ids), f"maps of {done} of {len(shown_ids)} images")
