"""How good clusters are, what can be said of each item, and how two runs differ."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uvl_plugin.adapter import clusterings, labels, target, vectors, writer
from uvl_plugin.adapter.clusterings import Clustering
from uvl_plugin.adapter.frames import FRAMES, Frames
from uvl_plugin.adapter.samples import dataset_of
from uvl_plugin.adapter.target import Target
from uvl_plugin.clustering.evaluation import Clustered, evaluate_clusters
from uvl_plugin.clustering.evaluation_result import Evaluation
from uvl_plugin.clustering.scores import SCORES
from uvl_plugin.clustering.scores import score as item_scores
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.progress import Progress, part, shown
from uvl_plugin.curation.comparison import Comparison
from uvl_plugin.curation.comparison import compare as compare_edited
from uvl_plugin.explaining import check_pictures, stabilities

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection

STABILITY = "stability"


def evaluate(
    samples: "SampleCollection",
    clusters: str,
    *,
    ground_truth: str | None = None,
    patches_field: str | None = None,
    stability: bool = False,
    many_to_one: bool = False,
    seed: int = 0,
    path: "str | Path | None" = None,
    progress: "Progress | bool | None" = None,
) -> Evaluation:
    """Says how good clusters are: against labels that the clustering has not seen, and without.

    Args:
        samples: a dataset or view; items that have no cluster are left out, and those that
            lack a label are left out of the figures against labels.
        clusters: the cluster field, of :func:`uvl_plugin.cluster` or of anything else; only of
            the former there are figures without labels. Of frames ``"frames.cluster"``.
        ground_truth: a ``Classification`` or text field of the same items; None: no labels.
        patches_field: for clusters of objects or clips: the field of these labels. The other two
            are then attributes of them; ``ground_truth`` may also be a field of the samples.
        stability: clusters again, with other seeds and on parts of the samples; takes some times
            as long as the clustering.
        many_to_one: lets several clusters stand for one label; for far more clusters than labels.
        seed: of the halves of the held-out accuracy and of the re-runs.
        path: a JSON file to write as well.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Returns:
        Figures, which print as a table; ``heat_map()`` is a Plotly figure.

    Raises:
        DataError: if a field is missing, or no sample has what is compared.
    """
    items, run = check_evaluate(samples, clusters, ground_truth, patches_field=patches_field)
    with shown(progress, "evaluate") as report:
        report(0.0, "reading clusters")
        clustered = _clustered(items, ground_truth, run)
        evaluation = evaluate_clusters(
            clustered,
            metric="cosine" if run is None else run.results.model.metric,
            rerun=run.algorithm if run is not None and stability else None,
            many_to_one=many_to_one,
            seed=seed,
            progress=part(report, 0.2, 1.0),
        )
    if path is not None:
        evaluation.save(path)
    if run is not None:
        heat_map = None if evaluation.confusion is None else evaluation.heat_map()
        run.record_evaluation(
            evaluation.to_dict() | {"ground_truth": ground_truth, "heat_map": heat_map}
        )
    return evaluation


def check_evaluate(
    samples: "SampleCollection",
    clusters: str,
    ground_truth: str | None,
    *,
    patches_field: str | None = None,
) -> tuple[Target, Clustering | None]:
    """Raises what :func:`evaluate` would, without working; the items with their cluster field, and
    the run that wrote it."""
    items = target.target(samples, clusters, patches_field=patches_field)
    items.check_field(items.field, "clusters")
    if ground_truth is not None:
        items.check_field(_of_items(items, ground_truth), "ground_truth")
    return items, clusterings.clustering_of(items.dataset, items.path)


def _of_items(items: Target, field: str) -> str:
    """A field of the items by its name, whether or not it has ``frames.`` before it."""
    return field.removeprefix(FRAMES) if isinstance(items, Frames) else field


def score(
    samples: "SampleCollection",
    run_key: str,
    *names: str,
    views: int = 8,
    seed: int = 0,
    device: str = "auto",
    progress: "Progress | bool | None" = None,
) -> dict[str, dict[str, float]]:
    """Computes further figures of each item, and writes them to attributes of its cluster label:
    ``cluster.margin``, or of objects and clips, which are labels themselves, ``cluster_margin``.

    Args:
        samples: a dataset or view; items that are not in the run are left out.
        run_key: of the clustering.
        *names: ``"margin"``: to the second cluster; ``"distance"``: to the centroid;
            ``"silhouette"``; ``"outlier"``; ``"stability"``: share of augmented views that stay in
            the cluster, which needs the pictures and the backbone. None: all but the last.
        views: of each image, for ``"stability"``.
        seed: of the views.
        device: for ``"stability"``, see :func:`uvl_plugin.embed`.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Returns:
        The figures by name, and by the id of each item.

    Raises:
        SettingsError: if there is no such figure.
        DataError: if there is no such run, or none of the samples is in it.
    """
    names = names or tuple(SCORES)
    run = check_score(samples, run_key, names)
    with shown(progress, "score") as report:
        report(0.0, "reading vectors")
        found = run.members_in(samples)
        model = run.results.model
        space, own = Space(model.preparation(found.vectors)), run.labels_of(found.ids)
        scores: dict[str, dict[str, float]] = {}
        for step, name in enumerate(names):
            stage = part(report, 0.1 + 0.8 * step / len(names), 0.1 + 0.8 * (step + 1) / len(names))
            stage(0.0, f"{name} of {len(own):,} items")
            if name == STABILITY:
                scores[name] = stabilities(
                    run, found.ids, own, views=views, seed=seed, device=device, report=stage
                )
            else:
                values = item_scores(name, space, own, model)
                scores[name] = dict(zip(found.ids.tolist(), values.tolist(), strict=True))
        for name, by_id in scores.items():
            report(0.95, f"writing {name}")
            writer.write_attribute(run.place, run_key, name, by_id)
    return scores


def check_score(samples: "SampleCollection", run_key: str, names: Sequence[str]) -> Clustering:
    """Raises what :func:`score` would, without working; forms call it."""
    known = [*SCORES, STABILITY]
    for name in names:
        if name not in known:
            raise SettingsError(
                f"There is no figure '{name}' of an item. Known: {', '.join(known)}.", "names"
            )
    run = clusterings.open_clustering(dataset_of(samples), run_key)
    items = run.items_in(samples)
    if STABILITY in names:
        check_pictures(items, "names")
        vectors.backbone_of(run.dataset, run.config.embeddings)
    return run


def compare(dataset: "SampleCollection", first: str, second: str) -> Comparison:
    """Compares two runs: which clusters are the same, which were split or merged.

    Args:
        dataset: that was clustered, or a view of it.
        first, second: keys of the clusterings; they are compared as they are now, with their
            edits.

    Raises:
        DataError: if there is no such run, or they have no sample in common.
    """
    root = dataset_of(dataset)
    runs = [clusterings.open_clustering(root, run_key) for run_key in (first, second)]
    return compare_edited(*(run.edited for run in runs))


def _clustered(items: Target, ground_truth: str | None, run: Clustering | None) -> Clustered:
    """Those items that have a cluster, and of a run those that have a vector."""
    cluster_of = labels.read_by_id(items)
    if not cluster_of:
        raise DataError(f"None of the {items.unit} has a cluster in '{items.path}'.", "clusters")
    truth = None
    if ground_truth is not None:
        truth = labels.read_by_id(items.with_field(_of_items(items, ground_truth)))
    strength_of = labels.read_strengths(items)
    space, ids = None, np.array(list(cluster_of), dtype=str)
    if run is not None:
        found = run.members_in(items.samples)
        known = np.array([key in cluster_of for key in found.ids.tolist()], dtype=bool)
        ids = found.ids[known]
        space = Space(run.results.model.preparation(found.vectors[known]))
    keys = ids.tolist()
    return Clustered(
        ids,
        np.array([cluster_of[key] for key in keys], dtype=str),
        classes=None if truth is None else np.array([truth.get(key) for key in keys], dtype=object),
        strengths=np.array([strength_of[key] for key in keys]) if strength_of else None,
        space=space,
    )
