import json
import logging
import shutil

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from uvl_plugin.backbones.open_clip import OpenCLIP, _published
from uvl_plugin.core.errors import MissingPackageError, SettingsError, WeightsError

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VIT = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}
TIMM = {
    "timm_model_name": "vit_tiny_patch16_224", "timm_model_pretrained": False,
    "timm_pool": "token", "timm_proj": "linear", "image_size": 224,
}  # fmt: skip
COCA = {
    "embed_dim": 24, "vision_cfg": {
        **VIT, "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True
    },
    "text_cfg": {**TEXT, "context_length": 76, "embed_cls": True, "output_tokens": True},
    "multimodal_cfg": {**TEXT, "context_length": 76}, "custom_text": True,
}  # fmt: skip
MODELS = {
    "clip": {"embed_dim": 24, "vision_cfg": VIT, "text_cfg": TEXT},
    "custom": {"embed_dim": 24, "vision_cfg": VIT, "text_cfg": TEXT, "custom_text": True},
    "timm": {"embed_dim": 24, "vision_cfg": TIMM, "text_cfg": TEXT},
    "coca": COCA,
}
SQUASH = {
    "mean": [0.5] * 3,
    "std": [0.25] * 3,
    "interpolation": "bilinear",
    "resize_mode": "squash",
}


@pytest.fixture
def folder(tmp_path):
    """Writes a small model as open_clip stores it; returns it and its folder."""

    def write(kind, preprocess=SQUASH):
        path = tmp_path / kind
        path.mkdir()
        described = {"model_cfg": MODELS[kind], "preprocess_cfg": preprocess}
        (path / "open_clip_config.json").write_text(json.dumps(described))
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = open_clip.create_model(f"local-dir:{path}", load_weights=False)
        state = {name: value.clone() for name, value in model.state_dict().items()}
        save_file(state, path / "open_clip_model.safetensors")
        return model.eval(), path

    return write


def noise(n=2, size=32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("prefix", ["", "local-dir:"])
def test_a_folder_gives_the_vectors_of_its_model(folder, kind, prefix):
    model, path = folder(kind)
    backbone = OpenCLIP(model=f"{prefix}{path}")
    backbone.check()
    encoder = backbone.load("cpu")
    images = noise(size=encoder.preprocess.size)
    texts = ["a rose", "two houses", ""]
    with torch.inference_mode():
        given = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
        tokens = open_clip.get_tokenizer(f"local-dir:{path}")(texts)
        expected = model.visual(given)
        expected = expected[0] if isinstance(expected, tuple) else expected
        meant = model.encode_text(tokens, normalize=False)
    assert encoder.dim == 24
    assert encoder.encode(images) == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-5)
    assert encoder.embed_texts(texts).numpy() == pytest.approx(meant.numpy(), rel=1e-4, abs=1e-5)


def test_the_vectors_point_as_encode_image_does(folder):
    model, path = folder("coca")
    encoder = OpenCLIP(model=str(path)).load("cpu")
    with torch.inference_mode():
        given = (torch.from_numpy(noise()).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
        expected = model.encode_image(given, normalize=True).numpy()
    vectors = encoder.encode(noise())
    assert vectors / np.linalg.norm(vectors, axis=1)[:, None] == pytest.approx(expected, abs=1e-5)


def test_the_preprocessing_is_that_of_the_folder(folder):
    _, path = folder("clip")
    preprocess = OpenCLIP(model=str(path)).load("cpu").preprocess
    assert (preprocess.size, preprocess.fit, preprocess.interpolation) == (32, "squash", "BILINEAR")
    assert (preprocess.mean, preprocess.std) == ((0.5,) * 3, (0.25,) * 3)


def test_the_towers_are_apart(folder):
    _, path = folder("clip")
    encoder = OpenCLIP(model=str(path)).load("cpu")
    images = {id(weight) for weight in encoder.module.parameters()}
    texts = {id(weight) for weight in encoder.embed_texts.tower.parameters()}
    assert images
    assert texts
    assert not images & texts
    assert not any(weight.requires_grad for weight in encoder.embed_texts.tower.parameters())
    assert sum(
        weight.numel() for weight in encoder.replica(torch.device("cpu")).module.parameters()
    ) == (sum(weight.numel() for weight in encoder.module.parameters()))


@pytest.mark.parametrize("n", [0, 1, 600])
def test_any_number_of_texts_in_their_order(folder, n):
    _, path = folder("clip")
    encoder = OpenCLIP(model=str(path)).load("cpu")
    texts = [f"picture {i}" for i in range(n)]
    vectors = encoder.embed_texts(texts)
    assert vectors.shape == (n, 24)
    assert vectors.dtype == torch.float32
    if n:
        alone = encoder.embed_texts([texts[-1]])[0]
        assert torch.allclose(vectors[-1], alone, atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "timm"])
