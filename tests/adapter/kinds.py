"""Small datasets whose items are images, whole videos, frames, clips or objects in turn."""

from dataclasses import dataclass, field

import fiftyone as fo
import numpy as np

import uvl_plugin as uvl

KINDS = ("images", "videos", "frames", "clips", "objects")
N, GROUPS, OUTLIERS = 48, 3, 2
_FILES = {"images": "png", "objects": "png"}
_PER_FILE = {"images": 1, "videos": 1, "frames": 16, "clips": 6, "objects": 6}
_NUMBERS = [1, 2, 4, 5, 9, 10, 11, 17, 18, 30, 31, 32, 40, 55, 56, 70]  # of frames, with gaps
_BEFORE = {"frames": "frames.", "clips": "events.detections.", "objects": "things.detections."}


@dataclass
class Kind:
    """Items of one kind in three groups that lie far apart, two items far from all of them, and
    one without a vector.

    Attributes:
        name: of the kind.
        dataset: that they are in.
        group_of: the group by the id of each item that has a vector; outliers have None.
        without: id of the item without a vector.
    """

    name: str
    dataset: fo.Dataset
    group_of: dict = field(default_factory=dict)
    without: str = ""

    @property
    def before(self):
        return _BEFORE.get(self.name, "")

    @property
    def is_label(self):
        return self.name in ("clips", "objects")

    @property
    def parts(self):
        """The argument that says which labels are the items."""
        return {"patches_field": self.before.split(".")[0]} if self.is_label else {}

    @property
    def grouped(self):
        """Ids of the items that are in a group."""
        return [key for key, group in self.group_of.items() if group is not None]

    def own(self, name):
        """A field as the functions want it."""
        return name if self.is_label else f"{self.before}{name}"

    def column(self, name):
        """The path of an attribute of the cluster, as FiftyOne knows it."""
        if self.is_label:
            return self.before + ("cluster" if name == "label" else f"cluster_{name}")
        return f"{self.before}cluster.{name}"

    @property
    def fine(self):
        """The path of the cluster's name at the other level."""
        return f"{self.before}cluster_fine" + ("" if self.is_label else ".label")

    def cluster(self, algorithm=None, samples=None, **changes):
        return uvl.cluster(
            self.dataset if samples is None else samples,
            algorithm or uvl.KMeans(n_clusters=GROUPS, seed=3),
            **{"embeddings": self.own("emb"), "run_key": "look", **self.parts, **changes},
        )

    def ids(self, samples=None):
        return (samples or self.dataset).values(f"{self.before}id", unwind=True)

    def read(self, path, samples=None):
        """Value by the id of each item, read by FiftyOne."""
        ids, found = (samples or self.dataset).values([f"{self.before}id", path], unwind=True)
        return dict(zip(ids, found, strict=True))

    def names(self, samples=None):
        return self.read(self.column("label"), samples)

    def everything(self):
        """What stands in the fields."""
        paths = (self.column("label"), self.column("confidence"), self.fine)
        return [self.read(path) for path in paths]

    def schema(self):
        frames = self.dataset.get_frame_field_schema(flat=True) or {}
        own = self.dataset.get_field_schema(flat=True)
        return {*own, *(f"frames.{path}" for path in frames)}


def assert_groups_are_clusters(kind: Kind, names: dict) -> None:
    pairs = {(kind.group_of[key], names[key]) for key in kind.grouped}
    assert len(pairs) == GROUPS
    assert {group for group, _ in pairs} == set(range(GROUPS))


def make_kind(name: str) -> Kind:
    """A new dataset with items of one kind; their groups are in their field ``group``."""
    random = np.random.default_rng(0)
    groups = np.arange(N) % GROUPS
    vectors = np.eye(GROUPS, 6, dtype=np.float32)[groups] * 10 + random.normal(0, 0.3, (N, 6))
    vectors[:OUTLIERS] = [[-30, 0, 0, 0, 0, 0], [0, -30, 0, 0, 0, 0]]
    rows = [
        {"emb": vector.astype(np.float32), "group": f"group {group}"}
        for vector, group in zip(vectors, groups, strict=True)
    ]
    rows[-1]["emb"] = None
    dataset = fo.Dataset()
    kind, per_file = Kind(name, dataset), _PER_FILE[name]
    file = _FILES.get(name, "mp4")
    samples = [
        _sample(name, f"/missing/{number}.{file}", rows[start : start + per_file])
        for number, start in enumerate(range(0, N, per_file))
    ]
    dataset.media_type = "image" if file == "png" else "video"
    if kind.is_label:
        labels = fo.Detections if name == "objects" else fo.TemporalDetections
        dataset.add_sample_field(
            kind.before.split(".")[0], fo.EmbeddedDocumentField, embedded_doc_type=labels
        )
        dataset.add_sample_field(f"{kind.before}emb", fo.VectorField)
        dataset.add_sample_field(f"{kind.before}group", fo.StringField)
    dataset.add_samples(samples, progress=False)
    known = list(zip(kind.ids(), groups.tolist(), strict=True))
    kind.group_of = {
        key: None if place < OUTLIERS else group for place, (key, group) in enumerate(known[:-1])
    }
    kind.without = known[-1][0]
    return kind


def _sample(name, path, rows):
    sample = fo.Sample(filepath=path)
    if name in ("images", "videos"):
        sample = fo.Sample(filepath=path, **rows[0])
    elif name == "frames":
        for number, row in zip(_NUMBERS, rows, strict=True):
            sample.frames[number] = fo.Frame(**row)
    elif name == "clips":
        clips = [
            fo.TemporalDetection(label="x", support=[1 + 9 * place, 9 + 9 * place], **row)
            for place, row in enumerate(rows)
        ]
        sample["events"] = fo.TemporalDetections(detections=clips)
    else:
        box = [0.1, 0.1, 0.5, 0.5]
        things = [fo.Detection(label="x", bounding_box=box, **row) for row in rows]
        sample["things"] = fo.Detections(detections=things)
    return sample
