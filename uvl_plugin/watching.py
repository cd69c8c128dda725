"""Learning how things move: a temporal encoder, from the vectors of the frames of videos."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from uvl_plugin.adapter import training
from uvl_plugin.adapter.frame_paths import paths_of_clips, paths_of_videos
from uvl_plugin.adapter.frames import Frames
from uvl_plugin.adapter.parts import Clips
from uvl_plugin.adapter.runs import origin_of
from uvl_plugin.adapter.target import frames_of_videos
from uvl_plugin.adapter.vectors import check_any_vector
from uvl_plugin.backbones.base import resolve_device
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.core.packages import versions
from uvl_plugin.core.progress import Progress, shown
from uvl_plugin.core.timing import Stopwatch
from uvl_plugin.pooling.base import Paths
from uvl_plugin.pooling.temporal import Temporal
from uvl_plugin.temporal.base import TemporalMethod, temporal_methods
from uvl_plugin.temporal.checkpoint import temporal_path
from uvl_plugin.temporal.outcome import TemporalTraining
from uvl_plugin.temporal.train import train_temporal

if TYPE_CHECKING:
    from uvl_plugin.adapter.samples import SampleCollection


@dataclass(frozen=True)
class TemporalResult:
    """What :func:`train_encoder` did, as a sentence if printed.

    Attributes:
        pooling: makes vectors of videos with what was learnt, see :func:`uvl_plugin.pool`.
        training: curve, warnings and how the work was done.
        seconds: time by stage.
    """

    pooling: Temporal
    training: TemporalTraining
    seconds: dict[str, float]

    def __str__(self) -> str:
        name, outcome = self.pooling.encoder, self.training
        said = f"'{name}': {outcome.state} after {len(outcome.curve)} epochs, best {outcome.best}."
        return " ".join([said, *outcome.warnings])


@dataclass(frozen=True)
class EncoderPlan:
    """A training that was checked, and not begun."""

    frames: Frames
    clips: Clips | None
    method: TemporalMethod

    @property
    def paths(self) -> Paths:
        """What is learnt from."""
        if self.clips is not None:
            return partial(paths_of_clips, self.frames, self.clips)
        return partial(paths_of_videos, self.frames)

    @property
    def about(self) -> dict[str, Any]:
        """What the card says of the data."""
        dataset, path = self.frames.dataset, self.frames.path
        space = origin_of(dataset, path).get("space")
        clips = self.clips.patches_field if self.clips else None
        return {"dataset": dataset.name, "embeddings": path, "space": space, "clips": clips}


def train_encoder(
    samples: "SampleCollection",
    method: TemporalMethod | str = "gru",
    *,
    name: str,
    embeddings: str,
    patches_field: str | None = None,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> TemporalResult:
    """Learns a temporal encoder without labels, from the vectors of the frames of videos.

    ``uvl.train(videos, uvl.TemporalGRU(), ...)`` does the same. The result is a pooling:
    ``uvl.pool(videos, "frames.embedding", "motion", pooling=result.pooling)``. It is written
    after every epoch; the same call goes on where an earlier one was interrupted, and does
    nothing where it was complete.

    Args:
        samples: a dataset of videos, or a view of one.
        method: such as ``uvl.TemporalGRU(hidden=128)``, or its name.
        name: of the encoder.
        embeddings: the vector field of the frames, such as ``"frames.embedding"``; the frames of
            all videos should be as far apart, in seconds, as those that it is used on later.
        patches_field: field of temporal detections: learns from these clips instead of from
            whole videos.
        seed: of the weights and the order.
        device: see :func:`uvl_plugin.embed`.
        overwrite: train anew, in place of an encoder of this name.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Raises:
        SettingsError: if there is no such method or device.
        DataError: if there are too few frames, or the name is taken.
        Cancelled: if ``progress`` raised it; the encoder then has the best epoch so far.
    """
    plan = check_train_encoder(
        samples, method, name=name, embeddings=embeddings, patches_field=patches_field,
        device=device,
    )  # fmt: skip
    watch = Stopwatch()
    with shown(progress, "train") as report, watch.stage("train"):
        outcome = train_temporal(
            plan.paths, plan.method, name=name, seed=seed, progress=report, device=device,
            overwrite=overwrite, about=plan.about,
        )  # fmt: skip
        report(1.0, "trained")
    result = TemporalResult(Temporal(encoder=name), outcome, watch.seconds)
    _record(plan, name, seed, result)
    return result


def check_train_encoder(
    samples: "SampleCollection",
    method: TemporalMethod | str,
    *,
    name: str,
    embeddings: str,
    patches_field: str | None = None,
    device: str = "auto",
) -> EncoderPlan:
    """Raises what :func:`train_encoder` would, without working; forms call it."""
    frames = frames_of_videos(samples, embeddings)
    check_any_vector(frames)
    temporal_path(name)
    resolve_device(device)
    clips = None if patches_field is None else Clips(samples, frames.field, patches_field)
    chosen = temporal_methods[method]() if isinstance(method, str) else method
    if not isinstance(chosen, TemporalMethod):
        raise SettingsError(
            f"Expected a temporal method such as uvl.TemporalGRU(), got {method!r}.", "method"
        )
    return EncoderPlan(frames, clips, chosen)


def _record(plan: EncoderPlan, name: str, seed: int, result: TemporalResult) -> None:
    outcome = result.training.to_card()
    record = {
        "method": f"uvl/{plan.method.name}",
        "checkpoint": name,
        "asked": {"settings": plan.method.to_dict(), "seed": seed, **plan.about},
        "outcome": outcome,
        "curve": outcome.pop("curve"),
        "evidence": [],
        "n_failed": 0,
        "failures": {},
        "seconds": result.seconds,
        "versions": versions(),
    }
    training.record_training(plan.frames, name, record)
