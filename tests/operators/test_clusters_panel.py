"""The panel Clusters: its events, as the browser sends them."""

import json

import pytest

import uvl_plugin as uvl
from tests.adapter.kinds import KINDS, make_kind
from tests.operators.test_operators import context, operator

NAMES = [f"look 0{number}" for number in range(6)]


class App:
    """The App with the panel open: it keeps the panel's state and the view, as a browser does."""

    def __init__(self, dataset):
        self.dataset = dataset
        self.request = {"view": [], "filters": {}, "selected": []}
        self.state, self.data, self.notes, self.told = {}, {}, [], {}

    def event(self, method, **params):
        """Sends an event; returns its result."""
        self.dataset.reload()
        request = {"panel_id": "p", "panel_state": self.state, "__method__": method, **params}
        ctx = context(self.dataset, request, **self.request)
        result = operator("uvl_clusters").execute(ctx)
        self.told = {
            each.operator_uri.rpartition("/")[2]: each.params for each in ctx.executor._requests
        }
        for each in ctx.executor._requests:
            self._take(each.operator_uri.rpartition("/")[2], each.params)
        if self.data.get("board", {}).pop("edited", False):  # as the browser does then
            told = self.told
            self.event("follow", clusters=self.board["seen"]["selected"])
            self.told = told | self.told
        return result

    def _take(self, name, params):
        if name == "patch_panel_data":
            sent = params["data"]
            self.data |= sent | ({"board": json.loads(sent["board"])} if "board" in sent else {})
        elif name == "set_view":
            self.request["view"] = params["view"]
        elif name == "patch_panel_state":
            self.state |= params["state"]
        elif name == "notify":
            self.notes.append((params["variant"], params["message"]))

    @property
    def board(self):
        return self.data["board"]

    @property
    def sizes(self):
        return {card["name"]: card["size"] for card in self.board["cards"]}

    @property
    def view(self):
        """What the grid shows."""
        return context(self.dataset, **self.request).view


@pytest.fixture(scope="module")
def look(digit_files):
    """100 digits in six clusters, and their truth in 'label'; set back after each test."""
    import fiftyone as fo

    dataset = fo.Dataset()
    dataset.add_samples(
        [
            fo.Sample(filepath=path, label=fo.Classification(label=label))
            for path, label in digit_files[::2]
        ],
        progress=False,
    )
    uvl.embed(dataset, uvl.Pixels(size=8), "emb")
    uvl.cluster(dataset, uvl.KMeans(n_clusters=6, seed=3), embeddings="emb", run_key="look")
    yield dataset
    dataset.delete()


@pytest.fixture
def app(look):
    app = App(look)
    app.event("on_load")
    yield app
    clusters = uvl.clusters(look, "look")
    while clusters.steps:
        clusters.undo()


def members(dataset, name):
    dataset.reload()
    return [
        key
        for key, found in zip(*dataset.values(["id", "cluster.label"]), strict=True)
        if found == name
    ]


def test_the_cards_are_sent_as_data_and_not_as_state(app):
    assert list(app.sizes) == NAMES
    assert sum(app.sizes.values()) == app.board["n_items"] == 100
    assert app.board["runs"] == ["look"]
    assert app.board["label_fields"] == ["label"]
    assert "board" not in app.state


def test_thumbnails_are_returned_by_id(app):
    ids = list(app.board["cards"][0]["exemplars"])
    found = app.event("thumbnails", ids=[*ids, "0" * 24])
    assert set(found) == set(ids)
    assert all(url.startswith("data:image/jpeg;base64,") for url in found.values())


def test_a_click_filters_the_grid_and_the_view_says_what_is_selected(app):
    app.event("select", clusters=["look 01", "look 03"])
    assert set(app.view.values("id")) == {
        *members(app.dataset, "look 01"),
        *members(app.dataset, "look 03"),
    }
    app.event("on_change_view")
    assert app.data["seen"]["selected"] == ["look 01", "look 03"]
    assert app.data["seen"]["besides"] == app.board["seen"]["besides"]  # so no cards are asked for
    app.event("select", clusters=[])
    assert len(app.view) == 100


