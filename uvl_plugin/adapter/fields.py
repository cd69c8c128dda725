"""Fields of samples and of frames, made and deleted by the path that FiftyOne knows them by."""

from typing import Any

import fiftyone as fo

from uvl_plugin.adapter.frames import FRAMES


def add_field(dataset: fo.Dataset, path: str, kind: type[fo.Field], **options: Any) -> None:
    """Adds a field; ``"frames.cluster"`` to the frames of videos."""
    if path.startswith(FRAMES):
        dataset.add_frame_field(path.removeprefix(FRAMES), kind, **options)
    else:
        dataset.add_sample_field(path, kind, **options)


def delete_field(dataset: fo.Dataset, path: str) -> None:
    """Deletes a field, if it is there."""
    if dataset.get_field(path) is None:
        return
    if path.startswith(FRAMES):
        dataset.delete_frame_field(path.removeprefix(FRAMES))
    else:
        dataset.delete_sample_field(path)


def rename_field(dataset: fo.Dataset, path: str, new_path: str) -> None:
    """Renames a field; both paths are of samples, or both of frames."""
    if path.startswith(FRAMES):
        dataset.rename_frame_field(path.removeprefix(FRAMES), new_path.removeprefix(FRAMES))
    else:
        dataset.rename_sample_field(path, new_path)
