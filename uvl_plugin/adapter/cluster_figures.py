"""The clusters in a run's record: number, name, size, and figures for whoever reads only that."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from uvl_plugin.adapter.runs import ClusteringRunConfig
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.core.embeddings import NOISE, Embeddings
from uvl_plugin.curation.edited import Edited
from uvl_plugin.curation.figures import figures, novelties, sampled

Entry = dict[str, Any]
Known = Mapping[int, Mapping[str, Any]]


def entries(edited: Edited) -> list[Entry]:
    """Number, name and size of each cluster as it is now."""
    sizes = edited.sizes
    return [
        {"number": number, "name": name, "size": sizes[number]}
        for number, name in edited.names.items()
    ]


def noted(edited: Edited, model: ClusterModel, known: Known) -> str:
    """Cohesion, novelty, firmness and exemplars of each cluster as it is now, as a record has them:
    one text, since FiftyOne copies every list and number of a record several times.

    Args:
        known: cohesion, firmness and exemplars by the number of the cluster; what is not there is
            not known, or no longer.
    """
    novelty = novelties(model)
    return json.dumps(
        {
            number: {**known.get(number, {}), "novelty": novelty.get(number)}
            for number in edited.names
        }
    )


def figures_in(config: ClusteringRunConfig) -> dict[int, Entry]:
    """What :func:`noted` wrote, by the number of the cluster; records of earlier times have none."""
    found = json.loads(getattr(config, "figures", None) or "{}")
    return {int(number): entry for number, entry in found.items()}


def first_figures(
    edited: Edited, model: ClusterModel, strengths: np.ndarray, vectors: np.ndarray
) -> dict[int, Entry]:
    """Figures of all clusters of a new run.

    Args:
        strengths: of its items, shape ``(n,)``.
        vectors: of its items, shape ``(n, dim)``, not prepared.
    """
    ids, inside = edited.raw.ids, edited.labels != NOISE
    own = edited.labels[inside]
    sums = np.bincount(own, strengths[inside].astype(np.float64))
    counts = np.bincount(own)
    found: dict[int, Entry] = {}
    for number, rows in sampled(edited.labels, ids, edited.names).items():
        made = figures(model.preparation(vectors[rows]), ids[rows], model.metric)
        firmness = float(sums[number] / counts[number])
        found[number] = {
            "cohesion": made.cohesion, "firmness": firmness, "exemplars": list(made.exemplars)
        }  # fmt: skip
    return found


def new_figures(
    edited: Edited,
    model: ClusterModel,
    clusters: Iterable[int],
    read: Callable[[np.ndarray], Embeddings | None],
) -> dict[int, Entry]:
    """Figures of those clusters that an edit changed, but their firmness.

    Args:
        clusters: their numbers.
        read: the vectors of some rows, of those items that still have one; None: of none.
    """
    rows = sampled(edited.labels, edited.raw.ids, clusters)
    if not rows:
        return {}
    found = read(np.concatenate(list(rows.values())))
    if found is None:
        return {}
    made: dict[int, Entry] = {}
    places = {key: place for place, key in enumerate(found.ids.tolist())}
    for number, own in rows.items():
        keys = [key for key in edited.raw.ids[own].tolist() if key in places]
        if keys:
            prepared = model.preparation(found.vectors[[places[key] for key in keys]])
            one = figures(prepared, np.array(keys), model.metric)
            made[number] = {"cohesion": one.cohesion, "exemplars": list(one.exemplars)}
    return made


def changed_clusters(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Numbers of the clusters whose members are others than before, noise left out.

    Args:
        before, after: cluster of each item, both of shape ``(n,)``.
    """
    different = before != after
    numbers = np.unique(np.concatenate([before[different], after[different]]))
    return numbers[numbers != NOISE]
