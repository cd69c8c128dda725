"""One page that says what is in a dataset, for people who do not open the App."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uvl_plugin.adapter import clusterings, report_map
from uvl_plugin.adapter.report_data import Reader
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.adapter.target import files
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.progress import part, shown
from uvl_plugin.core.whole_file import write_whole
from uvl_plugin.reports.page import html_of

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection
    from uvl_plugin.core.progress import Progress

MOST_THUMBNAILS = 6  # of each cluster: as many exemplars as a record has


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Attributes:
        path: of the file.
        n_bytes: its size.
        run_key: of the clustering that it shows; None where there is none.
        chapters: titles, in their order.
        missing: what was not looked at, and what would do it.
    """

    path: Path
    n_bytes: int
    run_key: str | None
    chapters: tuple[str, ...]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        said = f"The report lies in '{self.path}' ({self.n_bytes / 1e6:,.1f} MB): "
        said += f"{', '.join(self.chapters) or 'no chapters yet'}."
        if self.missing:
            said += f" Not looked at yet: {' '.join(self.missing)}"
        return said


def report(
    samples: "SampleCollection",
    path: "str | os.PathLike[str]",
    *,
    run_key: str | None = None,
    brain_key: str | None = None,
    labels: str | None = None,
    thumbnails: int = 6,
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> Report:
    """Writes "What is in this dataset?": one HTML file, readable without a server or a network.

    It shows the map, the clusters with typical members, what was found (near-duplicates, copies,
    outliers, poor pictures, picks, labels that may be wrong), evaluation, edits, and what was not
    looked at yet. All of it comes from records, fields and aggregations; nothing is computed anew
    but, where there is no map, two principal components of at most 4,000 vectors. The file has at
    most 4,000 points, 60 clusters in its table, and about 350 pictures of 104 pixels, so that it
    stays below some 3 MB for a dataset of any size.

    Args:
        samples: a dataset, or a view of whole samples: then everything is of what is in it.
        path: of the file, ending in ``.html``, in a folder that is there.
        run_key: of the clustering; None: the newest one, if there is one.
        brain_key: of the map; None: the newest one of the vectors that were clustered.
        labels: field with a label of each item, to compare the clusters with; None: without.
        thumbnails: pictures of each cluster, 0 to 6; 0: no pictures at all.
        overwrite: replace the file if it is there.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Raises:
        SettingsError: if the path cannot be, or is taken, or there cannot be so many thumbnails.
        DataError: if there is no such run, map or field.
    """
    reader = check_report(
        samples, path, run_key=run_key, brain_key=brain_key, labels=labels, thumbnails=thumbnails,
        overwrite=overwrite,
    )  # fmt: skip
    place = check_path(path, overwrite=overwrite)
    with shown(progress, "report") as told:
        page = reader.page(part(told, 0.0, 0.95))
        data = html_of(page).encode()
        told(0.95, "writing")
        write_whole(place, data)
        told(1.0, "report")
    return Report(
        path=place,
        n_bytes=len(data),
        run_key=reader.run_key,
        chapters=tuple(section.title for section in page.sections),
        missing=tuple(f"{what} {how}" for what, how in page.missing),
    )


def check_report(
    samples: "SampleCollection",
    path: "str | os.PathLike[str]",
    *,
    run_key: str | None = None,
    brain_key: str | None = None,
    labels: str | None = None,
    thumbnails: int = 6,
    overwrite: bool = False,
) -> Reader:
    """Raises what :func:`report` would, without working; forms call it."""
    check_path(path, overwrite=overwrite)
    if not 0 <= thumbnails <= MOST_THUMBNAILS:
        raise SettingsError(
            f"thumbnails must be 0 to {MOST_THUMBNAILS}, got {thumbnails!r}.", "thumbnails"
        )
    files(samples)  # raises unless they are whole samples
    dataset = dataset_of(samples)
    if brain_key is not None:
        report_map.check_map(dataset, brain_key)
    if run_key is None:
        run_key = next(reversed(clusterings.clustering_keys(dataset)), None)
    else:
        clusterings.check_clustering(dataset, run_key)
    reader = Reader(samples, run_key, brain_key, labels, thumbnails)
    reader.label_path()
    return reader


def check_path(path: "str | os.PathLike[str]", *, overwrite: bool) -> Path:
    """Raises :class:`SettingsError` unless a report can be written there; the whole path."""
    place = Path(path).expanduser().absolute()
    if place.suffix.lower() not in (".html", ".htm"):
        raise SettingsError(f"path must end in .html, got '{path}'.", "path")
    if not place.parent.is_dir():
        raise SettingsError(f"There is no folder '{place.parent}'; make it first.", "path")
    if not os.access(place.parent, os.W_OK):
        raise SettingsError(f"No file can be written in '{place.parent}'.", "path")
    if place.is_dir():
        raise SettingsError(f"'{place}' is a folder; choose another path.", "path")
    if place.exists() and not overwrite:
        raise SettingsError(
            f"There is a file '{place}' already; choose another path, or pass overwrite=True to "
            "replace it.",
            "path",
        )
    return place
