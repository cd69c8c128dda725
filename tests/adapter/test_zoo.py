import json

import fiftyone as fo
import fiftyone.zoo as foz
import numpy as np
import pytest
import torch
from PIL import Image

import uvl_plugin as uvl
from uvl_plugin.adapter.model import EmbeddingModel
from uvl_plugin.adapter.zoo import Zoo
from uvl_plugin.backbones.base import backbones
from uvl_plugin.media.images import read_image

SOURCE = '''
import fiftyone as fo
import fiftyone.core.models as fom
import fiftyone.utils.torch as fout
import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 6, 3)

    def forward(self, images):
        return self.convolution(images).mean(dim=(2, 3))


class WithPrompts(fout.TorchImageModel, fom.PromptMixin):
    can_embed_prompts = True

    def embed_prompts(self, prompts):
        return np.array([[len(prompt)] * 6 for prompt in prompts], np.float64)


class Plain(fom.Model, fom.EmbeddingsMixin):
    """Not of torch: means of the colours."""

    media_type, has_embeddings, ragged_batches, transforms = "image", True, True, None
    preprocess = True

    def embed_all(self, images):
        assert self.preprocess and len({image.shape for image in images}) == 1
        return np.stack([image.reshape(-1, 3).mean(axis=0) for image in images])


def load_model(model_name, model_path, **options):
    if model_name == "uvl-test-plain":
        return Plain()
    cls = WithPrompts if model_name == "uvl-test-text" else fout.TorchImageModel
    config = {"model": Net(), "as_feature_extractor": True, "image_min_dim": 32, **options}
    return cls(fout.TorchImageModelConfig(config))
'''
TAGS = {
    "uvl-test-image": ["embeddings"],
    "uvl-test-text": ["embeddings", "text-embeddings"],
    "uvl-test-plain": ["embeddings"],
    "uvl-test-classes": ["classification"],
}
FIXED = '{"image_size": [32, 32]}'


@pytest.fixture
def zoo_dir(tmp_path, monkeypatch):
    """A zoo folder with a source of four small models."""
    folder = tmp_path / "models" / "uvl-test"
    folder.mkdir(parents=True)
    models = [
        {"base_name": name, "base_filename": name, "tags": tags} for name, tags in TAGS.items()
    ]
    (folder / "manifest.json").write_text(json.dumps({"name": "uvl-test", "models": models}))
    (folder / "__init__.py").write_text(SOURCE)
    for name in TAGS:
        (folder / name).touch()
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(folder.parent))
    return folder.parent


def images(shapes, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]


def encoded(encoder, pixels):
    return encoder.encode([encoder.preprocess(image) for image in pixels])


def test_it_is_one_of_the_backbones():
    assert backbones["zoo"] is Zoo is uvl.Zoo


@pytest.mark.parametrize(
    ("model", "options"),
    [("uvl-test-image", ""), ("uvl-test-image", FIXED), ("uvl-test-plain", "")],
    ids=["ragged", "fixed", "plain"],
)
def test_vectors_are_those_of_the_zoo_model(zoo_dir, model, options):
    encoder = Zoo(model=model, options=options).load("cpu")
    reference = foz.load_zoo_model(model, **json.loads(options or "{}"))
    for shapes in ([(40, 50)] * 3, [(40, 50), (64, 33), (32, 32)], [(1, 1)]):
        pixels = images(shapes)
        vectors = encoded(encoder, pixels)
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(pixels), encoder.dim)
        expected = [reference.embed_all([image])[0] for image in pixels]
        assert vectors == pytest.approx(np.stack(expected), rel=1e-4, abs=1e-5)


def test_the_users_model_is_left_alone(zoo_dir):
    theirs = foz.load_zoo_model("uvl-test-image")
    encoder = Zoo(model="uvl-test-image").load("cpu")
    assert encoder.model is not theirs
    assert theirs.preprocess is True


def test_what_the_engine_asks_of_an_encoder(zoo_dir):
    encoder = Zoo(model="uvl-test-image", options=FIXED).load("cpu")
    assert (encoder.dim, encoder.precision, encoder.concurrent) == (6, "fp32", False)
    assert encoder.device == torch.device("cpu")
    assert any(isinstance(part, torch.nn.Conv2d) for part in encoder.module.modules())
    pixels = images([(40, 50)])
    buffer = encoder.buffer(3)
    assert encoder.encode(buffer).shape == (3, 6)
    buffer[0] = encoder.preprocess(pixels[0])
    twin = encoder.replica(torch.device("cpu"))
    assert twin.model is not encoder.model
    assert np.array_equal(twin.encode(buffer[:1]), encoded(encoder, pixels))


def test_texts(zoo_dir):
    text, image = Zoo(model="uvl-test-text"), Zoo(model="uvl-test-image")
    assert (text.has_text, image.has_text) == (True, False)
    assert image.load("cpu").embed_texts is None
    vectors = text.load("cpu").embed_texts(["rose", "tulip"])
    assert vectors.dtype == torch.float32
    assert vectors[:, 0].tolist() == [4, 5]
    assert EmbeddingModel(text.load("cpu")).embed_prompt("rose").shape == (6,)


