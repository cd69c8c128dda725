"""Pictures that are of no use as they are: blank, dark, overexposed, blurred, broken."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.adapter import target
from uvl_plugin.adapter.curating import Place
from uvl_plugin.adapter.poor import ISSUE, mark_poor, poor_place
from uvl_plugin.core.errors import DataError
from uvl_plugin.core.progress import Pace, Progress, part, shown
from uvl_plugin.curation.quality import NUMBERS, Figures, Quality, enough, measured
from uvl_plugin.engine.figures import figures_of
from uvl_plugin.media.images import read_image

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection
    from uvl_plugin.adapter.target import Target

BROKEN = "broken"
_FIGURES = ("brightness", "contrast", "sharpness")
_PAGE = 5000  # items whose figures are written at once
_USUAL = Quality()


@dataclass(frozen=True)
class PoorImagesResult:
    """What :func:`find_poor_images` found.

    Attributes:
        field: stands in the names of the fields, as FiftyOne knows it.
        unit: what was looked at: ``"images"``, ``"objects"`` or ``"frames"``.
        n_items: how many.
        issues: ``"blank"``, ``"dark"``, ``"overexposed"``, ``"blurred"`` or ``"broken"``, by the id of
            each poor one.
        failures: file and reason by the id of each broken one: it could not be decoded.
        view: name of the saved view; None where nothing is poor.
        tag: of the poor ones; None for frames.
    """

    field: str
    unit: str
    n_items: int
    issues: dict[str, str]
    failures: dict[str, str]
    view: str | None = None
    tag: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many have each issue, the most frequent first."""
        return dict(Counter(sorted(self.issues.values())).most_common())

    def __str__(self) -> str:
        if not self.issues:
            return (
                f"None of {self.n_items:,} {self.unit} are poor; see '{self.field}_brightness', "
                f"'{self.field}_contrast' and '{self.field}_sharpness'."
            )
        listed = ", ".join(f"{count:,} {issue}" for issue, count in self.counts.items())
        said = (
            f"{len(self.issues):,} of {self.n_items:,} {self.unit} are poor ({listed}): see the "
            f"saved view '{self.view}'."
        )
        if self.tag:
            said += f" They carry the tag '{self.tag}'."
        if self.failures:
            said += f" The first that could not be decoded: {next(iter(self.failures.values()))}."
        return said


def find_poor_images(
    samples: "SampleCollection",
    quality: Quality = _USUAL,
    *,
    field: str = "quality",
    patches_field: str | None = None,
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> PoorImagesResult:
    """Finds pictures that are blank, dark, overexposed, blurred or broken.

    Needs no vectors. Written are ``<field>_brightness``, ``<field>_contrast`` and
    ``<field>_sharpness`` of each picture, see :func:`~uvl_plugin.curation.quality.measured`; of
    the poor ones ``<field>_issue``, the worst if there are several, and the tag ``<field>``, of
    objects on their labels, while frames have no tags; and a saved view of them. Nothing is
    deleted.

    Args:
        samples: an image dataset, a grouped one, or a view; for frames a dataset of videos.
        quality: what is poor.
        field: stands in the names of all that is written; ``"frames.quality"`` for the frames of
            videos that are in the dataset.
        patches_field: field of detections or polylines: looks at these objects.
        overwrite: replace what is there under these names, in all of the dataset.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Raises:
        DataError: if a name is taken, or not one picture can be read.
    """
    place = check_find_poor_images(
        samples, quality, field=field, patches_field=patches_field, overwrite=overwrite
    )
    with shown(progress, "quality") as report:
        ids = sorted(place.items.ids())
        rows, failures = _measured(place.items, ids, part(report, 0.0, 0.8))
        figures = Figures.of(rows)
        worst = quality.issues(figures)
        worst[np.isnan(rows[:, 0])] = BROKEN
        issues = {key: str(issue) for key, issue in zip(ids, worst, strict=True) if issue}
        result = PoorImagesResult(place.path, place.items.unit, len(ids), issues, failures)
        with place.replaced("find_poor_images", dataclasses.asdict(quality)):
            _write(place, ids, figures, issues, part(report, 0.8, 0.95))
            if issues:
                view = mark_poor(place, issues, f"Poor {place.items.unit}, issue by issue.")
                result = dataclasses.replace(result, view=view, tag=place.tag)
        report(1.0, "quality")
        return result


def check_find_poor_images(
    samples: "SampleCollection",
    quality: Quality = _USUAL,
    *,
    field: str = "quality",
    patches_field: str | None = None,
    overwrite: bool = False,
) -> Place:
    """Raises what :func:`find_poor_images` would, without working; forms call it."""
    items = target.target(samples, field, patches_field=patches_field, pictures=True)
    place = poor_place(items, _FIGURES)
    place.check(overwrite=overwrite)
    return place


def _measured(
    items: "Target", ids: list[str], report: Progress
) -> tuple[np.ndarray, dict[str, str]]:
    """What was measured, shape ``(n, 5)``, NaN where a picture cannot be read; and why it cannot."""
    rows, failures = np.full((len(ids), NUMBERS), np.nan, np.float32), dict[str, str]()
    row_of, pace, done = {key: row for row, key in enumerate(ids)}, Pace(len(ids)), 0
    reader = partial(read_image, enough=enough)
    for chunk in figures_of(items.sources(ids), measured, NUMBERS, reader):
        for key, numbers in chunk.vectors.items():
            rows[row_of[key]] = numbers
        failures |= chunk.failures
        done += len(chunk)
        report(done / len(ids), f"measuring, {pace.said(done)}")
    if len(failures) == len(ids):
        raise DataError(
            f"None of the {len(ids)} {items.unit} can be read; the first: "
            f"{next(iter(failures.values()))}."
        )
    return rows, failures


def _write(
    place: Place, ids: list[str], figures: Figures, issues: Mapping[str, str], report: Progress
) -> None:
    for start in range(0, len(ids), _PAGE):
        rows: dict[str, dict[str, Any]] = {}
        for row, key in enumerate(ids[start : start + _PAGE], start):
            found = {name: float(getattr(figures, name)[row]) for name in _FIGURES}
            values = {f"{place.field}_{name}": x for name, x in found.items() if np.isfinite(x)}
            rows[key] = values | ({f"{place.field}_{ISSUE}": issues[key]} if key in issues else {})
        done = start + len(rows)
        place.write(rows, part(report, start / len(ids), done / len(ids)))
