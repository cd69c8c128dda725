"""The verbs: each checks everything first, then reads, computes, and writes last."""

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uvl_plugin.adapter import brain, clusterings, failures, runs, target, vectors, writer
from uvl_plugin.adapter.cluster_fields import ClusterField, cluster_field, field_name
from uvl_plugin.adapter.clusterings import Clustering
from uvl_plugin.adapter.frames import Frames, NumberedFrames
from uvl_plugin.adapter.images import Images
from uvl_plugin.adapter.parts import Clips, Patches
from uvl_plugin.adapter.samples import check_samples, dataset_of
from uvl_plugin.adapter.target import Target
from uvl_plugin.adapter.work import FrameWork, ItemWork, Work
from uvl_plugin.backbones.base import Backbone
from uvl_plugin.backbones.choice import suitable_backbone
from uvl_plugin.backbones.presets import resolve_backbone
from uvl_plugin.clustering.auto import Auto
from uvl_plugin.clustering.base import Clusterer, cluster_embeddings
from uvl_plugin.core.embeddings import ClusteringResult
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.core.packages import check_installed
from uvl_plugin.core.progress import Progress, part, shown
from uvl_plugin.core.timing import Stopwatch
from uvl_plugin.engine.loaded import LoadedBackbone, check_engine
from uvl_plugin.engine.settings import Engine
from uvl_plugin.media.frame_choice import FrameChoice

if TYPE_CHECKING:
    from uvl_plugin.adapter import model
    from uvl_plugin.adapter.samples import Dataset, SampleCollection

_LOOKED_AT = 20  # files, to see how large the pictures are
MAP_METHODS = ("umap", "tsne", "pca")


@dataclass
class EmbeddingResult:
    """What :func:`embed` did; counted while it works.

    Attributes:
        field: the vector field; of patches ``ground_truth.detections.embedding``.
        unit: what got a vector: ``"images"``, ``"objects"`` or ``"frames"``.
        n_embedded: vectors written by this call.
        n_present: items that had their vector already.
        failures: file and reason by the id of each item that has no vector; of frames by that of
            the video, or by video and number (``"6b03...:17"``).
        seconds: time by stage.
        how: device, precision, batch size and so on.
    """

    field: str
    unit: str = "images"
    n_embedded: int = 0
    n_present: int = 0
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    how: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class EmbeddingPlan:
    """An embedding that was checked, and not begun.

    Attributes:
        items: what gets a vector.
        frames, clips: which frames, where the items are frames.
        engine: how the work is done.
    """

    items: Target
    frames: FrameChoice
    clips: Clips | None
    engine: Engine

    @classmethod
    def of(
        cls, items: Target, frames: FrameChoice | None, clips: str | None, settings: dict[str, Any]
    ) -> "EmbeddingPlan":
        """Raises :class:`SettingsError` if settings are wrong, or of frames and there are none."""
        names = {setting.name for setting in dataclasses.fields(FrameChoice)}
        chosen = {key: value for key, value in settings.items() if key in names}
        engine = Engine.from_dict({k: v for k, v in settings.items() if k not in names})
        if frames is not None and chosen:
            raise SettingsError("Pass either frames or its settings, not both.", "frames")
        if not isinstance(items, Frames) and (frames or chosen or clips):
            raise SettingsError(
                "Frames can be chosen only where the field is one of frames, such as "
                f"'frames.{items.field}'.",
                "field",
            )
        where = None if clips is None else Clips(items.samples, items.field, clips)
        return cls(items, frames or FrameChoice.from_dict(chosen), where, engine)

    def work(self, *, overwrite: bool) -> Work:
        """What is left to do."""
        if not isinstance(self.items, Frames):
            return ItemWork(self.items, overwrite=overwrite)
        frames = NumberedFrames(self.items.samples, self.items.field)
        hardware = self.engine.decode == "gpu"
        return FrameWork(frames, self.frames, self.clips, overwrite=overwrite, hardware=hardware)

    def asked(self, margin: float) -> dict[str, Any]:
        """What the record says of it."""
        return {
            "patches_field": self.items.patches_field if isinstance(self.items, Patches) else None,
            "margin": margin,
            "frames": self.frames.to_dict() if isinstance(self.items, Frames) else None,
            "clips": self.clips.patches_field if self.clips else None,
            "engine": self.engine.to_dict(),
        }


