import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvl_plugin.core.errors import DataError
from uvl_plugin.core.tree import Tree
from uvl_plugin.curation.edited import Edited, RawClusters
from uvl_plugin.curation.edits import (
    Dissolve,
    Edit,
    Merge,
    Move,
    Recluster,
    Recut,
    Rename,
    Split,
)
from uvl_plugin.curation.history import History, replay

#         a  b  c  d  e  f  g  h  i   j   k
LABELS = [0, 0, 0, 0, 1, 1, 1, 2, 2, -1, -1]
LEAVES = [0, 0, 0, 1, 2, 2, 3, 4, 4, -1, -1]
TREE = Tree([(0, 1), (2, 3), (5, 6), (4, 7)], [1, 2, 5, 9])
RAW = RawClusters(list("abcdefghijk"), LABELS, ("run 00", "run 01", "run 02"), np.array(LEAVES))


def named(number: int) -> str:
    return f"run {number:02d}"


def after(*edits) -> Edited:
    return replay(RAW, edits, named)


def groups(edited) -> dict[str, str]:
    """Ids by name, such as {"run 00": "abcd"}; noise has an empty name."""
    found = {}
    for item, label in zip(edited.raw.ids, edited.labels, strict=True):
        name = edited.names[label] if label >= 0 else ""
        found[name] = found.get(name, "") + item
    return found


def test_without_edits_all_is_raw():
    assert groups(after()) == {"run 00": "abcd", "run 01": "efg", "run 02": "hi", "": "jk"}
    assert after().sizes == {0: 4, 1: 3, 2: 2}
    assert after().members(1).tolist() == [4, 5, 6]


def test_a_new_name_has_no_blanks_around_it():
    assert after(Rename(1, " cats ")).names == {0: "run 00", 1: "cats", 2: "run 02"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("  ", "needs a name that is not empty"),
        ("my noise", "ends with the word that marks items in no cluster"),
        ("noise", "ends with the word that marks items in no cluster"),
        ("run 02", "'run 02' is the name of cluster 2 already; choose another, or merge"),
    ],
)
def test_a_name_must_tell_its_cluster_from_others(name, message):
    with pytest.raises(DataError, match=message) as caught:
        Rename(1, name).apply(after())
    assert caught.value.argument == "name"


def test_merged_clusters_stay_under_the_first():
    edited = after(Merge((2, 0)))
    assert groups(edited) == {"run 02": "abcdhi", "run 01": "efg", "": "jk"}


@pytest.mark.parametrize("clusters", [(), (1,), (1, 1)])
def test_a_merge_needs_two(clusters):
    with pytest.raises(DataError, match="at least two different clusters, got"):
        Merge(clusters).apply(after())


def test_the_largest_part_of_a_split_stays():
    edited = after(Split(0, list("dcba"), [5, 7, 7, 3]))
    assert groups(edited) == {
        "run 00": "bc",
        "run 01": "efg",
        "run 02": "hi",
        "run 03": "a",
        "run 04": "d",
        "": "jk",
    }
    assert (edited.names[3], edited.names[4], edited.next_number) == ("run 03", "run 04", 5)


def test_a_split_may_leave_noise():
    assert groups(after(Split(2, ["h", "i"], [-1, 0]))) == {
        "run 00": "abcd",
        "run 01": "efg",
        "run 02": "i",
        "": "hjk",
    }


@pytest.mark.parametrize(
    ("items", "parts", "message"),
    [
        ("hi", [4, 4], "leaves cluster 2 in one piece"),
        ("hi", [-1, -1], "leaves cluster 2 in one piece"),
        ("ha", [0, 1], "exactly the 2 members of cluster 2, got 1 of them and 1 other"),
        ("h", [0], "exactly the 2 members of cluster 2, got 1 of them and 0 other"),
    ],
)
def test_a_split_is_of_one_whole_cluster(items, parts, message):
    with pytest.raises(DataError, match=message):
        Split(2, list(items), parts).apply(after())


def test_a_selection_becomes_new_clusters_and_emptied_ones_vanish():
    edited = after(Recluster(list("jahi"), [1, 0, 0, -1]))
    assert groups(edited) == {
        "run 00": "bcd",
        "run 01": "efg",
        "run 03": "ah",
        "run 04": "j",
        "": "ik",
    }
    assert list(edited.names) == [0, 1, 3, 4]


def test_items_move_to_a_cluster_or_to_noise():
    edited = after(Move(["j", "a"], 2), Move(["e", "f", "g"], -1))
    assert groups(edited) == {"run 00": "bcd", "run 02": "ahij", "": "efgk"}


