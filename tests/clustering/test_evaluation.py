import json
import math

import numpy as np
import pytest

from uvl_plugin.clustering import evaluation_result
from uvl_plugin.clustering.evaluation import Clustered, evaluate_clusters
from uvl_plugin.clustering.evaluation_result import Evaluation
from uvl_plugin.clustering.kmeans import KMeans
from uvl_plugin.clustering.quality import agreement
from uvl_plugin.clustering.space import Space
from uvl_plugin.core.errors import DataError

COLOURS = np.array(["red", "green", "blue", "amber", "white"])


def parts(blobs) -> dict[str, np.ndarray]:
    """Five clear groups; in each tenth item something is odd."""
    random = np.random.default_rng(0)
    n = len(blobs.truth)
    clusters = blobs.truth.copy()
    clusters[::20] = -1
    clusters[5::20] = (clusters[5::20] + 1) % 5
    classes = COLOURS[blobs.truth].astype(object)
    classes[3::10] = None
    strengths = random.uniform(0.6, 1.0, n)
    strengths[5::20] = random.uniform(0.0, 0.5, len(strengths[5::20]))
    return {
        "ids": blobs.embeddings.ids,
        "clusters": clusters,
        "classes": classes,
        "strengths": strengths,
        "vectors": blobs.embeddings.vectors,
    }


def items(found, order=None) -> Clustered:
    found = {name: value if order is None else value[order] for name, value in found.items()}
    space = Space(found.pop("vectors"))
    return Clustered(**found, space=space)


@pytest.fixture(scope="module")
def evaluation(blobs) -> Evaluation:
    return evaluate_clusters(items(parts(blobs)), rerun=KMeans(n_clusters=5, n_init=10))


def test_labels_give_the_agreement_of_the_items_that_have_one(evaluation, blobs):
    found = parts(blobs)
    known = np.array([name is not None for name in found["classes"]])
    clusters = found["clusters"][known]
    assert evaluation.agreement == agreement(
        clusters, found["classes"][known].astype(str), clusters == -1
    )
    n = len(known)
    assert (evaluation.n_items, evaluation.n_unlabelled) == (n, n - known.sum())
    assert (evaluation.n_clusters, evaluation.n_noise) == (5, np.sum(found["clusters"] == -1))


def test_recall_by_class_adds_up_to_the_held_out_accuracy(evaluation):
    right = sum(one.recall * one.support for one in evaluation.classes)
    support = sum(one.support for one in evaluation.classes)
    assert right / support == pytest.approx(evaluation.held_out.one_to_one)
    assert evaluation.held_out.one_to_one == pytest.approx(evaluation.agreement.accuracy, abs=0.02)
    assert [one.name for one in evaluation.classes] == sorted(COLOURS)


def test_every_cluster_has_its_figures(evaluation, blobs):
    found = parts(blobs)
    for cluster, one in enumerate(evaluation.clusters):
        inside = found["clusters"] == cluster
        assert (one.name, one.size) == (str(cluster), inside.sum())
        assert one.strength == pytest.approx(found["strengths"][inside].mean())
        vectors = found["vectors"][inside]
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        mean = unit.mean(axis=0)
        assert one.cohesion == pytest.approx((unit @ mean).mean() / np.linalg.norm(mean), abs=1e-5)
        assert one.stands_for == COLOURS[cluster]
        labelled = inside & (found["classes"] != None)
        assert one.pure == np.mean(found["classes"][labelled] == COLOURS[cluster])
        assert one.recovered > 0.7  # the odd items are put right
        assert one.nearest in set("01234") - {one.name}
        assert one.distance > 0.1


def test_without_labels_the_separation_and_the_stability_remain(evaluation, blobs):
    found = parts(blobs)
    del found["classes"], found["strengths"]
    alone = evaluate_clusters(items(found), rerun=KMeans(n_clusters=5, n_init=10))
    assert alone.separation == evaluation.separation
    assert alone.stability == evaluation.stability
    assert alone.separation.silhouette > 0.6
    assert min(alone.stability.seeds) > 0.7
    assert (alone.agreement, alone.held_out, alone.confusion) == (None, None, None)
    assert (alone.classes, alone.suspects, alone.strength_auroc) == ((), (), None)
    with pytest.raises(DataError, match="ground truth"):
        alone.heat_map()


def test_the_strength_that_finds_every_wrong_item_is_told(evaluation):
    assert evaluation.strength_auroc == 1.0


def test_a_label_against_cluster_and_neighbours_is_a_suspect(blobs):
    found = parts(blobs)
    row = 7
    assert found["clusters"][row] == blobs.truth[row]
    other = COLOURS[(blobs.truth[row] + 2) % 5]
    found["classes"][row] = other
    worst = evaluate_clusters(items(found)).suspects
    assert [(one.id, one.given, one.suggested) for one in worst] == [
        (found["ids"][row], other, COLOURS[blobs.truth[row]])
    ]
    assert worst[0].score > 0.8


