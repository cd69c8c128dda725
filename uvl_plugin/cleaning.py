"""Cleaning a dataset: near-duplicates, copies of files, uniqueness, outliers."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.adapter import curating, target, vectors
from uvl_plugin.adapter.curating import Place
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Progress, part, shown
from uvl_plugin.curation.copies import exact_copies
from uvl_plugin.curation.duplicates import groups, near_duplicates, usual_threshold
from uvl_plugin.curation.metric import check_metric
from uvl_plugin.curation.outlying import outlying, usual_cut
from uvl_plugin.curation.uniqueness import uniqueness

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection
    from uvl_plugin.adapter.target import Target


@dataclass(frozen=True)
class DuplicatesResult:
    """What :func:`find_duplicates` and :func:`find_copies` found.

    Attributes:
        field: stands in the names of the fields, as FiftyOne knows it: ``frames.near_duplicate``.
        unit: what was compared: ``"images"``, ``"objects"``, ``"frames"`` or ``"files"``.
        n_items: how many were compared.
        of: id of the kept item by the id of each duplicate.
        distances: to the kept one, by the id of each duplicate; empty for copies of files.
        groups: number of its group by the id of each item that is in one; 0 is the largest.
        threshold: greatest distance of a near-duplicate; None for copies of files.
        n_missing: items that have no vector, and were not compared.
        failures: reason by the id of each file that could not be read.
        view: name of the saved view; None where nothing was found and so nothing is written.
        tag: of the duplicates; None for frames.
    """

    field: str
    unit: str
    n_items: int
    of: dict[str, str]
    groups: dict[str, int]
    distances: dict[str, float] = dataclasses.field(default_factory=dict)
    threshold: float | None = None
    n_missing: int = 0
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    view: str | None = None
    tag: str | None = None

    @property
    def n_groups(self) -> int:
        """How many items are kept that have a duplicate."""
        return len(self.groups) - len(self.of)

    def __str__(self) -> str:
        copies = self.threshold is None
        what = "copies" if copies else "near-duplicates"
        within = "" if copies else f", within a distance of {self.threshold:.3g}"
        if self.of:
            said = (
                f"{len(self.of):,} of {self.n_items:,} {self.unit} are {what} of "
                f"{self.n_groups:,} that can be kept{within}: see the saved view '{self.view}'."
            )
        else:
            said = f"None of {self.n_items:,} {self.unit} are {what}{within}."
        if self.tag:
            said += f" The {'copies' if copies else 'duplicates'} carry the tag '{self.tag}'."
        if self.failures:
            listed = "; ".join(sorted(set(self.failures.values())))
            said += f" Files that could not be read: {len(self.failures):,} ({listed})."
        return said + _missing(self.n_missing, self.unit)


@dataclass(frozen=True)
class ScoresResult:
    """What :func:`score_uniqueness` and :func:`find_outliers` found.

    Attributes:
        field: that the figures are in, as FiftyOne knows it.
        unit: what has them: ``"images"``, ``"objects"`` or ``"frames"``.
        scores: 0 to 1, by the id of each item.
        cut: what lies above is an outlier; None for uniqueness.
        above: ids of the outliers, the most outlying first.
        n_missing: items that have no vector, and so no figure.
        view: name of the saved view of the outliers; None where there are none.
        tag: of the outliers; None for frames and for uniqueness.
    """

    field: str
    unit: str
    scores: dict[str, float]
    cut: float | None = None
    above: list[str] = dataclasses.field(default_factory=list)
    n_missing: int = 0
    view: str | None = None
    tag: str | None = None

    def __str__(self) -> str:
        if self.cut is None:
            said = f"{len(self.scores):,} {self.unit} have their uniqueness in '{self.field}'."
        elif self.above:
            said = (
                f"{len(self.above):,} of {len(self.scores):,} {self.unit} are outliers, above "
                f"{self.cut:.3g}: see the saved view '{self.view}'."
            )
        else:
            said = (
                f"None of {len(self.scores):,} {self.unit} are outliers, above {self.cut:.3g}; the "
                f"scores are in '{self.field}'."
            )
        if self.tag:
            said += f" They carry the tag '{self.tag}'."
        return said + _missing(self.n_missing, self.unit)


def _missing(n_missing: int, unit: str) -> str:
    """A sentence about items without a vector; empty if all have one."""
    if not n_missing:
        return ""
    return f" {n_missing:,} {unit} have no vector and were left out."


def find_duplicates(
    samples: "SampleCollection",
    embeddings: str,
    *,
    threshold: float | None = None,
    metric: str = "cosine",
    field: str = "near_duplicate",
    patches_field: str | None = None,
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> DuplicatesResult:
    """Finds items that look nearly the same, and marks which of them could go.

    One item of each group is kept, the one that was added first; no two kept ones are within the
    threshold. Written are ``<field>_group``, a number, 0 for the largest group; for the
    duplicates ``<field>_of``, the id of the kept item, and ``<field>_distance``; the tag
    ``<field>`` on the duplicates, of objects on their labels, while frames have no tags; and a
    saved view of the groups. Nothing is deleted.

    Args:
        samples: an image dataset, a grouped one, a dataset of videos, or a view; also a view of
            frames, which shows the fields after its ``reload()``.
        embeddings: the vector field; ``"frames.emb"`` for frames; for patches the attribute of
            their labels.
        threshold: greatest distance of a duplicate, at least 0; None: what suits these vectors,
            see :func:`~uvl_plugin.curation.duplicates.usual_threshold`.
        metric: ``"cosine"``: 1 - cos, 0 to 2; or ``"euclidean"``.
        field: stands in the names of all that is written.
        patches_field: field of detections or polylines: compares these objects.
        overwrite: replace what is there under these names, in all of the dataset.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Raises:
        SettingsError: if the threshold or the metric cannot be.
        DataError: if a name is taken, or there are no vectors.
    """
    place = check_find_duplicates(
        samples, embeddings, threshold=threshold, metric=metric, field=field,
        patches_field=patches_field, overwrite=overwrite,
    )  # fmt: skip
    with shown(progress, "duplicates") as report:
        found, n_missing = _read(place, report)
        if threshold is None:
            threshold = usual_threshold(found.vectors, metric, progress=part(report, 0.1, 0.4))
        pairs = near_duplicates(
            found.vectors, threshold, metric=metric, progress=part(report, 0.4, 0.7)
        )
        ids, numbers, dropped = found.ids, groups(pairs), np.flatnonzero(~pairs.kept)
        result = DuplicatesResult(
            place.path,
            place.items.unit,
            len(found),
            of=_by_id(ids[dropped], ids[pairs.of[dropped]]),
            groups=_by_id(ids[numbers >= 0], numbers[numbers >= 0]),
            distances=_by_id(ids[dropped], pairs.distances[dropped]),
            threshold=threshold,
            n_missing=n_missing,
        )
        asked = {"embeddings": found.space, "metric": metric, "threshold": threshold}
        said = f"Near-duplicates by '{found.space}', within {threshold:.4g}, group by group."
        return _write_groups(place, "find_duplicates", asked, result, said, part(report, 0.7, 1.0))


def check_find_duplicates(
    samples: "SampleCollection",
    embeddings: str,
    *,
    threshold: float | None = None,
    metric: str = "cosine",
    field: str = "near_duplicate",
    patches_field: str | None = None,
    overwrite: bool = False,
) -> Place:
    """Raises what :func:`find_duplicates` would, without working; forms call it."""
    check_metric(metric)
    if threshold is not None and not (np.isfinite(threshold) and threshold >= 0):
        raise SettingsError(
            f"threshold must be a distance of at least 0, got {threshold!r}.", "threshold"
        )
    items = _items(samples, embeddings, patches_field)
    return _checked(curating.groups_place(items, field, distances=True), overwrite=overwrite)


def find_copies(
    samples: "SampleCollection",
    *,
    field: str = "copy",
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> DuplicatesResult:
    """Finds samples whose files are byte for byte the same, wherever they lie.

    Needs no vectors. The sample that was added first is the original. Written are
    ``<field>_group``, a number, 0 for the largest group; ``<field>_of``, the id of the original;
    the tag ``<field>`` on the copies; and a saved view of the groups. Nothing is deleted.

    Args:
        samples: a dataset of images, videos or other files, a grouped one, of which all image
            slices are compared, or a view.
        field: stands in the names of all that is written.
        overwrite: replace what is there under these names, in all of the dataset.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Returns:
        The copies, and which files could not be read.

    Raises:
        DataError: if a name is taken, or not one file can be read.
    """
    place = check_find_copies(samples, field=field, overwrite=overwrite)
    with shown(progress, "copies") as report:
        pairs = zip(*place.items.samples.values(["id", "filepath"]), strict=True)
        paths = dict(sorted(pairs))
        of, failures = exact_copies(paths, part(report, 0.0, 0.7))
        if len(failures) == len(paths):
            first = next(iter(failures))
            raise DataError(
                f"None of the {len(paths)} files can be read; the first: '{paths[first]}': "
                f"{failures[first]}."
            )
        result = DuplicatesResult(
            place.path,
            "files",
            len(paths) - len(failures),
            of=of,
            groups=_numbered(of),
            failures=failures,
        )
        said = "Files with the same content, group by group."
        return _write_groups(place, "find_copies", {}, result, said, part(report, 0.7, 1.0))


def check_find_copies(
    samples: "SampleCollection", *, field: str = "copy", overwrite: bool = False
) -> Place:
    """Raises what :func:`find_copies` would, without working; forms call it."""
    items = target.files(samples)
    return _checked(curating.groups_place(items, field, distances=False), overwrite=overwrite)


def score_uniqueness(
    samples: "SampleCollection",
    embeddings: str,
    *,
    metric: str = "cosine",
    field: str = "uniqueness",
    patches_field: str | None = None,
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> ScoresResult:
    """Writes how unlike all others each item is: 0 for one that has an equal, 0.5 for the middle
    one, towards 1 the lonelier; see :func:`~uvl_plugin.curation.uniqueness.uniqueness`.

    Args:
        samples, embeddings, metric, patches_field, progress: see :func:`find_duplicates`.
        field: to write; of objects an attribute of the labels.
        overwrite: replace the field, in all of the dataset.

    Raises:
        SettingsError: if there is no such metric.
        DataError: if the field is taken, or there are no vectors.
    """
    place = check_score_uniqueness(
        samples, embeddings, metric=metric, field=field, patches_field=patches_field,
        overwrite=overwrite,
    )  # fmt: skip
    with shown(progress, "uniqueness") as report:
        found, scores, n_missing = _scored(place, uniqueness, metric, report)
        asked = {"embeddings": found.space, "metric": metric}
        with place.replaced("score_uniqueness", asked):
            _write_scores(place, scores, part(report, 0.7, 1.0))
        return ScoresResult(place.path, place.items.unit, scores, n_missing=n_missing)


def check_score_uniqueness(
    samples: "SampleCollection",
    embeddings: str,
    *,
    metric: str = "cosine",
    field: str = "uniqueness",
    patches_field: str | None = None,
    overwrite: bool = False,
) -> Place:
    """Raises what :func:`score_uniqueness` would, without working; forms call it."""
    check_metric(metric)
    items = _items(samples, embeddings, patches_field)
    return _checked(curating.figures_place(items, field, marks=False), overwrite=overwrite)


def find_outliers(
    samples: "SampleCollection",
    embeddings: str,
    *,
    cut: float | None = None,
    metric: str = "cosine",
    field: str = "outlier",
    patches_field: str | None = None,
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> ScoresResult:
    """Finds items that lie where hardly anything else does: odd ones, wrong ones, new ones.

    Written are ``<field>``, 0 to 1, 0.5 for an item like those around it, see
    :func:`~uvl_plugin.curation.outlying.outlying`; the tag ``<field>`` on those above the cut,
    of objects on their labels, while frames have no tags; and a saved view of these, the most
    outlying first.

    Args:
        samples, embeddings, metric, patches_field, progress: see :func:`find_duplicates`.
        cut: 0 to 1; None: what suits these scores, see
            :func:`~uvl_plugin.curation.outlying.usual_cut`.
        field: to write, also the tag and the name of the view.
        overwrite: replace what is there under these names, in all of the dataset.

    Raises:
        SettingsError: if the cut or the metric cannot be.
        DataError: if a name is taken, or there are no vectors.
    """
    place = check_find_outliers(
        samples, embeddings, cut=cut, metric=metric, field=field, patches_field=patches_field,
        overwrite=overwrite,
    )  # fmt: skip
    with shown(progress, "outliers") as report:
        found, scores, n_missing = _scored(place, outlying, metric, report)
        cut = usual_cut(np.array(list(scores.values()))) if cut is None else cut
        ordered = sorted(scores, key=lambda key: (-scores[key], key))
        above = [key for key in ordered if scores[key] > cut]
        asked = {"embeddings": found.space, "metric": metric, "cut": cut}
        view = None
        with place.replaced("find_outliers", asked):
            _write_scores(place, scores, part(report, 0.7, 0.95))
            if above:
                said = f"Outliers by '{found.space}', above {cut:.3g}."
                view = curating.mark_above(place, above, cut, said)
        report(1.0, "outliers")
        return ScoresResult(
            place.path,
            place.items.unit,
            scores,
            cut=cut,
            above=above,
            n_missing=n_missing,
            view=view,
            tag=place.tag if above else None,
        )


def check_find_outliers(
    samples: "SampleCollection",
    embeddings: str,
    *,
    cut: float | None = None,
    metric: str = "cosine",
    field: str = "outlier",
    patches_field: str | None = None,
    overwrite: bool = False,
) -> Place:
    """Raises what :func:`find_outliers` would, without working; forms call it."""
    check_metric(metric)
    if cut is not None and not 0 <= cut <= 1:
        raise SettingsError(f"cut must be 0 to 1, got {cut!r}.", "cut")
    items = _items(samples, embeddings, patches_field)
    return _checked(curating.figures_place(items, field, marks=True), overwrite=overwrite)


def _items(samples: "SampleCollection", embeddings: str, patches_field: str | None) -> "Target":
    items = target.target(samples, embeddings, patches_field=patches_field)
    vectors.check_any_vector(items)
    return items


def _checked(place: Place, *, overwrite: bool) -> Place:
    place.check(overwrite=overwrite)
    return place


def _read(place: Place, report: Progress) -> tuple[Embeddings, int]:
    """The vectors by id, so that what is found does not depend on the order of a view."""
    report(0.0, "reading vectors")
    return vectors.read_items(place.items, sorted(place.items.ids()))


def _scored(
    place: Place, figure: Callable[..., np.ndarray], metric: str, report: Progress
) -> tuple[Embeddings, dict[str, float], int]:
    found, n_missing = _read(place, report)
    scores = figure(found.vectors, metric=metric, progress=part(report, 0.1, 0.7))
    return found, _by_id(found.ids, scores), n_missing


def _write_groups(
    place: Place,
    verb: str,
    asked: Mapping[str, Any],
    found: DuplicatesResult,
    description: str,
    report: Progress,
) -> DuplicatesResult:
    """Writes what was found, where there is anything; what was there before goes in any case."""
    if not found.of:
        place.clear()
        report(1.0, "no duplicates")
        return found
    with place.replaced(verb, asked):
        view = curating.write_groups(
            place, found.groups, found.of, found.distances, description, part(report, 0.0, 0.95)
        )
    report(1.0, "duplicates")
    return dataclasses.replace(found, view=view, tag=place.tag)


def _write_scores(place: Place, scores: Mapping[str, float], report: Progress) -> None:
    place.write({key: {place.field: score} for key, score in scores.items()}, report)


def _by_id(ids: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    return dict(zip(ids.tolist(), values.tolist(), strict=True))


def _numbered(of: Mapping[str, str]) -> dict[str, int]:
    """Group number by the id of each original and copy: 0 the largest, then by the original."""
    members: dict[str, list[str]] = {}
    for key, original in of.items():
        members.setdefault(original, [original]).append(key)
    ordered = sorted(members, key=lambda original: (-len(members[original]), original))
    return {key: number for number, original in enumerate(ordered) for key in members[original]}
