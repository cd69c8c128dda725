"""The panel Clusters in the App: by clicks alone, and what stands in the database after each."""

import re
from collections import Counter

import fiftyone as fo
import numpy as np
import pytest

import uvl_plugin as uvl
from tests.browser.driver import installed_chromium

pytestmark = pytest.mark.browser

SIZES = {"look 00": 200, "look 01": 150, "look 02": 100, "look 03": 90, "look 04": 60}
N = sum(SIZES.values())


@pytest.fixture(scope="module")
def workbench(all_digits, address):
    """600 of the digits in five clusters that are known, beside 1,197 that are in none."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(len(SIZES)), list(SIZES.values()))
    vectors = np.eye(len(SIZES), 8)[groups] * 10 + random.normal(0, 0.5, (N, 8))
    view = all_digits[:N]
    all_digits.add_sample_field("known", fo.VectorField)
    view.set_values("known", list(vectors.astype(np.float32)))
    uvl.cluster(
        view, uvl.KMeans(n_clusters=5, seed=0), embeddings="known", field="bench", run_key="look"
    )
    return all_digits


@pytest.fixture(scope="module")
def page(workbench, address):
    """The App with the panel open."""
    with installed_chromium() as app:
        app.open(address, "digits")
        app.open_panel("Clusters")
        app.cy("uvl-picture").first.wait_for()
        yield app


def names(app):
    """Of the cards, in the order of the page."""
    return app.cy("uvl-name").all_inner_texts()


def sizes(dataset):
    dataset.reload()
    return Counter(filter(None, dataset.values("bench.label")))


def show_all(app):
    app.cy("uvl-show-all").click()
    app.wait_for_count(1797)


def test_cards_have_pictures_and_figures(page):
    assert names(page) == list(SIZES)
    assert page.cy("uvl-size").all_inner_texts() == [str(size) for size in SIZES.values()]
    assert page.cy("uvl-count").inner_text() == "5 clusters, 600 images, 0 in none"
    page.cy("uvl-picture").nth(5 * 6 - 1).wait_for()
    page.cy("uvl-labels").select_option("label")
    page.page.get_by_text(re.compile(r"^\d+ % \d$")).first.wait_for()
    page.picture("workbench")


def test_search_and_sort(page):
    page.cy("uvl-search").fill("03")
    page.wait_until(lambda: names(page) == ["look 03"])
    page.cy("uvl-search").fill("")
    page.cy("uvl-sort").select_option("name")
    page.cy("uvl-reverse").click()
    page.wait_until(lambda: names(page) == list(SIZES)[::-1])
    page.cy("uvl-sort").select_option("size")
    page.wait_until(lambda: names(page) == list(SIZES))


def test_a_click_filters_the_grid_and_others_can_be_added(page):
    page.card("look 02").click()
    page.wait_for_count(100)
    assert page.cy("uvl-selected").inner_text() == "look 02, 100 images"
    page.card("look 04").click(modifiers=["Control"])
    page.wait_for_count(160)
    page.cy("uvl-all-but").click()
    page.wait_for_count(N - 160)
    assert page.cy("uvl-size").all_inner_texts() == [str(size) for size in SIZES.values()]
    show_all(page)


def test_the_cards_follow_the_sidebar(page, workbench):
    page.filter_label("label", "0")
    inside = workbench.match({"label.label": "0"}).count_values("bench.label")
    shown = f"{inside['look 00']} of 200"
    page.wait_until(lambda: shown in page.cy("uvl-size").all_inner_texts())
    page.card("look 00").click()
    page.wait_for_count(inside["look 00"])
    assert shown in page.cy("uvl-size").all_inner_texts()
    page.cy("btn-clear-view-bar").click()
    page.wait_until(lambda: "200" in page.cy("uvl-size").all_inner_texts())


def test_clusters_are_edited_and_set_back(page, workbench):
    page.card("look 01").click()
    page.wait_for_count(150)
    page.cy("uvl-rename").click()
    page.cy("uvl-new-name").fill("<b>ones</b>")
    page.cy("uvl-done").click()
    page.card("<b>ones</b>").wait_for()
    page.wait_for_count(150)
    assert sizes(workbench)["<b>ones</b>"] == 150

    page.card("look 03").click(modifiers=["Control"])
    page.wait_for_count(240)
    page.cy("uvl-merge").click()
    page.wait_until(lambda: page.cy("uvl-selected").inner_text() == "<b>ones</b>, 240 images")
    assert sizes(workbench)["<b>ones</b>"] == 240

    page.cy("uvl-split").click()
    page.cy("uvl-parts").fill("3")
    page.cy("uvl-done").click()
    page.wait_until(lambda: page.cy("uvl-selected").inner_text() == "3 clusters, 240 images")
    page.wait_for_count(240)
    page.picture("workbench-split")
    assert len(sizes(workbench)) == 6

    show_all(page)
    page.card("look 04").click()
    page.wait_for_count(60)
    page.cy("uvl-dissolve").click()
    page.card("No cluster").wait_for()
    assert sizes(workbench)["look noise"] == 60
    assert page.cy("uvl-edits").inner_text() == "4 edits"

    for left in ("3 edits", "2 edits", "1 edit"):
        page.cy("uvl-undo").click()
        page.cy("uvl-edits").get_by_text(left, exact=True).wait_for()
    page.cy("uvl-redo").click()
    page.cy("uvl-edits").get_by_text("2 edits", exact=True).wait_for()
    assert sizes(workbench)["<b>ones</b>"] == 240
    page.cy("uvl-undo").click()
    page.cy("uvl-edits").get_by_text("1 edit", exact=True).wait_for()
    page.cy("uvl-undo").click()
    page.card("look 01").wait_for()
    assert sizes(workbench) == SIZES


def test_what_is_selected_in_the_grid_is_moved(page, workbench):
    page.cy("btn-clear-view-bar").click()
    page.card("look 02").click()
    page.wait_for_count(100)
    page.select_first_sample()
    page.page.locator('[data-cluster="look 04"]').get_by_text("Move 1 here").click()
    page.wait_until(lambda: sizes(workbench)["look 04"] == 61)
    page.cy("uvl-undo").click()
    page.wait_until(lambda: sizes(workbench) == SIZES)
    show_all(page)


def test_the_other_level(page, workbench):
    level = workbench.get_run_info("look").config.level
    page.cy("uvl-level").select_option(level)
    page.wait_until(lambda: page.cy("uvl-level").input_value() == level)
    page.wait_until(lambda: names(page) != list(SIZES))
    first = page.cy("uvl-name").first.inner_text()
    page.cy("uvl-open").first.click()
    page.wait_for_count(workbench.count_values(f"bench_{level}.label")[first])
    page.cy("uvl-level").select_option("")
    page.wait_until(lambda: names(page) == list(SIZES))
