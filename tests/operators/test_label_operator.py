"""Making labels of clusters, as the App does it."""

from collections import Counter

import pytest

import uvl_plugin as uvl
from tests.adapter.kinds import make_kind
from tests.operators.test_cluster_operators import said
from tests.operators.test_operators import form, messages, started


@pytest.fixture
def images():
    made = make_kind("images")
    made.cluster()
    yield made
    made.dataset.delete()


def notice(inputs):
    return inputs["count"].view.label


def test_the_form_says_how_many_items_the_confidence_leaves(images):
    uvl.clusters(images.dataset, "look").rename("look 01", "roses")
    inputs = form("label_clusters", images.dataset)
    size = uvl.clusters(images.dataset, "look").sizes["roses"]
    assert notice(inputs) == f"{size} of {size} images are labelled: roses."
    strengths = images.dataset.match({"cluster.label": "roses"}).values("cluster.confidence")
    n_firm = sum(strength >= 0.5 for strength in strengths)
    inputs = form("label_clusters", images.dataset, {"min_confidence": 0.5})
    assert notice(inputs) == f"{n_firm} of {size} images are labelled: roses."
    inputs = form("label_clusters", images.dataset, {"clusters": ["look 00", "look 02"]})
    assert notice(inputs).endswith("images are labelled: look 00, look 02.")


def test_chosen_clusters_get_the_label_that_was_typed(images):
    params = {"clusters": ["look 00", "look 02"], "label": "flower", "field": "species"}
    told = messages(started("label_clusters", images.dataset, params))
    severity, text = said(told)
    images.dataset.reload()
    counts = Counter(filter(None, images.dataset.values("species.label")))
    assert (severity, list(counts)) == ("success", ["flower"])
    assert text.startswith(f"{counts['flower']} images got a label in 'species'")
    assert any(
        uri.endswith("set_active_fields") and params["fields"] == ["species"]
        for uri, params in told
    )
    _, text = said(messages(started("label_clusters", images.dataset, params)))
    assert "overwrite=True" in text


def test_the_panel_can_fill_the_form_in(images):
    params = {"run_key": "look", "clusters": ["look 01"]}
    assert notice(form("label_clusters", images.dataset, params)).endswith("labelled: look 01.")
    messages(started("label_clusters", images.dataset, params))
    images.dataset.reload()
    assert "label_from_clusters" in images.dataset.get_field_schema()


@pytest.mark.parametrize(
    ("params", "where", "message"),
    [
        ({}, "clusters", "No cluster of 'look' was named yet"),
        ({"clusters": ["gone"]}, "clusters", "no cluster 'gone'"),
        ({"clusters": ["look 00"], "field": "cluster"}, "field", "written by the run 'look'"),
        ({"clusters": ["look 00"], "field": "emb"}, "field", "another kind"),
    ],
)
def test_wrong_input_is_marked_with_the_reason(images, params, where, message):
    inputs = form("label_clusters", images.dataset, params)
    assert inputs[where].invalid
    assert message in inputs[where].error_message


def test_labels_of_frames_go_to_the_frames():
    kind = make_kind("frames")
    kind.cluster()
    inputs = form("label_clusters", kind.dataset, {"clusters": ["look 00"]})
    assert inputs["field"].default == "frames.label_from_clusters"
    assert "frames are labelled" in notice(inputs)
    kind.dataset.delete()


def test_without_a_clustering_the_form_says_so(make_dataset):
    inputs = form("label_clusters", make_dataset([]))
    assert "There is no clustering yet" in inputs["run_key"].error_message
