import json

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from uvl_plugin.clustering.prepare import fit_preparation
from uvl_plugin.core.embeddings import Embeddings
from uvl_plugin.training import evidence
from uvl_plugin.training.evidence import Figures, class_table, measure, table

SIZES = {"train": 150, "validation": 60, "test": 90}
CLASSES = ("ant", "bee", "cat")


def planted(noise: float, dim: int = 8, sizes=SIZES) -> tuple[dict[str, Embeddings], dict]:
    """Three groups along the first axes, item by item in turn, and the class of each id."""
    random = np.random.default_rng(0)
    parts, labels = {}, {}
    for name, n in sizes.items():
        groups = np.arange(n) % 3
        vectors = np.eye(dim)[groups] + noise * random.normal(size=(n, dim))
        ids = [f"{name} {i}" for i in range(n)]
        parts[name] = Embeddings(np.array(ids), vectors)
        labels |= {item: CLASSES[group] for item, group in zip(ids, groups, strict=True)}
    return parts, labels


def measured(parts, labels=None, **more) -> Figures:
    (found,) = measure({"learned": parts}, labels=labels, n_clusters=3, **more)
    return found


def test_planted_groups_are_found_and_noise_is_not():
    parts, labels = planted(0.05)
    mixed, _ = planted(5.0)
    pixels, learned = measure({"pixels": mixed, "learned": parts}, labels=labels, n_clusters=3)
    assert (pixels.space, learned.space) == ("pixels", "learned")
    for name in ("stability", "accuracy", "nmi", "ari", "knn", "probe", "test_accuracy"):
        assert getattr(learned, name) == pytest.approx(1.0)
        assert getattr(pixels, name) < 0.75
    assert learned.silhouette > 0.9
    assert pixels.silhouette < 0.5
    assert learned.items == learned.labelled == SIZES


def test_the_map_from_clusters_to_classes_is_that_of_the_validation_part():
    parts, labels = planted(0.05)
    turned = dict(zip(CLASSES, [*CLASSES[1:], CLASSES[0]], strict=True))
    others = {item: turned[name] if item[:4] == "test" else name for item, name in labels.items()}
    found = measured(parts, others)
    assert found.accuracy == 1.0
    assert found.test_accuracy == 0.0
    assert [one.recall for one in found.classes] == [0, 0, 0]


def test_figures_by_class_are_the_formulas():
    parts, labels = planted(0.05)
    ants = [item for item in parts["test"].ids if labels[item] == "ant"]
    labels |= dict.fromkeys(ants[:10], "bee")  # 20 ants and 40 bees, of which 10 look like ants
    found = {one.name: one for one in measured(parts, labels).classes}
    assert list(found) == list(CLASSES)
    ant, bee, cat = found.values()
    assert (ant.precision, ant.recall, ant.support) == pytest.approx((20 / 30, 1, 20))
    assert (bee.precision, bee.recall, bee.support) == pytest.approx((1, 30 / 40, 40))
    assert ant.f1 == pytest.approx(2 * (2 / 3) / (1 + 2 / 3))
    assert (cat.f1, cat.support) == (1, 30)
    assert measured(parts, labels).test_accuracy == pytest.approx(80 / 90)


def test_items_without_a_label_are_left_out_and_counted():
    parts, labels = planted(0.05)
    wrong = {item: "ant" for item in labels}
    kept = {item: name for item, name in labels.items() if int(item.split()[1]) % 2}
    found = measured(parts, kept)
    assert found.labelled == {"train": 75, "validation": 30, "test": 45}
    assert found.items == SIZES
    assert found.test_accuracy == found.knn == 1.0
    assert sum(one.support for one in found.classes) == 45
    assert measured(parts, wrong).probe is None  # one class teaches nothing


def test_without_labels_only_the_figures_that_need_none_are_there():
    parts, _ = planted(0.2)
    first = parts["validation"].vectors
    found = measured(parts, views={"learned": (first, first)}, seed=3)
    assert found.consistency == 1.0
    assert found.silhouette is not None
    assert found.stability is not None
    assert {found.accuracy, found.knn, found.probe, found.test_accuracy} == {None}
    assert found.labelled == dict.fromkeys(SIZES, 0)
    assert measured(parts).consistency is None


