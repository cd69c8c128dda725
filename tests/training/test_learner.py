import copy
import io
import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from uvl_plugin.backbones.base import Network
from uvl_plugin.backbones.checkpoint import with_head
from uvl_plugin.backbones.compact import CompactCNN
from uvl_plugin.backbones.preprocess import Preprocess
from uvl_plugin.backbones.torchvision import TorchVision
from uvl_plugin.core.errors import DataError
from uvl_plugin.training.augmentation.base import Augmentation
from uvl_plugin.training.augmentation.glyph import Glyph
from uvl_plugin.training.distributed import Team
from uvl_plugin.training.learner import Learner, dimension
from uvl_plugin.training.methods.autoencoder import MaskedAutoencoder
from uvl_plugin.training.methods.base import Batch, Method
from uvl_plugin.training.methods.byol import BYOL
from uvl_plugin.training.methods.dino import DINO
from uvl_plugin.training.methods.distillation import Distillation
from uvl_plugin.training.methods.simclr import SimCLR
from uvl_plugin.training.methods.vicreg import VICReg
from uvl_plugin.training.recipe import Recipe

SIDE, DIM, TARGET_DIM = 16, 8, 5
STEPS = 12
ALONE = Team(0, 1, torch.device("cpu"))
STILL = Augmentation()  # the image itself
IMITATION = Distillation.of("pixels", center=False)  # a mean over images


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    """64 digits of scikit-learn, uint8 ``(64, 1, 16, 16)``."""
    pixels = np.rint(load_digits().images[:64] * 255 / 16).astype(np.uint8)
    return torch.from_numpy(pixels.repeat(2, axis=1).repeat(2, axis=2))[:, None]


@pytest.fixture(scope="module")
def targets() -> torch.Tensor:
    return torch.randn(64, TARGET_DIM, generator=torch.Generator().manual_seed(9))


def compact(seed=0) -> Network:
    return CompactCNN(input_size=SIDE, width=4, dim=DIM, seed=seed).network()


