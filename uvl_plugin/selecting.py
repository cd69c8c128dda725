"""Picks what to label next: the items that teach most."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.adapter import clusterings, picked, target, vectors
from uvl_plugin.adapter.clusterings import Clustering
from uvl_plugin.adapter.curating import Place
from uvl_plugin.adapter.frames import Frames
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Progress, part, shown
from uvl_plugin.curation.duplicates import duplicates_in, usual_threshold_in
from uvl_plugin.curation.metric import space_of
from uvl_plugin.picking.base import Picker
from uvl_plugin.picking.coverage import Coverage
from uvl_plugin.picking.covered import distances_to, usual_radius
from uvl_plugin.picking.gaps import Gaps
from uvl_plugin.picking.pick import Picks, Rules, pick
from uvl_plugin.picking.pool import Pool, prepared
from uvl_plugin.picking.quotas import check_quotas

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection
    from uvl_plugin.adapter.target import Target

EXCLUDED = ("exclude",)  # tags of items that nobody wants to label
_METRIC = "cosine"
_GAP = 1.0  # seconds between picked frames of a video


@dataclass(frozen=True)
class Selection:
    """What :func:`select` picked.

    Attributes:
        field: that the ranks are in, as FiftyOne knows it: ``frames.pick``.
        unit: what was picked: ``"images"``, ``"objects"``, ``"frames"``, ``"videos"``, ``"clips"``.
        budget: how many were asked for.
        ids: of the picks, the best first.
        reasons: why, by the id of each pick.
        clusters: how many picks each cluster has, by its name; empty without clusters.
        radius: 1 - cosine within which an item counts as covered.
        covered_before, covered: share of all items that have a labelled or skipped one that near,
            and one of these or of the picks, 0 to 1.
        n_items: how many were looked at.
        n_given: how many of them were labelled or skipped.
        n_copies: how many are near-duplicates of another one, and so were counted as one with it.
        n_missing: items that have no vector or are not in the run, and were left out.
        view: name of the saved view.
        tag: of the picks; None for frames.
    """

    field: str
    unit: str
    budget: int
    ids: list[str]
    reasons: dict[str, str]
    radius: float
    covered_before: float
    covered: float
    n_items: int
    clusters: dict[str, int] = dataclasses.field(default_factory=dict)
    n_given: int = 0
    n_copies: int = 0
    n_missing: int = 0
    view: str | None = None
    tag: str | None = None

    def __str__(self) -> str:
        said = (
            f"{len(self.ids):,} of {self.n_items:,} {self.unit} are picked, the best first: see the "
            f"saved view '{self.view}'. {self.covered:.1%} of all lie within a distance of "
            f"{self.radius:.3g} of a labelled or picked one; before it was "
            f"{self.covered_before:.1%}."
        )
        if len(self.ids) < self.budget:
            said += f" No more than these could be picked, of {self.budget:,}."
        if self.tag:
            said += f" They carry the tag '{self.tag}'."
        if self.n_missing:
            said += f" {self.n_missing:,} {self.unit} have no vector or cluster and were left out."
        return said


@dataclass(frozen=True, eq=False)
class Plan:
    """What :func:`check_select` found to be possible.

    Attributes:
        place: where the picks go; its items have the field of the picks.
        items: the same, with the field of their vectors.
        run: whose clusters count; None: none.
        picker: with its settings.
        quotas: by name.
        gap: seconds between frames; 0 for none.
    """

    place: Place
    items: "Target"
    run: Clustering | None
    picker: Picker
    quotas: str
    gap: float


def select(
    samples: "SampleCollection",
    budget: int = 200,
    *,
    embeddings: str | None = None,
    run_key: str | None = None,
    picker: Picker | None = None,
    quotas: str | None = None,
    labels: str | None = None,
    skip_tags: Sequence[str] = EXCLUDED,
    threshold: float | None = None,
    gap: float | None = None,
    radius: float | None = None,
    field: str = "pick",
    patches_field: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> Selection:
    """Picks what to label next, so that few labels teach much.

    Written are ``<field>``, the rank of each pick, 1 the best; ``<field>_reason``, why, in plain
    words; the tag ``<field>`` on the picks, of objects on their labels, while frames have no tags;
    and a saved view, the best first. Any beginning of the picks is a good choice by itself.

    Items that are labelled already or carry one of the tags are never picked, count as covered,
    and as part of the quota of their cluster. Of near-duplicates at most one is picked, and all of
    them count as one.

    Args:
        samples: an image dataset, a dataset of videos, or a view; also a view of frames.
        budget: how many to pick, at least 1; fewer where no more can be picked.
        embeddings: the vector field; ``"frames.emb"`` for frames; for patches the attribute of
            their labels. Not with ``run_key``, whose vectors are taken.
        run_key: of a clustering: reasons name its clusters, and quotas are of them. None: picks
            from all items without clusters.
        picker: such as ``uvl.Coverage()``, ``uvl.Typical()``, ``uvl.Boundary()``,
            ``uvl.Diverse()``, ``uvl.Outliers()``; None: ``uvl.Coverage()``.
        quotas: how many of each cluster: ``"equal"``; ``"size"``: by its size;
            ``"uncertainty"``: by size times mean of 1 - strength; None or ``"free"``: as the picker
            likes. What is in no cluster counts as one more cluster.
        labels: a field, ``Classification`` or plain values: items that have a value are labelled;
            the classes tell ``uvl.Coverage`` what is still in doubt. Of objects an attribute of
            their labels, or a field of the samples.
        skip_tags: tags of samples, or of objects of their labels; also the fields of earlier
            picks, which frames have instead of tags.
        threshold: greatest distance of near-duplicates, 1 - cosine; None: what suits the vectors.
        gap: least seconds between picked or labelled frames of one video; None: 1; 0: none.
        radius: 1 - cosine within which an item counts as covered, in the report only; None: see
            :func:`~uvl_plugin.picking.covered.usual_radius`.
        field: to write, also the tag and the name of the view.
        patches_field: field of detections, polylines or clips: picks these. Not with ``run_key``.
        seed: of what pickers do at random.
        overwrite: replace what is there under these names, in all of the dataset.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Raises:
        SettingsError: if a number or a combination cannot be.
        DataError: if a name is taken, there are no vectors, or nothing is left to pick.
    """
    plan = check_select(
        samples, budget, embeddings=embeddings, run_key=run_key, picker=picker, quotas=quotas,
        labels=labels, skip_tags=skip_tags, threshold=threshold, gap=gap, radius=radius,
        field=field, patches_field=patches_field, overwrite=overwrite,
    )  # fmt: skip
    with shown(progress, "pick") as report:
        report(0.0, "reading vectors")
        found, n_missing = _read(plan, samples)
        known = picked.known(plan.items, found.ids, labels, skip_tags)
        if known.given.all():
            raise DataError(
                f"All {len(found):,} {plan.items.unit} are labelled or skipped already, so "
                "nothing is left to pick.",
                "labels",
            )
        space = space_of(found.vectors, _METRIC)
        copies = _copies(space, threshold, part(report, 0.1, 0.3))
        pool = _pool(plan, found, known, copies, seed)
        rules = Rules(plan.quotas, _strengths(plan, found), copies, _gaps(plan, found.ids))
        picks = pick(pool, plan.picker, budget, rules, part(report, 0.3, 0.8))
        radius = usual_radius(space, budget) if radius is None else radius
        shares = _covered(space, known.given, picks, radius, part(report, 0.8, 0.9))
        asked = {"budget": budget, "embeddings": found.space, "run_key": run_key,
                 "picker": plan.picker.name, "settings": plan.picker.to_dict(),
                 "quotas": plan.quotas, "seed": seed, "radius": float(radius),
                 "covered_before": shares[0], "covered": shares[1]}  # fmt: skip
        ids = found.ids[picks.rows].tolist()
        reasons = dict(zip(ids, picks.reasons, strict=True))
        view = _write(plan.place, reasons, asked, part(report, 0.9, 1.0))
        report(1.0, "picked")
        return Selection(
            plan.place.path, plan.items.unit, budget, ids, reasons, radius, *shares, len(found),
            clusters=_by_cluster(pool, picks),
            n_given=int(known.given.sum()),
            n_copies=len(found) - len(np.unique(copies)),
            n_missing=n_missing, view=view, tag=plan.place.tag,
        )  # fmt: skip


def check_select(
    samples: "SampleCollection",
    budget: int = 200,
    *,
    embeddings: str | None = None,
    run_key: str | None = None,
    picker: Picker | None = None,
    quotas: str | None = None,
    labels: str | None = None,
    skip_tags: Sequence[str] = EXCLUDED,
    threshold: float | None = None,
    gap: float | None = None,
    radius: float | None = None,
    field: str = "pick",
    patches_field: str | None = None,
    overwrite: bool = False,
) -> Plan:
    """Raises what :func:`select` would, without working; forms call it."""
    if not isinstance(budget, int) or budget < 1:
        raise SettingsError(
            f"budget must be a whole number of at least 1, got {budget!r}.", "budget"
        )
    for name, value in (("threshold", threshold), ("radius", radius), ("gap", gap)):
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise SettingsError(f"{name} must be at least 0, got {value!r}.", name)
    if isinstance(skip_tags, str):
        raise SettingsError(f"skip_tags must be a list of tags, got {skip_tags!r}.", "skip_tags")
    chosen = Coverage() if picker is None else picker
    by_name = check_quotas(quotas, clusters=run_key is not None)
    chosen.check(clusters=run_key is not None)
    run, items = _items(samples, embeddings, run_key, patches_field)
    if labels is not None:
        picked.check_labels(items, labels)
    place = picked.picks_place(items, field)
    place.check(overwrite=overwrite)
    return Plan(place, items, run, chosen, by_name, _checked_gap(items, gap))


def _items(
    samples: "SampleCollection",
    embeddings: str | None,
    run_key: str | None,
    patches_field: str | None,
) -> "tuple[Clustering | None, Target]":
    if run_key is not None:
        if embeddings is not None or patches_field is not None:
            raise SettingsError(
                "The run says which vectors count; pass either run_key, or embeddings (and "
                "patches_field).",
                "embeddings",
            )
        run = clusterings.open_clustering(dataset_of(samples), run_key)
        return run, run.items_in(samples)
    if embeddings is None:
        raise SettingsError(
            "Pass embeddings=, the vector field, or run_key= of a clustering.", "embeddings"
        )
    items = target.target(samples, embeddings, patches_field=patches_field)
    vectors.check_any_vector(items)
    return None, items


def _checked_gap(items: "Target", gap: float | None) -> float:
    if isinstance(items, Frames):
        return _GAP if gap is None else float(gap)
    if gap:
        raise SettingsError(
            f"A gap in time is between frames of videos, and these are {items.unit}; leave gap out.",
            "gap",
        )
    return 0.0


def _read(plan: Plan, samples: "SampleCollection") -> tuple[Embeddings, int]:
    """Vectors by id, so that what is picked does not depend on the order of a view, and how many
    items have none or are not in the run."""
    ids = sorted(plan.items.ids())
    wanted = ids if plan.run is None else sorted(plan.run.members_in(samples).ids.tolist())
    found, n_missing = vectors.read_items(plan.items, wanted)
    return found, n_missing + len(ids) - len(wanted)


def _copies(space: Space, threshold: float | None, report: Progress) -> np.ndarray:
    """Number of the group of near-duplicates of each item, ``(n,)``; who has none is one."""
    if len(space) < 2:
        return np.zeros(len(space), np.int64)
    if threshold is None:
        threshold = usual_threshold_in(space, _METRIC)
    return duplicates_in(space, threshold, _METRIC, report).of


def _pool(
    plan: Plan, found: Embeddings, known: picked.Known, copies: np.ndarray, seed: int
) -> Pool:
    run = plan.run
    return Pool(
        prepared(found.vectors),
        np.zeros(len(found), np.int64) if run is None else run.labels_of(found.ids),
        names={} if run is None else run.edited.names,
        weights=(1.0 / np.bincount(copies)[copies]).astype(np.float32),
        given=known.given,
        classes=known.classes,
        seed=seed,
    )


def _strengths(plan: Plan, found: Embeddings) -> np.ndarray:
    """How firmly each item belongs to its cluster as it is now, ``(n,)``, 0 to 1."""
    if plan.run is None or plan.quotas != "uncertainty":
        return np.ones(len(found), np.float32)
    model = plan.run.results.model
    return model.strengths(model.preparation(found.vectors), plan.run.labels_of(found.ids))


def _gaps(plan: Plan, ids: np.ndarray) -> Gaps | None:
    if not plan.gap or not isinstance(plan.items, Frames):
        return None
    return Gaps(*picked.times(plan.items, ids), plan.gap)


def _covered(
    space: Space, given: np.ndarray, picks: Picks, radius: float, report: Progress
) -> tuple[float, float]:
    """Share of the items within the radius of a given one; and of a given or picked one."""
    before = distances_to(space, np.flatnonzero(given), part(report, 0.0, 0.5))
    after = np.minimum(before, distances_to(space, picks.rows, part(report, 0.5, 1.0)))
    return float(np.mean(before <= radius)), float(np.mean(after <= radius))


def _by_cluster(pool: Pool, picks: Picks) -> dict[str, int]:
    """How many picks each cluster has, by its name, the most first."""
    if not pool.names:
        return {}
    return dict(Counter(pool.named(cluster) for cluster in pool.labels[picks.rows]).most_common())


def _write(
    place: Place, reasons: Mapping[str, str], asked: dict[str, Any], report: Progress
) -> str:
    said = f"Picked for labelling by '{asked['embeddings']}', the best first."
    with place.replaced("select", asked):
        return picked.write_picks(place, reasons, said, report)