def test_another_size_resamples_the_position_embeddings(folder, kind):
    _, path = folder(kind)
    size = {"clip": 48, "timm": 64}[kind]
    encoder = OpenCLIP(model=str(path), input_size=size).load("cpu")
    own = open_clip.create_model(f"local-dir:{path}", force_image_size=size).eval()
    with torch.inference_mode():
        given = (torch.from_numpy(noise(size=size)).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
        expected = own.visual(given).numpy()
    assert encoder.preprocess.size == size
    assert encoder.encode(noise(size=size)) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    ("model", "size", "words"),
    [
        ("ViT-B-32", 250, "into patches of 32x32 pixels; .* 224, 256"),
        ("ViT-B-16-SigLIP2", 250, "into patches of 16x16 pixels; .* 240, 256"),
        ("RN50", 256, "only the size they were trained with, 224"),
    ],
)
@pytest.mark.parametrize("method", ["load", "check"])
def test_a_size_that_does_not_suit_is_an_error(model, size, words, method):
    with pytest.raises(SettingsError, match=words) as caught:
        getattr(OpenCLIP(model=model, pretrained="untrained", input_size=size), method)()
    assert caught.value.argument == "input_size"


def test_a_local_file_for_a_known_model(tmp_path):
    model = open_clip.create_model("ViT-S-32-alt", load_weights=False)
    state = {name: value.clone().half() for name, value in model.state_dict().items()}
    save_file(state, tmp_path / "mine.safetensors")
    torch.save({"epoch": 1, "state_dict": state}, tmp_path / "mine.pt")
    vectors = []
    for name in ("mine.safetensors", "mine.pt"):
        encoder = OpenCLIP(model="ViT-S-32-alt", pretrained=str(tmp_path / name)).load("cpu")
        assert {weight.dtype for weight in encoder.module.parameters()} == {torch.float32}
        vectors.append(encoder.encode(noise(size=224)))
    assert (vectors[0] == vectors[1]).all()


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_a_file_that_does_not_fit_is_an_error(tmp_path, change):
    model = open_clip.create_model("ViT-S-32-alt", load_weights=False)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    if change == "missing":
        del state["visual.proj"]
    elif change == "unknown":
        state["extra"] = torch.ones(1)
    else:
        state["visual.proj"] = torch.ones(2, 3)
    save_file(state, tmp_path / "mine.safetensors")
    counts = [int(change == kind) for kind in ("missing", "unknown", "shape")]
    words = "{} tensors missing, {} unknown, {} of another shape".format(*counts)
    with pytest.raises(WeightsError, match=f"are of another network: {words}"):
        OpenCLIP(model="ViT-S-32-alt", pretrained=str(tmp_path / "mine.safetensors")).load("cpu")


def test_a_damaged_file_is_an_error(tmp_path):
    (tmp_path / "mine.pt").write_bytes(b"half a fi")
    with pytest.raises(WeightsError, match="of ViT-S-32-alt cannot be read"):
        OpenCLIP(model="ViT-S-32-alt", pretrained=str(tmp_path / "mine.pt")).load("cpu")


def test_code_in_a_file_is_refused_and_not_run(tmp_path):
    sprung = tmp_path / "sprung"

    class Trap:
        def __reduce__(self):
            return type(sprung).touch, (sprung,)

    torch.save({"visual.proj": Trap()}, tmp_path / "mine.pt")
    with pytest.raises(WeightsError, match="cannot be read"):
        OpenCLIP(model="ViT-S-32-alt", pretrained=str(tmp_path / "mine.pt")).load("cpu")
    assert not sprung.exists()


def test_a_folder_without_weights_is_an_error_and_not_random(folder):
    _, path = folder("clip")
    (path / "open_clip_model.safetensors").unlink()
    with pytest.raises(WeightsError, match="could not be loaded"):
        OpenCLIP(model=str(path)).load("cpu")
    assert OpenCLIP(model=str(path), pretrained="untrained").load("cpu").dim == 24


def test_the_folder_may_be_moved(folder, tmp_path):
    _, path = folder("clip")
    before = OpenCLIP(model=str(path)).load("cpu").encode(noise())
    shutil.move(path, tmp_path / "elsewhere")
    after = OpenCLIP(model=str(tmp_path / "elsewhere")).load("cpu").encode(noise())
    assert (before == after).all()


