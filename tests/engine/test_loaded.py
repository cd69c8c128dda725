import threading

import numpy as np
import pytest
import torch
from PIL import Image

from uvl_plugin.backbones.base import Encoder
from uvl_plugin.backbones.pixels import Pixels
from uvl_plugin.backbones.torchvision import TorchVision
from uvl_plugin.core.errors import SettingsError
from uvl_plugin.engine.loaded import LoadedBackbone, check_engine, resolve_devices
from uvl_plugin.engine.precision import cosines
from uvl_plugin.engine.settings import Engine
from uvl_plugin.engine.threads import available_threads
from uvl_plugin.media.images import read_image
from uvl_plugin.media.sources import ImageFile

NETWORK = TorchVision(model="squeezenet1_1", weights="untrained")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
needs_two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two GPUs")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twenty JPEG files of 600 x 800 smooth, colourful pixels."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(20):
        small = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((800, 600), Image.Resampling.BICUBIC)
        image.save(folder / f"{number}.jpg")
    return [str(folder / f"{number}.jpg") for number in range(20)]


def embedded(backbone, photos, **settings):
    """Vectors (n, dim), and how they were made."""
    loaded = LoadedBackbone(backbone, Engine(**settings))
    sources = (ImageFile(str(number), path) for number, path in enumerate(photos))
    found = {}
    for chunk in loaded.embed(sources):
        assert not chunk.failures
        found |= chunk.vectors
    assert list(found) == [str(number) for number in range(len(photos))]
    return np.stack(list(found.values())), loaded.record()


@pytest.fixture(scope="module")
def expected(photos):
    encoder = NETWORK.load("cpu")
    return np.stack([encoder.encode([encoder.preprocess(read_image(path))])[0] for path in photos])


@pytest.mark.parametrize(
    "settings",
    [{}, {"batch_size": 1}, {"batch_size": 7, "threads": 3}, {"batch_size": 64, "threads": 1}],
)
def test_vectors_do_not_depend_on_batches_and_threads(photos, expected, settings):
    vectors, record = embedded(NETWORK, photos, device="cpu", **settings)
    assert vectors == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert record["batch_size"] == record["images_at_once"] == min(4, settings.get("batch_size", 4))
    assert record["threads"] == settings.get("threads", available_threads())
    assert (record["device"], record["precision"], record["decode"]) == ("cpu", "fp32", "exact")
    assert (record["dim"], record["precision_agreement"]) == (512, None)


def test_reduced_decoding_reads_less_and_gives_nearly_the_same(photos, expected, monkeypatch):
    shapes = []
    preprocess = type(NETWORK.load("cpu").preprocess)
    prepared = preprocess.__call__

    def noted(self, image):
        shapes.append(image.shape[:2])
        return prepared(self, image)

    monkeypatch.setattr(preprocess, "__call__", noted)
    vectors, record = embedded(NETWORK, photos, decode="reduced", device="cpu")
    assert set(shapes) == {(300, 400)}  # 4/8 of the file's; the network's shorter side is 256
    assert record["decode"] == "reduced"
    assert cosines(vectors, expected).min() > 0.99
    assert not np.array_equal(vectors, expected)


def test_half_precision_is_recorded_with_its_agreement(photos, expected):
    vectors, record = embedded(NETWORK, photos, precision="bf16", device="cpu")
    assert record["precision"] == "bf16"
    assert 0.99 < record["precision_agreement"] < 1
    assert cosines(vectors, expected).min() > 0.99


