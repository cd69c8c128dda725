import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import uvl_plugin as uvl

pytestmark = pytest.mark.browser


@pytest.fixture
def embedded(all_digits):
    """The digits, with vectors in the field 'emb'."""
    all_digits.reload()
    uvl.embed(all_digits, uvl.Pixels(size=4), "emb")  # once: a second call finds them there
    return all_digits


def test_a_newcomer_explores_a_dataset(app, address, all_digits):
    """One path through the App, as in the README: its steps depend on each other."""
    app.open(address, "digits")
    app.wait_for_count(1797)

    app.browse_operators("Explore this dataset")
    app.picture("explore-form")
    app.execute()
    app.wait_for_text(re.compile(r"embedded [\d,]+ of 1,797|making the map"))
    app.picture("explore-progress")
    said = app.wait_for_text("1,797 images embedded into 'explore_embedding'")
    assert re.search(r"1797 images in (9|10|11|12) clusters", said)
    app.close_dialog()

    all_digits.reload()
    clusters = all_digits.count_values("explore_cluster.label")
    assert sum(clusters.values()) == 1797
    app.cy("checkbox-explore_cluster").wait_for()
    app.cy("tag-explore_cluster").first.wait_for()
    assert re.fullmatch(r"explore 0\d", app.cy("tag-explore_cluster").first.inner_text())

    app.filter_label("explore_cluster", "explore 03")
    app.wait_for_count(clusters["explore 03"])
    assert app.count() == clusters["explore 03"]
    app.picture("filter-cluster")
    app.reset_filters()
    app.wait_for_count(1797)

    app.open_panel("Embeddings")
    app.wait_for_text("explore_map")
    app.page.get_by_text("explore_map").first.click()
    app.wait_for_text("1,797 points")
    app.page.get_by_text("Color by").first.click()
    app.page.get_by_text("explore_cluster.label").last.click()
    app.wait_for_text("1,797 points")
    app.picture("map")


def test_similar_samples_are_found(app, address, all_digits):
    all_digits.reload()
    if not all_digits.has_brain_run("explore_index"):
        uvl.explore(all_digits, map_method="pca")
    app.open(address, "digits")
    app.wait_for_count(1797)
    app.select_first_sample()
    app.cy("action-sort-by-similarity").click()
    app.page.get_by_text("Show similar samples").first.click()
    app.wait_for_text("25 results")
    # force: the card around the button cannot be dragged, which Playwright takes for disabled
    app.page.get_by_label("Show results").click(force=True)
    app.wait_for_count(25)
    chosen = all_digits.first()
    similar = all_digits.sort_by_similarity(chosen.id, k=25, brain_key="explore_index")
    assert app.count() == len(similar) == 25
    app.picture("similar")


def test_wrong_input_is_marked_in_the_form(app, address, embedded):
    app.open(address, "digits")
    app.browse_operators("Compute clusters")
    app.choose("Automatic", "k-means")
    app.page.locator('input[value="10"]').first.fill("0")
    app.wait_for_text("KMeans.n_clusters must be at least 1, got 0.")
    app.picture("form-error")
    assert app.button("Execute").is_disabled()


def test_an_error_is_one_sentence_that_says_what_to_do(app, address, tmp_path):
    from safetensors.numpy import save_file

    weights = tmp_path / "other.safetensors"
    save_file({"some.weight": np.zeros(3, np.float32)}, weights)
    app.open(address, "digits")
    app.browse_operators("Compute embeddings")
    app.choose("DINOv2 base", "torchvision")
    weights_input = app.page.locator('input[value="DEFAULT"]').element_handle()
    weights_input.fill("/no/such/weights.pth")
    app.wait_for_text("There is no weights file '/no/such/weights.pth'; give its full path.")
    assert app.button("Execute").is_disabled()
    weights_input.fill(str(weights))
    app.execute()
    said = app.wait_for_text(f"The weights '{weights}' are of another network")
    assert said.endswith("choose the model they were made with.")
    app.close_dialog()


def test_a_job_is_scheduled_from_the_app(app, address, embedded):
    from fiftyone.operators.delegated import DelegatedOperationService

    app.open(address, "digits")
    app.browse_operators("Compute clusters")
    app.schedule()
    service = DelegatedOperationService()
    app.wait_until(lambda: service.list_operations(dataset_name="digits"))
    with ThreadPoolExecutor(1) as worker:  # Playwright has the event loop of this thread
        worker.submit(service.execute_queued_operations, dataset_name="digits").result()
    (job,) = service.list_operations(dataset_name="digits")
    assert job.run_state == "completed"
    embedded.reload()
    assert len(embedded.exists(job.result.result["field"])) == 1797
