"""The clusters of a run as cards: figures from its record, the rest counted by the database.

Neither the arrays of the run nor a vector is read, so cards are there at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fiftyone.core.collections import SampleCollection

from uvl_plugin.adapter import cluster_counts
from uvl_plugin.adapter.cluster_counts import Count
from uvl_plugin.adapter.cluster_fields import ClusterField
from uvl_plugin.adapter.cluster_figures import figures_in
from uvl_plugin.adapter.clusterings import edits_in, items_of, place_of, record_of
from uvl_plugin.adapter.runs import ClusteringRunConfig
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.adapter.thumbnails import thumbnails
from uvl_plugin.core.embeddings import noise_name
from uvl_plugin.core.errors import DataError

__all__ = ["Card", "Cards", "cards", "thumbnails"]

_NOT_YET = Count(0)


@dataclass(frozen=True)
class Card:
    """One cluster.

    Attributes:
        number: of the cluster; at the other level its place in the list.
        name: of the cluster.
        size: its items in the dataset.
        shown: its items in the view that was passed; None where that is the whole dataset.
        cohesion: mean cosine of its members to their mean, -1 to 1; of large clusters of a sample
            of them. None at the other level, and in records of earlier times.
        novelty: how far its centre is from the nearest one of another cluster, in the metric of
            the clustering; None likewise, and where there is one cluster.
        firmness: mean strength of its members, 0 to 1.
        exemplars: ids of items, at most 6: typical ones that differ from each other.
        label: the most common label of its members, where a field of labels was passed.
        purity: share of the labelled members that have it, 0 to 1.
        disagreement: 1 - purity, or without labels 1 - firmness.
    """

    number: int
    name: str
    size: int
    shown: int | None = None
    cohesion: float | None = None
    novelty: float | None = None
    firmness: float | None = None
    exemplars: tuple[str, ...] = ()
    label: str | None = None
    purity: float | None = None
    disagreement: float | None = None


@dataclass(frozen=True)
class Cards:
    """The clusters of a run at one level.

    Attributes:
        run_key: of the clustering.
        field: path of the cluster field at that level: ``frames.cluster``.
        text: path of the names in it: ``frames.cluster.label``.
        level: ``""``, the clusters themselves, or ``"fine"`` or ``"coarse"``, the other level.
        levels: those that there are.
        unit: what was clustered: ``"images"``, ``"objects"``, ...
        cards: one for each cluster, by number.
        n_items: in the run.
        n_noise: of them in no cluster.
        noise_shown: of these in the view that was passed; None where that is the whole dataset.
        steps: the edits that hold, oldest first: what was ``said``, ``who`` did it, and ``when``.
        n_undone: edits that were taken back and can be done again.
        label_fields: fields that may be passed as ``labels``.
    """

    run_key: str
    field: str
    text: str
    level: str
    levels: tuple[str, ...]
    unit: str
    cards: tuple[Card, ...]
    n_items: int
    n_noise: int
    noise_shown: int | None
    steps: tuple[dict[str, str], ...]
    n_undone: int
    label_fields: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"'{self.run_key}' has {self.n_items:,} {self.unit} in {len(self.cards):,} clusters, "
            f"and {self.n_noise:,} in none; {len(self.steps):,} edits hold."
        )


def cards(
    samples: SampleCollection, run_key: str, *, labels: str | None = None, level: str = ""
) -> Cards:
    """Reads the cards of a run.

    Args:
        samples: the dataset that was clustered, or a view: then each card also says how many of
            its items are in it. Parts of another kind than the run's, such as objects where
            images were clustered, count as the samples that they are in.
        run_key: of the clustering.
        labels: field with a label of each item, one of :attr:`Cards.label_fields`.
        level: ``""``: the clusters; ``"fine"`` or ``"coarse"``: the other level.

    Raises:
        DataError: if there is no such run, level or field.
    """
    dataset = dataset_of(samples)
    config = record_of(dataset, run_key)
    levels = ("", config.level)
    if level not in levels:
        raise DataError(f"'{run_key}' has no level '{level}', only '{config.level}'.", "level")
    place = place_of(items_of(dataset, run_key, config), config)
    name = place.level(level) if level else place.name
    noise = noise_name(config.stem)
    known = _of_level(place, name, noise) if level else _of_run(place, config)
    inside = cluster_counts.shown(place, name, samples)
    by_label = {} if labels is None else cluster_counts.pairs(place, name, labels)
    steps, n_undone = edits_in(config)
    return Cards(
        run_key=run_key,
        field=place.path_of(name),
        text=place.text_of(name),
        level=level,
        levels=levels,
        unit=place.items.unit,
        cards=tuple(_completed(card, inside, by_label) for card in known),
        n_items=config.n_items,
        n_noise=config.n_noise,
        noise_shown=None if inside is None else inside.get(noise, 0),
        steps=tuple(steps),
        n_undone=n_undone,
        label_fields=cluster_counts.label_fields(place),
    )


def _of_run(place: ClusterField, config: ClusteringRunConfig) -> Iterator[dict[str, Any]]:
    """What the record says of each cluster, and of those of which it does not say all, such as
    those that were edited since, what stands in the fields."""
    known = figures_in(config)
    lacking = [
        cluster["name"]
        for cluster in config.clusters
        if not {"firmness", "exemplars"} <= known.get(cluster["number"], {}).keys()
    ]
    counted: Mapping[str, Count] = {}
    if lacking:
        few = len(lacking) < len(config.clusters)
        counted = cluster_counts.counts(place, place.name, lacking if few else None)
    for cluster in config.clusters:
        count = counted.get(cluster["name"], _NOT_YET)
        figures = known.get(cluster["number"], {})
        yield {
            "number": cluster["number"],
            "name": cluster["name"],
            "size": cluster["size"],
            "cohesion": figures.get("cohesion"),
            "novelty": figures.get("novelty"),
            "firmness": figures.get("firmness", count.firmness),
            "exemplars": tuple(figures.get("exemplars", count.firmest)),
        }


def _of_level(place: ClusterField, name: str, noise: str) -> Iterator[dict[str, Any]]:
    """What stands in the fields of each cluster at the other level, the largest first."""
    counted = cluster_counts.counts(place, name)
    named = ((key, count) for key, count in counted.items() if key != noise)
    ordered = sorted(named, key=lambda pair: (-pair[1].size, pair[0]))
    for number, (key, count) in enumerate(ordered):
        yield {
            "number": number,
            "name": key,
            "size": count.size,
            "firmness": count.firmness,
            "exemplars": count.firmest,
        }


def _completed(
    known: dict[str, Any],
    inside: Mapping[str, int] | None,
    by_label: Mapping[str, Mapping[str, int]],
) -> Card:
    name, firmness = known["name"], known["firmness"]
    sizes = by_label.get(name, {})
    label = min(sizes, key=lambda key: (-sizes[key], key), default=None)
    purity = None if label is None else sizes[label] / sum(sizes.values())
    agreement = firmness if purity is None else purity
    return Card(
        **known,
        shown=None if inside is None else inside.get(name, 0),
        label=label,
        purity=purity,
        disagreement=None if agreement is None else 1.0 - agreement,
    )
