import copy
import re
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision import models

from uvl_plugin.backbones.torchvision import TorchVision, _renamed, build, remove_head
from uvl_plugin.backbones.weights import fit_weights
from uvl_plugin.core.errors import SettingsError, WeightsError
from uvl_plugin.media.images import read_image

SMALL = "shufflenet_v2_x0_5"  # quick to build; has batch norm and a linear head named fc
NAMES = models.list_models(module=models)
ON_META = [name for name in NAMES if not name.startswith("regnet")]  # regnet computes its widths


def noise(n=2, size=224) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(n)]


def assert_head_reads_vectors(model, size):
    """What was taken off makes the thousand classes of ImageNet from the vectors."""
    network = build(model, size)
    modules = dict(network.named_modules())
    head = modules[remove_head(network)]
    vectors = network.eval()(torch.zeros(2, 3, size, size))
    assert vectors.shape[:1] == (2,)
    assert vectors.ndim == 2
    read = vectors if isinstance(head, torch.nn.Linear) else vectors[..., None, None]
    assert head.eval()(read).flatten(1).shape == (2, 1000)


@pytest.mark.parametrize("model", ON_META)
def test_without_its_head_every_network_gives_vectors(model):
    size = models.get_model_weights(model).DEFAULT.transforms().crop_size[0]
    with torch.device("meta"), torch.inference_mode():  # shapes only: no memory, no arithmetic
        assert_head_reads_vectors(model, size)


@pytest.mark.parametrize("model", ["regnet_x_400mf", "regnet_y_400mf"])
def test_without_its_head_regnet_gives_vectors(model):
    with torch.inference_mode():
        assert_head_reads_vectors(model, 64)


@pytest.mark.parametrize("model", [SMALL, "resnet18"])
def test_the_vector_is_what_the_last_layer_reads(model):
    network = build(model, 64).train()  # batch norm by the batch: else random weights give nearly 0
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        classes = network(images)
        head = network.fc
        assert remove_head(network) == "fc"
        vectors = network(images)
        assert vectors.std() > 0.1
        assert torch.allclose(head(vectors), classes, atol=1e-4)


@pytest.mark.parametrize("model", NAMES)
def test_pictures_are_prepared_as_each_of_the_weights_wants(model):
    image = noise(1, 300)[0][:200]
    for weights in models.get_model_weights(model):
        own = weights.transforms()
        preprocess = TorchVision(model=model)._preprocess(weights)
        mean, std = torch.tensor(preprocess.mean), torch.tensor(preprocess.std)
        expected = (own(Image.fromarray(image)).permute(1, 2, 0) * std + mean) * 255
        difference = (torch.from_numpy(preprocess(image).copy()) - expected).abs()
        assert float(difference.max()) < 2.01
        assert float(difference.mean()) < 0.05


@pytest.mark.parametrize(("name", "resize"), [("IMAGENET1K_V1", 164), ("IMAGENET1K_V2", 149)])
def test_another_size_keeps_the_share_that_is_cut_off(name, resize):
    backbone = TorchVision(model="resnet50", weights=name, input_size=144)
    preprocess = backbone._preprocess(models.ResNet50_Weights[name])
    assert (preprocess.size, preprocess.resize) == (144, resize)


@pytest.mark.parametrize("model", [SMALL, "regnet_y_400mf", "swin_t", "vit_b_32", "maxvit_t"])
def test_other_sizes_run(model):
    size = 224 if model == "maxvit_t" else 64
    encoder = TorchVision(model=model, weights="untrained", input_size=size).load("cpu")
    assert encoder.preprocess.size == size
    assert encoder.encode(encoder.buffer(2)).shape == (2, encoder.dim)


@pytest.mark.parametrize(
    ("model", "size", "words"),
    [
        ("vit_b_16", 250, "cuts the image into patches of 16x16 pixels; nearest .* 240, 256"),
        ("vit_l_32", 230, "cuts the image into patches of 32x32 pixels; nearest .* 224, 256"),
        ("maxvit_t", 250, "does not run with this size; nearest .* 224, 448"),
        ("inception_v3", 64, "does not run with this size; nearest .* 96"),
    ],
)
@pytest.mark.parametrize("method", ["load", "check"])
def test_a_size_that_does_not_suit_is_an_error_that_names_others(model, size, words, method):
    with pytest.raises(
        SettingsError, match=f"input_size={size} does not suit {model}, which {words}"
    ):
        getattr(TorchVision(model=model, weights="untrained", input_size=size), method)()


