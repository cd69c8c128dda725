"""The report on a dataset: what it says is what the dataset holds, for every kind of item."""

import re
from html import escape
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

import uvl_plugin as uvl
from tests.adapter.kinds import GROUPS, KINDS, N, make_kind
from uvl_plugin.adapter import report_map, runs
from uvl_plugin.adapter.report_map import read_map
from uvl_plugin.reporting import check_report

N_COPIES = 3


@pytest.fixture
def explored(digits, tmp_path):
    """200 digits, three copies of files, clusters, a merge and a name that is HTML."""
    paths = digits.limit(N_COPIES).values("filepath")
    for number, path in enumerate(paths):
        copy = tmp_path / f"copy{number}.png"
        Image.open(path).save(copy)
        digits.add_sample(fo.Sample(filepath=str(copy)))
    uvl.embed(digits, uvl.Pixels(size=8), "emb")
    uvl.cluster(
        digits, uvl.KMeans(n_clusters=6, seed=1), embeddings="emb", run_key="look", progress=False
    )
    clusters = uvl.clusters(digits, "look", who="Anna")
    clusters.merge("look 01", "look 02")
    clusters.rename("look 00", "<b>round & thin</b>")
    return digits


def read(report):
    return report.path.read_text(encoding="utf-8")


def rows_of(html):
    """Name and size of each cluster in the table."""
    table = html.partition('id="clusters"')[2].partition("</section>")[0]
    return {
        name: int(size.replace(",", ""))
        for name, size in re.findall(
            r'<tr><td class="name"><i[^>]*></i>([^<]*)</td><td>([\d,]+) ', table
        )
    }


def chapter(html, key):
    return html.partition(f'<section id="{key}">')[2].partition("</section>")[0]


def test_a_report_has_all_that_was_found(explored, tmp_path):
    uvl.find_duplicates(explored, "emb", threshold=1e-6, progress=False)
    outliers = uvl.find_outliers(explored, "emb", cut=0.55, progress=False)
    uvl.evaluate(explored, "cluster", ground_truth="label", progress=False)
    report = uvl.report(explored, tmp_path / "r.html", labels="label", progress=False)
    html = read(report)
    sizes = {escape(name): size for name, size in explored.count_values("cluster.label").items()}
    assert rows_of(html) == sizes
    assert f"{N_COPIES} images are near-duplicates and could go" in chapter(html, "duplicates")
    assert chapter(html, "duplicates").count("<img") == 2 * N_COPIES
    assert f"{len(outliers.above):,} images are unlike" in chapter(html, "outliers")
    suspects = explored.get_run_info("look").config.evaluation["suspects"]
    assert chapter(html, "suspects").count("<figure") == min(len(suspects), 18)
    assert "merged" in chapter(html, "edits")
    assert "Anna" in chapter(html, "edits")
    assert chapter(html, "labels").count("<tr>") == 1 + 10
    assert chapter(html, "clusters").count("<img") == 6 * len(sizes)
    assert "<b>round" not in html
    assert set(report.missing) >= {
        "No copies of files are on record: Find copies of files looks for them.",
        "Nothing was picked for labelling: Pick what to label does it.",
    }
    assert "Outliers were not looked for" not in html
    assert "The report lies in" in str(report)


def test_copies_and_picks_are_told(explored, tmp_path):
    first = explored.first()
    (tmp_path / "same.png").write_bytes(Path(first.filepath).read_bytes())
    explored.add_sample(fo.Sample(filepath=str(tmp_path / "same.png")))
    found = uvl.find_copies(explored, progress=False)
    uvl.select(explored, 7, run_key="look", progress=False)
    html = read(uvl.report(explored, tmp_path / "r.html", progress=False))
    said = f"{len(found.of)} images are byte-for-byte copies of other files and could go"
    assert said in chapter(html, "copies")
    assert chapter(html, "copies").count("<figure") == len(found.groups)
    assert "7 images are picked for labelling." in chapter(html, "picks")
    assert chapter(html, "picks").count("<figure") == 7
    reasons = explored.exists("pick").values("pick_reason")
    assert all(escape(reason) in html for reason in reasons)


def test_poor_images_are_told(explored, tmp_path):
    for name in ("one", "two"):
        Image.new("RGB", (64, 48), (4, 4, 4)).save(tmp_path / f"{name}.png")
        explored.add_sample(fo.Sample(filepath=str(tmp_path / f"{name}.png")))
    found = uvl.find_poor_images(explored.limit(5).concat(explored.skip(len(explored) - 2)))
    counts = explored.count_values("quality_issue")
    counts.pop(None)
    told = chapter(read(uvl.report(explored, tmp_path / "r.html", progress=False)), "poor")
    assert f"{sum(counts.values())} images are poor pictures" in told
    assert told.count("<figure") == len(found.issues) == sum(counts.values()) >= 2


def test_a_view_is_told_of_as_it_is(explored, tmp_path):
    view = explored.take(60, seed=3)
    report = uvl.report(view, tmp_path / "v.html", thumbnails=0, progress=False)
    html = read(report)
    assert sum(rows_of(html).values()) == 60
    assert "A view of it" in html
    assert "<img" not in html
    assert html.partition('class="map"')[2].partition("</svg>")[0].count("h0") == 60


