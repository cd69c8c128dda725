"""Typical members of every cluster of a run, and their vectors."""

import numpy as np

from uvl_plugin.adapter import vectors
from uvl_plugin.adapter.cluster_fields import still_there
from uvl_plugin.adapter.clusterings import Clustering
from uvl_plugin.curation.representatives import members

_CANDIDATES = 4  # members that are looked at, for each exemplar


def exemplars(run: Clustering, per_cluster: int) -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """Cluster number of the most typical members by their id, and their vectors; they are chosen
    among some of the members, so that a cluster of any size costs the same."""
    edited, model = run.edited, run.results.model
    some = {
        number: _spread(edited.raw.ids[edited.members(number)], _CANDIDATES * per_cluster)
        for number in edited.names
    }
    ids = [key for keys in some.values() for key in keys]
    found, _ = vectors.read_items(run.items, still_there(run.items, ids))
    rows = {key: row for row, key in enumerate(found.ids.tolist())}
    cluster_of: dict[str, int] = {}
    for number, keys in some.items():
        own = np.array([rows[key] for key in keys if key in rows], np.int64)
        if len(own):
            prepared = model.preparation(found.vectors[own])
            alike = np.full(len(own), number)
            of = members(prepared, alike, model, found.ids[own], number, count=per_cluster)
            cluster_of |= dict.fromkeys((item.id for item in of.nearest), number)
    return cluster_of, {key: found.vectors[rows[key]] for key in cluster_of}


def _spread(ids: np.ndarray, most: int) -> list[str]:
    """At most so many of the ids, evenly spread over their order."""
    ordered = np.sort(ids)
    places = np.linspace(0, len(ordered) - 1, min(most, len(ordered)))
    return ordered[places.round().astype(int)].tolist()
