"""Labels made of clusters that a person has looked at."""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from uvl_plugin.adapter import clusterings, label_writes
from uvl_plugin.adapter.cluster_fields import still_there
from uvl_plugin.adapter.clusterings import Clustering
from uvl_plugin.adapter.label_writes import SOURCE, LabelPlace
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.core.account import account
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Progress, part, shown

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection


@dataclass(frozen=True)
class Labelled:
    """What :func:`label_clusters` wrote.

    Attributes:
        field: that the labels are in, as FiftyOne knows it: ``frames.species``.
        unit: what has them: ``"images"``, ``"videos"``, ``"frames"``, ``"objects"`` or ``"clips"``.
        counts: how many items got each label, the most frequent first.
        min_confidence: least strength of an item that got one.
        n_below: items left out, since they belong to their cluster less firmly.
        n_kept: items that have a label of a person or of something else, which stays.
        n_earlier: items that have a label of an earlier call, which stays without ``overwrite``.
        n_withdrawn: labels of earlier calls that were taken away, see :func:`label_clusters`.
        n_missing: items that were deleted since, or have lost their cluster.
    """

    field: str
    unit: str
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    min_confidence: float = 0.0
    n_below: int = 0
    n_kept: int = 0
    n_earlier: int = 0
    n_withdrawn: int = 0
    n_missing: int = 0

    @property
    def n_labelled(self) -> int:
        """How many items got a label."""
        return sum(self.counts.values())

    def __str__(self) -> str:
        said = f"{self.n_labelled:,} {self.unit} got a label in '{self.field}'"
        listed = [f"{label} {count:,}" for label, count in list(self.counts.items())[:10]]
        if listed:
            more = ", ..." if len(self.counts) > 10 else ""
            said += f" ({', '.join(listed)}{more})"
        left = [
            (self.n_below, f"belong to their cluster with less than {self.min_confidence:g}"),
            (self.n_kept, "keep the label that they have of somebody else"),
            (self.n_earlier, "keep the label of an earlier call; overwrite=True replaces it"),
            (self.n_withdrawn, "lost the label of an earlier call, which holds no more"),
            (self.n_missing, "were deleted since, or have lost their cluster"),
        ]
        return ". ".join([said, *(f"{count:,} {what}" for count, what in left if count)]) + "."


@dataclass(frozen=True)
class LabelPlan:
    """What :func:`label_clusters` is about to do.

    Attributes:
        run: the clustering.
        place: where the labels go.
        labels: the label by the number of each cluster.
    """

    run: Clustering
    place: LabelPlace
    labels: dict[int, str]


def reviewed(run: Clustering) -> list[str]:
    """Names of the clusters that a person has named, or accepted a proposed name for: those that
    are not called as the run calls its clusters, "look 03"."""
    own = re.compile(rf"{re.escape(run.config.stem)} \d+")
    return [name for name in run.edited.names.values() if not own.fullmatch(name)]