def test_the_order_of_the_items_changes_nothing(evaluation, blobs):
    order = np.random.default_rng(1).permutation(len(blobs.truth))
    shuffled = items(parts(blobs), order)
    again = evaluate_clusters(shuffled, rerun=KMeans(n_clusters=5, n_init=10))
    assert rounded(again.to_dict()) == rounded(evaluation.to_dict())


def rounded(value):
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def test_names_and_numbers_say_the_same(blobs):
    found = parts(blobs)
    numbers = evaluate_clusters(items(found))
    names = np.array([*(f"first {number:02d}" for number in range(5)), "first noise"])
    found["clusters"] = names[found["clusters"]]
    texts = evaluate_clusters(items(found))
    assert texts.agreement == numbers.agreement
    assert texts.n_noise == numbers.n_noise > 0
    assert [one.name for one in texts.clusters] == names[:5].tolist()
    assert texts.confusion.clusters[-1] == "noise"


def test_many_to_one_is_marked_wherever_it_counts(blobs):
    found = parts(blobs)
    found["clusters"] = np.where(np.arange(len(blobs.truth)) % 2, blobs.truth, blobs.truth + 5)
    strict, several = (evaluate_clusters(items(found), many_to_one=flag) for flag in (False, True))
    assert strict.held_out == several.held_out
    assert strict.held_out.many_to_one == 1.0
    assert strict.held_out.one_to_one < 0.6
    assert [one.recall for one in several.classes] == [1.0] * 5
    assert max(one.recall for one in strict.classes) < 0.8
    assert len(several.confusion.shared) == 5
    assert several.to_dict()["many_to_one"] is True
    assert "may share a class" in str(several)
    assert "more clusters than classes" in str(strict)


def test_json_holds_every_figure_and_is_written_whole(evaluation, tmp_path, monkeypatch):
    path = tmp_path / "new" / "figures.json"
    evaluation.save(path)
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert plain == json.loads(json.dumps(evaluation.to_dict()))
    assert set(plain) == set(Evaluation.__dataclass_fields__)
    assert plain["held_out"]["one_to_one"] == evaluation.held_out.one_to_one

    def fails(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(evaluation_result.json, "dump", fails)
    with pytest.raises(OSError, match="disk full"):
        evaluation.save(path)
    assert json.loads(path.read_text(encoding="utf-8")) == plain
    assert [file.name for file in path.parent.iterdir()] == ["figures.json"]


def test_the_text_is_a_table(evaluation):
    text = str(evaluation)
    lines = [line.split() for line in text.splitlines()]
    assert ["n_clusters", "5"] in lines
    assert ["accuracy", f"{evaluation.agreement.accuracy:.3f}"] in lines
    assert ["name", "precision", "recall", "f1", "support"] in lines
    assert ["silhouette", f"{evaluation.separation.silhouette:.3f}"] in lines
    assert "items have no label" in text


def test_long_tables_are_cut():
    n = 60
    clustered = Clustered(np.arange(n), np.arange(n) // 2, classes=np.arange(n) // 2)
    assert str(evaluate_clusters(clustered)).count("and 10 more") == 2


@pytest.mark.parametrize(
    ("clusters", "classes"),
    [([0], ["a"]), ([-1], ["a"]), ([0, 0, 0], ["a"] * 3), ([-1] * 3, list("abc"))],
)
def test_the_smallest_cases_have_figures(clusters, classes):
    n = len(clusters)
    space = Space(np.arange(2.0 * n, dtype=np.float32).reshape(n, 2) + 1)
    found = evaluate_clusters(
        Clustered(np.arange(n), clusters, classes=classes, strengths=np.ones(n), space=space),
        rerun=KMeans(n_clusters=1, n_init=1),
    )
    assert found.n_items == n
    assert found.separation.silhouette is None
    assert found.strength_auroc is None
    assert len(found.clusters) == found.n_clusters
    assert found.heat_map()["data"][0]["z"]
    json.dumps(found.to_dict(), allow_nan=False)
    assert ("All items are noise." in found.notes) == (-1 in clusters)


def test_labels_may_be_of_any_kind():
    found = evaluate_clusters(Clustered(["a", "b", "c"], [0, 0, 1], classes=[3, 3, None]))
    assert found.agreement.accuracy == 1.0
    assert found.confusion.classes == ("3",)
    assert found.clusters[1].pure is None


def test_what_cannot_be_evaluated_is_an_error():
    with pytest.raises(DataError, match="no clustered items"):
        Clustered([], [])
    with pytest.raises(DataError, match="Got 1 clusters for 2 items"):
        Clustered(["a", "b"], [0])
    with pytest.raises(DataError, match="nothing to compare"):
        evaluate_clusters(Clustered(["a", "b"], [0, 1], classes=[None, None]))
    with pytest.raises(DataError, match="1 of 2 items have no strength"):
        Clustered(["a", "b"], [0, 1], strengths=[0.5, math.nan])
