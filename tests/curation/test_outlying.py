import numpy as np
import pytest
from sklearn.neighbors import LocalOutlierFactor

from uvl_plugin.core.errors import SettingsError
from uvl_plugin.curation.outlying import outlying, usual_cut


def cloud(seed=0, n=400, dim=6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def test_it_is_the_local_outlier_factor_where_nothing_is_a_duplicate():
    vectors = cloud(dim=20)
    found = outlying(vectors, metric="euclidean")
    factor = -LocalOutlierFactor(n_neighbors=30).fit(vectors).negative_outlier_factor_
    assert found == pytest.approx(factor / (1 + factor), abs=1e-4)
    assert found.dtype == np.float32


@pytest.mark.parametrize("seed", range(3))
def test_planted_oddities_are_above_the_usual_cut_and_few_others_are(seed):
    vectors = cloud(seed)
    vectors[:6] += 9 * np.eye(6, dtype=np.float32)
    found = outlying(vectors, metric="euclidean")
    odd = found > usual_cut(found)
    assert odd[:6].all()
    assert odd[6:].mean() <= 0.06


def test_by_cosine_a_direction_of_its_own_is_odd_and_length_is_not():
    vectors = cloud() * 0.3 + 1
    vectors[3] = [5, -4, 5, -4, 5, -4]
    vectors[7] *= 100
    found = outlying(vectors)
    assert found.argmax() == 3
    assert found[7] < usual_cut(found) < found[3]


def test_a_clump_of_copies_makes_nothing_beside_it_odd():
    vectors = cloud()
    plain = outlying(vectors, metric="euclidean")
    copies = vectors[:1] + 1e-4 * cloud(1, 60)
    found = outlying(np.concatenate([vectors, copies]), metric="euclidean")
    assert found[:400] == pytest.approx(plain, abs=0.02)
    assert found[400:] == pytest.approx([found[0]] * 60)


def test_few_and_equal_items():
    assert outlying(np.ones((0, 2), np.float32)).tolist() == []
    assert outlying(np.ones((1, 2), np.float32)).tolist() == [0.5]
    assert outlying(np.eye(2, dtype=np.float32)).tolist() == [0.5, 0.5]
    assert outlying(np.ones((50, 3), np.float32)).tolist() == 50 * [0.5]


def test_the_usual_cut_is_three_deviations_above_the_median_and_no_few_extremes_move_it():
    random = np.random.default_rng(0)
    scores = 0.5 + 0.02 * random.normal(size=5001)
    assert usual_cut(scores) == pytest.approx(0.56, abs=0.003)
    scores[:50] = 1.0
    assert usual_cut(scores) == pytest.approx(0.56, abs=0.004)


def test_where_all_are_alike_none_is_above_the_cut():
    assert usual_cut(np.full(9, 0.5)) > 0.5
    assert 0.5 < usual_cut(np.empty(0)) < 1


def test_other_metrics_are_refused():
    with pytest.raises(SettingsError, match="dot product is no distance"):
        outlying(np.ones((3, 2), np.float32), metric="dot")


def test_progress_never_goes_back_and_ends_at_1():
    said = []
    vectors = np.concatenate([cloud(), cloud()])
    outlying(vectors, progress=lambda share, message: said.append(share))
    assert said == sorted(said)
    assert said[-1] == 1.0
