"""What a report on a dataset says: read from records, fields and aggregations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import fiftyone as fo
import numpy as np
from fiftyone.core.collections import SampleCollection

import uvl_plugin
from uvl_plugin.adapter import report_findings
from uvl_plugin.adapter.cards import Card, Cards, cards
from uvl_plugin.adapter.clusterings import items_of, record_of
from uvl_plugin.adapter.report_items import count, counts_of, values_of, within
from uvl_plugin.adapter.report_map import MapPoints, read_map
from uvl_plugin.adapter.report_pictures import pictures_of
from uvl_plugin.adapter.samples import dataset_of, flattened, plain_path
from uvl_plugin.adapter.target import Target, files
from uvl_plugin.core.progress import Progress, part
from uvl_plugin.reports import sections
from uvl_plugin.reports.colours import colours_of
from uvl_plugin.reports.parts import Facts, Page, Picture, Scatter, Section, Text

_MEDIA = {"image": "images", "video": "videos", "group": "groups"}
_MISSING = {
    "map": ("There is no map:", "Explore this dataset makes vectors, clusters and a map."),
    "clusters": ("There are no clusters:", "Explore this dataset makes them."),
    "quality": ("How good the clusters are was not measured:", "Evaluate clusters does it."),
    "duplicates": ("No near-duplicates are on record:", "Find near-duplicates looks for them."),
    "copies": ("No copies of files are on record:", "Find copies of files looks for them."),
    "outliers": ("Outliers were not looked for:", "Find outliers does it."),
    "poor": ("No poor pictures are on record:", "Find poor images looks for them."),
    "picks": ("Nothing was picked for labelling:", "Pick what to label does it."),
}


@dataclass(frozen=True)
class Reader:
    """Reads a report.

    Attributes:
        samples: a dataset, or a view of whole samples.
        run_key: of the clustering; None where there is none.
        brain_key: of the map; None: the newest one of the vectors.
        labels: field of labels to compare with; None for none.
        thumbnails: pictures of each cluster, 0 to 6; 0: no pictures anywhere.
    """

    samples: SampleCollection
    run_key: str | None
    brain_key: str | None
    labels: str | None
    thumbnails: int

    @property
    def dataset(self) -> fo.Dataset:
        """The dataset behind the samples."""
        return dataset_of(self.samples)

    @cached_property
    def config(self) -> Any:
        """The record of the clustering; None where there is none."""
        return None if self.run_key is None else record_of(self.dataset, self.run_key)

    @cached_property
    def items(self) -> Target:
        """What was clustered; without a clustering the files."""
        if self.run_key is None:
            return files(self.samples)
        return items_of(self.samples, self.run_key, self.config)

    @cached_property
    def found(self) -> Cards:
        """The clusters; sizes are those in ``samples``."""
        return cards(self.samples, self._key, labels=self.labels)

    @property
    def _key(self) -> str:
        assert self.run_key is not None, "asked for where there is a clustering"
        return self.run_key

    @cached_property
    def ordered(self) -> list[Card]:
        """The clusters that ``samples`` have something of, the largest first."""
        inside = (card for card in self.found.cards if sections.size_of(card))
        return sorted(inside, key=lambda card: (-sections.size_of(card), card.number))

    def page(self, report: Progress) -> Page:
        """The whole page."""
        chapters: list[Section] = []
        summary: list[tuple[str, str]] = []
        report(0.0, "map and clusters")
        for chapter, said in (*self._map(), *self._clusters(), *self._labels()):
            chapters.append(chapter)
            summary += [(said, chapter.key)] if said else []
        stages = self._findings()
        for number, read in enumerate(stages):
            part(report, 0.5, 1.0)(number / len(stages), "findings")
            for chapter, said in read():
                chapters.append(chapter)
                summary += [(said, chapter.key)] if said else []
        known = {chapter.key for chapter in chapters}
        return Page(
            title=self.dataset.name,
            subtitle=self._subtitle(),
            facts=self._facts(),
            summary=tuple(summary),
            sections=tuple(chapters),
            missing=tuple(told for key, told in _MISSING.items() if key not in known),
            made=_made(),
        )

    def _subtitle(self) -> str:
        what = "The whole dataset" if isinstance(self.samples, fo.Dataset) else "A view of it"
        description = self.dataset.description
        return f"{what}, on {datetime.now():%d %B %Y}" + (f". {description}" if description else "")

    def _facts(self) -> Facts:
        samples = flattened(self.samples)
        media = _MEDIA.get(samples.media_type, "samples")
        pairs = [(media, f"{len(samples):,}")]
        if self.run_key is not None:
            if self.items.unit != media:
                pairs.append((f"{self.items.unit} in the clustering", f"{self._n_items:,}"))
            pairs.append(("clusters", f"{len(self.ordered):,}"))
            pairs.append(("in no cluster", f"{self._n_noise:,}"))
            if self.found.steps:
                pairs.append(("edits by people", f"{len(self.found.steps):,}"))
        return Facts(tuple(pairs))

    @property
    def _n_noise(self) -> int:
        inside = self.found.noise_shown
        return self.found.n_noise if inside is None else inside

    @property
    def _n_items(self) -> int:
        return sum(map(sections.size_of, self.ordered)) + self._n_noise

    def _map(self) -> list[tuple[Section, str]]:
        found = None
        if self.run_key is not None or self.brain_key is not None:
            found = read_map(self.items, self.brain_key)
        if found is None:
            return []
        names = tuple(card.name for card in self.ordered) if self.run_key is not None else ()
        scatter = Scatter(found.points, self._groups(found, names), names, colours_of(len(names)))
        blocks = (Text(found.said), scatter)
        return [(Section("map", "The map", blocks), "")]

    def _groups(self, found: MapPoints, names: Sequence[str]) -> np.ndarray:
        if self.run_key is None:
            return np.full(len(found.ids), -1)
        path = within(self.items, self.found.text)
        name_of = values_of(self.items, found.ids.tolist(), path)
        places = {name: place for place, name in enumerate(names)}
        return np.array([places.get(name_of.get(key, ""), -1) for key in found.ids.tolist()])

    def _clusters(self) -> list[tuple[Section, str]]:
        if self.run_key is None:
            return []
        colours = colours_of(len(self.ordered))
        ids_of = sections.pictured(self.ordered, self.thumbnails)
        urls = self._urls(self.items, [key for ids in ids_of.values() for key in ids])
        pictures = {
            place: tuple(Picture(urls[key], self.ordered[place].name) for key in ids if key in urls)
            for place, ids in ids_of.items()
        }
        shown = replace(self.found, n_items=self._n_items, n_noise=self._n_noise)
        proposals = getattr(self.config, "proposals", None) or {}
        section = sections.clusters_section(shown, self.ordered, colours, pictures, proposals)
        section = replace(section, blocks=(*section.blocks, *self._levels()))
        return [(section, self._largest())]

    def _largest(self) -> str:
        named = [
            f"{card.name} ({sections.size_of(card) / max(self._n_items, 1):.0%})"
            for card in self.ordered[:5]
        ]
        return (
            f"{self._n_items:,} {self.items.unit} fall into {len(self.ordered):,} clusters; the "
            f"largest: {', '.join(named)}."
        )

    def _levels(self) -> list[Text]:
        told = []
        for level in self.found.levels[1:]:
            other = cards(self.dataset, self._key, level=level)
            told.append(sections.level_text(level, {card.name: card.size for card in other.cards}))
        return told

    def _labels(self) -> list[tuple[Section, str]]:
        if self.labels is None:
            return []
        path = self.label_path()
        before = self.items.path.removesuffix(self.items.field)
        items = self.items if path.startswith(before) else files(self.samples)
        counts = counts_of(items, within(items, path))
        n_items = count(items, {})
        return [(sections.labels_section(self.labels, counts, n_items, items.unit), "")]

    def label_path(self) -> str:
        """Path of the text of the labels: an attribute of the items, else of the samples.

        Raises:
            DataError: if there is no such field, or it is of another kind.
        """
        if self.labels is None:
            return ""
        before = self.items.path.removesuffix(self.items.field)
        own = before + self.labels.removeprefix(before)
        is_own = self.dataset.get_field(own) is not None
        return plain_path(self.dataset, own if is_own else self.labels, "labels")

    def _findings(self) -> list[Any]:
        samples, show = flattened(self.samples), self._show
        evaluation = getattr(self.config, "evaluation", None) or {}
        found = sections.evaluation_section(evaluation)
        steps = self.found.steps if self.run_key is not None else ()
        edits = [(sections.edits_section(steps, self.found.n_undone), "")] if steps else []
        return [
            lambda: [] if found is None else [(found, "")],
            lambda: report_findings.near_duplicates(samples, show),
            lambda: report_findings.copies(samples, show),
            lambda: report_findings.outliers(samples, show),
            lambda: report_findings.poor_images(samples, show),
            lambda: report_findings.picks(samples, show),
            lambda: report_findings.suspects(self.items, evaluation, show) if evaluation else [],
            lambda: edits,
        ]

    def _show(
        self, items: Target, ids: Sequence[str], captions: Sequence[str]
    ) -> tuple[Picture, ...]:
        if not self.thumbnails:
            return ()
        urls = self._urls(items, ids)
        return tuple(
            Picture(urls.get(key, ""), said) for key, said in zip(ids, captions, strict=True)
        )

    def _urls(self, items: Target, ids: Sequence[str]) -> dict[str, str]:
        return pictures_of(items, self.run_key, ids) if self.thumbnails else {}


def _made() -> str:
    by = f"uvl_plugin {uvl_plugin.__version__} and FiftyOne {fo.constants.VERSION}"
    return f"Made on {datetime.now():%Y-%m-%d %H:%M} by {by}. Needs no server and no network."
