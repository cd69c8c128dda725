"""Which items are like no other: uniqueness, outliers; and what all cleaning shares."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.adapter import curating, target, vectors
from uvl_plugin.adapter.curating import Place
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.progress import Progress, part, shown
from uvl_plugin.curation.metric import check_metric
from uvl_plugin.curation.outlying import outlying, usual_cut
from uvl_plugin.curation.uniqueness import uniqueness

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection
    from uvl_plugin.adapter.target import Target


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
        return said + said_missing(self.n_missing, self.unit)


def said_missing(n_missing: int, unit: str) -> str:
    """A sentence about items without a vector; empty if all have one."""
    if not n_missing:
        return ""
    return f" {n_missing:,} {unit} have no vector and were left out."


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
    items = items_with(samples, embeddings, patches_field)
    return checked(curating.figures_place(items, field, marks=False), overwrite=overwrite)


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
    items = items_with(samples, embeddings, patches_field)
    return checked(curating.figures_place(items, field, marks=True), overwrite=overwrite)


def items_with(samples: "SampleCollection", embeddings: str, patches_field: str | None) -> "Target":
    items = target.target(samples, embeddings, patches_field=patches_field)
    vectors.check_any_vector(items)
    return items


def checked(place: Place, *, overwrite: bool) -> Place:
    place.check(overwrite=overwrite)
    return place


def read_by_id(place: Place, report: Progress) -> tuple[Embeddings, int]:
    """The vectors by id, so that what is found does not depend on the order of a view."""
    report(0.0, "reading vectors")
    return vectors.read_items(place.items, sorted(place.items.ids()))


def _scored(
    place: Place, figure: Callable[..., np.ndarray], metric: str, report: Progress
) -> tuple[Embeddings, dict[str, float], int]:
    found, n_missing = read_by_id(place, report)
    scores = figure(found.vectors, metric=metric, progress=part(report, 0.1, 0.7))
    return found, by_id(found.ids, scores), n_missing


def _write_scores(place: Place, scores: Mapping[str, float], report: Progress) -> None:
    place.write({key: {place.field: score} for key, score in scores.items()}, report)


def by_id(ids: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    return dict(zip(ids.tolist(), values.tolist(), strict=True))