def linear() -> Network:
    """Without a batch norm: images do not see each other."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, DIM))
    return Network(module, Preprocess(size=SIDE, mean=(0.5, 0.4, 0.3), std=(0.5, 0.25, 0.2)))


def learner(network=None, method=None, augmentation=None, *, rate=0.01, steps=STEPS, **recipe):
    method = method or SimCLR()
    network = network or compact()
    recipe = Recipe(device="cpu", **recipe)
    if recipe.head_dim is not None:
        head_dims = [dimension(network), recipe.head_dim]
        network = Network(with_head(network.module, head_dims), network.preprocess)
    return Learner(
        network, method, augmentation or Glyph(noise=0.0), recipe, ALONE, rate=rate, steps=steps,
        target_dim=TARGET_DIM if isinstance(method, Distillation) else 0,
    )  # fmt: skip


def seeded(seed) -> torch.Generator:
    torch.manual_seed(seed)  # some methods draw from torch's own
    return torch.Generator().manual_seed(seed)


def learn(learning, pixels, n=1, *, seed=0, targets=None) -> list[float]:
    """The losses of ``n`` steps."""
    learning.to_training_mode()
    generator = seeded(seed)
    return [float(learning.learn(pixels, targets, generator, last=True)) for _ in range(n)]


def snapshot(module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def moved(module, before) -> set[str]:
    """Names of the tensors that are not what they were."""
    return {name for name, now in module.state_dict().items() if not torch.equal(now, before[name])}


def distance(module, before) -> float:
    parts = (now - before[name] for name, now in module.state_dict().items())
    return math.sqrt(sum(float(part.square().sum()) for part in parts))


@pytest.mark.parametrize(
    ("method", "optimizer"),
    [
        (SimCLR(), "adamw"),
        (VICReg(hidden_dim=64, output_dim=64), "sgd"),
        (MaskedAutoencoder(width=8), "adamw"),
        (IMITATION, "sgd"),
    ],
    ids=["simclr", "vicreg", "autoencoder", "distillation"],
)
def test_the_loss_falls(method, optimizer, digits, targets):
    learning = learner(method=method, steps=40, optimizer=optimizer)
    losses = learn(
        learning, digits, 40, targets=targets if isinstance(method, Distillation) else None
    )
    first, last = np.mean(losses[:8]), np.mean(losses[-8:])
    assert last < first - 3 * np.std(losses[-8:]) / math.sqrt(8)


def test_accumulated_halves_are_one_step_of_the_whole(digits, targets):
    def after(*batches) -> dict[str, torch.Tensor]:
        learning = learner(
            linear(), IMITATION, STILL, optimizer="sgd", warmup=0.0, rate=0.1,
            accumulate=len(batches),
        )  # fmt: skip
        learning.to_training_mode()
        before = snapshot(learning.parts)
        for number, rows in enumerate(batches, start=1):
            assert moved(learning.parts, before) == set()
            last = number == len(batches)
            learning.learn(digits[rows], targets[rows], seeded(0), last=last)
        assert moved(learning.parts, before) == before.keys()
        return learning.parts.state_dict()

    whole = after(slice(0, 64))
    for parts in ([slice(0, 32), slice(32, 64)], [slice(i, i + 16) for i in range(0, 64, 16)]):
        found = after(*parts)
        for name, tensor in whole.items():
            assert torch.allclose(found[name], tensor, rtol=1e-5, atol=1e-7)
    assert not torch.allclose(after(slice(0, 32))["encoder.1.weight"], whole["encoder.1.weight"])


def test_the_last_gradients_are_forgotten_after_a_step(digits, targets):
    learning = learner(linear(), IMITATION, STILL)
    learn(learning, digits, targets=targets)
    assert all(weight.grad is None for weight in learning.parts.parameters())


METHODS = [SimCLR(), BYOL(), DINO(local_views=2), MaskedAutoencoder()]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("optimizer", ["adamw", "lars", "sgd", "nadam"])
def test_a_restored_learner_goes_on_bit_for_bit(method, optimizer, digits):
    first = learner(method=method, optimizer=optimizer)
    learn(first, digits, 3)
    kept = io.BytesIO()
    torch.save(first.state(), kept)
    kept.seek(0)
    second = learner(compact(seed=7), method, optimizer=optimizer, seed=5)  # as different as can be
    assert moved(second.parts, snapshot(first.parts))
    second.restore(torch.load(kept, weights_only=True))
    assert second.learning_rate == first.learning_rate
    assert learn(second, digits, 4, seed=1) == learn(first, digits, 4, seed=1)
    assert moved(second.parts, snapshot(first.parts)) == set()
    assert second.learning_rate == first.learning_rate


@pytest.mark.parametrize("precision", ["fp32", "fp16"])  # whose gradients are scaled
@pytest.mark.parametrize("bound", [1e-3, 0.05])
def test_gradients_are_clipped_to_the_bound(bound, precision, digits, targets):
    lengths = []
    for clip_norm in (None, bound):
        learning = learner(
            linear(), IMITATION, optimizer="sgd", warmup=0.0, weight_decay=0.0, rate=0.1,
            clip_norm=clip_norm, precision=precision,
        )  # fmt: skip
        before = snapshot(learning.parts)
        learn(learning, digits, targets=targets)
        lengths.append(distance(learning.parts, before))
    assert lengths[0] > 1.5 * bound * 0.1
    assert lengths[1] == pytest.approx(bound * 0.1, rel=0.01)


@pytest.mark.parametrize("network", [linear, compact])
@pytest.mark.parametrize("method", [SimCLR(), IMITATION], ids=lambda method: method.name)
def test_adversarial_views_raise_the_loss(network, method, digits, targets):
    losses = [
        learn(learner(network(), method, adversarial=size), digits, targets=targets)[0]
        for size in (0.0, 0.02, 0.2)
    ]
    assert losses[0] < losses[1] < losses[2]
    assert losses[2] > losses[0] + 0.02 * abs(losses[0])


def test_the_search_for_hard_views_leaves_no_gradient_behind(digits, targets):
    """It goes backward through the network once a step."""
    gradients = []
    for size in (0.0, 1e-7):
        learning = learner(linear(), IMITATION, STILL, adversarial=size, adversarial_steps=5)
        learning.to_training_mode()
        learning.learn(digits, targets, seeded(0), last=False)
        gradients.append([weight.grad for weight in learning.parts.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-6)


def test_half_precision_learns_on_a_processor(digits):
    full, half = learner(steps=30), learner(steps=30, precision="bf16")
    assert (full.precision, half.precision) == ("fp32", "bf16")
    exact, rough = learn(full, digits, 30), learn(half, digits, 30)
    assert rough[0] == pytest.approx(exact[0], rel=0.02)
    assert rough[0] != exact[0]
    assert np.mean(rough[-5:]) < np.mean(rough[:5]) - 0.1
    assert {tensor.dtype for tensor in half.parts.parameters()} == {torch.float32}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_equal_generators_give_equal_losses(method, digits):
    first, second, other = (learn(learner(method=method), digits, 3, seed=s) for s in (0, 0, 1))
    assert first == second
    assert first[0] != other[0]


def test_the_seed_decides_what_is_new_and_nothing_else():
    one, same, other = (learner(seed=seed) for seed in (0, 0, 1))
    assert moved(one.parts, snapshot(same.parts)) == set()
    names = moved(one.parts, snapshot(other.parts))
    assert names
    assert all(name.startswith("projector.") for name in names)


def learnt(learning, digits, **settings) -> set[str]:
    """Names of the encoder's tensors that two steps have moved."""
    before = snapshot(learning.encoder)
    learn(learning, digits, 2, **settings)
    return moved(learning.encoder, before)


