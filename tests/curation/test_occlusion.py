import math

import numpy as np
import pytest
import torch

from uvl_plugin.backbones.base import Encoder
from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.clustering.assign import ClusterModel
from uvl_plugin.clustering.prepare import Preparation
from uvl_plugin.core.errors import DataError, SettingsError
from uvl_plugin.curation import occlusion
from uvl_plugin.curation.occlusion import OcclusionMap, occlusion_map, seen_box

AS_THEY_ARE = Preparation(normalize=False)
SIDE = 28


class Quarters(torch.nn.Module):
    """Mean brightness of each quarter of the picture, and a constant."""

    def forward(self, images):
        means = torch.nn.functional.adaptive_avg_pool2d(images.mean(1, keepdim=True), 2).flatten(1)
        return torch.cat([means, torch.full((len(images), 1), 0.2)], dim=1)


def quarters(**preprocess) -> tuple[Encoder, ClusterModel]:
    """Cluster 0: bright at the top left; 1: at the bottom right; 2: bright nowhere."""
    prepare = Preprocess(size=SIDE, **{"fit": "squash", **preprocess})
    encoder = Encoder(Quarters(), prepare, torch.device("cpu"))
    centroids = np.array([[1, 0, 0, 0, 0.2], [0, 0, 0, 1, 0.2], [0, 0, 0, 0, 1]], np.float32)
    model = ClusterModel(AS_THEY_ARE, centroids, np.arange(3), np.ones(3, np.float32), "cosine")
    return encoder, model


def picture(height=SIDE, width=SIDE, *, top, left, side) -> np.ndarray:
    """A bright square on black."""
    image = np.zeros((height, width, 3), np.uint8)
    image[top : top + side, left : left + side] = 255
    return image


def test_the_map_is_greatest_on_the_square_that_decides():
    encoder, model = quarters()
    image = picture(top=2, left=2, side=10)
    found = occlusion_map(encoder, model, image, 0)
    assert found.values.shape == (7, 7)
    assert found.values.dtype == np.float32
    top, left = np.unravel_index(found.values.argmax(), (7, 7))
    assert top < 3
    assert left < 3
    assert found.scaled()[4:, 4:].max() < 0.05
    assert found.values[:3, :3].mean() > 10 * np.abs(found.values[4:, 4:]).mean()
    assert found.strength == pytest.approx(model.assign(encoder.encode([image]))[1][0], rel=1e-5)


def test_what_speaks_against_the_cluster_is_below_zero_and_not_shown():
    encoder, model = quarters()
    image = picture(top=2, left=2, side=10) + picture(top=16, left=16, side=10)
    for cluster, own, other in (
        (0, np.s_[:3, :3], np.s_[4:, 4:]),
        (1, np.s_[4:, 4:], np.s_[:3, :3]),
    ):
        found = occlusion_map(encoder, model, image, cluster)
        assert found.values[own].mean() > 0.05
        assert found.values[other].mean() < -0.02
        assert found.scaled()[other].max() < 0.05
        assert found.range == (found.values.min(), found.values.max())


def test_values_are_the_fall_of_the_logarithm_of_the_strength():
    encoder, model = quarters()
    image = picture(top=3, left=5, side=9)
    found = occlusion_map(encoder, model, image, 0, cells=2, window=2)
    blurred = occlusion._blurred(image).astype(float)
    places = np.clip(
        (np.arange(SIDE) + 0.5 - 7) / 14, 0, 1
    )  # from the middle of a cell to the next
    soft = np.stack([1 - places, places], axis=1)
    expected = np.zeros((2, 2))
    for top in (-1, 0, 1):
        for left in (-1, 0, 1):
            cells = np.zeros((2, 2), bool)
            cells[max(0, top) : top + 2, max(0, left) : left + 2] = True
            mask = soft @ cells @ soft.T
            covered = np.uint8(np.rint(image + mask[..., None] * (blurred - image)))
            before, after = (
                model.affinities(encoder.encode([each]))[0, 0] for each in (image, covered)
            )
            expected += cells * math.log(before / after) / 4  # windows over each cell
    assert found.values == pytest.approx(expected, abs=1e-5)


def test_a_plain_image_gives_zeros():
    encoder, model = quarters()
    found = occlusion_map(encoder, model, np.full((20, 20, 3), 77, np.uint8), 2)
    assert found.values == pytest.approx(0.0, abs=1e-6)
    assert (found.scaled() <= 1.0).all()
    assert np.isfinite(found.over_image()).all()


def test_an_image_far_from_the_cluster_still_gives_numbers():
    encoder, model = quarters()
    found = occlusion_map(encoder, model, picture(top=0, left=0, side=14), 1)
    assert np.isfinite(found.values).all()
    assert found.strength < 0.01


def test_batches_of_any_size_give_the_same(monkeypatch):
    encoder = CompactCNN(input_size=16, width=8, dim=8).load("cpu")
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    centroids = random.normal(size=(3, 8)).astype(np.float32)
    model = ClusterModel(AS_THEY_ARE, centroids, np.arange(3), np.ones(3, np.float32), "cosine")
    whole = occlusion_map(encoder, model, image, 1, cells=5, window=1)
    monkeypatch.setattr(occlusion, "_BATCH", 3)
    assert occlusion_map(encoder, model, image, 1, cells=5, window=1).values == pytest.approx(
        whole.values, abs=1e-5
    )
    assert np.abs(whole.values).max() > 1e-3