@dataclass(frozen=True)
class Names:
    """What :func:`explore` calls the things that it writes.

    Attributes:
        embeddings, clusters: fields.
        run_key: of the clustering.
        index_key, map_key: brain keys of the similarity index and of the map.
    """

    embeddings: str
    clusters: str
    run_key: str
    index_key: str
    map_key: str

    @classmethod
    def of(cls, name: str) -> "Names":
        return cls(f"{name}_embedding", f"{name}_cluster", name, f"{name}_index", f"{name}_map")


@dataclass(frozen=True)
class Exploration:
    """What :func:`explore` did.

    Attributes:
        names: where it is written.
        embedding, clustering: what the stages found.
        seconds: time by stage.
    """

    names: Names
    embedding: EmbeddingResult
    clustering: ClusteringResult
    seconds: dict[str, float]


def embed(
    samples: "SampleCollection",
    backbone: Backbone | str,
    field: str,
    *,
    patches_field: str | None = None,
    margin: float = 0.0,
    slices: str | Sequence[str] | None = None,
    frames: FrameChoice | None = None,
    clips: str | None = None,
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
    **settings: Any,
) -> EmbeddingResult:
    """Computes a vector for each image, object or frame and writes it, portion by portion.

    Items that have their vector are skipped, so a second call with the same backbone goes on
    where the first one stopped, and embeds what was added since. A file that cannot be read
    is counted and named, its sample is tagged ``embedding_failed``, and it costs only itself.

    Frames (``field="frames.embedding"``) are decoded from the stream, each video once, and no
    picture of them is written. Of a file that ends too early the frames that it has get their
    vectors, and it is named.

    Args:
        samples: a dataset of images or of videos, a grouped one, a view, or a view of frames,
            which then are those that are meant.
        backbone: which network, such as ``uvl.Timm(model="vit_small_patch14_dinov2")``, or the
            name of a preset.
        field: name of the vector field; for patches an attribute of the labels; for the frames of
            videos ``"frames."`` and a name.
        patches_field: field of detections or polylines: embeds each of these objects instead
            of the whole image, which is read once for all of them.
        margin: share of an object's width and height that is added around it, half on each
            side, 0 to 10.
        slices: of a grouped dataset, which slices; None: all that are images.
        frames: which frames of each video; None: all, or those that ``**settings`` choose.
        clips: field of temporal detections: only frames inside of them.
        overwrite: embed these samples again; where another backbone made the field, all of
            its vectors go.
        progress: see :func:`uvl_plugin.core.progress.shown`.
        **settings: of :class:`~uvl_plugin.engine.settings.Engine`: ``batch_size``, ``device``,
            ``precision``, ``decode``, ``threads``; of
            :class:`~uvl_plugin.media.frame_choice.FrameChoice`: ``fps``, ``stride``,
            ``key_frames``, ``max_frames``.

    Returns:
        Counts, failures and how the work was done.

    Raises:
        SettingsError: if a setting is out of bounds or there is no such device.
        WeightsError: if the weights cannot be found or do not fit.
        DataError: if the samples are not images, the field holds something else, or not one
            file could be read.
    """
    backbone = resolve_backbone(backbone)
    plan = check_embed(
        samples, backbone, field, patches_field=patches_field, margin=margin, slices=slices,
        frames=frames, clips=clips, overwrite=overwrite, **settings,
    )  # fmt: skip
    items, watch = plan.items, Stopwatch()
    result = EmbeddingResult(items.path, items.unit, seconds=watch.seconds)
    with shown(progress, "embed") as report:
        work = plan.work(overwrite=overwrite)
        result.n_present = work.n_present
        if not overwrite and work.is_done():
            report(1.0, f"all {items.unit} have their vector")
            return result
        report(0.0, f"loading {backbone.label}")
        with watch.stage("load"):
            loaded = LoadedBackbone(backbone, plan.engine)
        with vectors.opened(items, backbone, overwrite=overwrite):
            try:
                with watch.stage("embed"):
                    _embed_items(work, loaded, result, report)
            finally:
                result.how = loaded.record()
                _record(items, backbone, plan.asked(margin), result)
    return result