def test_the_silhouette_is_that_of_the_clusters_in_their_space():
    parts, labels = planted(0.1, dim=100)
    classes = [labels[item] for item in parts["validation"].ids]
    prepare = fit_preparation(parts["train"].vectors, normalize=True, components=64)
    prepared = prepare(parts["validation"].vectors)
    found = measured(parts, labels)
    assert found.accuracy == 1.0
    assert found.silhouette == pytest.approx(silhouette_score(prepared, classes, metric="cosine"))


def test_the_probe_minds_neither_scale_nor_place():
    parts, labels = planted(0.05)
    moved = {name: Embeddings(part.ids, part.vectors / 100 + 5) for name, part in parts.items()}
    assert measured(moved, labels).probe == measured(parts, labels).probe == 1.0


def test_a_cluster_that_is_right_for_no_item_stands_for_no_class():
    clusters = np.array([0, 0, 0, 0, 1])
    classes = np.array(["ant", "ant", "ant", "bee", "ant"])
    assert evidence._meaning(clusters, classes) == {0: "ant"}


def test_too_many_clusters_are_less_stable():
    parts, _ = planted(0.3)
    (few,), (many,) = (measure({"learned": parts}, n_clusters=k) for k in (3, 12))
    assert many.stability < few.stability


def test_the_probe_is_linear_and_the_neighbours_are_not():
    random = np.random.default_rng(0)
    parts, labels = {}, {}
    for name, n in SIZES.items():
        vectors = random.uniform(-1, 1, size=(4 * n, 2))
        ids = np.array([f"{name} {i}" for i in range(4 * n)])
        parts[name] = Embeddings(ids, vectors)
        labels |= dict(zip(ids, np.where(vectors.prod(axis=1) > 0, "same", "other"), strict=True))
    found = measured(parts, labels)
    assert found.knn > 0.9
    assert found.probe < 0.7


def test_a_probe_that_is_not_finished_is_said(monkeypatch):
    parts, labels = planted(0.5)
    assert measured(parts, labels).notes == ()
    monkeypatch.setattr(evidence, "_PROBE_STEPS", 1)
    assert measured(parts, labels).notes == ("The linear probe was stopped after 1 steps.",)


@pytest.mark.parametrize("empty", SIZES)
@pytest.mark.parametrize("missing", [False, True])
def test_empty_parts_give_no_figures_and_no_error(empty, missing):
    parts, labels = planted(0.05, sizes={**SIZES, empty: 0})
    if missing:
        del parts[empty]
    found = measured(parts, labels)
    assert (found.accuracy is None) == (empty in ("train", "validation"))
    assert (found.stability is None) == (empty in ("train", "validation"))
    assert found.test_accuracy is None
    assert found.classes == ()


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1, 3), (3, 2, 1), (5, 4, 4)])
def test_fewer_items_than_clusters_are_no_error(sizes):
    parts, labels = planted(0.05, sizes=dict(zip(SIZES, sizes, strict=True)))
    (found,) = measure({"start": parts}, labels=labels, n_clusters=10)
    assert 0 <= found.accuracy <= 1
    assert 0 <= found.test_accuracy <= 1


def test_samples_bound_the_work(monkeypatch):
    parts, labels = planted(0.05)
    whole = measured(parts, labels)
    for name in ("_MOST_FITTED", "_MOST_PROBED", "_MOST_COMPARED"):
        monkeypatch.setattr(evidence, name, 40)
    found = measured(parts, labels)
    assert found.test_accuracy == found.probe == found.knn == 1.0
    assert found.silhouette != whole.silhouette
    assert found.items == SIZES


def test_progress_ends_at_one():
    parts, _ = planted(0.05)
    told = []
    measure({"a": parts, "b": parts}, progress=lambda done, text="": told.append((done, text)))
    assert told == [(0.0, "measuring a"), (0.5, "measuring b"), (1.0, "measured")]


def test_figures_are_json_and_text():
    parts, labels = planted(0.05)
    found = measure({"pixels": planted(5.0)[0], "learned": parts}, labels=labels, n_clusters=3)
    stored = json.loads(json.dumps(found[1].to_dict()))
    assert stored["test_accuracy"] == 1.0
    assert stored["classes"][0]["name"] == "ant"
    lines = table(found).splitlines()
    assert lines[0].split() == ["pixels", "learned"]
    assert lines[-1].endswith("     1.000")
    assert not any("augmentation" in line for line in lines)  # no views were given
    assert class_table(found[1]).splitlines()[1].split() == ["ant", *["1.000"] * 3, "30"]