def test_progress_goes_from_nothing_to_the_end():
    encoder, model = quarters()
    said = []
    image = picture(top=0, left=0, side=9)
    occlusion_map(encoder, model, image, 0, progress=lambda done, message: said.append(done))
    assert said[0] == 0.0
    assert said[-1] == 1.0
    assert said == sorted(said)


@pytest.mark.parametrize(("height", "width"), [(60, 120), (120, 60), (90, 90), (25, 31), (400, 20)])
@pytest.mark.parametrize(
    "preprocess",
    [
        {"fit": "cover"},
        {"fit": "cover", "resize": 32},
        {"fit": "cover", "resize": 24},
        {"fit": "squash"},
        {"fit": "contain"},
        {"fit": "squash", "resize": 40},
    ],
    ids=str,
)
def test_the_box_is_where_pixels_of_the_original_come_out(preprocess, height, width):
    prepare = Preprocess(size=SIDE, **preprocess)
    left, top, right, bottom = seen_box(prepare, height, width)
    for across, ramp, low, high in ((0, width, left, right), (1, height, top, bottom)):
        places = (np.arange(ramp) + 0.5) / ramp  # of each pixel in the original
        grey = np.uint8(np.rint(55 + 200 * places))
        image = np.broadcast_to(grey[None, :] if across == 0 else grey[:, None], (height, width))
        seen = prepare(np.ascontiguousarray(np.repeat(image[..., None], 3, axis=2)))[..., 0]
        line = seen[SIDE // 2] if across == 0 else seen[:, SIDE // 2]
        inside = np.flatnonzero(line > 0)[2:-2]  # without the rim, and the ends of the ramp
        expected = low + (high - low) * (inside + 0.5) / SIDE
        if len(inside):
            assert (line[inside] - 55) / 200 == pytest.approx(expected, abs=1.2 / SIDE)


@pytest.mark.parametrize("fit", ["cover", "squash", "contain"])
@pytest.mark.parametrize(("height", "width"), [(80, 160), (160, 80), (100, 100)])
def test_over_the_original_the_map_lies_on_the_square(fit, height, width):
    encoder, model = quarters(fit=fit)
    side = min(height, width)
    top, left = (height - side) // 2 + side // 10, (width - side) // 2 + side // 10
    image = picture(height, width, top=top, left=left, side=side // 4)
    full = occlusion_map(encoder, model, image, 0).over_image()
    assert full.shape == (height, width)
    assert full.dtype == np.float32
    assert 0.0 <= full.min() <= full.max() <= 1.0
    rows, columns = np.nonzero(full > 0.8 * full.max())
    assert rows.mean() == pytest.approx(top + side / 8, abs=side / 7)
    assert columns.mean() == pytest.approx(left + side / 8, abs=side / 7)


def test_what_the_network_did_not_see_is_zero():
    found = OcclusionMap(np.ones((7, 7), np.float32), 1.0, (0.25, 0.0, 0.75, 1.0), (40, 80))
    full = found.over_image()
    assert (full[:, 20:60] == 1.0).all()
    assert (full[:, :20] == 0.0).all()
    assert (full[:, 60:] == 0.0).all()


def test_of_a_rim_nothing_is_shown():
    values = np.zeros((4, 4), np.float32)
    values[0], values[1:3] = 1.0, 0.5
    found = OcclusionMap(values, 1.0, (0.0, -0.5, 1.0, 1.5), (30, 60))  # wide, with bars
    assert found.over_image() == pytest.approx(0.5, abs=0.25)
    assert found.over_image()[14:16] == pytest.approx(0.5)


@pytest.mark.parametrize(("shape", "expected"), [((3000, 4000), (192, 256)), ((9, 5000), (1, 256))])
def test_large_images_get_small_maps(shape, expected):
    found = OcclusionMap(np.ones((7, 7), np.float32), 1.0, (0.0, 0.0, 1.0, 1.0), shape)
    assert found.over_image().shape == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cells": 0}, "cells must be from 1 to 28"),
        ({"cells": 29}, "cells must be from 1 to 28"),
        ({"window": 0}, r"window must be from 1 to cells \(7\), got 0"),
        ({"window": 8}, r"window must be from 1 to cells \(7\), got 8"),
    ],
)
def test_settings_out_of_bounds_are_errors(arguments, message):
    encoder, model = quarters()
    with pytest.raises(SettingsError, match=message):
        occlusion_map(encoder, model, picture(top=0, left=0, side=9), 0, **arguments)


@pytest.mark.parametrize("cluster", [-1, 3])
def test_a_cluster_that_is_not_there_is_an_error(cluster):
    encoder, model = quarters()
    with pytest.raises(DataError, match=f"There is no cluster {cluster} .* one of 0 to 2"):
        occlusion_map(encoder, model, picture(top=0, left=0, side=9), cluster)


def test_a_backbone_that_prepares_in_its_own_way_is_an_error():
    encoder, model = quarters()
    encoder.preprocess = np.copy
    with pytest.raises(SettingsError, match="in its own way"):
        occlusion_map(encoder, model, picture(top=0, left=0, side=9), 0)