def test_a_selection_leaves_what_else_is_filtered_and_all_cards(app):
    from fiftyone import ViewField as F

    app.request["view"] = app.dataset.match(F("label.label").is_in(["0", "1"]))._serialize()
    app.event("on_change_view")
    assert app.data["seen"]["besides"] != app.board["seen"]["besides"]
    app.event("look")
    shown = {card["name"]: card["shown"] for card in app.board["cards"]}
    assert shown == app.view.count_values("cluster.label") | {
        name: 0 for name in NAMES if name not in app.view.distinct("cluster.label")
    }
    biggest = max(shown, key=shown.get)
    app.event("select", clusters=[biggest])
    assert len(app.view) == shown[biggest]
    app.event("look")
    assert {card["name"]: card["shown"] for card in app.board["cards"]} == shown
    app.event("select", clusters=[])
    assert len(app.view) == sum(shown.values())


def test_the_filters_of_the_sidebar_count(app):
    app.request["filters"] = {
        "label.label": {"values": ["3"], "exclude": False, "isMatching": True}
    }
    app.event("look")
    shown = {card["name"]: card["shown"] for card in app.board["cards"]}
    assert sum(shown.values()) == 10
    most = max(shown, key=shown.get)
    app.event("select", clusters=[most])
    app.request["filters"] = {}  # the App drops them when it gets a view
    assert len(app.view) == shown[most]
    app.event("select", clusters=[])
    assert len(app.view) == 10


def test_a_renamed_cluster_stays_selected(app):
    size = app.sizes["look 02"]
    app.event("select", clusters=["look 02"])
    app.event("rename", cluster="look 02", name=" <b>twos</b> ")
    assert app.sizes["<b>twos</b>"] == size
    assert app.board["seen"]["selected"] == ["<b>twos</b>"]
    assert len(app.view) == size
    assert app.notes[-1] == ("success", "Renamed look 02 to <b>twos</b>.")


def test_merge_split_dissolve_undo_and_redo(app):
    before = app.sizes
    app.event("select", clusters=["look 00", "look 01"])
    app.event("merge", clusters=["look 00", "look 01"])
    assert app.sizes["look 00"] == before["look 00"] + before["look 01"]
    assert app.board["seen"]["selected"] == ["look 00"]
    app.event("split", cluster="look 00", parts=3)
    assert len(app.board["seen"]["selected"]) == 3
    assert len(app.view) == before["look 00"] + before["look 01"]
    app.event("dissolve", clusters=["look 03", "look 04"])
    assert app.board["n_noise"] == before["look 03"] + before["look 04"]
    assert len(app.board["steps"]) == 4
    for _ in range(4):
        app.event("undo")
    assert app.sizes == before
    assert app.board["n_undone"] == 4
    app.event("redo")
    assert "look 01" not in app.sizes
    app.event("rename", cluster="look 02", name="twos")
    app.event("redo")
    assert app.notes[-1] == ("error", "There is no undone edit to do again.")


def test_selected_samples_are_moved(app):
    source, target = members(app.dataset, "look 00"), app.sizes["look 05"]
    app.request["selected"] = source[:2]
    app.event("on_change_selected")
    assert app.data["picked"] == 2
    app.event("move", cluster="look 05")
    assert app.sizes["look 05"] == target + 2
    assert "clear_selected_samples" in app.told
    app.request["selected"] = source[2:3]
    app.event("move", cluster="look noise")
    assert app.board["n_noise"] == 1


def test_the_other_level_and_a_field_of_labels(app):
    level = app.board["levels"][1]
    app.event("choose", level=level, labels="label")
    assert app.board["level"] == level
    assert app.board["field"] == f"cluster_{level}"
    assert all(card["purity"] > 0 for card in app.board["cards"])
    name = app.board["cards"][0]["name"]
    app.event("select", clusters=[name])
    assert len(app.view) == app.sizes[name]
    app.event("choose", level="")
    assert list(app.sizes) == NAMES
    assert len(app.view) == 100
    assert app.board["labels"] == "label"


