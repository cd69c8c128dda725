import json

import numpy as np

from uvl_plugin.clustering.confusion import Confusion, build_confusion

CLUSTERS = np.array([0] * 6 + [1] * 9 + [2] * 4 + [-1] * 2)
CLASSES = np.array([1] * 6 + [0] * 8 + [1] + [1] * 3 + [0] + [0, 1])
NAMES, CLASS_NAMES = ["k 00", "k 01", "k 02"], ["cat", "dog"]


def confusion(*, many_to_one=False) -> Confusion:
    return build_confusion(CLUSTERS, CLASSES, NAMES, CLASS_NAMES, many_to_one=many_to_one)


def test_rows_follow_the_classes_and_noise_comes_last():
    found = confusion()
    assert found.clusters == ("k 01", "k 00", "k 02", "noise")
    assert found.stands_for == ("cat", "dog", None, None)
    assert found.counts.tolist() == [[8, 1], [0, 6], [1, 3], [1, 1]]
    assert found.counts.sum() == len(CLUSTERS)


def test_clusters_that_share_a_class_are_named_and_marked():
    found = confusion(many_to_one=True)
    assert found.stands_for == ("cat", "dog", "dog", None)
    assert found.shared == confusion().shared == {"dog": ("k 00", "k 02")}
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["many_to_one"] is True
    assert plain["shared"] == {"dog": ["k 00", "k 02"]}
    assert plain["rows"][1] == {"cluster": "k 00", "stands_for": "dog", "counts": {"dog": 6}}


def test_the_heat_map_shows_shares_of_rows_and_counts():
    figure = json.loads(json.dumps(confusion().heat_map()))
    (trace,) = figure["data"]
    assert trace["x"] == CLASS_NAMES
    assert trace["y"] == ["k 01", "k 00", "k 02", "noise"]
    assert trace["z"] == [[0.8889, 0.1111], [0, 1], [0.25, 0.75], [0.5, 0.5]]
    assert trace["customdata"] == [[8, 1], [0, 6], [1, 3], [1, 1]]
    assert figure["layout"]["yaxis"]["autorange"] == "reversed"  # the first row on top


def test_plotly_takes_the_heat_map():
    from plotly.graph_objects import Figure

    assert Figure(confusion().heat_map()).data[0].z[0][0] == 0.8889


def test_what_is_too_much_for_the_heat_map_is_added_up():
    sizes = np.arange(1, 151)
    clusters = np.repeat(np.arange(150), sizes)
    names = [f"k {number:03d}" for number in range(150)]
    classes = [f"c {number:03d}" for number in range(150)]
    found = build_confusion(clusters, clusters, names, classes, many_to_one=False)
    (trace,) = found.heat_map()["data"]
    assert (len(trace["x"]), len(trace["y"])) == (100, 100)
    assert trace["y"][:-1] == names[51:]
    assert (trace["x"][-1], trace["y"][-1]) == ("other (51 classes)", "other (51 clusters)")
    counts = np.array(trace["customdata"])
    assert counts.sum() == sizes.sum()
    assert counts[-1, -1] == sizes[:51].sum()


def test_all_noise_is_one_row():
    found = build_confusion(np.full(2, -1), np.array([0, 0]), [], ["cat"], many_to_one=False)
    assert (found.clusters, found.counts.tolist(), found.shared) == (("noise",), [[2]], {})
    assert found.heat_map()["data"][0]["z"] == [[1.0]]
