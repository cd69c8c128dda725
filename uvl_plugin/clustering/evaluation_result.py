"""What an evaluation found: as text, as JSON and as a heat map."""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from uvl_plugin.clustering.classes import ClassFigures, HeldOut
from uvl_plugin.clustering.confusion import Confusion
from uvl_plugin.clustering.quality import Agreement
from uvl_plugin.clustering.reruns import Stability
from uvl_plugin.clustering.separation import Separation
from uvl_plugin.clustering.suspects import Suspect
from uvl_plugin.core.errors import DataError

_MOST_LINES = 20  # of each table of the text


@dataclass(frozen=True, kw_only=True)
class ClusterFigures:
    """One cluster; None where vectors, strengths, labels or re-runs were not given.

    Attributes:
        cohesion: mean cosine of its members to their mean, -1 to 1.
        silhouette: mean of its members, -1 to 1.
        strength: mean of its members, 0 to 1.
        nearest: the other cluster whose mean is nearest.
        distance: how far that is: Euclidean, by cosine between means of vectors of length 1.
        stands_for: its class; None also where it stands for none.
        pure: share of its commonest class among its labelled members, 0 to 1.
        recovered: see :class:`~uvl_plugin.clustering.reruns.Stability`.
    """

    name: str
    size: int
    cohesion: float | None = None
    silhouette: float | None = None
    strength: float | None = None
    nearest: str | None = None
    distance: float | None = None
    stands_for: str | None = None
    pure: float | None = None
    recovered: float | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a clustering is worth; None, or nothing, where what a figure needs was not given.

    Attributes:
        n_items, n_clusters, n_noise: counts; clusters without noise.
        n_unlabelled: items left out of the figures that need a label.
        many_to_one: whether clusters may share a class in ``classes``, ``confusion``,
            ``strength_auroc`` and ``clusters``.
        agreement: with the labels, the map from clusters to classes fitted on the same items.
        held_out: accuracy with that map learnt on other items.
        classes: of the held-out map, sorted by name.
        confusion: clusters against classes.
        suspects: items whose label may be wrong, the worst first.
        strength_auroc: how well the strength finds items in a cluster of another class, noise left
            out: 1 all, 0.5 by chance.
        separation, stability: without labels.
        clusters: figures of each, in the order of their names.
        notes: what to know about these figures.
    """

    n_items: int
    n_clusters: int
    n_noise: int
    many_to_one: bool
    n_unlabelled: int = 0
    agreement: Agreement | None = None
    held_out: HeldOut | None = None
    classes: tuple[ClassFigures, ...] = ()
    confusion: Confusion | None = None
    suspects: tuple[Suspect, ...] = ()
    strength_auroc: float | None = None
    separation: Separation | None = None
    stability: Stability | None = None
    clusters: tuple[ClusterFigures, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        blocks = [
            _table(["figure", "value"], self._overall()),
            _rows_of(ClassFigures, self.classes),
            _rows_of(ClusterFigures, self.clusters),
            _rows_of(Suspect, self.suspects),
            "\n".join(f"Note: {note}" for note in self.notes),
        ]
        return "\n\n".join(block for block in blocks if block)

    def to_dict(self) -> dict[str, Any]:
        """Every figure as JSON types."""
        plain = {
            name: getattr(self, name)
            for name in ("n_items", "n_clusters", "n_noise", "n_unlabelled", "many_to_one")
        }
        for name in ("agreement", "held_out", "separation", "stability"):
            found = getattr(self, name)
            plain[name] = None if found is None else asdict(found)
        for name in ("classes", "suspects", "clusters"):
            plain[name] = [asdict(one) for one in getattr(self, name)]
        plain["confusion"] = None if self.confusion is None else self.confusion.to_dict()
        return plain | {"strength_auroc": self.strength_auroc, "notes": list(self.notes)}

    def save(self, path: str | Path) -> None:
        """Writes :meth:`to_dict` as a JSON file, whole and then renamed."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(suffix=".partial", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(self.to_dict(), file, indent=1, ensure_ascii=False, allow_nan=False)
            Path(partial).chmod(0o644)
            os.replace(partial, path)
        except BaseException:  # a full disk, or ctrl-C
            Path(partial).unlink(missing_ok=True)
            raise

    def heat_map(self) -> dict[str, Any]:
        """See :meth:`~uvl_plugin.clustering.confusion.Confusion.heat_map`.

        Raises:
            DataError: if there were no labels.
        """
        if self.confusion is None:
            raise DataError("A heat map needs labels to compare with; evaluate with ground truth.")
        return self.confusion.heat_map()

    def _overall(self) -> list[list[Any]]:
        names = ("n_items", "n_clusters", "n_noise", "n_unlabelled")
        rows = [[name, getattr(self, name)] for name in names]
        for prefix, found in (
            ("", self.agreement),
            ("held out, ", self.held_out),
            ("", self.separation),
        ):
            if found is not None:
                rows += [
                    [prefix + name, value]
                    for name, value in asdict(found).items()
                    if not name.startswith("n_") or name == "n_classes"
                ]
        rows.append(["strength_auroc", self.strength_auroc])
        if self.stability is not None:
            rows.append(["stability, seeds (ARI)", _mean(self.stability.seeds)])
            rows.append(["stability, bootstraps (ARI)", _mean(self.stability.bootstraps)])
        return [row for row in rows if row[1] is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _rows_of(kind: type, found: Sequence[Any]) -> str:
    """One line for each, without the columns that nobody has; the rest is counted."""
    names = [item.name for item in fields(kind)]
    names = [name for name in names if any(getattr(one, name) is not None for one in found)]
    rows = [[getattr(one, name) for name in names] for one in found[:_MOST_LINES]]
    more = len(found) - len(rows)
    return _table(names, rows) + (f"\nand {more:,} more" if more else "")


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [list(header), *([_cell(value) for value in row] for row in rows)]
    if len(lines) == 1:
        return ""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
