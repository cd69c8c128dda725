"""Names for clusters, proposed from words or labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.adapter import clusterings, vectors
from uvl_plugin.adapter import labels as label_values
from uvl_plugin.adapter.clusterings import Clustering
from uvl_plugin.adapter.exemplars import exemplars
from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.images import Videos
from uvl_plugin.adapter.parts import Clips
from uvl_plugin.adapter.proposals import record_proposals
from uvl_plugin.adapter.runs import origin_of
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.backbones.base import AnyEncoder, Backbone
from uvl_plugin.core.embeddings import NOISE
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Progress, part, shown
from uvl_plugin.curation.vocabulary import Vocabulary
from uvl_plugin.curation.vocabulary import vocabulary as words_of
from uvl_plugin.curation.word_vectors import word_vectors
from uvl_plugin.curation.words import Name, common_labels, fitting_names
from uvl_plugin.engine.loaded import LoadedBackbone
from uvl_plugin.engine.settings import Engine

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection

_Found = tuple[dict[int, list[Name]], int, dict[str, str]]

PROMPTS = ("a photo of a {}",)
SEVERAL_PROMPTS = (*PROMPTS, "a blurry photo of a {}", "a close-up photo of a {}", "{}")


@dataclass(frozen=True)
class Proposals:
    """Names that were proposed.

    Attributes:
        run_key: of the clustering.
        names: by the name of each cluster, the best first; none where no exemplar could be read.
        source: what they were chosen from, in words.
        n_exemplars: items that were looked at; of labels, those that have one.
        failures: file and reason by the id of each exemplar that could not be read.
    """

    run_key: str
    names: dict[str, list[Name]]
    source: str
    n_exemplars: int
    failures: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        named = {cluster: names for cluster, names in self.names.items() if names}
        said = (
            f"{len(named):,} of {len(self.names):,} clusters of '{self.run_key}' have proposed "
            f"names, from {self.source} and {self.n_exemplars:,} of their members"
        )
        if self.failures:
            said += f"; {len(self.failures):,} more could not be read"
        width = max(map(len, named), default=0)
        rows = [
            f"  {cluster:<{width}}  " + ", ".join(f"{name} ({score:.2f})" for name, score in names)
            for cluster, names in named.items()
        ]
        return "\n".join([f"{said}.", *rows])


@dataclass(frozen=True)
class Words:
    """Where names come from: words, and the network that compares them with pictures."""

    vocabulary: Vocabulary
    backbone: Backbone
    prompts: tuple[str, ...]
    stored: bool  # whether the vectors of the run are that network's


def propose_names(
    dataset: "SampleCollection",
    run_key: str,
    vocabulary: "str | Path | Sequence[str] | None" = None,
    *,
    labels: str | None = None,
    backbone: Backbone | None = None,
    prompts: Sequence[str] = PROMPTS,
    per_cluster: int = 24,
    device: str = "auto",
    progress: "Progress | bool | None" = None,
) -> Proposals:
    """Proposes names for the clusters of a run, and keeps them in its record.

    From a vocabulary: the words that fit typical members of a cluster, and those of the other
    clusters less; how they are scored, and what a score means, is said in
    :func:`uvl_plugin.curation.words.fitting_names`. Where the run is of vectors of the same
    backbone no picture is read. From labels: the most common ones of the members; the score is
    the share of the labelled members that have it. No service is asked.

    Args:
        dataset: that was clustered, or a view of it.
        run_key: of the clustering.
        vocabulary: a list of words, ``"imagenet"``, or the path of a text file; see
            :func:`uvl_plugin.curation.vocabulary.vocabulary`.
        labels: instead of it, a ``Classification`` or text field of the same items.
        backbone: that knows text; None: the one that made the vectors of the run.
        prompts: sentences in which ``{}`` stands for the word; :data:`SEVERAL_PROMPTS` are more.
        per_cluster: how many members of each cluster are looked at, the most typical ones.
        device: see :func:`uvl_plugin.embed`.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Raises:
        DataError: if there is no such run, field or file, or the vectors were made by a backbone
            that does not know text.
        SettingsError: if a setting is wrong, such as neither words nor labels.
    """
    run, words = check_propose(
        dataset,
        run_key,
        vocabulary,
        labels=labels,
        backbone=backbone,
        prompts=prompts,
        per_cluster=per_cluster,
    )
    with shown(progress, "propose names") as report:
        if words is not None:
            source = str(words.vocabulary)
            found, n_exemplars, failures = _by_words(run, words, per_cluster, device, report)
        else:
            source = f"the labels in '{labels}'"
            found, n_exemplars, failures = _by_labels(run, str(labels))
        record_proposals(run.dataset, run_key, found)
        report(1.0, "names proposed")
    names = {name: found.get(number, []) for number, name in run.edited.names.items()}
    return Proposals(run_key, names, source, n_exemplars, failures)


def check_propose(
    dataset: "SampleCollection",
    run_key: str,
    vocabulary: "str | Path | Sequence[str] | None" = None,
    *,
    labels: str | None = None,
    backbone: Backbone | None = None,
    prompts: Sequence[str] = PROMPTS,
    per_cluster: int = 24,
) -> tuple[Clustering, Words | None]:
    """Raises what :func:`propose_names` would, without working; forms call it. Returns the run,
    and the words where it is not by labels."""
    if (vocabulary is None) == (labels is None):
        raise SettingsError(
            "Say either a vocabulary (a list of words, 'imagenet' or a text file) or a field of "
            "labels.",
            "vocabulary",
        )
    if per_cluster < 1:
        raise SettingsError(f"per_cluster must be at least 1, got {per_cluster}.", "per_cluster")
    run = clusterings.open_clustering(dataset_of(dataset), run_key)
    if labels is not None:
        run.items.check_field(_of_items(run, labels), "labels")
        return run, None
    assert vocabulary is not None
    _check_prompts(prompts)
    words = words_of(vocabulary)
    backbone, stored = _text_backbone(run, backbone)
    return run, Words(words, backbone, tuple(prompts), stored)


def _check_prompts(prompts: Sequence[str]) -> None:
    example = f"such as '{PROMPTS[0]}'"
    if not prompts:
        raise SettingsError(f"Give at least one prompt, {example}.", "prompts")
    for prompt in prompts:
        if "{}" not in prompt:
            raise SettingsError(
                f"'{prompt}' has no {{}} where the word belongs; give prompts {example}.", "prompts"
            )


def _text_backbone(run: Clustering, backbone: Backbone | None) -> tuple[Backbone, bool]:
    """The backbone to use, and whether the vectors of the run are of it."""
    if backbone is None:
        own = vectors.backbone_of(run.dataset, run.config.embeddings)
        if not own.has_text:
            raise DataError(
                f"The vectors of '{run.run_key}' were made by {own.label}, which does not know "
                "text; choose a backbone that does, such as uvl.OpenCLIP(), or labels.",
                "backbone",
            )
        return own, True
    if not backbone.has_text:
        raise SettingsError(
            f"{backbone.label} embeds images only; words need a backbone that knows text, such as "
            "uvl.OpenCLIP().",
            "backbone",
        )
    backbone.check()
    stored = origin_of(run.dataset, run.config.embeddings).get("space") == backbone.space
    if not stored and isinstance(run.items, Videos | Clips):
        raise DataError(
            f"'{run.run_key}' is of {run.items.unit}, of which no single picture can be compared "
            "with words; cluster their frames, or choose labels.",
            "run_key",
        )
    return backbone, stored


def _by_labels(run: Clustering, labels: str) -> _Found:
    """As :func:`_by_words`, of the members that have a label."""
    named = label_values.read_by_id(run.items.with_field(_of_items(run, labels)))
    edited = run.edited
    pairs = [
        (cluster, named[key])
        for key, cluster in zip(edited.raw.ids.tolist(), edited.labels.tolist(), strict=True)
        if cluster != NOISE and key in named
    ]
    return common_labels(pairs), len(pairs), {}


def _of_items(run: Clustering, labels: str) -> str:
    return labels.removeprefix(FRAMES) if isinstance(run.items, Frames) else labels


def _by_words(
    run: Clustering, words: Words, per_cluster: int, device: str, report: Progress
) -> _Found:
    """Names by cluster number, how many exemplars, and those that could not be read."""
    report(0.0, "choosing exemplars")
    cluster_of, known = exemplars(run, per_cluster)
    report(0.1, "loading the network")
    failures: dict[str, str] = {}
    if words.stored:
        encoder = words.backbone.load(device)
    else:
        loaded = LoadedBackbone(words.backbone, Engine(device=device))
        encoder, stage = loaded.encoder, part(report, 0.15, 0.5)
        known, failures = _embedded(run, loaded, list(cluster_of), stage)
    texts = _vectors_of(words, encoder, part(report, 0.5, 0.8))
    keys = [key for key in cluster_of if key in known]
    found = fitting_names(
        np.stack([known[key] for key in keys]) if keys else np.empty((0, texts.shape[1])),
        np.array([cluster_of[key] for key in keys], np.int64),
        words.vocabulary.words,
        texts,
        progress=part(report, 0.8, 1.0),
    )
    return found, len(keys), failures


def _vectors_of(words: Words, encoder: AnyEncoder, report: Progress) -> np.ndarray:
    if encoder.embed_texts is None:
        raise SettingsError(
            f"{words.backbone.label} does not know text as it is set; choose another backbone.",
            "backbone",
        )
    return word_vectors(
        encoder.embed_texts,
        words.backbone.space,
        words.vocabulary.words,
        words.prompts,
        report,
    )


def _embedded(
    run: Clustering, loaded: LoadedBackbone, ids: list[str], report: Progress
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Vectors of items by id, and those that could not be read."""
    known: dict[str, np.ndarray] = {}
    failures: dict[str, str] = {}
    for chunk in loaded.embed(run.items.sources(ids), len(ids)):
        known |= chunk.vectors
        failures |= chunk.failures
        done = len(known) + len(failures)
        report(done / len(ids), f"exemplars {done:,} of {len(ids):,}")
    return known, failures
