"""The panel "Review", as the App uses it."""

import pytest

import uvl_plugin as uvl
from tests.adapter.kinds import make_kind
from tests.operators.test_operators import context, operator


class Panel:
    """The panel as the App holds it: it sends the state with each event, and keeps what comes."""

    def __init__(self, dataset):
        self.dataset, self.state, self.shown = dataset, {}, None
        self.view = None
        self.send("on_load")

    def send(self, method, selected=None, **params):
        """What the panel tells the App after an event, by the name of each operation."""
        params |= {"panel_id": "p", "panel_state": self.state, "__method__": method}
        request = {"selected": selected} if selected else {}
        if self.view is not None:
            request["view"] = self.view
        ctx = context(self.dataset, params, **request)
        operator("uvl_review").execute(ctx)
        told = {
            each.operator_uri.rpartition("/")[2]: each.params for each in ctx.executor._requests
        }
        self.state = self.state | told.get("patch_panel_state", {}).get("state", {})
        self.shown = told["show_panel_output"]["output"]["type"]["properties"]
        if "set_view" in told:
            self.view = told["set_view"]["view"]
        return told

    @property
    def queues(self):
        """What the buttons of the queues say."""
        return [p["view"]["label"] for key, p in self.shown.items() if key.startswith("queue_")]


@pytest.fixture
def images():
    kind = make_kind("images")
    found = uvl.find_outliers(kind.dataset, "emb", cut=0.5)
    kind.found = found.above
    yield kind
    kind.dataset.delete()


@pytest.fixture
def panel(images):
    return Panel(images.dataset)


def tagged(kind, tag):
    kind.dataset.reload()
    return set(kind.dataset.match_tags(tag).values("id"))


def test_queues_are_shown_and_a_click_shows_what_is_left(images, panel):
    n = len(images.found)
    assert panel.queues == [f"Outliers: {n} of {n} left"]
    told = panel.send("show_queue", queue="outlier")
    assert "notify" not in told
    shown = images.dataset.view()._build(images.dataset, panel.view)
    assert shown.values("id") == images.found


def test_the_selected_are_decided_about_and_leave_the_queue(images, panel):
    panel.send("show_queue", queue="outlier")
    first, second = images.found[:2]
    n = len(images.found)
    told = panel.send("exclude_selected", selected=[first])
    assert told["notify"]["message"] == "1 samples are excluded. Nothing is deleted."
    assert {"clear_selected_samples", "reload_dataset", "set_view"} <= told.keys()
    panel.send("keep_selected", selected=[second])
    assert (tagged(images, "exclude"), tagged(images, "keep")) == ({first}, {second})
    assert panel.queues == [f"Outliers: {n - 2} of {n} left"]
    assert f"**2 of {n}** decided" in panel.shown["said"]["default"]
    panel.send("undo")
    assert (tagged(images, "exclude"), tagged(images, "keep")) == ({first}, set())
    assert panel.queues == [f"Outliers: {n - 1} of {n} left"]


def test_all_that_are_shown_are_decided_about(images, panel):
    panel.send("show_queue", queue="outlier")
    told = panel.send("exclude_shown")
    assert tagged(images, "exclude") == set(images.found)
    assert "set_view" in told
    panel.send("show_excluded")
    assert len(images.dataset.view()._build(images.dataset, panel.view)) == len(images.found)
    panel.send("keep_shown")
    assert tagged(images, "keep") == set(images.found)
    panel.send("show_others")
    assert len(images.dataset.view()._build(images.dataset, panel.view)) == len(images.dataset)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("exclude_shown", "shows everything"),
        ("keep_selected", "Select items"),
        ("undo", "no decision to take back"),
    ],
)
def test_what_cannot_be_is_told_and_the_panel_stays(images, panel, method, message):
    told = panel.send(method)
    assert message in told["notify"]["message"]
    assert told["notify"]["variant"] == "error"
    assert panel.queues
    assert tagged(images, "exclude") == tagged(images, "keep") == set()


def test_an_unforeseen_error_is_told_too(panel, monkeypatch):
    monkeypatch.setattr(uvl, "review", lambda dataset: 1 / 0)
    told = panel.send("look")
    assert "ZeroDivisionError" in told["notify"]["message"]


def test_queues_of_objects_show_objects():
    kind = make_kind("objects")
    found = uvl.find_outliers(kind.dataset, "emb", cut=0.5, patches_field="things")
    panel = Panel(kind.dataset)
    assert panel.queues[0].startswith("Outliers, things: ")
    panel.send("show_queue", queue="things.detections.outlier")
    panel.send("exclude_selected", selected=found.above[:1])
    kind.dataset.reload()
    assert kind.dataset.count_label_tags()["exclude"] == 1
    assert kind.dataset.count_sample_tags() == {}
    kind.dataset.delete()


def test_where_nothing_was_found_the_panel_says_what_to_do(make_dataset):
    panel = Panel(make_dataset([]))
    assert "Nothing was found" in panel.shown["nothing"]["default"]