@pytest.mark.parametrize(
    ("settings", "words", "argument"),
    [
        ({"model": "ViT-B-33"}, "no model 'ViT-B-33'.*Did you mean 'ViT-B-32'", "model"),
        ({"model": "local-dir:/nowhere"}, "'/nowhere' is no folder of an open_clip model", "model"),
        (
            {"pretrained": "laion3b"},
            "no weights 'laion3b' for ViT-B-32. Known: openai",
            "pretrained",
        ),
    ],
)
@pytest.mark.parametrize("method", ["load", "check"])
def test_unknown_names_are_an_error(settings, words, argument, method):
    with pytest.raises(SettingsError, match=words) as caught:
        getattr(OpenCLIP(**settings), method)()
    assert caught.value.argument == argument


def test_a_missing_weights_file_is_an_error_of_the_right_setting(tmp_path):
    with pytest.raises(WeightsError, match="There is no weights file") as caught:
        OpenCLIP(pretrained=str(tmp_path / "mine.pt")).check()
    assert caught.value.argument == "pretrained"


def test_a_broken_description_is_an_error(folder):
    _, path = folder("clip")
    (path / "open_clip_config.json").write_text("{")
    with pytest.raises(SettingsError, match="its open_clip_config.json cannot be read"):
        OpenCLIP(model=str(path)).check()


def test_the_users_folder_is_looked_up_first(tmp_path, monkeypatch):
    monkeypatch.setenv("UVL_WEIGHTS", str(tmp_path))
    backbone = OpenCLIP(model="ViT-B-32", pretrained="laion2b_s34b_b79k")
    (tmp_path / "ViT-B-32--laion2b_s34b_b79k.safetensors").touch()
    assert backbone._weights() == str(tmp_path / "ViT-B-32--laion2b_s34b_b79k.safetensors")


def test_everything_that_open_clip_publishes_has_an_address():
    for model, tag in open_clip.list_pretrained():
        published = _published(model, tag)
        assert published.repository.count("/") == 1
        assert published.filenames[0].endswith(".safetensors")
        assert published.names == (f"{model}--{tag}",)


def test_weights_of_openai_get_their_own_activation():
    plain = OpenCLIP(model="ViT-B-32", pretrained="laion2b_s34b_b79k").build(None, None, "meta")
    openai = OpenCLIP(model="ViT-B-32", pretrained="openai").build(None, None, "meta")
    assert "QuickGELU" not in str(plain)
    assert "QuickGELU" in str(openai)


def test_untrained_weights_hang_on_the_seed_alone(folder):
    _, path = folder("clip")
    first, again, other = (
        OpenCLIP(model=str(path), pretrained="untrained", seed=seed).load("cpu").encode(noise())
        for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert not np.allclose(first, other, rtol=0.1, atol=0)


def test_loading_leaves_the_root_logger_alone(folder, monkeypatch):
    _, path = folder("clip")
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    filters = list(root.filters)
    OpenCLIP(model=str(path), pretrained="untrained").load("cpu")
    assert root.handlers == []
    assert root.filters == filters


def test_a_text_tower_of_hugging_face_needs_its_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="transformers"):
        OpenCLIP(model="roberta-ViT-B-32", pretrained="untrained").check()


def test_a_tokenizer_that_cannot_be_had_hinders_only_texts(folder, monkeypatch):
    _, path = folder("clip")
    encoder = OpenCLIP(model=str(path)).load("cpu")
    assert encoder.encode(noise()).shape == (2, 24)

    def fail(error):
        def get_tokenizer(source):
            raise error

        monkeypatch.setattr(open_clip, "get_tokenizer", get_tokenizer)

    fail(ImportError("No module named 'transformers'"))
    with pytest.raises(MissingPackageError, match="pip install transformers"):
        encoder.embed_texts(["rose"])
    fail(OSError("no network"))
    with pytest.raises(WeightsError, match=r"The tokenizer of .* cannot be fetched \(no network\)"):
        encoder.embed_texts(["rose"])


@pytest.mark.real_data
def test_real_weights_fit_by_folder_and_give_one_space(real_data, unfolded):
    path = real_data / "weights/open_clip/uvl-mnv2-minitext"
    encoder = OpenCLIP(model=str(path)).load("cpu")
    state = load_file(path / "open_clip_model.safetensors")
    first = next(name for name in state if name.startswith("visual."))
    loaded = encoder.module.visual.state_dict()[first.removeprefix("visual.")]
    assert torch.equal(loaded, state[first].float())
    assert encoder.embed_texts(["rose"]).shape == (1, encoder.dim)