def test_no_more_threads_work_than_were_asked_for(photos, monkeypatch):
    at_work, most, inside = set(), 0, threading.Lock()
    encode = Encoder.encode

    def noted(self, images):
        nonlocal most
        with inside:
            at_work.add(threading.get_ident())
            most = max(most, len(at_work))
        try:
            assert torch.get_num_threads() == 1
            return encode(self, images)
        finally:
            with inside:
                at_work.remove(threading.get_ident())

    loaded = LoadedBackbone(NETWORK, Engine(threads=3, batch_size=2, device="cpu"))
    monkeypatch.setattr(Encoder, "encode", noted)
    before, torch_threads = threading.active_count(), torch.get_num_threads()
    sources = [ImageFile(str(number), path) for number, path in enumerate(photos)]
    for _ in loaded.embed(sources):
        assert threading.active_count() <= before + 3
    assert 2 <= most <= 3
    assert (threading.active_count(), torch.get_num_threads()) == (before, torch_threads)


def test_a_network_that_must_not_be_shared_is_used_by_its_own_threads(
    photos, expected, monkeypatch
):
    monkeypatch.setattr(Encoder, "concurrent", False)
    vectors, _ = embedded(NETWORK, photos, device="cpu", batch_size=3, threads=2)
    assert vectors == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_several_devices_share_the_batches(photos, monkeypatch):
    """Two replicas on the processor stand in for two GPUs: the same code, but for the names."""
    cpu = torch.device("cpu")
    monkeypatch.setattr("uvl_plugin.engine.loaded.resolve_devices", lambda device: [cpu, cpu])
    monkeypatch.setattr(Encoder, "concurrent", False)
    loaded = LoadedBackbone(NETWORK, Engine(batch_size=2, threads=2))
    assert loaded.record()["device"] == "cpu,cpu"
    modules = {id(network.portions.encoder.module) for network in loaded._networks}
    assert len(modules) == 2
    sources = [ImageFile(str(number), path) for number, path in enumerate(photos * 4)]
    found = {}
    for chunk in loaded.embed(sources):
        found |= chunk.vectors
    assert list(found) == [str(number) for number in range(len(photos) * 4)]
    for number in range(20):
        assert found[str(number)] == pytest.approx(found[str(number + 60)], rel=1e-4)


def test_few_items_are_shared_out_among_the_threads(photos):
    loaded = LoadedBackbone(NETWORK, Engine(threads=4, device="cpu"))
    sources = [ImageFile(str(number), path) for number, path in enumerate(photos[:9])]
    assert [len(chunk) for chunk in loaded.embed(iter(sources), 9)] == [2, 2, 2, 2, 1]
    assert [len(chunk) for chunk in loaded.embed(iter(sources))] == [4, 4, 1]


def test_a_backbone_can_be_used_more_than_once(photos):
    loaded = LoadedBackbone(Pixels(size=4), Engine())
    for _ in range(2):
        assert sum(len(c) for c in loaded.embed([ImageFile("a", photos[0])])) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cpu,cpu"}, "device='cpu,cpu' must name different GPUs"),
        ({"device": "gpu"}, "device='gpu' cannot be used"),
        ({"decode": "gpu", "device": "cpu"}, "decode='gpu' needs a GPU, and the device is cpu"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        check_engine(Engine(**settings))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:all", "cuda:0,cuda:1"])
def test_gpus_that_are_not_there_are_an_error_and_no_silent_run_on_the_processor(device):
    with pytest.raises(SettingsError, match="cannot be used"):
        resolve_devices(device)


@needs_gpu
@pytest.mark.parametrize("decode", ["exact", "gpu"])
def test_a_gpu_gives_the_vectors_of_the_processor(photos, expected, decode):
    vectors, record = embedded(NETWORK, photos, device="cuda", decode=decode)
    assert record["device"] == "cuda:0"
    assert record["precision"] in ("bf16", "fp16")
    assert cosines(vectors, expected).min() > 0.99


@needs_two_gpus
def test_two_gpus_give_the_vectors_of_the_processor(photos, expected):
    vectors, record = embedded(NETWORK, photos, device="cuda:all", batch_size=2)
    assert record["device"].startswith("cuda:0,cuda:1")
    assert cosines(vectors, expected).min() > 0.99