@pytest.mark.parametrize(("stages", "frozen"), [(1, ("0.", "1.")), (2, ("0.",)), (None, ())])
@pytest.mark.parametrize("method", [SimCLR(), BYOL()], ids=lambda method: method.name)
def test_what_is_frozen_stays_and_the_rest_learns(stages, frozen, method, digits):
    learning = learner(method=method, trained_stages=stages, weight_decay=0.1)
    names = set(learning.encoder.state_dict())
    learning.vectors_of_views(digits, seeded(0))  # to evaluation mode and back
    kept = {name for name in names if frozen and name.startswith(frozen)}
    assert learnt(learning, digits) == names - kept
    assert names - kept
    state = learning.state()["parts"]
    running = {name for name in state if "encoder" in name and "running_mean" in name}
    assert len(running) == 3


def test_the_stem_of_a_resnet_stays_when_its_last_stage_learns(digits):
    network = TorchVision(model="resnet18", weights="untrained", input_size=32).network()
    learning = learner(network, trained_stages=1)
    names = learnt(learning, digits[:8])
    assert names == {name for name in learning.encoder.state_dict() if name.startswith("layer4.")}


@pytest.mark.parametrize(
    ("stages", "learning_parts"),
    [
        (0, ("head.",)),
        (1, ("head.", "network.2.")),
        (2, ("head.", "network.2.", "network.1.")),
        (None, ("head.", "network.")),
    ],
)
@pytest.mark.parametrize("head_dim", [2, 6, 2000])  # the largest is most of the network
def test_a_new_head_learns_whatever_is_frozen(stages, learning_parts, head_dim, digits):
    learning = learner(head_dim=head_dim, trained_stages=stages)
    assert learning.dim == head_dim
    expected = {name for name in learning.encoder.state_dict() if name.startswith(learning_parts)}
    assert learnt(learning, digits) == expected


def test_vectors_of_views_leave_the_network_alone(digits):
    learning = learner()
    learn(learning, digits, 2)
    before = snapshot(learning.parts)
    first, second = learning.vectors_of_views(digits, seeded(0))
    assert first.shape == second.shape == (64, DIM)
    assert first.dtype == second.dtype == np.float32
    assert not (first == second).any(axis=1).all()
    assert moved(learning.parts, before) == set()
    again = learning.vectors_of_views(digits, seeded(0))
    assert (again[0] == first).all()
    assert (again[1] == second).all()


def test_vectors_of_views_are_the_networks_in_evaluation_mode(digits):
    learning = learner(augmentation=STILL)
    learn(learning, digits, 2)
    first, second = learning.vectors_of_views(digits, seeded(0))
    with torch.inference_mode():
        expected = learning.encoder.eval()(digits.expand(-1, 3, -1, -1) / 127.5 - 1).numpy()
    assert (first == second).all()
    assert first == pytest.approx(expected, abs=1e-5)


