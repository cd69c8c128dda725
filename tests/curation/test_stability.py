import numpy as np
import pytest
import torch

from uvl_plugin.backbones.base import Encoder
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.prepare import Preparation
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.curation.stability import augmentation_stability
from uvl_plugin.training.augmentation.base import Augmentation

SIDE = 16
FLIP = Augmentation(flip_horizontal=0.5)


class Halves(torch.nn.Module):
    """Mean brightness of the left and of the right half."""

    def forward(self, images):
        pooled = torch.nn.functional.adaptive_avg_pool2d(images.mean(1, keepdim=True), (1, 2))
        return pooled.flatten(1) + 0.01


@pytest.fixture(scope="module")
def halves() -> tuple[Encoder, ClusterModel]:
    """Cluster 0: brighter on the left; 1: on the right."""
    encoder = Encoder(Halves(), Preprocess(size=SIDE, fit="squash"), torch.device("cpu"))
    centroids = np.array([[1, 0.2], [0.2, 1]], np.float32)
    radii = np.ones(2, np.float32)
    return encoder, ClusterModel(Preparation(False), centroids, np.arange(2), radii, "cosine")


def bright(left: int, right: int) -> np.ndarray:
    image = np.empty((SIDE, SIDE, 3), np.uint8)
    image[:, : SIDE // 2], image[:, SIDE // 2 :] = left, right
    return image


IMAGES = np.stack([bright(200, 20), bright(20, 200), bright(130, 120), bright(250, 0)])
LABELS = np.array([0, 1, 0, 0])


def test_what_a_change_does_not_move_is_stable_and_what_it_moves_is_not(halves):
    darker = Augmentation(brightness=0.5)
    assert augmentation_stability(*halves, IMAGES, LABELS, darker).tolist() == [1.0] * 4
    swapped = Augmentation(flip_horizontal=1.0)
    assert augmentation_stability(*halves, IMAGES, LABELS, swapped).tolist() == [0.0] * 4


def test_it_is_the_share_of_the_views(halves):
    found = augmentation_stability(*halves, IMAGES, LABELS, FLIP, views=400)
    assert found.dtype == np.float32
    assert found == pytest.approx(0.5, abs=0.1)
    assert len(set(found.tolist())) == 1  # all are changed in the same ways


def test_an_image_near_the_border_is_less_stable_than_one_far_from_it(halves):
    near, far = augmentation_stability(
        *halves, IMAGES[[2, 0]], LABELS[[2, 0]], Augmentation(shift=0.3, noise=0.5), views=64
    )
    assert far == 1.0
    assert near < 0.9


def test_noise_has_none_and_a_wrong_label_does_not_count(halves):
    labels = np.array([-1, 1, -1, 1])
    found = augmentation_stability(*halves, IMAGES, labels, Augmentation(brightness=0.5))
    assert found.tolist() == [0.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("views", [1, 8, 50])
def test_order_and_portions_do_not_matter_but_the_seed_does(halves, views):
    def found(rows, seed=0):
        chosen = IMAGES[rows], LABELS[rows]
        changed = Augmentation(flip_horizontal=0.5, shift=0.4, noise=0.5)
        return augmentation_stability(*halves, *chosen, changed, views=views, seed=seed)

    whole = found([0, 1, 2, 3])
    assert found([2, 0, 3, 1]).tolist() == whole[[2, 0, 3, 1]].tolist()
    assert [*found([0]), *found([1, 2, 3])] == whole.tolist()
    others = [found([0, 1, 2, 3], seed).tolist() for seed in range(1, 6)]
    assert any(other != whole.tolist() for other in others)


def test_without_an_augmentation_one_that_suits_is_chosen(halves):
    found = augmentation_stability(*halves, IMAGES, LABELS)
    assert found[0] >= 0.75
    assert found[3] >= 0.75


def test_no_images_give_no_numbers(halves):
    assert augmentation_stability(*halves, IMAGES[:0], LABELS[:0]).shape == (0,)


def test_progress_reaches_the_end(halves):
    said = []
    augmentation_stability(
        *halves, IMAGES, LABELS, FLIP, progress=lambda done, message: said.append(done)
    )
    assert said == sorted(said)
    assert said[-1] == 1.0


def test_bad_arguments_are_errors(halves):
    with pytest.raises(SettingsError, match="views must be at least 1, got 0"):
        augmentation_stability(*halves, IMAGES, LABELS, FLIP, views=0)
    with pytest.raises(DataError, match="4 images and 3 labels"):
        augmentation_stability(*halves, IMAGES, LABELS[:3], FLIP)