def cluster(
    samples: "SampleCollection",
    algorithm: Clusterer | None = None,
    *,
    embeddings: str,
    field: str | None = None,
    run_key: str,
    patches_field: str | None = None,
    like: str | None = None,
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> ClusteringResult:
    """Clusters the vectors of a field and writes a label and a strength for each item.

    An item without a vector gets no cluster. Noise gets a label too, with its nearest cluster
    and how far that is. The label says which run it came from: "first_look 03"; 00 is the largest
    cluster. A second field has the other level: ``<field>_fine``, "first_look 03.01", or, where
    there are more than 100 clusters, ``<field>_coarse``, "first_look group 07".

    Objects and clips are labels themselves, so their clusters go to plain attributes of these:
    ``cluster``, ``cluster_confidence``, ``cluster_fine``, of noise also ``cluster_nearest`` and
    ``cluster_distance``; the App filters and colours by them.

    Args:
        samples: a dataset of images or of videos, or a view; a view of frames means these.
        algorithm: which, such as ``uvl.KMeans(n_clusters=10)``; None for ``uvl.Auto()``, which
            finds their number.
        embeddings: the vector field to read; ``"frames.embedding"`` means the frames of videos.
        field: the ``Classification`` field to write; its label is indexed. None: ``"cluster"``, of
            frames ``"frames.cluster"``.
        run_key: name of this run, under which its record is kept.
        patches_field: clusters the labels of this field instead: objects in images, or clips
            (temporal detections) of videos; ``embeddings`` and ``field`` are attributes of them.
        like: key of an earlier run: clusters that are still the same keep its names; None: the
            run that is replaced, if there is one.
        overwrite: replace the run of this key, and the field, with whatever run wrote it.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Returns:
        Labels and strengths by the id of each item.

    Raises:
        DataError: if the field or the key is taken, or there are no vectors.
    """
    algorithm = algorithm or Auto()
    _check_kind(algorithm, Clusterer, "uvl.KMeans(n_clusters=10)")
    place = check_cluster(
        samples, embeddings, field, run_key, patches_field=patches_field, like=like,
        overwrite=overwrite,
    )  # fmt: skip
    earlier = _earlier(place.items.dataset, run_key, like)
    watch = Stopwatch()
    with shown(progress, "cluster") as report:
        report(0.0, "reading vectors")
        with watch.stage("read"):
            found, n_missing = vectors.read_items(place.items)
        with watch.stage("cluster"):
            result, clusters = cluster_embeddings(found, algorithm, part(report, 0.2, 0.7))
        result = dataclasses.replace(result, n_missing=n_missing)
        made = clusterings.new_clustering(
            place, run_key, found, result, clusters, algorithm, like=earlier, seconds=watch.seconds
        )
        with watch.stage("write"):
            everything = made.values(np.arange(len(result)), result.strengths, found)
            writer.write_clusters(place, everything, made.results, part(report, 0.7, 1.0))
    return result


def _earlier(dataset: "Dataset", run_key: str, like: str | None) -> Clustering | None:
    """The run whose clusters keep their names."""
    if like is None and run_key not in clusterings.clustering_keys(dataset):
        return None
    return clusterings.open_clustering(dataset, like or run_key)


def visualize(
    samples: "SampleCollection",
    *,
    embeddings: str,
    brain_key: str,
    patches_field: str | None = None,
    method: str = "umap",
    seed: int = 0,
    overwrite: bool = False,
) -> int:
    """Makes a 2-D map for the App's Embeddings panel.

    FiftyOne maps images, whole videos and objects in images by themselves. Frames and clips it
    takes for samples of a view: the map is kept with that view, ``dataset.load_brain_view(key)``
    loads it, and the panel's selection works while the App shows it. The view of frames is made
    from the documents that the frames have, and no picture is written; the grid then shows each
    frame from its video. The panel looks colours up in the dataset of videos, where frames and
    clips are no samples, so their points have none.

    Args:
        samples: a dataset of images or of videos, or a view; items without a vector are left out.
        embeddings: the vector field to read; ``"frames.embedding"`` means the frames of videos.
        brain_key: name of the map.
        patches_field: maps the labels of this field instead: objects in images, or clips of
            videos; ``embeddings`` is an attribute of them.
        method: ``"umap"`` (arXiv:1802.03426), ``"tsne"`` (JMLR 9, 2008, page 2579), ``"pca"``.
        seed: of the layout.
        overwrite: replace the brain run of this key.

    Returns:
        How many points the map has.

    Raises:
        SettingsError: if there is no such method.
        DataError: if the key is taken or there are no vectors.
    """
    _check_map_method(method)
    items = target.target(samples, embeddings, patches_field=patches_field)
    runs.check_brain_key(items.dataset, brain_key, overwrite=overwrite)
    _check_vectors(items)
    return brain.write_map(items, brain_key, method, seed)


def load_model(
    backbone: Backbone | str | None = None,
    *,
    run_key: str | None = None,
    dataset: "Dataset | None" = None,
    device: str = "auto",
) -> "model.EmbeddingModel":
    """A FiftyOne model: of a backbone, or of the clusters of an earlier run.

    Args:
        backbone: gives vectors, the same as :func:`embed`, through ``compute_embeddings``,
            ``compute_patch_embeddings`` and ``apply_model``; or the name of a preset.
        run_key, dataset: a clustering instead; through ``apply_model`` each image gets the
            nearest existing cluster, with confidence.
        device: see :func:`embed`.

    Raises:
        SettingsError: unless either a backbone or a run and its dataset are given.
        DataError: if the run is not there or not known well enough to be repeated.
        WeightsError: if the weights cannot be found.
    """
    from uvl_plugin.adapter import model  # FiftyOne's models import torch: seconds

    if backbone is not None and run_key is None:
        return model.EmbeddingModel(resolve_backbone(backbone).load(device))
    if backbone is None and run_key is not None and dataset is not None:
        return model.labeller(dataset, run_key, device)
    raise SettingsError("load_model takes either a backbone, or run_key and dataset.")


def explore(
    samples: "SampleCollection",
    name: str = "explore",
    *,
    backbone: Backbone | str | None = None,
    algorithm: Clusterer | None = None,
    map_method: str = "umap",
    overwrite: bool = False,
    progress: "Progress | bool | None" = None,
) -> Exploration:
    """The whole chain with good defaults: vectors, clusters, similarity index, 2-D map.

    Args:
        samples: an image dataset or a view of one.
        name: stands in the names of everything written, see :class:`Names`.
        backbone: None for pixels where pictures are small, else the preset "dinov2-base".
        algorithm: None for ``uvl.Auto()``, which finds the number of clusters.
        map_method: see :func:`visualize`.
        overwrite: replace an earlier exploration of the same name.
        progress: see :func:`uvl_plugin.core.progress.shown`.

    Returns:
        What was found and what it is called.

    Raises:
        As :func:`embed`, :func:`cluster`, :func:`index` and :func:`visualize`.
    """
    _check_images(samples)
    backbone = resolve_backbone(backbone or default_backbone(samples))
    algorithm = algorithm or Auto()
    names, watch = Names.of(name), Stopwatch()
    check_explore(samples, names, backbone, map_method, overwrite=overwrite)
    with shown(progress, "explore") as report:
        with watch.stage("embed"):
            embedding = embed(
                samples, backbone, names.embeddings, overwrite=overwrite,
                progress=part(report, 0.0, 0.6),
            )  # fmt: skip
        with watch.stage("cluster"):
            clustering = cluster(
                samples, algorithm, embeddings=names.embeddings, field=names.clusters,
                run_key=names.run_key, overwrite=overwrite, progress=part(report, 0.6, 0.75),
            )  # fmt: skip
        try:
            report(0.75, "making the similarity index")
            with watch.stage("index"):
                brain.write_index(Images(samples, names.embeddings), names.index_key)
            report(0.8, f"making the map ({map_method})")
            with watch.stage("map"):
                items = Images(samples, names.embeddings)
                brain.write_map(items, names.map_key, map_method, seed=0)
        except BaseException:
            brain.delete_if_there(dataset_of(samples), names.index_key)
            dataset_of(samples).delete_run(names.run_key)
            raise
        report(1.0, "explored")
    return Exploration(names, embedding, clustering, watch.seconds)


def default_backbone(samples: "SampleCollection") -> Backbone:
    """Pixels where pictures are as small as glyphs, else a network; looks at a few files."""
    return suitable_backbone(samples.limit(_LOOKED_AT).values("filepath"))


def _embed_items(
    work: Work, loaded: LoadedBackbone, result: EmbeddingResult, report: Progress
) -> None:
    failures.untag(work.items, work.tried)
    with vectors.VectorWriter(work.items) as writer, contextlib.closing(work.sources()) as sources:
        for chunk in loaded.embed(sources, work.n_items):
            writer.add(chunk.vectors)
            failures.tag_failed(work.items, list(chunk.failures))
            result.n_embedded += len(chunk.vectors)
            result.failures |= chunk.failures
            done, said = work.reached(chunk)
            failed = f", {len(result.failures)} failed" if result.failures else ""
            report(done, f"embedded {said}{failed}")
    if result.failures and not (result.n_embedded or result.n_present):
        raise DataError(
            f"None of the {len(work.tried)} {work.tried_unit} could be embedded; the first: "
            f"{next(iter(result.failures.values()))}."
        )


def _record(
    items: Target, backbone: Backbone, asked: dict[str, Any], result: EmbeddingResult
) -> None:
    outcome = {**vars(result), **result.how}
    del outcome["how"], outcome["failures"]
    runs.record_embedding(items.samples, backbone, asked, outcome, result.failures)


def _check_kind(given: object, kind: type, example: str) -> None:
    if not isinstance(given, kind):
        raise SettingsError(f"Expected a {kind.__name__.lower()} such as {example}, got {given!r}.")


def check_embed(
    samples: "SampleCollection",
    backbone: Backbone,
    field: str,
    *,
    patches_field: str | None = None,
    margin: float = 0.0,
    slices: str | Sequence[str] | None = None,
    frames: FrameChoice | None = None,
    clips: str | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> EmbeddingPlan:
    """Raises what :func:`embed` would, without working; forms call it."""
    items = target.target(
        samples, field, patches_field=patches_field, margin=margin, slices=slices, pictures=True
    )
    plan = EmbeddingPlan.of(items, frames, clips, settings)
    check_engine(plan.engine)
    backbone.check()
    vectors.check_may_write(items.dataset, items.path, backbone.space, overwrite=overwrite)
    return plan


def check_cluster(
    samples: "SampleCollection",
    embeddings: str,
    field: str | None,
    run_key: str,
    *,
    patches_field: str | None = None,
    like: str | None = None,
    overwrite: bool,
) -> ClusterField:
    """Raises what :func:`cluster` would, without working; the items and where their clusters go.
    Forms call it."""
    items = target.target(samples, embeddings, patches_field=patches_field)
    _check_vectors(items)
    place = cluster_field(items, field_name(items, field))
    if like is not None:
        clusterings.check_clustering(items.dataset, like, "like")
    writer.check_may_cluster(place, run_key, overwrite=overwrite)
    return place


def _check_vectors(items: Target) -> None:
    if isinstance(items, Images):
        vectors.check_has_vectors(items.samples, items.field)
    else:
        vectors.check_any_vector(items)


def _check_map_method(method: str) -> None:
    if method not in MAP_METHODS:
        raise SettingsError(
            f"method must be one of {', '.join(MAP_METHODS)}, got {method!r}.", "map_method"
        )
    if method == "umap":
        check_installed("umap", package="umap-learn", needed_by="A map with method='umap'")


def check_explore(
    samples: "SampleCollection",
    names: Names,
    backbone: Backbone,
    map_method: str,
    *,
    overwrite: bool,
) -> None:
    """Raises what :func:`explore` would, without working; forms call it."""
    _check_images(samples)
    backbone.check()
    dataset = dataset_of(samples)
    vectors.check_may_write(dataset, names.embeddings, backbone.space, overwrite=overwrite)
    place = cluster_field(Images(samples, names.embeddings), names.clusters)
    writer.check_may_cluster(place, names.run_key, overwrite=overwrite)
    for brain_key in (names.index_key, names.map_key):
        runs.check_brain_key(dataset, brain_key, overwrite=overwrite)
    _check_map_method(map_method)


def _check_images(samples: "SampleCollection") -> None:
    check_samples(samples)
    if samples.media_type == "video":
        raise DataError(
            "uvl.explore is for images, and these are videos. Step by step: "
            'uvl.embed(videos, backbone, "frames.embedding", fps=2), then uvl.cluster and '
            'uvl.visualize with embeddings="frames.embedding".'
        )
