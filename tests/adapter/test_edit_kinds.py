"""Edits, new items and figures of clusters, whatever the items are."""

import numpy as np
import pytest

import uvl_plugin as uvl
from tests.adapter.kinds import KINDS, N, assert_groups_are_clusters, make_kind
from uvl_plugin.adapter import writer


@pytest.fixture(params=KINDS[1:])  # images: test_clusters.py
def kind(request):
    made = make_kind(request.param)
    yield made
    made.dataset.delete()


def test_edits_are_written_and_taken_back(kind):
    kind.cluster()
    raw = kind.everything()
    clusters = uvl.clusters(kind.dataset, "look")
    clusters.rename("look 01", "ones")
    clusters.merge("ones", "look 02")
    assert set(kind.names().values()) == {"look 00", "ones", None}
    members = clusters.members("look 00")
    assert {kind.names()[key] for key in members} == {"look 00"}
    clusters.split("ones", 2)
    clusters.dissolve("look 00")
    nearest = kind.read(kind.column("nearest"))
    assert all(nearest[key] in clusters.names for key in members)
    clusters.move(members[:2], "ones")
    names = kind.names()
    assert [names[key] for key in members[:3]] == ["ones", "ones", "look noise"]
    assert kind.read(kind.column("nearest"))[members[0]] is None
    assert len(clusters.steps) == 5
    for _ in range(5):
        clusters.undo()
    for now, before in zip(kind.everything(), raw, strict=True):
        assert now == pytest.approx(before, abs=1e-6) if _numbers(now) else now == before


def _numbers(values):
    return any(isinstance(value, float) for value in values.values())


def test_new_items_go_into_the_clusters_that_are_there(kind):
    some = kind.dataset.limit(len(kind.dataset) // 2)
    kind.cluster(samples=some)
    old = kind.names(some)
    new = set(kind.group_of) - set(old)
    done = uvl.assign(kind.dataset, "look")
    assert set(done.clusters) == new
    assert (done.n_known, done.n_missing) == (N - 1 - len(new), 1)
    names = kind.names()
    assert {key: names[key] for key in old} == old
    assert {key: names[key] for key in new} == done.clusters
    assert_groups_are_clusters(kind, names)
    assert all(kind.read(kind.fine)[key].startswith(names[key]) for key in new)
    again = uvl.assign(kind.dataset, "look")
    assert (again.clusters, again.n_known, again.n_missing) == ({}, N - 1, 1)
    assert sum(uvl.clusters(kind.dataset, "look").sizes.values()) == N - 1


def test_a_failed_assignment_leaves_nothing(kind, monkeypatch):
    some = kind.dataset.limit(len(kind.dataset) // 2)
    kind.cluster(samples=some)
    before, write, written = kind.everything(), writer.write_rows, []

    def fail_second(items, rows):
        written.append(len(rows))
        if len(written) == 2:
            raise OSError("the disk is full")
        write(items, rows)

    monkeypatch.setattr(writer, "_ROWS", 10)
    monkeypatch.setattr(writer, "write_rows", fail_second)
    with pytest.raises(OSError, match="disk is full"):
        uvl.assign(kind.dataset, "look")
    assert kind.everything() == before
    assert uvl.clusters(kind.dataset, "look").steps == []


def test_clusters_are_evaluated_scored_and_explained(kind):
    kind.cluster()
    field = kind.own("cluster")
    found = uvl.evaluate(kind.dataset, field, ground_truth=kind.own("group"), **kind.parts)
    assert (found.n_items, found.n_clusters) == (N - 1, 3)
    assert found.agreement.accuracy > 0.9
    assert found.separation.silhouette > 0.5
    strengths = {row.name: row.strength for row in found.clusters}
    confidence, names = kind.read(kind.column("confidence")), kind.names()
    own = [confidence[key] for key, name in names.items() if name == "look 01"]
    assert strengths["look 01"] == pytest.approx(np.mean(own), abs=1e-5)
    scores = uvl.score(kind.dataset, "look", "distance")["distance"]
    written = kind.read(kind.column("distance"))
    assert written.pop(kind.without) is None
    assert written == pytest.approx(scores)
    explained = uvl.explain(kind.dataset, "look 01", count=3)
    assert {names[key] for key in explained.shown} == {"look 01"}
    with pytest.raises(uvl.DataError, match=f"'look' is of {kind.name}"):
        uvl.explain(kind.dataset, "look 01", heatmap="heat")


def test_items_that_were_deleted_do_not_hinder(kind):
    kind.cluster()
    clusters = uvl.clusters(kind.dataset, "look")
    if kind.is_label:
        view = kind.dataset.limit(1).select_labels(fields=kind.parts["patches_field"])
        kind.dataset.delete_labels(view=view, fields=kind.parts["patches_field"])
    else:
        kind.dataset.delete_samples(kind.dataset.limit(1))
    left = set(kind.ids())
    assert len(left) < N
    clusters.merge(*clusters.names)
    assert {name for key, name in kind.names().items() if key != kind.without} == {"look 00"}
    clusters.split("look 00", 3)
    clusters.dissolve("look 00")
    clusters.undo()
    clusters.undo()
    clusters.undo()
    assert set(kind.names()) == left
    assert len(set(kind.names().values())) == 4
