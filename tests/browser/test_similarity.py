"""Similarity and clean data in the App, on photographs of flowers.

The vectors are of the open_clip pair ``uvl-mnv2-minitext``, a stand-in for CLIP: a MobileNetV2
with a small text tower that knows about 1,900 nouns, such as "sunflower".
"""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import uvl_plugin as uvl

pytestmark = [pytest.mark.browser, pytest.mark.real_data]

NAME = "flowers"
KINDS = ("sunflowers", "daisy", "dandelion", "roses", "tulips")
COPIED = ["daisy", "dandelion", "roses"]
DIGIT = "0"  # a photograph of none of them
N_SHOWN = 25  # of a search by the magnifying glass


@pytest.fixture(scope="module")
def photos(real_data):
    """30 photographs of each of five kinds of flowers, the sunflowers first."""
    folder = real_data / "images" / "flowers5"
    return [path for kind in KINDS for path in sorted((folder / kind).glob("*.jpg"))[::4]]


@pytest.fixture(scope="module")
def flowers(real_data, photos, tmp_path_factory):
    """The photographs, two copies of three of them and a digit; in every second photograph an
    object: its middle. Vectors of images and of objects are in fields named 'clip'."""
    import fiftyone as fo

    copies = _copies(photos[35:125:30], tmp_path_factory.mktemp("copies"))
    digit = min((real_data / "images" / "mnist" / DIGIT).glob("*.png"))
    dataset = fo.Dataset(NAME)
    for number, path in enumerate([*photos, *copies, digit]):
        kind = path.parent.name
        sample = fo.Sample(filepath=str(path), label=fo.Classification(label=kind))
        if path in photos and number % 2 == 0:
            middle = fo.Detection(label=kind, bounding_box=[0.15, 0.15, 0.7, 0.7])
            sample["parts"] = fo.Detections(detections=[middle])
        dataset.add_sample(sample)
    backbone = uvl.OpenCLIP(model=str(real_data / "weights/open_clip/uvl-mnv2-minitext"))
    uvl.embed(dataset, backbone, "clip")
    uvl.embed(dataset, backbone, "clip", patches_field="parts")
    yield dataset
    dataset.delete()


