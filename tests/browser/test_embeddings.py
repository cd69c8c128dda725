"""Vectors of photographs in the App: progress, bad files at the end, search by text."""

import re

import pytest

import uvl_plugin as uvl
from uvl_plugin.adapter.failures import FAILED_TAG

pytestmark = [pytest.mark.browser, pytest.mark.real_data]


@pytest.fixture(scope="module")
def photos(real_data, tmp_path_factory):
    """150 photographs of five kinds of flowers, and three files that are none."""
    import fiftyone as fo

    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty.jpg").touch()
    (folder / "page.jpg").write_text("<html>404 Not Found</html>")
    files = sorted((real_data / "images" / "flowers5").glob("*/*.jpg"))[::4]
    bad = [folder / "empty.jpg", folder / "page.jpg", folder / "missing.jpg"]
    dataset = fo.Dataset("photos")
    for path in [*files[:75], *bad, *files[75:]]:
        label = fo.Classification(label=path.parent.name)
        dataset.add_sample(fo.Sample(filepath=str(path), label=label))
    yield dataset
    dataset.delete()


def test_bad_files_are_shown_at_the_end_and_can_be_filtered(app, address, photos, real_data):
    weights = real_data / "weights" / "torchvision" / "mobilenet_v2_imagenet.safetensors"
    app.open(address, "photos")
    app.wait_for_count(153)
    app.browse_operators("Compute embeddings")
    app.choose("DINOv2 base", "torchvision")
    app.page.locator('input[value="DEFAULT"]').element_handle().fill(str(weights))
    app.execute()
    app.wait_for_text(re.compile(r"embedded [\d,]+ of 153, [\d.]+/s, 0:\d\d left"))
    said = app.wait_for_text("150 images embedded into 'embedding'")
    assert f"3 could not be embedded and carry the tag '{FAILED_TAG}'" in said
    for reason in ("empty.jpg: empty file", "not an image that can be read", "file not found"):
        assert reason in said
    app.close_dialog()
    photos.reload()
    assert len(photos.match_tags(FAILED_TAG)) == 3
    assert len(photos.exists("embedding")) == 150


def test_text_search_works_in_a_server_that_has_never_seen_the_model(app, photos, real_data):
    import fiftyone as fo

    from uvl_plugin.adapter.mongod import free_port

    photos.reload()
    backbone = uvl.OpenCLIP(model=str(real_data / "weights/open_clip/uvl-mnv2-minitext"))
    uvl.embed(photos, backbone, "clip")
    uvl.index(photos, embeddings="clip", brain_key="clip_sim")
    port = free_port()
    session = fo.launch_app(photos, remote=True, address="127.0.0.1", port=port)
    try:
        app.open(f"http://127.0.0.1:{port}", "photos")
        app.search_by_text("sunflower")
        app.wait_for_text("25 results")
        app.page.get_by_label("Show results").click(force=True)
        app.wait_for_count(25)
        app.picture("text-search")
    finally:
        session.close()
    found = photos.sort_by_similarity("sunflower", k=25, brain_key="clip_sim")
    labels = found.values("label.label")[:10]
    assert labels.count("sunflowers") >= 7
