import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from uvl_plugin.training.methods.autoencoder import MaskedAutoencoder
from uvl_plugin.training.methods.base import Batch


@given(
    ratio=st.floats(0.0, 0.95),
    patch=st.sampled_from([0.05, 0.125, 0.25, 0.3, 0.5]),
    per_cell=st.integers(1, 3),
)
def test_every_image_loses_that_share_in_patches(ratio, patch, per_cell):
    cells = round(1 / patch)
    method = MaskedAutoencoder(mask_ratio=ratio, patch=patch, noise=0.0)
    spoilt = method.spoilt(torch.ones(3, 2, per_cell * cells, per_cell * cells))
    assert torch.equal(spoilt[:, 0], spoilt[:, 1])  # all colours go together
    blocks = spoilt[:, 0].unflatten(1, (cells, per_cell)).unflatten(3, (cells, per_cell))
    assert torch.equal(blocks.amax((2, 4)), blocks.amin((2, 4)))  # a patch goes as a whole
    hidden = (blocks.amax((2, 4)) == 0).flatten(1).sum(1)
    assert hidden.tolist() == [round(ratio * cells**2)] * 3


def test_every_image_loses_other_patches():
    spoilt = MaskedAutoencoder(noise=0.0).spoilt(torch.ones(2, 3, 16, 16))
    assert not torch.equal(spoilt[0], spoilt[1])


@pytest.mark.parametrize("shape", [(28, 28), (33, 47), (5, 5)])
def test_sides_need_not_be_whole_patches(shape):
    views = torch.randn(4, 3, *shape)
    assert MaskedAutoencoder().spoilt(views).shape == views.shape
    untouched = MaskedAutoencoder(mask_ratio=0.0, noise=0.0).spoilt(views)
    assert torch.equal(untouched, views)


def test_noise_has_the_deviation_that_was_asked_for():
    torch.manual_seed(0)
    method = MaskedAutoencoder(mask_ratio=0.0, noise=0.3)
    noise = method.spoilt(torch.ones(50, 3, 16, 16)) - 1
    assert float(noise.std()) == pytest.approx(0.3, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("side", [16, 32, 47])
def test_the_loss_is_the_error_of_all_pixels_of_the_clean_view(side, assemble, make_batch):
    method = MaskedAutoencoder()
    parts, batch = assemble(method), make_batch(method, side=side)
    drawn = torch.randn(16, 3, 32, 32)
    parts["decoder"].register_forward_hook(lambda module, inputs, out: drawn)
    clean = adaptive_avg_pool2d(batch.views[0], 32)
    assert method.loss(parts, batch).item() == pytest.approx(
        float(((drawn - clean) ** 2).mean()), rel=1e-5
    )


def test_the_encoder_sees_the_spoilt_view_only(assemble, make_batch):
    method = MaskedAutoencoder(mask_ratio=0.5, noise=0.0)
    parts, batch = assemble(method), make_batch(method)
    seen = []
    parts["encoder"].register_forward_hook(lambda module, inputs, out: seen.append(inputs[0]))
    method.loss(parts, batch)
    assert [images.shape for images in seen] == [batch.views[0].shape]
    assert float((seen[0] == 0).float().mean()) == pytest.approx(0.5)


def test_few_images_are_learnt_by_heart(encoder, assemble):
    """The best answer that ignores the image is the mean of the views; this one does not."""
    method = MaskedAutoencoder(mask_ratio=0.2)
    parts = assemble(method)
    shades = torch.linspace(-2, 2, 8).view(8, 1, 1, 1).expand(8, 3, 16, 16)
    batch = Batch([shades.contiguous()])
    optimiser = torch.optim.AdamW(parts.parameters(), lr=5e-3)
    torch.manual_seed(0)
    for _ in range(40):
        loss = method.loss(parts, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.2 * float(shades.var(correction=0))


def test_one_view_of_each_image():
    images = torch.rand(3, 3, 8, 8)
    assert len(MaskedAutoencoder().views(images, lambda images: images)) == 1


def test_the_decoder_starts_from_the_vector():
    decoder = MaskedAutoencoder(width=4).parts(nn.Identity(), 7, 0)["decoder"]
    assert decoder(torch.randn(2, 7)).shape == (2, 3, 32, 32)
