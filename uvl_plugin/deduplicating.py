"""Items that can go because another one is the same or nearly so: near-duplicates, copies of files."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.adapter import curating, target
from uvl_plugin.adapter.curating import Place
from uvl_plugin.adapter.images import Videos
from uvl_plugin.adapter.parts import Clips
from uvl_plugin.cleaning import by_id, checked, items_with, read_by_id, said_missing
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Pace, Progress, part, shown
from uvl_plugin.curation import alike
from uvl_plugin.curation.confirmed import Candidates, candidates, confirmed
from uvl_plugin.curation.copies import exact_copies
from uvl_plugin.curation.duplicates import Duplicates, groups, near_duplicates, usual_threshold
from uvl_plugin.curation.metric import check_metric
from uvl_plugin.engine.figures import figures_of
from uvl_plugin.media.images import read_image

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection
    from uvl_plugin.adapter.target import Target

_CONTENT, _PIXELS, _VECTORS = "content", "pixels", "vectors"


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
        by: what says so: ``"content"`` of files, ``"pixels"`` of items whose vectors are near, or
            only ``"vectors"``.
        threshold: greatest distance that was looked at; None for copies of files.
        n_missing: items that have no vector, and were not compared.
        failures: reason by the id of each file, or each picture that may be a near-duplicate,
            that could not be read.
        view: name of the saved view; None where nothing was found and so nothing is written.
        tag: of the duplicates; None for frames.
    """

    field: str
    unit: str
    n_items: int
    of: dict[str, str]
    groups: dict[str, int]
    distances: dict[str, float] = dataclasses.field(default_factory=dict)
    by: str = _CONTENT
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
        what = "copies" if self.by == _CONTENT else "near-duplicates"
        how = {
            _CONTENT: "",
            _PIXELS: ", by vectors and pixels",
            _VECTORS: f", within a distance of {self.threshold or 0.0:.3g}",
        }[self.by]
        if self.of:
            said = (
                f"{len(self.of):,} of {self.n_items:,} {self.unit} are {what} of "
                f"{self.n_groups:,} that can be kept{how}: see the saved view '{self.view}'."
            )
        else:
            said = f"None of {self.n_items:,} {self.unit} are {what}{how}."
        if self.tag:
            said += f" The {what.removeprefix('near-')} carry the tag '{self.tag}'."
        return said + self._said_failures() + said_missing(self.n_missing, self.unit)

    def _said_failures(self) -> str:
        if not self.failures:
            return ""
        if self.by == _CONTENT:
            listed = "; ".join(sorted(set(self.failures.values())))
            return f" Files that could not be read: {len(self.failures):,} ({listed})."
        first = next(iter(self.failures.values()))
        if self.by == _VECTORS:
            return f" No picture could be read to confirm them; the first: {first}."
        return (
            f" {len(self.failures):,} pictures that may be near-duplicates could not be read; the "
            f"first: {first}."
        )