@dataclass(frozen=True, kw_only=True)
class Spy(Method):
    """Keeps what it is shown."""

    name: ClassVar[str] = "spy"
    seen: ClassVar[list[Batch]] = []
    after: ClassVar[list[float]] = []

    def parts(self, encoder, dim, target_dim):
        return {"projector": nn.Linear(dim, 1)}

    def loss(self, parts, batch):
        self.seen.append(batch)
        return parts["projector"](parts["encoder"](batch.views[0])).square().mean()

    def after_step(self, parts, done):
        self.after.append(done)


@pytest.fixture
def spy():
    Spy.seen.clear()
    Spy.after.clear()
    return Spy()


@pytest.mark.parametrize("channels", [1, 3])
def test_methods_see_normalised_views_in_three_colours(spy, channels):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (4, channels, SIDE, SIDE), dtype=np.uint8)
    learn(learner(linear(), spy, STILL), torch.from_numpy(pixels))
    mean, std = (np.array(v).reshape(3, 1, 1) for v in ((0.5, 0.4, 0.3), (0.5, 0.25, 0.2)))
    (batch,) = Spy.seen
    assert [view.shape for view in batch.views] == [(4, 3, SIDE, SIDE)] * 2
    for view in batch.views:
        assert view.numpy() == pytest.approx((pixels / 255 - mean) / std, abs=1e-5)


def test_views_are_cut_to_the_size_of_the_network_from_larger_images(spy):
    pixels = torch.zeros(4, 3, 20, 20, dtype=torch.uint8)
    learn(learner(linear(), spy, Augmentation(crop_area_min=0.3)), pixels)
    assert {view.shape for view in Spy.seen[0].views} == {(4, 3, SIDE, SIDE)}


def test_schedules_are_told_how_far_training_has_come(spy, digits):
    learning = learner(linear(), spy, STILL, steps=4, accumulate=2)
    for step in range(8):
        learning.learn(digits, None, seeded(0), last=step % 2 == 1)
    assert [batch.done for batch in Spy.seen] == [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75]
    assert Spy.after == [0.25, 0.5, 0.75, 1.0]


def test_the_learning_rate_follows_the_schedule(digits):
    learning = learner(rate=0.5, steps=10, warmup=0.5)
    rates = []
    for _ in range(10):
        rates.append(learning.learning_rate)
        learn(learning, digits[:4])
    assert rates[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] == learning.learning_rate == pytest.approx(0.5e-3)


def test_the_area_of_a_view_is_the_methods_to_choose(digits):
    @dataclass(frozen=True, kw_only=True)
    class Narrow(Spy):
        def views(self, images, augment):
            return [augment(images), augment(images, area=(0.01, 0.02))]

    Spy.seen.clear()
    ramp = torch.arange(SIDE).mul(16).to(torch.uint8).expand(4, 1, SIDE, SIDE)
    learn(learner(linear(), Narrow(), STILL), ramp.contiguous())
    whole, part = (view.amax((1, 2, 3)) - view.amin((1, 2, 3)) for view in Spy.seen[0].views)
    assert bool((part < 0.5 * whole).all())


@pytest.mark.parametrize("training", [True, False])
def test_the_dimension_is_found_without_a_trace(training):
    network = compact()
    network.module.train(training)
    before = snapshot(network.module)
    assert dimension(network) == DIM
    assert network.module.training is training
    assert moved(network.module, before) == set()


def test_a_network_that_gives_no_vectors_is_refused():
    maps = replace(compact(), module=nn.Conv2d(3, 4, 3))
    with pytest.raises(DataError, match=r"array of shape \(4, 14, 14\).*not a vector") as caught:
        dimension(maps)
    assert caught.value.argument == "backbone"


def test_what_is_trained_is_the_network_that_was_given(digits):
    network = compact()
    start = copy.deepcopy(network.module).state_dict()
    learning = learner(network)
    learn(learning, digits)
    assert learning.encoder is network.module
    assert moved(network.module, start)
