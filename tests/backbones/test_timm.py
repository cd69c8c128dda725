import copy
import re

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from uvl_plugin.backbones.timm import Timm, _adapted, _config, _heads, _published
from uvl_plugin.backbones.weights import fit_weights
from uvl_plugin.core.errors import SettingsError, WeightsError

VIT = "vit_tiny_patch16_224"
CNN = "mobilenetv3_small_050"
SHALLOW = '{"depth": 1}'
# One of each way to end: linear, with a norm before, in a module of its own, distilled, hidden
HEADS = [
    "resnet18", CNN, VIT, "convnext_atto", "levit_128s", "efficientvit_m0", "caformer_s18",
    "repvit_m0_9", "deit_tiny_distilled_patch16_224", "vit_base_patch16_siglip_224", "vgg11",
    "regnetx_002", "densenet121", "swin_tiny_patch4_window7_224", "efficientnet_b0",
]  # fmt: skip
SELF_SUPERVISED = [
    "vit_small_patch14_dinov2.lvd142m", "vit_small_patch16_dinov3.lvd1689m",
    "vit_small_patch16_224.dino", "vit_base_patch16_224.mae",
]  # fmt: skip


def noise(n=2, size=224) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def made(model, seed=0, **options) -> torch.nn.Module:
    """A network whose weights are all random: timm sets many to 0 or 1."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = timm.create_model(model, **options)
        for weight in network.parameters():
            weight.data = torch.randn_like(weight) * 0.1 + 0.1 * (weight.ndim == 1)
    return network.eval()


def normalised(images, backbone) -> torch.Tensor:
    config = _config(backbone.model)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (config.mean, config.std))
    return (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - mean) / std


@pytest.mark.parametrize("model", [VIT, CNN, "convnext_atto", *SELF_SUPERVISED[:2]])
def test_the_vector_is_the_models_own_pooled_output(model, tmp_path):
    shallow = {"depth": 1} if model.startswith("vit_") else {}
    network = made(model, num_classes=7, **shallow)
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    backbone = Timm(
        model=model, weights=str(tmp_path / "mine.safetensors"), options=SHALLOW if shallow else ""
    )
    encoder = backbone.load("cpu")
    images = noise(size=encoder.preprocess.size)
    with torch.inference_mode():
        features = network.forward_features(normalised(images, backbone))
        expected = network.forward_head(features, pre_logits=True).numpy()
    assert encoder.dim == expected.shape[1]
    assert expected.std() > 1e-3
    assert encoder.encode(images) == pytest.approx(
        expected, rel=1e-3, abs=1e-4 * float(expected.max())
    )


@pytest.mark.parametrize("model", HEADS + SELF_SUPERVISED)
def test_a_whole_file_fits_and_only_the_classifier_is_left_out(model):
    config = _config(model)
    device = "cpu" if model.startswith("regnet") else "meta"  # computes its widths
    with torch.device(device):
        whole, network = (
            timm.create_model(model),
            Timm(model=model, weights="untrained").build(config.input_size[1]),
        )
    state = whole.state_dict()
    fit_weights(network, _adapted(state, network, model, "f"), ignore=_heads(config), source="f")
    left_out = state.keys() - network.state_dict().keys()
    assert all(re.search(r"head|classifier|fc", name) for name in left_out)
    lost = [name for name in network.state_dict() if name in state and "num_b" not in name][-1]
    adapted = _adapted({k: v for k, v in state.items() if k != lost}, network, model, "f")
    with pytest.raises(WeightsError, match=f"1 tensors missing, 0 unknown.*first: {lost}"):
        fit_weights(network, adapted, ignore=_heads(config), source="f")


def test_every_model_that_timm_publishes_has_weights_that_can_be_named():
    for model in timm.list_pretrained():
        config = timm.get_pretrained_cfg(model)
        published = _published(model, config)
        assert published.names[0] == model
        assert published.url.startswith("http")
        assert all(name.endswith(".safetensors") for name in published.filenames)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mine.pth", dict),
        ("mine.pt", lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}}),
        ("half.pth", lambda state: {k: v.half() if v.is_floating_point() else v for k, v in state.items()}),
        ("headless.pth", lambda state: {k: v for k, v in state.items() if "classifier" not in k}),
    ],
)  # fmt: skip
def test_files_of_every_form_are_read(tmp_path, name, change, unfolded):
    network = made(CNN)
    torch.save(change(network.state_dict()), tmp_path / name)
    encoder = Timm(model=CNN, weights=str(tmp_path / name)).load("cpu")
    assert {weight.dtype for weight in encoder.module.parameters()} == {torch.float32}
    stem = encoder.module.conv_stem.weight
    assert torch.allclose(stem, network.conv_stem.weight, atol=1e-3)


@pytest.mark.parametrize("lost", ["blocks.0.attn.qkv.weight", "norm.bias", "pos_embed"])
def test_a_missing_tensor_is_an_error(tmp_path, lost):
    state = made(VIT, depth=1).state_dict()
    save_file({k: v for k, v in state.items() if k != lost}, tmp_path / "mine.safetensors")
    backbone = Timm(model=VIT, weights=str(tmp_path / "mine.safetensors"), options=SHALLOW)
    with pytest.raises(WeightsError, match=rf"1 tensors missing, 0 unknown.*first: {lost}"):
        backbone.load("cpu")


def test_an_unknown_tensor_is_an_error(tmp_path):
    state = {**made(VIT, depth=1).state_dict(), "extra.weight": torch.ones(1)}
    save_file(state, tmp_path / "mine.safetensors")
    backbone = Timm(model=VIT, weights=str(tmp_path / "mine.safetensors"), options=SHALLOW)
    with pytest.raises(WeightsError, match=r"0 tensors missing, 1 unknown.*first: extra.weight"):
        backbone.load("cpu")


@pytest.mark.parametrize(
    "model", [VIT, "swin_tiny_patch4_window7_224", "resnet18", "cait_xxs24_224"]
)
def test_weights_of_another_network_are_refused(model, tmp_path):
    save_file(made(CNN).state_dict(), tmp_path / "mine.safetensors")
    with pytest.raises(WeightsError, match="of another network"):
        Timm(model=model, weights=str(tmp_path / "mine.safetensors")).load("cpu")


@pytest.mark.parametrize("model", SELF_SUPERVISED)
def test_position_embeddings_are_resampled_as_timm_does_it(model, tmp_path):
    own = made(model, num_classes=0, depth=1)
    save_file(own.state_dict(), tmp_path / "mine.safetensors")
    size = 4 * own.patch_embed.patch_size[0]
    encoder = Timm(
        model=model, weights=str(tmp_path / "mine.safetensors"), options=SHALLOW, input_size=size
    ).load("cpu")
    resized = copy.deepcopy(own)
    resized.set_input_size(size)
    images = noise(size=size)
    with torch.inference_mode():
        expected = resized(normalised(images, Timm(model=model))).numpy()
    assert encoder.preprocess.size == size
    assert encoder.encode(images) == pytest.approx(
        expected, rel=1e-3, abs=1e-3 * float(expected.max())
    )


@pytest.mark.parametrize(
    ("model", "size", "words"),
    [
        ("vit_small_patch14_dinov2.lvd142m", 256, "into patches of 14x14 pixels; .* 252, 266"),
        ("vit_small_patch16_dinov3.lvd1689m", 250, "into patches of 16x16 pixels; .* 240, 256"),
        ("swin_tiny_patch4_window7_224", 226, "into patches of 4x4 pixels; .* 224, 228"),
        ("maxvit_tiny_tf_224", 250, "does not run with this size; .* 224, 256"),
    ],
)
@pytest.mark.parametrize("method", ["load", "check"])
def test_a_size_that_does_not_suit_is_an_error_that_names_others(model, size, words, method):
    with pytest.raises(SettingsError, match=f"{words}") as caught:
        getattr(Timm(model=model, weights="untrained", input_size=size), method)()
    assert caught.value.argument == "input_size"


@pytest.mark.parametrize("size", [32, 33, 100])
def test_convolutional_networks_take_any_size(size):
    encoder = Timm(model=CNN, weights="untrained", input_size=size).load("cpu")
    assert encoder.encode(noise(size=size)).shape == (2, encoder.dim)


def test_the_share_that_is_cut_off_stays():
    config = _config("vit_small_patch16_224.dino")
    own = Timm(model="vit_small_patch16_224.dino")._preprocess(config)
    small = Timm(model="vit_small_patch16_224.dino", input_size=112)._preprocess(config)
    assert (own.size, own.resize) == (224, 248)
    assert (small.size, small.resize) == (112, 124)


def test_mean_and_std_may_be_chosen():
    backbone = Timm(model=CNN, weights="untrained", mean=(0, 0, 0), std=(0.5, 0.5, 0.25))
    preprocess = backbone.load("cpu").preprocess
    assert preprocess.mean == (0, 0, 0)
    assert preprocess.std == (0.5, 0.5, 0.25)


def test_options_reach_the_network():
    encoder = Timm(model=VIT, weights="untrained", options='{"depth": 2, "embed_dim": 96}')
    assert encoder.load("cpu").dim == 96


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ('{"depth": ', "must be JSON such as"),
        ("[1]", "must be a JSON object such as"),
        ('{"no_such": 1}', "cannot build .* unexpected keyword argument 'no_such'"),
        ('{"pretrained": true}', "must not contain 'pretrained'"),
        ('{"checkpoint_path": "x.pth"}', "must not contain 'checkpoint_path'"),
        ('{"img_size": 64}', "must not contain 'img_size'"),
    ],
)
@pytest.mark.parametrize("method", ["load", "check"])
def test_bad_options_are_an_error(options, words, method):
    with pytest.raises(SettingsError, match=words) as caught:
        getattr(Timm(model=VIT, weights="untrained", options=options), method)()
    assert caught.value.argument == "options"


def test_options_that_leave_no_vector_are_refused():
    backbone = Timm(model=CNN, weights="untrained", options='{"global_pool": ""}')
    with pytest.raises(SettingsError, match="not a vector"):
        backbone.load("cpu")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("vit_smal_patch16_224.dino", "no model .* Did you mean 'vit_small_patch16_224.dino'"),
        ("vit_small_patch16_224.dyno", "no weights 'dyno' .*vit_small_patch16_224.dino"),
        ("hf-hub:timm/resnet18.a1_in1k", "timm has no model"),
    ],
)
@pytest.mark.parametrize("method", ["load", "check"])
def test_an_unknown_model_is_an_error(model, words, method):
    with pytest.raises(SettingsError, match=words) as caught:
        getattr(Timm(model=model, weights="untrained"), method)()
    assert caught.value.argument == "model"


def test_a_model_without_weights_is_an_error_unless_they_are_given():
    name = next(
        name for name in timm.list_models()
        if name not in {model.partition(".")[0] for model in timm.list_pretrained()}
        and _config(name).input_size[0] == 3
    )  # fmt: skip
    with pytest.raises(SettingsError, match=f"timm publishes no weights of {name}"):
        Timm(model=name).check()
    Timm(model=name, weights="untrained").check()


@pytest.mark.parametrize("method", ["load", "check"])
def test_weights_are_a_file_or_one_of_two_words(method, tmp_path):
    with pytest.raises(SettingsError, match="must be DEFAULT, untrained or a local file, got 'IM"):
        getattr(Timm(model=CNN, weights="IMAGENET1K_V1"), method)()
    with pytest.raises(WeightsError, match="There is no weights file"):
        getattr(Timm(model=CNN, weights=str(tmp_path / "mine.pth")), method)()


def test_the_users_folder_is_looked_up_first(tmp_path, monkeypatch, unfolded):
    monkeypatch.setenv("UVL_WEIGHTS", str(tmp_path))
    network = made("mobilenetv3_small_050.lamb_in1k")
    save_file(network.state_dict(), tmp_path / "mobilenetv3_small_050.lamb_in1k.safetensors")
    for model in (CNN, "mobilenetv3_small_050.lamb_in1k"):
        loaded = Timm(model=model).load("cpu").module
        assert torch.equal(loaded.conv_stem.weight, network.conv_stem.weight)


def test_untrained_weights_hang_on_the_seed_alone():
    first, again, other = (
        Timm(model=CNN, weights="untrained", seed=seed).load("cpu").encode(noise())
        for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert not np.allclose(first, other, rtol=0.1, atol=0)


def test_fcmae_lacks_the_norm_before_its_head(tmp_path, monkeypatch):
    monkeypatch.setenv("UVL_WEIGHTS", str(tmp_path))
    model = "convnextv2_atto.fcmae"
    state = made(model, num_classes=0).state_dict()
    published = {k: v for k, v in state.items() if not k.startswith("head.")}
    save_file(published, tmp_path / f"{model}.safetensors")
    norm = Timm(model=model).load("cpu").module.head.norm
    assert (norm.weight == 1).all()
    assert (norm.bias == 0).all()


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("model", "file", "options"),
    [
        ("mobilenetv2_100", "mobilenetv2_100_imagenet.safetensors", {"pad_type": "same"}),
        (VIT, "vit_tiny_patch16_224_tinyimagenet.safetensors", {"num_classes": 200}),
    ],
)
def test_real_weights_give_the_vectors_of_the_whole_network(real_data, model, file, options):
    path = real_data / "weights/timm" / file
    pad = '{"pad_type": "same"}' if "pad_type" in options else ""
    half = (0.5, 0.5, 0.5)
    backbone = Timm(model=model, weights=str(path), options=pad, mean=half, std=half)
    network = timm.create_model(model, **options).eval()
    network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    images = noise()
    with torch.inference_mode():
        given = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
        head = network.get_classifier()
        expected, classes = (
            network.forward_head(network.forward_features(given), pre_logits=True),
            network(given),
        )
        assert torch.allclose(head(expected), classes, atol=1e-4)
    seen = backbone.load("cpu").encode(images)
    assert seen == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-3)