def find_duplicates(
    samples: "SampleCollection",
    embeddings: str,
    *,
    threshold: float | None = None,
    confirm: bool | None = None,
    metric: str = "cosine",
    field: str = "near_duplicate",
    patches_field: str | None = None,
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> DuplicatesResult:
    """Finds items that look nearly the same, and marks which of them could go.

    One item of each group is kept, the one that was added first. With a threshold, no two kept
    ones are within it. Without one, vectors only say which items may be near-duplicates, and
    their pixels decide, see :func:`~uvl_plugin.curation.alike.alike`: copies, new encodings, other
    sizes, a rim of up to 9 % less, up to a third more or less brightness; not two moments of one
    scene. Only pictures that may be near-duplicates are read. If none of them can be, or items
    are whole videos or clips, vectors alone decide.

    Written are ``<field>_group``, a number, 0 for the largest group; for the duplicates
    ``<field>_of``, the id of the kept item, and ``<field>_distance``, of their vectors; the tag
    ``<field>`` on the duplicates, of objects on their labels, while frames have no tags; and a
    saved view of the groups. Nothing is deleted.

    Args:
        samples: an image dataset, a grouped one, a dataset of videos, or a view; also a view of
            frames, which shows the fields after its ``reload()``.
        embeddings: the vector field; ``"frames.emb"`` for frames; for patches the attribute of
            their labels.
        threshold: greatest distance of a duplicate, at least 0; None: what suits these vectors,
            see :func:`~uvl_plugin.curation.confirmed.candidates`, and
            :func:`~uvl_plugin.curation.duplicates.usual_threshold` where vectors decide.
        confirm: whether pixels decide; None: if no threshold is given.
        metric: ``"cosine"``: 1 - cos, 0 to 2; or ``"euclidean"``.
        field: stands in the names of all that is written.
        patches_field: field of detections or polylines: compares these objects.
        overwrite: replace what is there under these names, in all of the dataset.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Raises:
        SettingsError: if the threshold or the metric cannot be, or pixels shall decide where there
            are none.
        DataError: if a name is taken, or there are no vectors.
    """
    place = check_find_duplicates(
        samples, embeddings, threshold=threshold, confirm=confirm, metric=metric, field=field,
        patches_field=patches_field, overwrite=overwrite,
    )  # fmt: skip
    with shown(progress, "duplicates") as report:
        found, n_missing = read_by_id(place, report)
        pairs, failures = None, dict[str, str]()
        if _confirms(place.items, threshold, confirm):
            looked_at = part(report, 0.1, 0.5)
            pairs, failures = _by_pixels(place.items, found, threshold, metric, looked_at)
        by = _VECTORS if pairs is None else _PIXELS
        if pairs is None:
            pairs = _by_vectors(found, threshold, metric, part(report, 0.5, 0.7))
        result = dataclasses.replace(
            _result(place, found, pairs), by=by, failures=failures, n_missing=n_missing
        )
        asked = {
            "embeddings": found.space,
            "metric": metric,
            "threshold": pairs.threshold,
            "by": by,
        }
        said = f"Near-duplicates by '{found.space}', within {pairs.threshold:.4g}, group by group."
        if by == _PIXELS:
            said = f"Near-duplicates by '{found.space}' and by pixels, group by group."
        return _write_groups(place, "find_duplicates", asked, result, said, part(report, 0.7, 1.0))


def check_find_duplicates(
    samples: "SampleCollection",
    embeddings: str,
    *,
    threshold: float | None = None,
    confirm: bool | None = None,
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
    items = items_with(samples, embeddings, patches_field)
    if confirm and not _has_pixels(items):
        raise SettingsError(
            f"{items.unit.capitalize()} have no pixels of their own to compare; leave out confirm.",
            "confirm",
        )
    return checked(curating.groups_place(items, field, distances=True), overwrite=overwrite)


def _has_pixels(items: "Target") -> bool:
    return not isinstance(items, Videos | Clips)


def _confirms(items: "Target", threshold: float | None, confirm: bool | None) -> bool:
    return _has_pixels(items) and (threshold is None if confirm is None else confirm)


def _by_vectors(
    found: Embeddings, threshold: float | None, metric: str, report: Progress
) -> Duplicates:
    if threshold is None:
        threshold = usual_threshold(found.vectors, metric, progress=part(report, 0.0, 0.5))
    return near_duplicates(found.vectors, threshold, metric=metric, progress=part(report, 0.5, 1.0))


def _by_pixels(
    items: "Target", found: Embeddings, threshold: float | None, metric: str, report: Progress
) -> tuple[Duplicates | None, dict[str, str]]:
    """The near-duplicates, None if not one picture can be read; and what cannot be read."""
    near = candidates(found.vectors, metric, reach=threshold, progress=part(report, 0.0, 0.3))
    pictures, failures = _thumbnails(items, found.ids, near.rows, part(report, 0.3, 0.7))
    if failures and not pictures.sides.any():
        return None, failures
    same = alike.alike(pictures, near.left, near.right, part(report, 0.7, 1.0))
    agreeing = Candidates(near.left[same], near.right[same], near.reach)
    return confirmed(found.vectors, agreeing, partial(alike.alike, pictures), metric), failures


def _thumbnails(
    items: "Target", ids: np.ndarray, rows: np.ndarray, report: Progress
) -> tuple[alike.Thumbnails, dict[str, str]]:
    """Of all items, though only some rows are read: 3 KB each; and what cannot be read."""
    pictures, failures = alike.Thumbnails.none(len(ids)), dict[str, str]()
    row_of, pace, done = {ids[row]: row for row in rows.tolist()}, Pace(len(rows)), 0
    sources = items.sources(list(row_of))
    reader = partial(read_image, enough=alike.enough)
    for chunk in figures_of(sources, alike.thumbnail, alike.NUMBERS, reader):
        for key, numbers in chunk.vectors.items():
            pictures.put(row_of[key], numbers)
        failures |= chunk.failures
        done += len(chunk)
        report(done / len(rows), f"reading pictures, {pace.said(done)}")
    return pictures, failures


def _result(place: Place, found: Embeddings, pairs: Duplicates) -> DuplicatesResult:
    ids, numbers, dropped = found.ids, groups(pairs), np.flatnonzero(~pairs.kept)
    return DuplicatesResult(
        place.path,
        place.items.unit,
        len(found),
        of=by_id(ids[dropped], ids[pairs.of[dropped]]),
        groups=by_id(ids[numbers >= 0], numbers[numbers >= 0]),
        distances=by_id(ids[dropped], pairs.distances[dropped]),
        threshold=pairs.threshold,
    )


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
    return checked(curating.groups_place(items, field, distances=False), overwrite=overwrite)


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


def _numbered(of: Mapping[str, str]) -> dict[str, int]:
    """Group number by the id of each original and copy: 0 the largest, then by the original."""
    members: dict[str, list[str]] = {}
    for key, original in of.items():
        members.setdefault(original, [original]).append(key)
    ordered = sorted(members, key=lambda original: (-len(members[original]), original))
    return {key: number for number, original in enumerate(ordered) for key in members[original]}