def test_position_embeddings_are_resampled(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = models.vit_b_32(image_size=64)
    ramp = torch.tensor([[0.0, 1.0], [2.0, 3.0]]).repeat_interleave(768).view(1, 4, 768)
    network.encoder.pos_embedding.data[:, 1:] = ramp
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    settings = {"model": "vit_b_32", "weights": str(tmp_path / "mine.safetensors")}
    same = TorchVision(**settings, input_size=64).load("cpu").module.encoder.pos_embedding
    assert torch.equal(same, network.encoder.pos_embedding)
    larger = TorchVision(**settings, input_size=96).load("cpu").module.encoder.pos_embedding
    assert torch.equal(larger[:, 0], same[:, 0])  # the class token's
    grid = larger[0, 1:, 0].view(3, 3)
    assert float(grid[1, 1]) == pytest.approx(1.5, abs=1e-5)
    assert float(grid[0, 0]) == pytest.approx(0, abs=1e-5)
    assert float(grid[2, 2]) == pytest.approx(3, abs=1e-5)


def test_mean_and_std_may_be_chosen():
    backbone = TorchVision(model=SMALL, weights="untrained", mean=(0, 0, 0), std=(0.5, 0.5, 0.25))
    preprocess = backbone.load("cpu").preprocess
    assert preprocess.mean == (0, 0, 0)
    assert preprocess.std == (0.5, 0.5, 0.25)


@pytest.mark.parametrize("method", ["load", "check"])
def test_an_unknown_model_is_an_error_that_lists_the_known(method):
    with pytest.raises(SettingsError, match="no classification model 'resnet5'. Known: alexnet, "):
        getattr(TorchVision(model="resnet5"), method)()


@pytest.mark.parametrize("method", ["load", "check"])
def test_unknown_weights_are_an_error_that_lists_the_known(method):
    with pytest.raises(SettingsError) as caught:
        getattr(TorchVision(model="resnet50", weights="IMAGENET1K_V9"), method)()
    assert str(caught.value) == (
        "torchvision has no weights 'IMAGENET1K_V9' for resnet50. Known: IMAGENET1K_V1, "
        "IMAGENET1K_V2, DEFAULT; or name a local file."
    )
    assert caught.value.argument == "weights"


@pytest.mark.parametrize("method", ["load", "check"])
def test_a_missing_weights_file_is_an_error_before_any_work(method, tmp_path):
    with pytest.raises(WeightsError, match="There is no weights file '.*mine.pth'"):
        getattr(TorchVision(weights=str(tmp_path / "mine.pth")), method)()


@pytest.mark.parametrize(
    "weights", ["DEFAULT", "IMAGENET1K_V2", "ResNet50_Weights.IMAGENET1K_V1", "untrained"]
)
def test_names_of_weights_pass_the_check(weights):
    TorchVision(model="resnet50", weights=weights).check()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error():
    with pytest.raises(SettingsError, match="device='cuda' cannot be used"):
        TorchVision(model=SMALL, weights="untrained").load("cuda")


def test_untrained_weights_hang_on_the_seed_alone():
    first, again, other = (
        TorchVision(model=SMALL, weights="untrained", seed=seed).load("cpu").encode(noise())
        for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert not np.allclose(first, other, rtol=0.1, atol=0)


def test_loading_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    TorchVision(model=SMALL, weights="untrained").load("cpu")
    assert torch.equal(torch.rand(4), expected)


@pytest.fixture(scope="module")
def trained() -> torch.nn.Module:
    """A network as somebody may have trained it: seven classes, batch norm with statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = models.get_model(SMALL, num_classes=7)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the plain average
        with torch.no_grad():
            network(torch.rand(16, 3, 64, 64))
    return network.eval()


@pytest.fixture(scope="module")
def expected(trained):
    """Its vectors, computed by hand."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    images = torch.from_numpy(np.stack(noise())).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        normalised = (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)
        network = copy.deepcopy(trained)
        network.fc = torch.nn.Identity()
        vectors = network(normalised).numpy()
    assert vectors.std() > 0.1  # there is something to compare
    return vectors


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mine.safetensors", dict),
        ("mine.pth", dict),
        ("mine.pt", lambda state: {f"module.{name}": value for name, value in state.items()}),
        ("headless.pth", lambda state: {name: state[name] for name in state if "fc." not in name}),
        ("old.pth", lambda state: {name: state[name] for name in state if "num_b" not in name}),
    ],
)
def test_a_local_file_gives_the_vectors_of_its_network(tmp_path, trained, expected, name, change):
    path = tmp_path / name
    (save_file if path.suffix == ".safetensors" else torch.save)(change(trained.state_dict()), path)
    backbone = TorchVision(model=SMALL, weights=str(path))
    backbone.check()
    assert backbone.load("cpu").encode(noise()) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_checkpoint_gives_the_vectors_of_its_network(tmp_path, trained, expected):
    torch.save({"epoch": 3, "state_dict": trained.state_dict()}, tmp_path / "mine.pth")
    encoder = TorchVision(model=SMALL, weights=str(tmp_path / "mine.pth")).load("cpu")
    assert encoder.encode(noise()) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_weights_of_another_network_are_refused(tmp_path, trained):
    torch.save(trained.state_dict(), tmp_path / "mine.pth")
    with pytest.raises(
        WeightsError, match=r"another network: \d+ tensors missing, \d+ unknown, \d+ of another"
    ):
        TorchVision(model="squeezenet1_1", weights=str(tmp_path / "mine.pth")).load("cpu")


