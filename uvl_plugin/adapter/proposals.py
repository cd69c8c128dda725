"""Proposed names of clusters, in the record of their run."""

from collections.abc import Mapping, Sequence

import fiftyone as fo

from uvl_plugin.adapter.clusterings import record_of
from uvl_plugin.curation.words import COUNT, Name


def record_proposals(
    dataset: fo.Dataset, run_key: str, proposals: Mapping[int, Sequence[Name]]
) -> None:
    """Keeps the best proposals, in place of earlier ones, as ``config.proposals``: lists of
    ``{"name": ..., "score": ...}``, the best first, by the number of the cluster as text.

    The record is read anew, so that edits made since are not lost.
    """
    dataset.reload()
    config = record_of(dataset, run_key)
    there = {cluster["number"] for cluster in config.clusters}
    config.proposals = {
        str(number): [{"name": name, "score": round(score, 6)} for name, score in names[:COUNT]]
        for number, names in sorted(proposals.items())
        if number in there
    }
    dataset.update_run_config(run_key, config)


def read_proposals(dataset: fo.Dataset, run_key: str) -> dict[int, list[Name]]:
    """The proposals by the number of each cluster that still exists; empty where there are none.

    Raises:
        DataError: if there is no such run, or it is no clustering.
    """
    config = record_of(dataset, run_key)
    kept = getattr(config, "proposals", None) or {}  # records of earlier times have none
    there = [str(cluster["number"]) for cluster in config.clusters]
    return {
        int(number): [Name(each["name"], each["score"]) for each in kept[number]]
        for number in there
        if kept.get(number)
    }
