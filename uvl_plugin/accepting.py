"""Names that were proposed for clusters, accepted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvl_plugin.adapter import clusterings
from uvl_plugin.adapter.proposals import read_proposals
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.core.embeddings import is_noise_name
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.curation.words import Name
from uvl_plugin.editing import clusters as open_clusters

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection


@dataclass(frozen=True)
class Accepted:
    """What :func:`accept_names` did.

    Attributes:
        renamed: the new name of each cluster by the one before.
        kept: clusters that keep their name: none was proposed, the score is too low, or a person
            named them.
    """

    renamed: dict[str, str]
    kept: list[str]

    def __str__(self) -> str:
        return f"{len(self.renamed):,} clusters were renamed, {len(self.kept):,} keep their name."


def accept_names(
    dataset: "SampleCollection",
    run_key: str,
    *,
    minimum: float = 0.0,
    only: Sequence[str] | None = None,
    overwrite: bool = False,
    who: str = "",
) -> Accepted:
    """Renames clusters to the first of their proposed names; each is one edit, to be undone.

    Where several have the same first name, the one with the best score gets it, and the others
    are called "rose 2", "rose 3" and so on.

    Args:
        dataset: that was clustered, or a view of it.
        run_key: of the clustering, for which :func:`propose_names` was called.
        minimum: least score of a name, 0 to 1.
        only: names of the clusters to rename; None: all.
        overwrite: renames also clusters that were named before; else only those whose name still
            begins with that of the run.
        who: is noted with every edit; empty: the account of this process.

    Raises:
        DataError: if there is no such run or cluster, or no names were proposed.
    """
    root = dataset_of(dataset)
    proposed = check_accept(root, run_key, minimum=minimum, only=only)
    opened = open_clusters(root, run_key, who=who)
    stem = root.get_run_info(run_key).config.stem + " "
    first = {
        cluster: names[0]
        for cluster, names in proposed.items()
        if (overwrite or cluster.startswith(stem))
        and names[0].score >= minimum
        and names[0].name != cluster
    }
    renamed = _different(first, taken=set(opened.names))
    for cluster, name in renamed.items():
        opened.rename(cluster, name)
    asked = opened.names if only is None else only
    return Accepted(renamed, [name for name in asked if name not in {*renamed, *renamed.values()}])


def check_accept(
    dataset: "SampleCollection", run_key: str, *, minimum: float, only: Sequence[str] | None
) -> dict[str, list[Name]]:
    """Raises what :func:`accept_names` would, without working; the proposals that can be accepted,
    by the name of each cluster."""
    check_minimum(minimum)
    root = dataset_of(dataset)
    found = read_proposals(root, run_key)
    if not found:
        raise DataError(
            f"No names are proposed for the clusters of '{run_key}'; call propose_names first.",
            "run_key",
        )
    run = clusterings.open_clustering(root, run_key)
    numbers = run.edited.names if only is None else [run.number_of(name) for name in only]
    usable = {
        number: [name for name in found.get(number, []) if not is_noise_name(name.name)]
        for number in numbers
    }
    return {run.edited.names[number]: names for number, names in usable.items() if names}


def check_minimum(minimum: float) -> None:
    """Raises :class:`SettingsError` unless it can be a score."""
    if not 0.0 <= minimum <= 1.0:
        raise SettingsError(f"minimum must be 0 to 1, got {minimum!r}.", "minimum")


def _different(first: Mapping[str, Name], taken: set[str]) -> dict[str, str]:
    """A name for each cluster that no other has; those with the best score choose first."""
    chosen = {}
    for cluster, (name, _) in sorted(first.items(), key=lambda each: (-each[1].score, each[0])):
        free = unused(name, taken)
        taken.add(free)
        chosen[cluster] = free
    return chosen


def unused(name: str, taken: Collection[str]) -> str:
    """``name``, or with the first number behind it that is not taken: "rose 2"."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name} {number}"
    return free
