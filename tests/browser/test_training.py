"""A backbone is trained in the App: views before, curve while, figures after, then its vectors."""

import re

import pytest

from uvl_plugin.training.recipe import Recipe

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", autouse=True)
def checkpoints(tmp_path_factory):
    """An empty folder for checkpoints; the server, which is started later, uses it too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UVL_CHECKPOINTS", str(tmp_path_factory.mktemp("checkpoints")))
        yield


def shown_views(app):
    """Source of the picture of views; it is shown, and is one."""
    image = app.page.get_by_alt_text("images beside their views")
    image.wait_for()
    image.scroll_into_view_if_needed()
    app.wait_until(lambda: image.evaluate("image => image.complete && image.naturalWidth > 500"))
    return image.get_attribute("src")


def choose_augmentation(app, shown, wanted):
    """It is the last choice in the form; waits for its views."""
    app.page.get_by_role("combobox").filter(has_text=shown).last.click()
    app.page.get_by_role("option", name=re.compile(f"^{wanted}")).click()
    app.wait_for_text(f"Views by {wanted}", seconds=30)


def test_a_backbone_is_trained_and_its_vectors_computed(app, address, all_digits):
    """One path through the App, as in the README: its steps depend on each other."""
    app.open(address, "digits")
    app.wait_for_count(1797)
    app.browse_operators("Train a backbone on this dataset")
    app.choose("none", "label")
    app.page.locator(f'input[value="{Recipe().epochs}"]').element_handle().fill("8")
    app.page.get_by_label("Look at views before training").click()
    glyphs = shown_views(app)
    assert glyphs.startswith("data:image/png;base64,")
    app.wait_for_text("Views by Glyph")
    choose_augmentation(app, "What suits", "Photo")
    assert shown_views(app) != glyphs
    choose_augmentation(app, "Photo", "Glyph")
    assert shown_views(app) == glyphs
    app.picture("train-form")

    app.execute()
    app.wait_for_text(re.compile(r"epoch \d of 8"))
    app.wait_for_text(re.compile(r"digits is running: epoch [1-7] of 8"))
    app.page.locator(".js-plotly-plot").wait_for()
    said = app.wait_for_text("'digits' was trained for 8 epochs (finished)")
    assert "Next: choose 'digits' as the backbone in Compute embeddings." in said
    app.close_dialog()
    app.wait_for_text("digits is finished: epoch 8 of 8")
    app.wait_for_text("Did it help?")
    app.wait_for_text("k-means, accuracy")
    legend = app.page.locator(".js-plotly-plot .legendtext").all_text_contents()
    assert legend[:2] == ["Loss", "Finds its own view"]
    app.picture("training-panel")

    app.browse_operators("Compute embeddings")
    app.choose("DINOv2 base", "digits (SimCLR, Compact CNN, 64 numbers)")
    app.execute()
    app.wait_for_text("1,797 images embedded into 'embedding'")
    app.close_dialog()
    all_digits.reload()
    assert all_digits.first()["embedding"].shape == (64,)