def test_of_nothing_the_report_says_what_to_do(digits, tmp_path):
    report = uvl.report(digits, tmp_path / "r.html", progress=False)
    assert report.chapters == ()
    assert len(report.missing) == 8
    assert "Outliers were not looked for: Find outliers does it." in read(report)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_item(name, tmp_path):
    kind = make_kind(name)
    kind.cluster()
    uvl.find_outliers(kind.dataset, kind.own("emb"), **kind.parts, cut=0.9, progress=False)
    html = read(uvl.report(kind.dataset, tmp_path / "r.html", progress=False))
    assert sum(rows_of(html).values()) == N - 1
    assert len(rows_of(html)) == GROUPS
    assert html.partition('class="map"')[2].partition("</svg>")[0].count("h0") == N - 1
    assert f"{kind.name} are unlike anything" in chapter(html, "outliers")
    found = read_map(check_report(kind.dataset, tmp_path / "other.html").items, None)
    assert "first two principal components" in found.said
    assert_groups_lie_apart(kind, found)
    kind.dataset.delete()


def assert_groups_lie_apart(kind, found):
    own = {group: [] for group in range(GROUPS)}
    for key, point in zip(found.ids.tolist(), found.points, strict=True):
        if kind.group_of[key] is not None:
            own[kind.group_of[key]].append(point)
    centres = [np.mean(points, axis=0) for points in own.values()]
    spread = max(np.std(points, axis=0).max() for points in own.values())
    apart = [np.linalg.norm(a - b) for at, a in enumerate(centres) for b in centres[at + 1 :]]
    assert min(apart) > 5 * spread


@pytest.mark.parametrize("name", ["images", "frames", "clips", "objects"])
def test_a_map_that_is_there_is_shown(name):
    kind = make_kind(name)
    kind.cluster()
    uvl.visualize(
        kind.dataset, embeddings=kind.own("emb"), brain_key="points", method="pca", **kind.parts
    )
    items = check_report(kind.dataset, "r.html").items
    for found in (read_map(items, None), read_map(items, "points")):
        assert found.said.startswith(f"The map 'points' of {name}")
        assert set(found.ids.tolist()) == set(kind.group_of)
    kind.dataset.delete()


def test_of_many_points_some_are_shown_evenly(explored, monkeypatch):
    monkeypatch.setattr(report_map, "MOST_POINTS", 50)
    items = check_report(explored, "r.html").items
    found = read_map(items, None)
    ids = sorted(explored.values("id"))
    assert len(found.ids) == 50
    assert {ids[0], ids[-1]} <= set(found.ids.tolist())
    again = read_map(check_report(explored.sort_by("filepath"), "r.html").items, None)
    assert again.ids.tolist() == found.ids.tolist()
    assert np.array_equal(again.points, found.points)


def test_a_map_of_other_items_is_refused(explored):
    uvl.visualize(explored.limit(50), embeddings="emb", brain_key="some", method="pca")
    items = check_report(explored.skip(100), "r.html", brain_key="some").items
    with pytest.raises(uvl.DataError, match="has none of the images of this report"):
        read_map(items, "some")


def test_the_arrays_of_the_run_are_not_loaded(explored, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the arrays of a run were loaded")

    monkeypatch.setattr(runs.ClusteringRunResults, "_from_dict", refuse)
    assert uvl.report(explored, tmp_path / "r.html", progress=False).chapters


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("r.txt", "path must end in .html"),
        ("no/r.html", "There is no folder"),
        ("taken.html", "There is a file .* already"),
        ("folder.html", "is a folder"),
    ],
)
def test_a_path_that_cannot_be_is_refused(digits, tmp_path, path, message):
    (tmp_path / "taken.html").write_text("mine")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(uvl.SettingsError, match=message):
        uvl.report(digits, tmp_path / path, progress=False)
    assert (tmp_path / "taken.html").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"run_key": "no"}, "has no run 'no'"),
        ({"brain_key": "no"}, "has no map 'no'"),
        ({"labels": "no"}, "has no field 'no'"),
        ({"thumbnails": 7}, "must be 0 to 6, got 7"),
    ],
)
def test_wrong_arguments_are_refused_before_any_work(digits, tmp_path, wrong, message):
    with pytest.raises(uvl.UVLError, match=message):
        uvl.report(digits, tmp_path / "r.html", progress=False, **wrong)
    assert list(tmp_path.iterdir()) == []


def test_parts_of_samples_are_refused(explored, tmp_path):
    explored.add_sample_field("boxes", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    with pytest.raises(uvl.DataError, match="view of whole samples"):
        uvl.report(explored.to_patches("boxes"), tmp_path / "r.html", progress=False)


def test_a_failed_report_leaves_the_old_one(digits, tmp_path, monkeypatch):
    path = tmp_path / "r.html"
    path.write_text("old")
    monkeypatch.setattr("uvl_plugin.core.whole_file.os.replace", None)
    with pytest.raises(TypeError):
        uvl.report(digits, path, overwrite=True, progress=False)
    assert path.read_text() == "old"
    monkeypatch.undo()
    assert "html" in read(uvl.report(digits, path, overwrite=True, progress=False))
    assert [file.name for file in tmp_path.iterdir()] == ["r.html"]