def test_mnasnet_is_loaded_too(tmp_path, unfolded):  # the only one that insists on a version mark
    state = models.mnasnet0_5().state_dict()
    save_file(state, tmp_path / "mine.safetensors")
    backbone = TorchVision(model="mnasnet0_5", weights=str(tmp_path / "mine.safetensors"))
    loaded = backbone.load("cpu").module.state_dict()
    assert torch.equal(loaded["layers.0.weight"], state["layers.0.weight"])


@pytest.mark.parametrize(
    ("model", "now", "then"),
    [
        ("densenet121", r"(denselayer\d+\.(norm|conv))([12])\.", r"\1.\3."),
        ("vit_b_32", r"\.mlp\.0\.", ".mlp.linear_1."),
        ("vit_b_32", r"\.mlp\.3\.", ".mlp.linear_2."),
    ],
)
def test_names_of_older_torchvision_files_are_understood(model, now, then):
    with torch.device("meta"):
        network = build(model, 224)
    state = network.state_dict()
    old = {re.sub(now, then, name): value for name, value in state.items()}
    assert old.keys() != state.keys()
    fit_weights(network, _renamed(old), ignore=(), source="old")
    assert _renamed(state).keys() == state.keys()


@pytest.fixture
def unreachable(tmp_path, monkeypatch) -> Path:
    """No network, and an empty folder for torch's downloads, which is returned."""

    def fail(*_, **__):
        raise URLError("Name or service not known")

    monkeypatch.delenv("UVL_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr("urllib.request.urlopen", fail)
    return tmp_path / "torch/hub/checkpoints"


def saved(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(models.get_model(SMALL).state_dict(), path)


def test_without_network_the_error_says_which_file_to_put_where(unreachable, tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="Name or service not known.*UVL_WEIGHTS") as caught:
        TorchVision(model=SMALL).load("cpu")
    assert caught.value.argument == "weights"
    monkeypatch.setenv("UVL_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        TorchVision(model=SMALL).load("cpu")
    url, path = re.search(
        r"Download (\S+) and save it as (\S+), or set", str(caught.value)
    ).groups()
    assert url == models.get_model_weights(SMALL).DEFAULT.url
    assert Path(path).parent == tmp_path
    saved(Path(path))  # follow the advice
    assert TorchVision(model=SMALL).load("cpu").dim == 1024


def test_the_default_weights_may_have_the_name_of_the_model(unreachable, tmp_path, monkeypatch):
    monkeypatch.setenv("UVL_WEIGHTS", str(tmp_path))
    saved(tmp_path / f"{SMALL}.pth")
    assert TorchVision(model=SMALL).load("cpu").dim == 1024
    saved(tmp_path / "resnet50.pth")  # whose default weights are the second ones
    with pytest.raises(WeightsError, match="resnet50-0676ba61.pth"):
        TorchVision(model="resnet50", weights="IMAGENET1K_V1").load("cpu")


def test_what_torch_downloaded_before_is_used(unreachable):
    saved(unreachable / models.get_model_weights(SMALL).DEFAULT.url.rpartition("/")[2])
    assert TorchVision(model=SMALL).load("cpu").dim == 1024


def test_a_damaged_file_in_the_folder_of_downloads_is_named(unreachable):
    path = unreachable / models.get_model_weights(SMALL).DEFAULT.url.rpartition("/")[2]
    saved(path)
    path.write_bytes(b"half a fi")
    with pytest.raises(WeightsError, match=f"'{path}' cannot be read"):
        TorchVision(model=SMALL).load("cpu")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("model", "file", "dim"),
    [
        ("mobilenet_v2", "mobilenet_v2_imagenet.safetensors", 1280),
        ("squeezenet1_1", "squeezenet1_1_imagenet.pth", 512),
    ],
)
def test_real_weights_give_the_vectors_of_the_whole_network(real_data, model, file, dim):
    weights = real_data / "weights/torchvision" / file
    photographs = sorted((real_data / "images/flowers5/daisy").glob("*.jpg"))[:3]
    encoder = TorchVision(model=model, weights=str(weights)).load("cpu")
    vectors = encoder.encode([encoder.preprocess(read_image(str(path))) for path in photographs])
    network = models.get_model(model).eval()
    safe = file.endswith("safetensors")
    network.load_state_dict(load_file(weights) if safe else torch.load(weights, weights_only=True))
    transform = models.get_model_weights(model).DEFAULT.transforms()
    assert vectors.shape == (3, dim)
    for path, vector in zip(photographs, vectors, strict=True):
        with Image.open(path) as image, torch.inference_mode():
            expected = network.features(transform(image).unsqueeze(0)).mean((2, 3))[0].numpy()
        # one level of 255 here and there: far less than between one picture and the next
        assert np.linalg.norm(vector - expected) < 0.01 * np.linalg.norm(expected)