@pytest.mark.parametrize("options", ["", FIXED], ids=["ragged", "fixed"])
def test_every_way_to_embed_files_gives_the_same(zoo_dir, make_dataset, tmp_path, options):
    for number, pixels in enumerate(images([(40, 50), (40, 50), (64, 33), (32, 32), (90, 41)])):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    dataset = make_dataset(sorted(tmp_path.glob("*.png")))
    backbone = Zoo(model="uvl-test-image", options=options)
    encoder = backbone.load("cpu")
    expected = encoded(encoder, [read_image(path) for path in dataset.values("filepath")])
    uvl.embed(dataset, backbone, "emb")
    assert np.stack(dataset.values("emb")) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    found = dataset.compute_embeddings(EmbeddingModel(encoder), num_workers=0)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)
    uvl.index(dataset, embeddings="emb", brain_key="sim")
    model = dataset.load_brain_results("sim").get_model()
    image = np.asarray(Image.open(dataset.first().filepath))
    assert model.embed(image) == pytest.approx(expected[0], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("options", ["", FIXED], ids=["ragged", "fixed"])
def test_it_embeds_patches(zoo_dir, make_dataset, tmp_path, options):
    (pixels,) = images([(60, 80)])
    Image.fromarray(pixels).save(tmp_path / "image.png")
    dataset = make_dataset([tmp_path / "image.png"])
    boxes = [[0.0, 0.0, 0.5, 1.0], [0.5, 0.5, 0.5, 0.5]]
    detections = [fo.Detection(label="a", bounding_box=box) for box in boxes]
    dataset.set_values("objects", [fo.Detections(detections=detections)])
    encoder = Zoo(model="uvl-test-image", options=options).load("cpu")
    (found,) = dataset.compute_patch_embeddings(EmbeddingModel(encoder), "objects").values()
    expected = encoded(encoder, [pixels[:, :40], pixels[30:, 40:]])
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.real_data
def test_a_model_of_fiftyones_own_list_with_real_weights(real_data, tmp_path, monkeypatch):
    """MobileNetV2: its file is where FiftyOne and torch would have downloaded it."""
    from safetensors.torch import load_file

    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = load_file(real_data / "weights" / "torchvision" / "mobilenet_v2_imagenet.safetensors")
    for folder in (tmp_path, cache):
        torch.save(weights, folder / "mobilenet_v2-b0353104.pth")
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path))
    half = [0.5, 0.5, 0.5]
    options = {
        "entrypoint_args": {"weights": "MobileNet_V2_Weights.IMAGENET1K_V1"},
        "image_size": [224, 224], "image_mean": half, "image_std": half,
    }  # fmt: skip
    zoo = Zoo(model="mobilenet-v2-imagenet-torch", options=json.dumps(options))
    zoo.check()
    encoder = zoo.load("cpu")
    flowers = real_data / "images" / "flowers5"
    paths = [
        path for kind in ("roses", "sunflowers") for path in sorted((flowers / kind).glob("*"))[:8]
    ]
    vectors = encoded(encoder, [read_image(str(path)) for path in paths])
    twin = uvl.TorchVision(
        model="mobilenet_v2",
        weights=str(real_data / "weights" / "torchvision" / "mobilenet_v2_imagenet.safetensors"),
        mean=tuple(half), std=tuple(half),
    ).load("cpu")  # fmt: skip
    squashed = [
        Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
        for path in paths
    ]
    expected = twin.encode([np.asarray(image) for image in squashed])
    assert encoder.dim == 1280
    assert vectors == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("clip-vit-base32-tourch", "", "is not in the zoo. Near names: clip-vit-base32-torch"),
        ("uvl-test-classes", "", "'uvl-test-classes' gives no embeddings"),
        ("uvl-test-image", "{", "Zoo.options is not JSON"),
        ("uvl-test-image", "[1]", "must be a JSON object"),
    ],
)
def test_wrong_settings_are_said_without_loading(zoo_dir, model, options, message):
    zoo = Zoo(model=model, options=options)
    for verb in (zoo.check, zoo.load):
        with pytest.raises(uvl.SettingsError, match=message):
            verb()


def test_a_model_that_cannot_be_loaded(zoo_dir):
    with pytest.raises(uvl.WeightsError, match="'uvl-test-image' cannot be loaded") as caught:
        Zoo(model="uvl-test-image", options='{"device": "cpu", "image_mean": [1]}').load()
    assert "image_std" in str(caught.value)
    with pytest.raises(uvl.SettingsError, match="device='nope'"):
        Zoo(model="uvl-test-image").load("nope")


def test_without_a_network_the_error_says_which_file_goes_where(zoo_dir, monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setattr("eta.core.web.download_file", no_network)
    zoo = Zoo(model="mobilenet-v2-imagenet-torch")
    zoo.check()
    with pytest.raises(uvl.WeightsError) as caught:
        zoo.load("cpu")
    assert "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth" in str(caught.value)
    assert str(zoo_dir / "mobilenet_v2-b0353104.pth") in str(caught.value)


def test_a_model_without_embeddings_under_these_options(zoo_dir):
    with pytest.raises(uvl.SettingsError, match="gives no embeddings of images with options"):
        Zoo(model="uvl-test-image", options='{"as_feature_extractor": false}').load("cpu")


def test_precision_and_reduced_decoding_are_the_models_own_business(
    zoo_dir, make_dataset, tmp_path
):
    path = tmp_path / "photo.jpg"
    Image.fromarray(images([(300, 400)])[0]).save(path)
    dataset, backbone = make_dataset([path]), Zoo(model="uvl-test-plain")
    with pytest.raises(uvl.SettingsError, match="decides on its precision by its own options"):
        uvl.embed(dataset, backbone, "emb", precision="bf16")
    result = uvl.embed(dataset, backbone, "emb", decode="reduced")
    assert (result.how["decode"], result.how["precision"]) == ("exact", "fp32")