def test_a_dissolved_cluster_is_noise():
    assert groups(after(Dissolve(0))) == {"run 01": "efg", "run 02": "hi", "": "abcdjk"}


def test_numbers_are_never_used_again():
    edited = after(Recluster(["a"], [0]), Dissolve(3), Recluster(["b"], [0]))
    assert list(edited.names) == [0, 1, 2, 4]


def test_a_name_that_a_person_gave_is_not_given_again():
    edited = after(Rename(1, "run 03"), Recluster(["a", "b"], [0, 1]))
    assert edited.names == {0: "run 00", 1: "run 03", 2: "run 02", 4: "run 04", 5: "run 05"}


def test_a_recut_replaces_all_labels_and_keeps_what_is_the_same():
    edited = after(Rename(1, "cats"), Dissolve(0), Recut.of(TREE, 4))
    assert groups(edited) == {
        "run 03": "abcd",
        "cats": "ef",
        "run 04": "g",
        "run 02": "hi",
        "": "jk",
    }
    coarser = after(Rename(0, "cats"), Recut.of(TREE, 2))
    assert groups(coarser) == {"cats": "abcdefg", "run 02": "hi", "": "jk"}


@pytest.mark.parametrize("leaves", [None, np.array([0, 5])])
def test_a_recut_needs_the_tree_of_the_run(leaves):
    raw = RawClusters(["a", "b"], [0, 0], ("run 00",), leaves)
    with pytest.raises(DataError, match="has no tree, or another one"):
        replay(raw, (Recut.of(TREE, 2),))


@pytest.mark.parametrize("edit", [Rename(3, "x"), Merge((0, 3)), Dissolve(3), Move(["a"], 3)])
def test_a_cluster_that_is_not_there_is_named_with_those_that_are(edit):
    with pytest.raises(DataError, match=r"There is no cluster 3. Known: 0, 1, 2\."):
        edit.apply(after())


@pytest.mark.parametrize(
    "edit", [Move(["a", "zz", "0"], 1), Recluster(["a", "zz", "0"], [0, 0, 0])]
)
def test_items_of_another_run_are_counted(edit):
    with pytest.raises(DataError, match="2 of 3 items are not in this run, the first is zz"):
        edit.apply(after())


@pytest.mark.parametrize("items", [[], ["a", "a"], [["a"]]])
def test_items_are_named_once(items):
    with pytest.raises(DataError, match="To move items, name at least one, and each once"):
        Move(items, 0)


@pytest.mark.parametrize("parts", [[0], [0, -2], [[0, 1]]])
def test_every_item_has_a_part(parts):
    with pytest.raises(DataError, match="To recluster 2 items, give each the number of its part"):
        Recluster(["a", "b"], parts)


def test_raw_clusters_have_names_and_labels():
    with pytest.raises(DataError, match="2 ids have 1 labels"):
        RawClusters(["a", "b"], [0], ("x",))
    with pytest.raises(DataError, match="Cluster 1 has no name; 1 have one"):
        RawClusters(["a", "b"], [0, 1], ("x",))


def test_a_run_without_items_has_none_to_move():
    empty = RawClusters([], [], ())
    assert replay(empty, ()).names == {}
    with pytest.raises(DataError, match="The run has no items"):
        replay(empty, (Move(["a"], -1),))


def test_steps_are_said_with_the_names_of_their_time():
    edited = after(
        Rename(1, "cats"),
        Merge((1, 0)),
        Split(2, ["h", "i"], [0, 1]),
        Recluster(["a", "b", "c"], [0, 0, 1]),
        Move(["a"], -1),
        Move(["a"], 1),
        Dissolve(1),
        Recut.of(TREE, 1),
    )
    assert edited.steps == (
        "renamed run 01 to cats",
        "merged run 00 into cats",
        "split run 02 into 2 clusters",
        "re-clustered 3 items into 2 clusters",
        "moved 1 item to noise",
        "moved 1 item to cats",
        "dissolved cats",
        "cut the tree at 1 cluster",
    )


def test_each_edit_says_when_in_utc_and_who():
    edit = Dissolve(1, who="ann")
    assert edit.when.endswith("+00:00")
    assert edit.to_dict() == {"verb": "dissolve", "cluster": 1, "when": edit.when, "who": "ann"}


def test_a_verb_that_is_unknown_is_an_error():
    with pytest.raises(DataError, match="There is no edit 'paint'. Known: rename, merge,"):
        Edit.from_dict({"verb": "paint"})


def test_undo_and_redo_have_an_end():
    with pytest.raises(DataError, match="no edit to undo"):
        History().undo()
    with pytest.raises(DataError, match="no undone edit"):
        History().apply(Dissolve(0)).redo()