def label_clusters(
    dataset: "SampleCollection",
    run_key: str,
    field: str,
    *,
    clusters: Sequence[str] | None = None,
    names: Mapping[str, str] | None = None,
    min_confidence: float = 0.0,
    overwrite: bool = False,
    who: str = "",
    progress: "Progress | bool | None" = None,
) -> Labelled:
    """Makes labels of clusters that a person has looked at.

    Samples and frames get a ``Classification`` in ``field``, its label the name of the cluster, its
    confidence the strength of the item, with attributes that say where it is from: ``source``
    (``"cluster"``), ``run_key``, ``cluster``, ``cluster_label`` (the label as it was made), ``when``
    (UTC) and ``who``. Objects and clips, which are labels themselves, get these in attributes of
    their own: ``<field>``, ``<field>_confidence``, ``<field>_source`` and so on.

    A label that a person gave, or changed, is never touched. All labels are written, or none.

    Args:
        dataset: that was clustered, or a view of it; all of it is meant.
        run_key: of the clustering.
        field: for the labels, made if it is not there; of frames ``"frames.species"``.
        clusters: names of the clusters; None: those in ``names``, and without these all that a
            person has named, see :func:`reviewed`.
        names: label by the name of a cluster, where it is not to be the name; several clusters may
            have the same.
        min_confidence: 0 to 1: items whose strength is less get no label.
        overwrite: replace labels that earlier calls made, and take those away that hold no more:
            of items of these clusters that are below ``min_confidence``, or are no longer in them.
        who: who does it; stands with each label; empty: the account of this process.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Raises:
        SettingsError: if ``min_confidence`` cannot be.
        DataError: if there is no such run or cluster, none was named, or the field is taken.
    """
    plan = check_label_clusters(
        dataset, run_key, field, clusters=clusters, names=names, min_confidence=min_confidence
    )
    with shown(progress, "labels") as report:
        report(0.0, "reading clusters")
        members = _members(plan)
        strengths = label_writes.strengths_of(plan.run, list(members))
        chosen = {
            key: n for key, n in members.items() if strengths.get(key, -1.0) >= min_confidence
        }
        report(0.2, "reading labels")
        before = plan.place.read(_there(plan.run) if overwrite else list(chosen))
        made = {key for key, row in before.items() if plan.place.is_made(row)}
        stays = before.keys() - made if overwrite else before.keys()
        given = {key: number for key, number in chosen.items() if key not in stays}
        gone = _withdrawn(plan, members, made - given.keys(), before) if overwrite else set()
        rows = _rows(plan, given, strengths, who or account()) | dict.fromkeys(
            gone, plan.place.nothing
        )
        if rows:
            with plan.place.opened():
                plan.place.write(rows, before, part(report, 0.3, 1.0))
        report(1.0, "labelled")
    kept, found = stays & chosen.keys(), Counter(plan.labels[n] for n in given.values())
    return Labelled(
        plan.place.path,
        plan.run.items.unit,
        counts=dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))),
        min_confidence=min_confidence,
        n_below=sum(strengths[key] < min_confidence for key in members if key in strengths),
        n_kept=len(kept - made),
        n_earlier=len(kept & made),
        n_withdrawn=len(gone),
        n_missing=sum(key not in strengths for key in members),
    )


def check_label_clusters(
    dataset: "SampleCollection",
    run_key: str,
    field: str,
    *,
    clusters: Sequence[str] | None = None,
    names: Mapping[str, str] | None = None,
    min_confidence: float = 0.0,
) -> LabelPlan:
    """Raises what :func:`label_clusters` would, without working; forms call it."""
    if not 0 <= min_confidence <= 1:
        raise SettingsError(
            f"min_confidence must be 0 to 1, got {min_confidence!r}.", "min_confidence"
        )
    run = clusterings.open_clustering(dataset_of(dataset), run_key)
    place = label_writes.label_place(run.items, field)
    place.check()
    labels = dict(names or {})
    if isinstance(clusters, str):
        raise SettingsError(f"clusters must be a list of names, got {clusters!r}.", "clusters")
    wanted = list(clusters if clusters is not None else labels or reviewed(run))
    if not wanted:
        raise DataError(
            f"No cluster of '{run_key}' was named yet. Look at them and name those that are of one "
            "kind, or say which clusters are meant.",
            "clusters",
        )
    return LabelPlan(run, place, {run.number_of(c): _label(labels.get(c, c)) for c in wanted})


def _label(label: str) -> str:
    if not isinstance(label, str) or not label.strip():
        raise SettingsError(f"A label must be a text that is not empty, got {label!r}.", "names")
    return label.strip()


def _there(run: Clustering) -> list[str]:
    return still_there(run.items, run.raw.ids.tolist())


def _members(plan: LabelPlan) -> dict[str, int]:
    """Number of the cluster by the id of each item in one that is meant, in the order of ids."""
    edited = plan.run.edited
    pairs = zip(edited.raw.ids.tolist(), edited.labels.tolist(), strict=True)
    return dict(sorted((key, number) for key, number in pairs if number in plan.labels))


def _withdrawn(
    plan: LabelPlan, members: Mapping[str, int], made: set[str], before: Mapping[str, Any]
) -> set[str]:
    """Items whose label was made of one of these clusters, and holds no more."""
    meant = {plan.run.edited.names[number] for number in plan.labels}

    of = plan.place.of
    own = (key for key in made if of(before[key], "run_key") == plan.run.run_key)
    return {key for key in own if key in members or of(before[key], "cluster") in meant}


def _rows(
    plan: LabelPlan, given: Mapping[str, int], strengths: Mapping[str, float], who: str
) -> dict[str, dict[str, Any]]:
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    names = plan.run.edited.names
    return {
        key: plan.place.row(
            label=plan.labels[number],
            confidence=strengths[key],
            source=SOURCE,
            run_key=plan.run.run_key,
            cluster=names[number],
            cluster_label=plan.labels[number],
            when=when,
            who=who,
        )
        for key, number in given.items()
    }