def test_a_proposal_is_accepted_with_a_number_where_the_name_is_taken(app):
    app.event("accept", cluster="look 00", name="loop")
    app.event("accept", cluster="look 01", name="loop")
    app.event("accept", cluster="look 02", name="loop")
    assert {"loop", "loop 2", "loop 3"} <= set(app.sizes)


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("select", {"clusters": ["look 00", "nope"]}, "'look' has no cluster 'nope' now"),
        ("select", {"clusters": "look 00"}, "Give clusters as a list of texts"),
        ("select", {"clusters": [{"$ne": 1}]}, "Give clusters as a list of texts"),
        ("rename", {"cluster": "nope", "name": "a"}, "nope"),
        ("rename", {"cluster": "look 00", "name": "  "}, "Give name: a text"),
        ("rename", {"cluster": "look 00", "name": "look 01"}, "look 01"),
        ("merge", {"clusters": ["look 00"]}, "at least two different clusters"),
        ("split", {"cluster": "look 00", "parts": "2"}, "Give parts as a whole number"),
        ("split", {"cluster": "look 00", "parts": 0}, "n_clusters must be at least"),
        ("dissolve", {"clusters": ["look 00", "nope"]}, "'look' has no cluster 'nope' now"),
        ("move", {"cluster": "look 00"}, "Select samples in the grid first"),
        ("undo", {}, "There is no edit to undo"),
        ("open_form", {"name": "delete_dataset"}, "This panel opens no form"),
        ("choose", {"labels": "nope"}, "nope"),
        ("thumbnails", {"ids": [1]}, "Give ids as a list of texts"),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_is_changed(app, method, params, message):
    before, state = members(app.dataset, "look 00"), dict(app.state)
    app.event(method, **params)
    variant, said = app.notes[-1]
    assert variant == "error"
    assert message in said
    assert members(app.dataset, "look 00") == before
    assert app.state == state
    assert "set_view" not in app.told


def test_forms_of_operators_open_with_the_run(app):
    app.event("open_form", name="evaluate_clusters")
    prompt = app.told["prompt_user_for_operation"]
    assert prompt["operator_uri"] == "uvl_plugin/evaluate_clusters"
    assert prompt["params"] == {"clusters": "cluster"}


def test_without_a_clustering_there_is_a_way_to_make_one(digits):
    app = App(digits)
    app.event("on_load")
    assert app.board == {"runs": []}
    app.event("on_change_view")
    app.event("open_form", name="explore_dataset")
    assert (
        app.told["prompt_user_for_operation"]["operator_uri"].rpartition("/")[2]
        == "explore_dataset"
    )


@pytest.mark.parametrize("name", KINDS)
def test_the_grid_shows_the_items_of_clusters_whatever_they_are(name):
    kind = make_kind(name)
    kind.cluster()
    app = App(kind.dataset)
    app.event("on_load")
    chosen = [card["name"] for card in app.board["cards"]][:2]
    inside = {key for key, found in kind.names().items() if found in chosen}
    app.event("select", clusters=chosen)
    assert set(app.view.values("id")) == inside
    app.event("on_change_view")
    assert app.data["seen"]["selected"] == chosen
    app.event("look")
    assert all(card["shown"] is None for card in app.board["cards"])
    app.request["selected"] = sorted(inside)[:1]
    app.event("rename", cluster=chosen[0], name="mine")
    assert set(app.view.values("id")) == inside
    app.event("move", cluster="look noise")
    assert app.notes[-1][0] == "success"
    assert len(app.view) == len(inside) - 1
    app.event("select", clusters=[])
    assert app.request["view"] == []
    kind.dataset.delete()


def test_objects_are_moved_only_where_each_is_a_tile():
    kind = make_kind("objects")
    kind.cluster()
    app = App(kind.dataset)
    app.request["selected"] = kind.dataset.values("id")[:1]
    app.event("move", cluster="look 00")
    assert app.notes[-1][0] == "error"
    assert "select there" in app.notes[-1][1]
    app.request["view"] = kind.dataset.to_patches("things")._serialize()
    app.event("on_load")
    app.event("select", clusters=["look 00"])
    assert set(app.view.distinct("things.cluster")) == {"look 00"}
    app.event("on_change_view")
    assert app.data["seen"] == app.data["seen"] | {"selected": ["look 00"]}
    app.request["filters"] = {
        "things.group": {"values": ["group 0"], "exclude": False, "isMatching": True}
    }
    app.event("look")
    assert sum(card["shown"] for card in app.board["cards"]) <= 16
    kind.dataset.delete()