def test_a_new_edit_forgets_the_undone_ones():
    first, second, third = Dissolve(0), Dissolve(1), Dissolve(2)
    history = History().apply(first).apply(second).undo().undo().redo()
    assert (history.done, history.undone) == ((first,), (second,))
    assert history.apply(third).edits == (first, third)


# Random edits of random clusters.


def drawn_edit(data, edited) -> Edit:
    """An edit that is possible now."""
    items = st.lists(st.sampled_from(edited.raw.ids.tolist()), min_size=1, unique=True)
    verbs = ["recluster", "move", "recut"]
    verbs += ["rename", "dissolve"] if edited.names else []
    verbs += ["merge"] if len(edited.names) > 1 else []
    splittable = [number for number, size in edited.sizes.items() if size > 1]
    verbs += ["split"] if splittable else []
    verb = data.draw(st.sampled_from(verbs))
    if verb == "recut":
        return Recut.of(TREE, data.draw(st.integers(1, 7)))
    if verb == "split":
        cluster = data.draw(st.sampled_from(splittable))
        members = edited.raw.ids[edited.members(cluster)]
        return Split(cluster, members, np.arange(len(members)) % 2)
    if verb in ("recluster", "move"):
        chosen = data.draw(items)
        if verb == "recluster":
            return Recluster(chosen, [data.draw(st.integers(-1, 3)) for _ in chosen])
        return Move(chosen, data.draw(st.sampled_from([-1, *edited.names])))
    if verb == "merge":
        clusters = st.lists(st.sampled_from(list(edited.names)), min_size=2, unique=True)
        return Merge(data.draw(clusters))
    cluster = data.draw(st.sampled_from(list(edited.names)))
    return Dissolve(cluster) if verb == "dissolve" else Rename(cluster, f"given {edited.steps}")


def drawn_history(data) -> History:
    history = History()
    for _ in range(data.draw(st.integers(1, 6))):
        history = history.apply(drawn_edit(data, history.replay(RAW, named)))
    return history


def state(edited) -> tuple:
    return edited.labels.tolist(), dict(edited.names), edited.next_number, edited.steps


@given(st.data())
def test_clusters_stay_whole_whatever_is_done(data):
    edited = drawn_history(data).replay(RAW, named)
    assert sum(edited.sizes.values()) + np.sum(edited.labels == -1) == len(RAW.ids)
    assert set(edited.names) == set(edited.labels.tolist()) - {-1}
    assert min(edited.sizes.values(), default=1) > 0
    assert len(set(edited.names.values())) == len(edited.names)
    assert edited.next_number > max(edited.names, default=-1)
    assert RAW.labels.tolist() == LABELS


@given(st.data())
def test_undoing_all_gives_raw_and_doing_all_again_the_same(data):
    history = drawn_history(data)
    expected, undone = state(history.replay(RAW, named)), history
    for _ in history.edits:
        undone = undone.undo()
    assert state(undone.replay(RAW, named)) == state(after())
    for _ in history.edits:
        undone = undone.redo()
    assert state(undone.replay(RAW, named)) == expected


@given(st.data())
def test_a_stored_history_gives_the_same(data):
    history = drawn_history(data)
    history = history.undo() if data.draw(st.booleans()) else history
    stored = json.loads(json.dumps(history.to_dict()))
    again = History.from_dict(stored, history.arrays())
    assert state(again.replay(RAW, named)) == state(history.replay(RAW, named))
    assert again.to_dict() == history.to_dict()
    assert again.n_done == history.n_done


@given(st.data())
def test_the_order_of_the_items_does_not_matter(data):
    history = drawn_history(data)
    order = np.array(data.draw(st.permutations(range(len(LABELS)))))
    turned = RawClusters(RAW.ids[order], RAW.labels[order], RAW.names, RAW.leaves[order])
    expected, found = history.replay(RAW, named), history.replay(turned, named)
    assert (found.labels == expected.labels[order]).all()
    assert found.names == expected.names


@given(st.data())
def test_merging_what_was_split_restores_the_cluster(data):
    cluster = data.draw(st.sampled_from([0, 1, 2]))
    members = RAW.ids[RAW.labels == cluster]
    parts = [data.draw(st.integers(0, 3)) for _ in members]
    parts[0], parts[-1] = 4, 5
    split = after(Split(cluster, members, parts))
    new = [number for number in split.names if number > 2]
    whole = Merge((cluster, *new)).apply(split)
    assert whole.labels.tolist() == LABELS
    assert whole.names == after().names
