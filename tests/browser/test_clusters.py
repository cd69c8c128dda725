"""Clusters are edited, judged and explained in the App."""

import re

import pytest

import uvl_plugin as uvl

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def clustered(all_digits):
    """The digits in ten clusters, in the field 'groups'."""
    uvl.embed(all_digits, uvl.Pixels(size=8), "pixels")
    uvl.cluster(
        all_digits, uvl.KMeans(n_clusters=10), embeddings="pixels", field="groups", run_key="look"
    )
    return all_digits


def test_clusters_are_evaluated_and_a_cell_shows_its_samples(app, clustered, address):
    app.open(address, "digits")
    app.wait_for_count(1797)
    app.browse_operators("Evaluate clusters")
    app.choose("(no labels)", re.compile("^label$"))
    app.execute()
    said = app.wait_for_text("1797 samples in 10 clusters, 0 in none.")
    assert re.search(r"Accuracy 0\.[67]\d\d, on held-out samples 0\.[67]", said)
    app.close_dialog()
    app.wait_for_text("Against label (10 classes)")
    heat_map = app.page.locator(".js-plotly-plot .heatmaplayer image")
    heat_map.wait_for()
    app.wait_for_text("Labels that may be wrong")
    app.picture("evaluation")

    box = heat_map.bounding_box()
    app.page.mouse.click(box["x"] + box["width"] / 20, box["y"] + box["height"] / 20)
    app.wait_until(lambda: app.count() < 1797)
    record = clustered.get_run_info("look").config.evaluation["confusion"]["rows"][0]
    assert app.count() == record["counts"][record["stands_for"]]
    app.cy("btn-clear-view-bar").click()
    app.wait_for_count(1797)


def test_a_cluster_is_renamed_and_set_back(app, clustered, address):
    app.open(address, "digits")
    app.wait_for_count(1797)
    clustered.reload()
    sizes = clustered.count_values("groups.label")
    app.browse_operators("Edit clusters")
    app.page.get_by_role("combobox").nth(2).click()
    app.page.get_by_role("option").filter(has_text="look 03").click()
    app.page.get_by_text("New name").locator("xpath=following::input[1]").fill("loops")
    app.picture("edit-clusters")
    app.execute()
    app.wait_for_text("10 clusters. Last: renamed look 03 to loops.")
    clustered.reload()
    assert clustered.count_values("groups.label")["loops"] == sizes["look 03"]
    app.filter_label("groups", "loops")
    app.wait_for_count(sizes["look 03"])
    app.reset_filters()
    app.wait_for_count(1797)

    app.browse_operators("Edit clusters")
    app.choose("Rename a cluster", "Undo the last edit")
    app.execute()
    app.wait_for_text("10 clusters. Last: no edits: as it came out.")
    clustered.reload()
    assert clustered.count_values("groups.label") == sizes


def test_a_cluster_is_explained(app, clustered, address):
    app.open(address, "digits")
    app.wait_for_count(1797)
    app.browse_operators("Explain a cluster")
    app.page.get_by_role("combobox").nth(1).click()
    app.page.get_by_role("option").filter(has_text="look 03").click()
    app.execute()
    app.wait_for_text(re.compile("look 03 has .* The next cluster is look 0"))
    app.close_dialog()
    clustered.reload()
    app.wait_for_count(len(clustered.exists("why")))
    app.picture("explain-cluster")