def _copies(paths, folder):
    """Of each photograph one with the same bytes, and one that was saved again, smaller."""
    made = []
    for path in paths:
        same = folder / path.parent.name / "same.jpg"
        smaller = same.with_name("smaller.jpg")
        same.parent.mkdir()
        shutil.copy(path, same)
        with Image.open(path) as image:
            image.resize((image.width * 9 // 10, image.height * 9 // 10)).save(smaller, quality=85)
        made += [same, smaller]
    return made


@pytest.fixture
def indexed(flowers):
    """With an index of the images, one of the objects, and no search yet."""
    flowers.reload()
    flowers.delete_brain_runs()
    searches(flowers).clear()
    uvl.index(flowers, embeddings="clip", brain_key="whole")
    uvl.index(flowers, embeddings="clip", patches_field="parts", brain_key="middle")
    return flowers


def searches(dataset):
    """Where FiftyOne keeps the searches that were made in the App."""
    from fiftyone.operators.store import ExecutionStore

    return ExecutionStore.create("similarity_search_panel", dataset_id=dataset._doc.id)


def only_search(dataset):
    store = searches(dataset)
    (key,) = store.list_keys()
    return store.get(key)


def show_results(app):
    app.wait_for_text(f"{N_SHOWN} results")
    # force: the card around the button cannot be dragged, which Playwright takes for disabled
    app.page.get_by_label("Show results").click(force=True)


def shown_labels(app, field):
    """What the grid shows, in the order in which one reads it."""
    tags = app.cy(f"tag-{field}").evaluate_all(
        "tags => tags.map(tag => [tag.getBoundingClientRect(), tag.innerText])"
        ".map(([box, text]) => [box.bottom, box.left, text])"
    )
    return [text for _, _, text in sorted(tags)]


def check_shown(app, field, labels):
    """The first ten in the grid are the first of these, and most are sunflowers."""
    app.wait_until(lambda: shown_labels(app, field)[:10] == labels[:10])
    assert labels[:10].count("sunflowers") >= 7


def nearest(ids, vectors):
    """The ids by hand: nearest to the first in front."""
    vectors = np.array(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.array(ids)[np.argsort(-vectors @ vectors[0], kind="stable")].tolist()


def run_operator(app, name, said):
    """Executes an operator as its form stands; returns what the App says at the end."""
    app.browse_operators(name)
    app.execute()
    text = app.wait_for_text(re.compile(said))
    app.close_dialog()
    return text


def open_flowers(app, address, dataset):
    app.open(address, NAME)
    app.wait_for_count(len(dataset))


def test_indexes_of_images_and_of_objects_are_made_by_clicks(app, address, flowers):
    flowers.delete_brain_runs()
    open_flowers(app, address, flowers)
    said = run_operator(app, "Index similarity", "'similarity' holds")
    assert said.startswith("'similarity' holds 157 images; kind 'flat', since 157 vectors are few")
    assert "magnifying glass" in said
    app.browse_operators("Index similarity")
    app.choose("clip", re.compile("^parts.detections.clip$"))
    app.page.locator('input[value="similarity_2"]').element_handle().fill("middle")
    app.picture("index-form")
    app.execute()
    said = app.wait_for_text("'middle' holds 75 objects")
    assert "Patches" in said
    app.close_dialog()
    flowers.reload()
    sizes = {
        key: flowers.load_brain_results(key).total_index_size for key in flowers.list_brain_runs()
    }
    assert sizes == {"similarity": 157, "middle": 75}


def test_images_are_sorted_by_similarity_to_one(app, address, indexed):
    open_flowers(app, address, indexed)
    app.select_first_sample()
    app.cy("action-sort-by-similarity").click()
    app.page.get_by_text("Show similar samples").click()
    show_results(app)
    app.wait_for_count(N_SHOWN)
    found = only_search(indexed)["result_ids"]
    assert found == nearest(*indexed.values(["id", "clip"]))[:N_SHOWN]
    check_shown(app, "label", indexed.select(found, ordered=True).values("label.label"))


def test_images_are_sorted_by_similarity_to_a_word(app, address, indexed):
    open_flowers(app, address, indexed)
    app.search_by_text("sunflower")
    show_results(app)
    app.wait_for_count(N_SHOWN)
    found = only_search(indexed)["result_ids"]
    by_hand = indexed.sort_by_similarity("sunflower", k=N_SHOWN, brain_key="whole")
    assert found == by_hand.values("id")
    check_shown(app, "label", by_hand.values("label.label"))


def test_objects_are_sorted_by_similarity_to_one(app, address, indexed):
    open_flowers(app, address, indexed)
    app.cy("action-clips-patches").click()
    app.page.get_by_text("parts", exact=True).last.click()
    app.cy("entry-counts").get_by_text("75 patches").wait_for()
    app.select_first_sample()
    app.cy("action-sort-by-similarity").click()
    app.page.get_by_text("Show similar samples").click()
    show_results(app)
    app.cy("entry-counts").get_by_text(f"{N_SHOWN} patches").wait_for()
    found = only_search(indexed)["result_ids"]
    ids, vectors, labels = (
        indexed.values(f"parts.detections.{name}", unwind=True) for name in ("id", "clip", "label")
    )
    assert found == nearest(ids, vectors)[:N_SHOWN]
    kinds = dict(zip(ids, labels, strict=True))
    check_shown(app, "parts", [kinds[key] for key in found])
    app.picture("similar-objects")


def test_an_index_without_files_says_how_to_mend_it(app, address, indexed):
    shutil.rmtree(indexed.load_brain_results("whole").description["folder"])
    open_flowers(app, address, indexed)
    app.select_first_sample()
    app.cy("action-sort-by-similarity").click()
    app.page.get_by_text("Show similar samples").click()
    said = app.wait_for_text("The similarity index 'whole' cannot be used.")  # for some seconds
    assert "There is no index in" in said
    assert said.endswith("or dataset.load_brain_results('whole').rebuild().")
    app.page.mouse.move(0, 0)  # else the hint of the button stays above that of the panels
    app.open_panel("Similarity Search")  # where the reason stays
    app.wait_for_text("Failed")
    app.wait_for_text("The similarity index 'whole' cannot be used.")
    indexed.load_brain_results("whole").rebuild()
    assert len(indexed.sort_by_similarity(indexed.first().id, k=5, brain_key="whole")) == 5


def test_near_duplicates_are_shown_side_by_side(app, address, flowers):
    open_flowers(app, address, flowers)
    said = run_operator(app, "Find near-duplicates", "are near-duplicates of")
    assert said.startswith("6 of 157 images are near-duplicates of 3 that can be kept")
    app.wait_for_count(9)
    app.wait_until(lambda: shown_labels(app, "label") == sorted(3 * COPIED))
    app.picture("near-duplicates")
    flowers.reload()
    names = [Path(path).name for path in flowers.match_tags("near_duplicate").values("filepath")]
    assert names == 3 * ["same.jpg", "smaller.jpg"]


def test_copies_outliers_and_uniqueness_are_shown(app, address, flowers):
    open_flowers(app, address, flowers)
    said = run_operator(app, "Find copies of files", "are copies of")
    assert said.startswith("3 of 157 files are copies of 3")
    app.wait_for_count(6)
    app.wait_until(lambda: shown_labels(app, "label") == sorted(2 * COPIED))

    app.cy("btn-clear-view-bar").click()
    app.wait_for_count(len(flowers))
    said = run_operator(app, "Find outliers", "are outliers")
    found = int(re.match(r"(\d+) of 157 images are outliers", said).group(1))
    app.wait_for_count(found)
    app.wait_until(lambda: shown_labels(app, "label")[:1] == [DIGIT])
    app.picture("outliers")
    flowers.reload()
    assert len(flowers.match_tags("outlier")) == found < 20

    app.cy("btn-clear-view-bar").click()
    app.wait_for_count(len(flowers))
    run_operator(app, "Score uniqueness", "157 images have their uniqueness in 'uniqueness'")
    flowers.reload()
    labels = flowers.sort_by("uniqueness", reverse=True).values("label.label")
    app.wait_until(lambda: shown_labels(app, "label")[:10] == labels[:10])
    assert min(flowers.values("uniqueness")) == 0.0  # a copy
