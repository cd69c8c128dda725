"""UVL: unsupervised learning on image and video datasets, as a FiftyOne plugin and in Python.

Names are loaded on first use, so that importing the package costs nothing::

    import uvl_plugin as uvl

    uvl.embed(dataset, uvl.TorchVision(model="mobilenet_v2"), field="mobilenet")
    uvl.cluster(dataset, uvl.KMeans(n_clusters=10), embeddings="mobilenet", run_key="first_look")
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "embed": "api",
    "cluster": "api",
    "index": "searching",
    "find_duplicates": "deduplicating",
    "find_copies": "deduplicating",
    "find_poor_images": "inspecting",
    "Quality": "curation.quality",
    "find_outliers": "cleaning",
    "score_uniqueness": "cleaning",
    "update": "updating",
    "visualize": "api",
    "evaluate": "insight",
    "score": "insight",
    "compare": "insight",
    "explain": "explaining",
    "select": "selecting",
    "label_clusters": "labelling",
    "review": "reviewing",
    "report": "reporting",
    "assign": "editing",
    "clusters": "editing",
    "propose_names": "proposing",
    "accept_names": "accepting",
    "Clusters": "editing",
    "pool": "videos",
    "train_encoder": "watching",
    "segment": "segmenting",
    "similar_frames": "frame_search",
    "show_frames": "frame_search",
    "delete_frame_pictures": "frame_search",
    "Boundaries": "curation.boundaries",
    "Scenes": "curation.scenes",
    "FrameChoice": "media.frame_choice",
    "explore": "api",
    "load_model": "api",
    "train": "learning",
    "preview": "learning",
    "robustness": "learning",
    "Split": "training.split",
    "presets": "backbones.presets",
    "UVLError": "core.errors",
    "SettingsError": "core.errors",
    "DataError": "core.errors",
    "WeightsError": "core.errors",
    "MissingPackageError": "core.errors",
    "BrokenIndexError": "core.errors",
    "Cancelled": "core.errors",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"uvl_plugin.{_HOME[name]}"), name)
    elif name[:1].isupper() and name in (entries := _registered()):
        value = entries[name]
    else:
        raise AttributeError(f"module 'uvl_plugin' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_registered()})


def _registered() -> dict[str, type]:
    """Every backbone, algorithm, kind of index, training method, augmentation, pooling, temporal
    method and picker by the name of its class."""
    from uvl_plugin.backbones.base import backbones
    from uvl_plugin.clustering.base import clusterers
    from uvl_plugin.indexing.kind import index_kinds
    from uvl_plugin.picking.base import pickers
    from uvl_plugin.pooling.base import poolings
    from uvl_plugin.temporal.base import temporal_methods
    from uvl_plugin.training.augmentation.base import augmentations
    from uvl_plugin.training.methods.base import methods

    registries = (
        backbones, clusterers, index_kinds, methods, augmentations, poolings, temporal_methods,
        pickers,
    )  # fmt: skip
    return {name: cls for entries in registries for name, cls in entries.by_class_name().items()}
