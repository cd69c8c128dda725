"""Clips in which only the order of the frames tells what happens: every pooling, clustered."""

import os
import statistics
from collections.abc import Callable, Sequence
from unittest import mock

import numpy as np

from benchmarks.results import Section, Verdict
from benchmarks.setting import Setting
from tests import motions as drawn
from uvl_plugin.backbones.checkpoint import FOLDER
from uvl_plugin.clustering.base import cluster_embeddings
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.quality import agreement
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.pooling.base import FramePath, Pooling
from uvl_plugin.pooling.mean import Mean
from uvl_plugin.pooling.mean_deviation import MeanDeviation
from uvl_plugin.pooling.signature import Signature
from uvl_plugin.pooling.temporal import Temporal
from uvl_plugin.temporal.gru import TemporalGRU
from uvl_plugin.temporal.train import train_temporal

_SEEDS = (0, 1, 2)  # of the clips, and of the training
_PER_CLASS = 150


def motions(setting: Setting) -> Section:
    """Six mirrored motions of handwritten digits, frames of 16x16 grey pixels."""
    found: dict[str, list[float]] = {}
    with mock.patch.dict(os.environ, {FOLDER: str(setting.folder / "encoders")}):
        for seed in _SEEDS[: setting.n(len(_SEEDS), 1)]:
            clips = list(drawn.clips(drawn.handwritten(), setting.n(_PER_CLASS, 20), seed=seed))
            numbers = np.arange(1, drawn.N_FRAMES + 1)
            paths = [
                FramePath(f"{place:04d}", numbers, drawn.small(frames))
                for place, (_, frames) in enumerate(clips)
            ]
            labels = np.array([label for label, _ in clips])
            for name, pooling in _poolings(seed):
                found.setdefault(name, []).append(_accuracy(pooling(paths), paths, labels))
    wanted = {"path signature": "0.95", "GRU, trained": "0.75"}
    items = f"{len(labels)} clips, {len(found['mean'])} sets"
    verdicts = [
        Verdict(
            f"mirrored motions, {name}", items, "-", "-",
            f"ACC {statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})",
            wanted.get(name, "-"),
        )
        for name, values in found.items()
    ]  # fmt: skip
    body = (
        "k-means with k = 6; ACC is the share of clips in the right cluster under the best "
        "one-to-one map. Of each pair of motions one is the other played backwards, so that single "
        "frames tell nothing, and a GRU that learns to tell forwards from backwards has an easy task; "
        "without that part of its loss it only predicts."
    )
    return Section("one vector for each clip", verdicts, body)


def _poolings(seed: int) -> list[tuple[str, Callable[[Sequence[FramePath]], Pooling]]]:
    def trained(method: TemporalGRU, name: str) -> Callable[[Sequence[FramePath]], Pooling]:
        def train(paths: Sequence[FramePath]) -> Pooling:
            train_temporal(lambda: iter(paths), method, name=name, seed=seed, device="cpu")
            return Temporal(encoder=name)

        return train

    return [
        ("mean", lambda _: Mean()),
        ("mean and deviation", lambda _: MeanDeviation()),
        ("path signature", lambda _: Signature()),
        ("GRU, trained", trained(TemporalGRU(), f"arrow_{seed}")),
        ("GRU, only predicting", trained(TemporalGRU(arrow=0.0), f"predicting_{seed}")),
    ]


def _accuracy(pooling: Pooling, paths: Sequence[FramePath], labels: np.ndarray) -> float:
    pooler = pooling.fit(lambda: iter(paths))
    keys = np.array([path.key for path in paths])
    embeddings = Embeddings(keys, np.stack([pooler(path) for path in paths]))
    result, _ = cluster_embeddings(embeddings, KMeans(n_clusters=len(drawn.NAMES)))
    return agreement(result.labels, labels, result.labels < 0).accuracy
