"""Clusters against classes as a table of counts, and as a heat map."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from uvl_plugin.clustering.classes import NO_CLASS, class_of_clusters, contingency
from uvl_plugin.core.embeddings import NOISE

NOISE_ROW = "noise"
_MOST_SHOWN = 100  # rows and columns of the heat map


@dataclass(frozen=True)
class Confusion:
    """Items by cluster and class, rows in the order of the class they stand for.

    Attributes:
        clusters: name of each row; the last one is ``"noise"`` where there is noise.
        classes: name of each column, sorted.
        counts: shape ``(rows, columns)``, int64.
        stands_for: the class of each row, None: none.
        many_to_one: whether several clusters may stand for one class.
    """

    clusters: tuple[str, ...]
    classes: tuple[str, ...]
    counts: np.ndarray
    stands_for: tuple[str | None, ...]
    many_to_one: bool

    @cached_property
    def shared(self) -> dict[str, tuple[str, ...]]:
        """Classes that are the commonest of several clusters, and these clusters."""
        by_class: dict[str, list[str]] = {}
        for name, row in zip(self.clusters, self.counts, strict=True):
            if name != NOISE_ROW and row.any():
                by_class.setdefault(self.classes[row.argmax()], []).append(name)
        return {name: tuple(rows) for name, rows in sorted(by_class.items()) if len(rows) > 1}

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; of each row the counts that are not 0."""
        rows = zip(self.clusters, self.stands_for, self.counts.tolist(), strict=True)
        return {
            "many_to_one": self.many_to_one,
            "classes": list(self.classes),
            "rows": [
                {
                    "cluster": cluster,
                    "stands_for": meaning,
                    "counts": {
                        name: count
                        for name, count in zip(self.classes, counts, strict=True)
                        if count
                    },
                }
                for cluster, meaning, counts in rows
            ],
            "shared": {name: list(clusters) for name, clusters in self.shared.items()},
        }

    def heat_map(self) -> dict[str, Any]:
        """The share of each class in each cluster as a Plotly figure, counts where one points;
        of more than 100 clusters or classes the smallest are added up."""
        counts, clusters = _fewer(self.counts, self.clusters, "clusters")
        turned, classes = _fewer(counts.T, self.classes, "classes")
        counts = turned.T
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        trace = {
            "type": "heatmap",
            "x": classes,
            "y": clusters,
            "z": shares.round(4).tolist(),
            "customdata": counts.tolist(),
            "zmin": 0,
            "zmax": 1,
            "colorscale": "Viridis",
            "hovertemplate": "%{y}<br>%{x}<br>%{customdata} items, %{z:.1%}<extra></extra>",
        }
        layout = {
            "title": {"text": "Share of each class in each cluster"},
            "xaxis": {"title": {"text": "class"}, "type": "category"},
            "yaxis": {"title": {"text": "cluster"}, "type": "category", "autorange": "reversed"},
        }
        return {"data": [trace], "layout": layout}


def build_confusion(
    clusters: np.ndarray,
    classes: np.ndarray,
    cluster_names: list[str],
    class_names: list[str],
    *,
    many_to_one: bool,
) -> Confusion:
    """Counts the items.

    Args:
        clusters: number of each item, shape ``(n,)``, noise -1.
        classes: number of each item, shape ``(n,)``.
        many_to_one: see :class:`~uvl_plugin.clustering.classes.HeldOut`.
    """
    table = contingency(clusters, classes, len(cluster_names), len(class_names))
    meaning = class_of_clusters(table, many_to_one=many_to_one)
    place = np.where(meaning == NO_CLASS, table.argmax(axis=1), meaning)
    order = np.lexsort((-table.sum(axis=1), meaning == NO_CLASS, place)).tolist()
    names = [cluster_names[row] for row in order]
    stands_for = [None if meaning[row] == NO_CLASS else class_names[meaning[row]] for row in order]
    table = table[order]
    if (clusters == NOISE).any():
        lost = np.bincount(classes[clusters == NOISE], minlength=len(class_names))
        table = np.vstack([table, lost])
        names, stands_for = [*names, NOISE_ROW], [*stands_for, None]
    return Confusion(tuple(names), tuple(class_names), table, tuple(stands_for), many_to_one)


def _fewer(counts: np.ndarray, names: tuple[str, ...], what: str) -> tuple[np.ndarray, list[str]]:
    """The largest rows in their order, and the rest as one."""
    if len(names) <= _MOST_SHOWN:
        return counts, list(names)
    largest = np.argsort(-counts.sum(axis=1), kind="stable")
    kept = np.sort(largest[: _MOST_SHOWN - 1])
    rest = counts[largest[_MOST_SHOWN - 1 :]].sum(axis=0)
    other = f"other ({len(names) - len(kept)} {what})"
    return np.vstack([counts[kept], rest]), [*(names[row] for row in kept), other]
