"""What holds of clusters whatever the items are: images, videos, frames, clips, objects."""

import fiftyone as fo
import numpy as np
import pytest

import uvl_plugin as uvl
from tests.adapter.kinds import KINDS, OUTLIERS, N, assert_groups_are_clusters, make_kind
from uvl_plugin.adapter import writer
from uvl_plugin.adapter.clusterings import open_clustering

DENSE = uvl.HDBSCAN(min_cluster_size=5)


@pytest.fixture(params=KINDS)
def kind(request):
    made = make_kind(request.param)
    yield made
    made.dataset.delete()


def test_every_item_gets_the_cluster_of_its_vector_by_its_id(kind):
    before = kind.schema()
    result = kind.cluster(DENSE)
    assert (result.n_clusters, result.n_noise, result.n_missing) == (3, OUTLIERS, 1)
    assert set(result.ids.tolist()) == set(kind.group_of)
    names = kind.names()
    assert names.pop(kind.without) is None
    expected = {
        key: "look noise" if label < 0 else f"look {label:02d}"
        for key, label in zip(result.ids.tolist(), result.labels.tolist(), strict=True)
    }
    assert names == expected
    assert_groups_are_clusters(kind, names)
    confidence = kind.read(kind.column("confidence"))
    for key, strength in zip(result.ids.tolist(), result.strengths.tolist(), strict=True):
        assert confidence[key] == pytest.approx(strength)
    fine = kind.read(kind.fine)
    assert all(fine[key].startswith(names[key]) for key in names)
    nearest, distance = (kind.read(kind.column(name)) for name in ("nearest", "distance"))
    for key, name in names.items():
        lost = name == "look noise"
        assert (nearest[key] in set(names.values()) - {"look noise"}) == lost
        assert (distance[key] is not None) == lost
    indexes = kind.dataset.list_indexes()
    assert {kind.column("label"), kind.fine} <= set(indexes)
    added = kind.schema() - before
    own = [kind.column(name) for name in ("label", "confidence", "nearest", "distance")]
    assert {*own, kind.fine} <= added
    assert all(path.startswith(f"{kind.before}cluster") for path in added)


def test_the_record_says_what_the_items_are(kind):
    kind.cluster()
    config = kind.dataset.get_run_info("look").config
    assert (config.field, config.level_field) == (
        f"{kind.before}cluster", f"{kind.before}cluster_fine",
    )  # fmt: skip
    assert config.embeddings == f"{kind.before}emb"
    assert config.patches_field == kind.parts.get("patches_field")
    items = open_clustering(kind.dataset, "look").items
    assert items.unit == kind.name
    assert items.ids() == kind.ids()


def test_overwriting_replaces_all_of_it(kind):
    kind.cluster(DENSE)
    with pytest.raises(uvl.DataError, match="There is a run 'look' already"):
        kind.cluster()
    with pytest.raises(uvl.DataError, match="cluster' was written by run 'look'"):
        kind.cluster(run_key="other")
    kind.cluster(uvl.KMeans(n_clusters=2), overwrite=True)
    names = set(kind.names().values())
    assert len(names - {None}) == 2
    assert "look noise" not in names
    assert kind.column("nearest") not in kind.schema()


@pytest.mark.parametrize("kind", ["frames", "clips"], indirect=True)
@pytest.mark.parametrize("broken", ["write", "create_index"])
def test_a_failure_leaves_nothing_behind(kind, monkeypatch, broken):
    before, write = kind.schema(), writer.write_rows
    written = []

    def fail_second(items, rows):
        if written:
            raise OSError("the disk is full")
        written.append(len(rows))
        write(items, rows)

    def fail(*args, **kwargs):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "_ROWS", 20)
        if broken == "write":
            patch.setattr(writer, "write_rows", fail_second)
        else:
            patch.setattr(fo.Dataset, "create_index", fail)
        with pytest.raises(OSError, match="disk is full"):
            kind.cluster(DENSE)
    assert kind.schema() == before
    assert kind.dataset.list_runs() == []
    written.clear()
    kind.cluster(DENSE)
    everything = kind.everything()
    with monkeypatch.context() as patch:
        patch.setattr(writer, "_ROWS", 20)
        patch.setattr(writer, "write_rows", fail_second)
        with pytest.raises(OSError, match="disk is full"):
            kind.cluster(uvl.KMeans(n_clusters=2), overwrite=True)
    assert kind.everything() == everything
    assert kind.dataset.get_run_info("look").config.algorithm == "hdbscan"


def test_a_map_has_a_point_for_each_vector(kind):
    count = uvl.visualize(
        kind.dataset, embeddings=kind.own("emb"), brain_key="map", method="pca", **kind.parts
    )
    assert count == N - 1
    results = kind.dataset.load_brain_results("map")
    ids = results.label_ids if kind.name == "objects" else results.sample_ids
    assert set(map(str, ids)) == set(kind.group_of)
    places = dict(zip(map(str, ids), results.points, strict=True))
    centres = np.stack([
        np.mean([places[k] for k, g in kind.group_of.items() if g == group], axis=0)
        for group in range(3)
    ])  # fmt: skip
    for key in kind.grouped:
        nearest = np.linalg.norm(centres - places[key], axis=1).argmin()
        assert nearest == kind.group_of[key]
    with pytest.raises(uvl.DataError, match="brain run 'map' already"):
        uvl.visualize(kind.dataset, embeddings=kind.own("emb"), brain_key="map", **kind.parts)


def test_deleting_the_run_removes_what_it_wrote(kind):
    before, indexes = kind.schema(), set(kind.dataset.list_indexes())
    kind.cluster(DENSE)
    uvl.score(kind.dataset, "look", "margin")
    kind.dataset.rename_run("look", "seen")
    kind.dataset.delete_run("seen")
    assert kind.schema() == before
    assert set(kind.dataset.list_indexes()) == indexes
